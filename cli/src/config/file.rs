//! The TOML file: its entries, each with its place.

use std::collections::BTreeMap;
use std::path::Path;

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use toml::de::{DeTable, DeValue};

use super::value::Raw;

/// Files beyond this are not configuration.
const BYTES_MAX: u64 = 1 << 20;

/// A file's entries by section and key.
#[derive(Debug, Default)]
pub struct File {
    pub sections: BTreeMap<String, (Location, BTreeMap<String, Entry>)>,
}

#[derive(Debug)]
pub struct Entry {
    pub value: Raw,
    pub location: Location,
}

/// Reads a file; what is wrong with it as a whole, or with the shape of an entry, is added to `findings`.
pub fn read(path: &Path, findings: &mut Vec<Diagnostic>) -> File {
    let name = path.display().to_string();
    let size = std::fs::metadata(path).map(|metadata| metadata.len());
    let text = match size {
        Ok(size) if size > BYTES_MAX => Err(format!("it is larger than {BYTES_MAX} bytes")),
        _ => std::fs::read_to_string(path).map_err(|error| error.to_string()),
    };
    match text {
        Ok(text) => parse(&name, &text, findings),
        Err(error) => {
            let message = format!("cannot read the configuration: {error}");
            findings.push(Diagnostic::error(Code::ConfigInvalid, message).at(Location::file(name)));
            File::default()
        }
    }
}

pub fn parse(name: &str, text: &str, findings: &mut Vec<Diagnostic>) -> File {
    let place = |offset: usize| {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Location::in_text(name, text, line as u32, column as u32)
    };
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let location = error.span().map_or_else(|| Location::file(name), |span| place(span.start));
            findings.push(Diagnostic::error(Code::ConfigInvalid, error.message()).at(location));
            return File::default();
        }
    };
    let mut file = File::default();
    for (section, value) in root.get_ref() {
        let at = place(section.span().start);
        let DeValue::Table(table) = value.get_ref() else {
            let message = format!("'{}' is not in a section", section.get_ref());
            let hint = "a setting stands below its section: [server], [worker] or [log]";
            findings.push(Diagnostic::error(Code::ConfigInvalid, message).at(at).hint(hint));
            continue;
        };
        let mut entries = BTreeMap::new();
        for (key, value) in table {
            let location = place(key.span().start);
            match raw(value.get_ref()) {
                Some(value) => drop(entries.insert(key.get_ref().to_string(), Entry { value, location })),
                None => {
                    let message = format!(
                        "'{section}.{key}' has a value of a kind that no setting has",
                        section = section.get_ref(),
                        key = key.get_ref()
                    );
                    findings.push(Diagnostic::error(Code::ConfigInvalid, message).at(location));
                }
            }
        }
        file.sections.insert(section.get_ref().to_string(), (at, entries));
    }
    file
}

fn raw(value: &DeValue<'_>) -> Option<Raw> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| scalar(item.get_ref())).collect::<Option<_>>().map(Raw::List),
        DeValue::Table(table) => {
            let pairs = table.iter().map(|(key, value)| Some((key.get_ref().to_string(), scalar(value.get_ref())?)));
            pairs.collect::<Option<_>>().map(Raw::Table)
        }
        other => scalar(other).map(Raw::Text),
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

//! The rows of unit tests: written in the test, in a file of `tests/fixtures`, or in a seed.
//!
//! Invariant: a row is a mapping from columns to scalars or, where the project wrote such, lists and mappings; what no row can be
//! made of is a `Problem`.

use std::collections::BTreeMap;

use common::diagnostic::{Code, Location};
use common::manifest::{Manifest, ResourceType};
use common::unit_test::{Fixture, FixtureFormat, FixtureRows};
use common::{Diagnostic, Json, JsonMap};

use super::package::Package;
use super::patch;
use crate::csv::Records;
use crate::files::{self, File, FileKind};
use crate::properties::FixtureProperties;
use crate::yaml::{Node, Value};

/// What a package's unit tests may take rows from.
pub struct Fixtures<'p> {
    package: &'p Package<'p>,
    manifest: &'p Manifest,
    /// By name without suffix.
    files: BTreeMap<&'p str, &'p File>,
}

/// Why there are no rows.
pub enum Problem {
    /// They do not fit the format.
    Format(FixtureFormat),
    /// A file or seed that does not exist, or cannot be read; the whole message.
    Other(String),
}

impl Problem {
    /// In dbt's words; `side` is `input` or `expected`.
    pub fn describe(self, test: &str, side: &str) -> String {
        match self {
            Self::Format(FixtureFormat::Dict) => {
                format!("Unit test {test} has {side} rows which do not match format dict")
            }
            Self::Format(format) => format!(
                "Unit test {test} has {side} rows or fixtures which do not match format {}. Expected string.",
                format.as_str()
            ),
            Self::Other(message) => format!("Unit test {test}: {message}"),
        }
    }
}

impl<'p> Fixtures<'p> {
    /// Finds the files; two of one name are a finding.
    pub fn of(package: &'p Package<'p>, manifest: &'p Manifest, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut found: BTreeMap<&str, &File> = BTreeMap::new();
        for file in package.files.of_kind(FileKind::Fixture) {
            if let Some(other) = found.insert(file.stem(), file) {
                let message = format!(
                    "dbt found two fixtures with the name \"{}\": {} and {}",
                    file.stem(),
                    other.path,
                    file.path
                );
                let finding = Diagnostic::error(Code::DuplicateName, message).hint("rename one of them");
                diagnostics.push(finding.at(Location::file(file.display_path.clone())));
            }
        }
        Self { package, manifest, files: found }
    }

    /// The rows of one fixture; `input` is what they are given for.
    pub fn read(&self, written: &FixtureProperties, input: Option<&str>) -> Result<Fixture, Problem> {
        let format = written.format;
        let text = match &written.rows {
            Some(Node { value: Value::String(text), .. }) => Some(text.as_str()),
            _ => None,
        };
        let file = written.file.as_deref().filter(|name| !name.is_empty());
        let rows = match (format, file, text) {
            (FixtureFormat::Dict, _, _) => FixtureRows::Table(self.dicts(written, input)?),
            (FixtureFormat::Csv, Some(name), _) => FixtureRows::Table(with_nulls(csv(self.file(name, ".csv")?)?)),
            (FixtureFormat::Csv, None, Some(text)) => FixtureRows::Table(with_nulls(csv(text)?)),
            (FixtureFormat::Sql, Some(name), _) => FixtureRows::Sql(self.file(name, ".sql")?.to_owned()),
            (FixtureFormat::Sql, None, Some(text)) => FixtureRows::Sql(text.to_owned()),
            (FixtureFormat::Csv | FixtureFormat::Sql, None, None) => return Err(Problem::Format(format)),
        };
        let rows = match rows {
            FixtureRows::Table(rows) => FixtureRows::Table(whole_row_first(rows)),
            query => query,
        };
        Ok(Fixture { format, rows, file: written.file.clone() })
    }

    /// Rows as mappings; those of the seed where none are written.
    fn dicts(&self, written: &FixtureProperties, input: Option<&str>) -> Result<Vec<JsonMap>, Problem> {
        let Some(rows) = &written.rows else {
            return match (&written.file, input) {
                (None, Some(input)) => self.seed(input),
                _ => Err(Problem::Format(written.format)),
            };
        };
        let rows = rows.as_sequence().ok_or(Problem::Format(written.format))?;
        rows.iter().map(|row| Ok(row.as_mapping().ok_or(Problem::Format(written.format))?.to_json())).collect()
    }

    /// A file's text without white space around it.
    fn file(&self, name: &str, suffix: &str) -> Result<&str, Problem> {
        let Some(file) = self.files.get(name) else {
            let known = crate::resolve::suggest::hint(name, self.files.keys().copied());
            let hint = known.map(|hint| format!("; {hint}")).unwrap_or_default();
            return Err(Problem::Other(format!("file not found for fixture '{name}' in tests/fixtures{hint}")));
        };
        if !file.path.to_ascii_lowercase().ends_with(suffix) {
            return Err(Problem::Other(format!("the fixture '{name}' is no '{suffix}' file: {}", file.path)));
        }
        file.text().map(|text| text.trim()).map_err(|finding| Problem::Other(finding.message))
    }

    /// The rows of the seed that `input` refers to; all of them are text.
    fn seed(&self, input: &str) -> Result<Vec<JsonMap>, Problem> {
        let reference = patch::reference(input).and_then(|recorded| recorded.refs.into_iter().next());
        let Some(reference) = reference else {
            return Err(Problem::Other(format!("{input} needs 'rows': only those of a seed can be left out")));
        };
        let own = self.package.name();
        let package = reference.package.as_deref().unwrap_or(own);
        let id = format!("{}.{package}.{}", ResourceType::Seed, reference.name);
        let Some(seed) = self.manifest.nodes.get(id.as_str()) else {
            let name = &reference.name;
            return Err(Problem::Other(format!(
                "unable to find seed '{package}.{name}', whose rows {input} would stand for; any other input needs 'rows'"
            )));
        };
        // As in dbt, a seed of another package is looked for in the test's own folders.
        let found = self.package.files.of_kind(FileKind::Seed).find(|file| file.path == seed.original_file_path);
        let Some(file) = found else {
            return Err(Problem::Other(format!("the seed '{package}.{}' is not in this package", reference.name)));
        };
        let text = files::read_text(&file.absolute, &file.display_path);
        csv(&text.map_err(|finding| Problem::Other(finding.message))?)
    }
}

/// Rows of a CSV text, by the names in its first line. Blank lines are no rows; cells that a row lacks are null.
fn csv(text: &str) -> Result<Vec<JsonMap>, Problem> {
    let (header, records) = Records::parse(text, ',');
    let header = header.unwrap_or_default();
    if let Some((_, line, width)) = records.too_wide(header.len()) {
        let message = format!("line {line} of a CSV has {width} cells, its first line has {}", header.len());
        return Err(Problem::Other(message));
    }
    let rows = (0..records.row_count()).filter(|row| records.cell(*row, 0).is_some());
    let cell = |row, column| records.cell(row, column).map_or(Json::Null, Json::from);
    let row = |row| header.iter().enumerate().map(|(column, name)| (name.clone(), cell(row, column))).collect();
    Ok(rows.map(row).collect())
}

/// In a CSV, nothing between two commas is null.
fn with_nulls(mut rows: Vec<JsonMap>) -> Vec<JsonMap> {
    let is_empty = |cell: &&mut Json| cell.as_str() == Some("");
    rows.iter_mut().flat_map(JsonMap::values_mut).filter(is_empty).for_each(|cell| *cell = Json::Null);
    rows
}

/// A row without nulls comes first, since some warehouses take the types of all from it. Source: dbt's behaviour.
fn whole_row_first(mut rows: Vec<JsonMap>) -> Vec<JsonMap> {
    if let Some(whole) = rows.iter().position(|row| row.values().all(|cell| !cell.is_null())) {
        rows.swap(0, whole);
    }
    rows
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_csv_gives_text_and_nulls() {
        let rows = csv("id,name\n1,\"a,b\"\n\n2\n").ok().map(with_nulls);
        let expected = [json!({"id": "1", "name": "a,b"}), json!({"id": "2", "name": null})];
        assert_eq!(rows.map(|rows| rows.into_iter().map(Json::Object).collect::<Vec<_>>()), Some(expected.into()));
        assert!(csv("id\n1,2\n").is_err());
        assert!(csv("").is_ok_and(|rows| rows.is_empty()));
    }

    #[test]
    fn the_first_row_without_nulls_leads() {
        let row = |a: Json| JsonMap::from_iter([("a".to_owned(), a)]);
        let rows = whole_row_first(vec![row(Json::Null), row(json!(1)), row(json!(2))]);
        assert_eq!(rows, [row(json!(1)), row(Json::Null), row(json!(2))]);
        assert_eq!(whole_row_first(vec![row(Json::Null)]), [row(Json::Null)]);
    }
}

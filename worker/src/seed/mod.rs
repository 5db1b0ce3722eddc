//! Seed files: CSV as Python reads it, with the types that dbt infers.
//!
//! Invariant: reading a file and naming its types touches no warehouse, and two readers of one file agree.

mod inference;
mod moment;
mod number;

use std::path::Path;

use common::diagnostic::Code;
use common::manifest::Node;
use common::table::Column;
use common::task::FailureKind;

use crate::failure::{Failure, Heading, Result};
use dbt::csv::Records;
use inference::Kind;

/// The settings of a seed that matter for reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub delimiter: String,
    /// `column_types`: these columns are text for us, and of that type for the warehouse.
    pub column_types: Vec<(String, String)>,
    /// dbt-duckdb's `fast`: let the warehouse read the file.
    pub fast: bool,
}

/// A seed file in memory.
pub struct File {
    /// As diagnostics name it, relative to its package.
    name: String,
    columns: Vec<SeedColumn>,
    records: Records,
}

/// A column and how its cells become values.
struct SeedColumn {
    name: String,
    data_type: String,
    kind: Kind,
}

impl Options {
    pub fn of(node: &Node) -> Self {
        let config = &node.config;
        Self {
            delimiter: config.delimiter.clone(),
            column_types: config.column_types.iter().map(|(name, kind)| (name.clone(), kind.clone())).collect(),
            fast: config.extra.get("fast").and_then(serde_json::Value::as_bool).unwrap_or(true),
        }
    }
}

impl File {
    /// Reads and checks the whole file; `name` is how messages call it.
    pub fn read(path: &Path, name: &str, options: &Options) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| invalid(name, 0, &format!("cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            invalid(name, line, "is not UTF-8")
        })?;
        Self::parse(&text, name, options)
    }

    /// The same for text at hand.
    pub fn parse(text: &str, name: &str, options: &Options) -> Result<Self> {
        let mut delimiter = options.delimiter.chars();
        let (Some(delimiter), None) = (delimiter.next(), delimiter.next()) else {
            return Err(invalid(name, 0, "has a delimiter that is not one character"));
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (header, records) = Records::parse(text, delimiter);
        let Some(header) = header else {
            return Err(invalid(name, 1, "is empty: a line with column names is needed"));
        };
        let names = column_names(header);
        if let Some((row, line, width)) = records.too_wide(names.len()) {
            let message = format!("Row {row} has {width} values, but Table only has {} columns.", names.len());
            return Err(invalid(name, line, &message));
        }
        let columns = names
            .into_iter()
            .enumerate()
            .map(|(index, name)| {
                let forced = options.column_types.iter().find(|(column, _)| *column == name);
                let kind = if forced.is_some() { Kind::Text } else { inference::infer(records.column(index)) };
                let data_type = forced.map_or_else(|| kind.data_type().to_owned(), |(_, data_type)| data_type.clone());
                SeedColumn { name, data_type, kind }
            })
            .collect();
        Ok(Self { name: name.to_owned(), columns, records })
    }

    /// Names as in the header, with the types that the warehouse gets.
    pub fn columns(&self) -> Vec<Column> {
        self.columns
            .iter()
            .map(|column| Column { name: column.name.clone(), data_type: column.data_type.clone() })
            .collect()
    }

    pub fn rows(&self) -> u64 {
        self.records.row_count() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.records.row_count() == 0
    }

    /// The rows as text that the warehouse casts to the columns' types.
    pub fn values(&self) -> impl Iterator<Item = Vec<Option<String>>> + '_ {
        (0..self.records.row_count()).map(|row| {
            self.columns
                .iter()
                .enumerate()
                .map(|(index, column)| self.records.cell(row, index).and_then(|cell| column.kind.value(cell)))
                .collect()
        })
    }

    /// A refusal of the warehouse while the rows were loaded is the file's fault, or that of its `column_types`.
    pub fn blame(&self, failure: Failure) -> Failure {
        if failure.code == Code::SqlError {
            Failure { code: Code::SeedInvalid, message: format!("{}: {}", self.name, failure.message), ..failure }
        } else {
            failure
        }
    }
}

/// Names repeat with a number, and missing ones are letters, as in agate.
fn column_names(header: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(header.len());
    for (index, name) in header.into_iter().enumerate() {
        let name = if name.is_empty() { letter_name(index) } else { name };
        let mut unique = name.clone();
        let mut number = 2;
        while names.contains(&unique) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        names.push(unique);
    }
    names
}

/// `a`, `b`, …, `z`, `aa`, `bb`, …
fn letter_name(index: usize) -> String {
    let letter = char::from(b'a' + (index % 26) as u8);
    std::iter::repeat_n(letter, index / 26 + 1).collect()
}

fn invalid(name: &str, line: usize, what: &str) -> Failure {
    let place = if line == 0 { name.to_owned() } else { format!("{name}:{line}") };
    Failure {
        kind: FailureKind::User,
        code: Code::SeedInvalid,
        heading: Heading::Runtime,
        message: format!("{place}: {what}"),
        sql: None,
        position: None,
    }
}

#[cfg(test)]
mod tests;

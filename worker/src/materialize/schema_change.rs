//! `on_schema_change`: what happens when the columns of an incremental model and of its relation differ.
//!
//! Source: dbt's "What if the columns of my incremental model change?".

use common::diagnostic::Code;
use common::node_config::OnSchemaChange;
use common::relation::{Relation, quote_identifier};
use common::table::Column;
use common::target::AdapterType;

use crate::failure::{Failure, Result};

/// Length that dbt takes text without one to have.
const TEXT_LENGTH_DEFAULT: u64 = 256;

/// How the new rows' columns differ from the relation's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Only in the new rows.
    pub added: Vec<Column>,
    /// Only in the relation.
    pub removed: Vec<Column>,
    /// In both, with another type: the column as the new rows have it.
    pub retyped: Vec<Column>,
}

/// Statements that bring the relation's columns in line, and the columns to insert.
pub fn reconcile<'c>(
    policy: OnSchemaChange,
    dialect: AdapterType,
    relation: &Relation,
    new: &'c [Column],
    existing: &'c [Column],
) -> Result<(Vec<String>, &'c [Column])> {
    if policy == OnSchemaChange::Ignore {
        return Ok((Vec::new(), existing));
    }
    let difference = Difference::between(new, existing);
    if difference.is_empty() {
        return Ok((Vec::new(), new));
    }
    let statements = match policy {
        OnSchemaChange::Ignore => Vec::new(),
        OnSchemaChange::Fail => return Err(refusal(&difference)),
        OnSchemaChange::AppendNewColumns => add_and_drop(dialect, relation, &difference.added, &[]),
        OnSchemaChange::SyncAllColumns => {
            let mut statements = add_and_drop(dialect, relation, &difference.added, &difference.removed);
            statements.extend(
                difference
                    .retyped
                    .iter()
                    .flat_map(|column| change_type(dialect, relation, &column.name, &column.data_type)),
            );
            statements
        }
    };
    Ok((statements, new))
}

/// Text columns of a PostgreSQL relation that are too short for the new rows grow, as dbt lets them.
pub fn widen(relation: &Relation, new: &[Column], existing: &[Column]) -> Vec<String> {
    existing
        .iter()
        .filter_map(|column| {
            let wanted = text_length(new.iter().find(|new| new.name == column.name)?)?;
            (wanted > text_length(column)?).then(|| {
                change_type(AdapterType::Postgres, relation, &column.name, &format!("character varying({wanted})"))
            })
        })
        .flatten()
        .collect()
}

impl Difference {
    pub fn between(new: &[Column], existing: &[Column]) -> Self {
        let missing = |from: &[Column], column: &Column| !from.iter().any(|other| other.name == column.name);
        let retyped = new
            .iter()
            .filter(|column| {
                existing.iter().any(|other| {
                    other.name == column.name
                        && !other.data_type.eq_ignore_ascii_case(&column.data_type)
                        && !fits(column, other)
                })
            })
            .cloned()
            .collect();
        Self {
            added: new.iter().filter(|column| missing(existing, column)).cloned().collect(),
            removed: existing.iter().filter(|column| missing(new, column)).cloned().collect(),
            retyped,
        }
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.retyped.is_empty()
    }
}

/// Whether text of `column` fits into the longer text of `other`.
fn fits(column: &Column, other: &Column) -> bool {
    match (text_length(column), text_length(other)) {
        (Some(length), Some(room)) => room > length,
        _ => false,
    }
}

/// The length of a text type, `None` for other types.
fn text_length(column: &Column) -> Option<u64> {
    let lower = column.data_type.to_lowercase();
    let (base, length) = match lower.split_once('(') {
        Some((base, rest)) => (base.trim_end().to_owned(), rest.trim_end_matches(')').trim().parse().ok()),
        None => (lower, None),
    };
    let text = matches!(base.as_str(), "text" | "character varying" | "character" | "varchar");
    text.then(|| length.unwrap_or(TEXT_LENGTH_DEFAULT))
}

fn add_and_drop(dialect: AdapterType, relation: &Relation, added: &[Column], removed: &[Column]) -> Vec<String> {
    let adds = added.iter().map(|column| format!("add column {} {}", quote_identifier(&column.name), column.data_type));
    let drops = removed.iter().map(|column| format!("drop column {}", quote_identifier(&column.name)));
    let changes: Vec<String> = adds.chain(drops).collect();
    match dialect {
        _ if changes.is_empty() => Vec::new(),
        AdapterType::Postgres => vec![format!("alter table {relation} {}", changes.join(", "))],
        AdapterType::Duckdb => changes.into_iter().map(|change| format!("alter table {relation} {change}")).collect(),
    }
}

/// On PostgreSQL the new column goes to the end of the table, as it does with dbt. DuckDB cannot commit those steps together (with
/// dbt it fails there), but changes the type in place.
fn change_type(dialect: AdapterType, relation: &Relation, name: &str, data_type: &str) -> Vec<String> {
    let column = quote_identifier(name);
    if dialect == AdapterType::Duckdb {
        return vec![format!("alter table {relation} alter column {column} type {data_type}")];
    }
    let aside = quote_identifier(&format!("{name}__dbt_alter"));
    vec![
        format!("alter table {relation} add column {aside} {data_type}"),
        format!("update {relation} set {aside} = {column}"),
        format!("alter table {relation} drop column {column} cascade"),
        format!("alter table {relation} rename column {aside} to {column}"),
    ]
}

fn refusal(difference: &Difference) -> Failure {
    let names = |columns: &[Column]| {
        let names: Vec<String> = columns.iter().map(|column| format!("{} {}", column.name, column.data_type)).collect();
        format!("[{}]", names.join(", "))
    };
    let message = format!(
        "The source and target schemas on this incremental model are out of sync!\nSet on_schema_change to \
         append_new_columns or sync_all_columns, run with --full-refresh, or change the relation by hand and run \
         again.\n\nSource columns not in target: {}\nTarget columns not in source: {}\nNew column types: {}",
        names(&difference.added),
        names(&difference.removed),
        names(&difference.retyped),
    );
    Failure::user(Code::SchemaChanged, message)
}

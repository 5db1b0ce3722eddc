//! `contract: {enforced: true}`: the columns a model promises, in DDL and against its query.
//!
//! Source: dbt's "Model contracts" and "constraints" reference pages.

use common::Json;
use common::diagnostic::Code;
use common::manifest::{ColumnInfo, Node};
use common::relation::quote_identifier;
use common::table::Column;
use common::target::AdapterType;

use crate::failure::{Failure, Result};

/// `(id integer not null, name text, primary key (id))`
pub fn table_definition(node: &Node) -> Result<String> {
    let mut parts = Vec::new();
    for column in node.columns.values() {
        let Some(data_type) = &column.data_type else {
            let message = format!("column '{}' of a model with an enforced contract has no data_type", column.name);
            return Err(Failure::user(Code::ContractInvalid, message));
        };
        let mut part = format!("{} {data_type}", written_name(column));
        for constraint in &column.constraints {
            if let Some(text) = column_constraint(constraint) {
                part.push(' ');
                part.push_str(&text);
            }
        }
        parts.push(part);
    }
    if let Some(model) = &node.model {
        parts.extend(model.constraints.iter().filter_map(model_constraint));
    }
    Ok(format!("(\n    {}\n)", parts.join(",\n    ")))
}

/// The contract's columns, as an `insert` names them.
pub fn column_list(node: &Node) -> String {
    node.columns.values().map(written_name).collect::<Vec<_>>().join(", ")
}

/// The query with its columns in the contract's order.
pub fn select_in_order(node: &Node, sql: &str) -> String {
    format!("select {}\nfrom (\n{sql}\n) as model_subq", column_list(node))
}

/// A query without rows whose columns have the contract's types, to learn how the warehouse names them.
pub fn empty_query(node: &Node) -> Result<String> {
    if node.columns.is_empty() {
        let message = "This model has an enforced contract, and its 'columns' specification is missing";
        return Err(Failure::user(Code::ContractInvalid, message));
    }
    let mut casts = Vec::new();
    let mut untyped = Vec::new();
    for column in node.columns.values() {
        match &column.data_type {
            Some(data_type) => casts.push(format!("cast(null as {data_type}) as {}", written_name(column))),
            None => untyped.push(format!("`{}`", column.name)),
        }
    }
    if untyped.is_empty() {
        Ok(format!("select {} limit 0", casts.join(", ")))
    } else {
        let message = format!(
            "Contracted models require data_type to be defined for each column. It is missing from {}.",
            untyped.join(", ")
        );
        Err(Failure::user(Code::ContractInvalid, message))
    }
}

/// Compares what the query gives with what the contract promises; the order of columns does not matter.
pub fn compare(dialect: AdapterType, query: &[Column], contract: &[Column]) -> Result<()> {
    let mut mismatches: Vec<[String; 4]> = Vec::new();
    let mut unmatched: Vec<&Column> = contract.iter().collect();
    for column in query {
        match unmatched.iter().position(|promised| promised.name == column.name) {
            Some(index) => {
                let promised = unmatched.remove(index);
                if type_class(dialect, &column.data_type) != type_class(dialect, &promised.data_type) {
                    mismatches.push(row(&column.name, &column.data_type, &promised.data_type, "data type mismatch"));
                }
            }
            None => mismatches.push(row(&column.name, &column.data_type, "", "missing in contract")),
        }
    }
    for promised in unmatched {
        mismatches.push(row(&promised.name, "", &promised.data_type, "missing in definition"));
    }
    if mismatches.is_empty() {
        return Ok(());
    }
    mismatches.sort();
    let message = format!(
        "This model has an enforced contract that failed.\nIts query gives other columns than the contract names.\n\n{}",
        text_table(&mismatches)
    );
    Err(Failure::user(Code::ContractBroken, message))
}

fn row(name: &str, defined: &str, promised: &str, reason: &str) -> [String; 4] {
    [name.to_owned(), defined.to_owned(), promised.to_owned(), reason.to_owned()]
}

/// dbt compares the types that the driver reports: on PostgreSQL they come without length and precision, and all text is one type.
fn type_class(dialect: AdapterType, data_type: &str) -> String {
    let lower = data_type.to_lowercase();
    if dialect == AdapterType::Duckdb {
        return lower;
    }
    let base = match lower.split_once('(') {
        Some((before, after)) => format!("{}{}", before.trim_end(), after.split_once(')').map_or("", |(_, rest)| rest)),
        None => lower,
    };
    match base.as_str() {
        "text" | "varchar" | "character varying" | "character" | "char" | "bpchar" | "name" => "string".to_owned(),
        "smallint" | "int2" | "integer" | "int" | "int4" => "integer".to_owned(),
        "real" | "float4" | "double precision" | "float8" => "float".to_owned(),
        _ => base,
    }
}

fn text_table(rows: &[[String; 4]]) -> String {
    let header = row("column_name", "definition_type", "contract_type", "mismatch_reason");
    let widths: Vec<usize> = (0..4)
        .map(|index| rows.iter().chain([&header]).map(|row| row[index].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |cells: &[String; 4]| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |", padded.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut lines = vec![line(&header), format!("| {} |", rule.join(" | "))];
    lines.extend(rows.iter().map(line));
    lines.join("\n")
}

fn written_name(column: &ColumnInfo) -> String {
    if column.quote == Some(true) { quote_identifier(&column.name) } else { column.name.clone() }
}

fn text<'j>(constraint: &'j Json, key: &str) -> Option<&'j str> {
    constraint.get(key).and_then(Json::as_str).filter(|text| !text.is_empty())
}

fn names(constraint: &Json, key: &str) -> Option<String> {
    let names: Vec<&str> = constraint.get(key)?.as_array()?.iter().filter_map(Json::as_str).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn column_constraint(constraint: &Json) -> Option<String> {
    let expression = text(constraint, "expression");
    let with_expression = |words: &str| match expression {
        Some(expression) => format!("{words} {expression}"),
        None => words.to_owned(),
    };
    match text(constraint, "type")? {
        "check" => expression.map(|expression| format!("check ({expression})")),
        "not_null" => Some(with_expression("not null")),
        "unique" => Some(with_expression("unique")),
        "primary_key" => Some(with_expression("primary key")),
        "foreign_key" => references(constraint),
        "custom" => expression.map(str::to_owned),
        _ => None,
    }
}

fn model_constraint(constraint: &Json) -> Option<String> {
    let prefix = text(constraint, "name").map(|name| format!("constraint {name} ")).unwrap_or_default();
    let expression = text(constraint, "expression");
    let columns = names(constraint, "columns").unwrap_or_default();
    let spaced = expression.map(|expression| format!(" {expression}")).unwrap_or_default();
    match text(constraint, "type")? {
        "check" => expression.map(|expression| format!("{prefix}check ({expression})")),
        "unique" => Some(format!("{prefix}unique{spaced} ({columns})")),
        "primary_key" => Some(format!("{prefix}primary key{spaced} ({columns})")),
        "foreign_key" => {
            references(constraint).map(|references| format!("{prefix}foreign key ({columns}) {references}"))
        }
        "custom" => expression.map(|expression| format!("{prefix}{expression}")),
        _ => None,
    }
}

fn references(constraint: &Json) -> Option<String> {
    match (text(constraint, "to"), names(constraint, "to_columns")) {
        (Some(to), Some(columns)) => Some(format!("references {to} ({columns})")),
        _ => text(constraint, "expression").map(|expression| format!("references {expression}")),
    }
}

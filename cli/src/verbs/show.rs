//! `kontiki show`: the first rows of a node or of a query, read from this machine whatever cluster is named.

use common::manifest::{Node, ResourceType};
use common::table::{Datum, Table};
use common::{Json, JsonMap, Manifest, NodeId};
use serde_json::json;

use super::{inline, ready, select};
use crate::args::{Show, ShowFormat};
use crate::console::Event;
use crate::exit::Exit;
use crate::project::{Call, Refused};
use crate::run::Probe;

/// Widest cell of the text table, as dbt's.
const CELL_WIDTH_MAX: usize = 120;

pub fn show(call: &Call, show: &Show) -> Result<Exit, Refused> {
    let mut ready = ready(call)?;
    let is_inline = show.inline.is_some();
    let nodes: Vec<NodeId> = match &show.inline {
        Some(sql) => vec![inline(&mut ready, sql)],
        None => {
            let selected = select(call, &ready, &show.selection, common::run::Verb::Show)?;
            selected.into_iter().filter(|id| is_asked_for(&ready.manifest, id, &show.selection.select)).collect()
        }
    };
    if nodes.is_empty() {
        call.console.emit(&Event::NothingToDo);
        return Ok(Exit::Success);
    }
    let limit = u64::try_from(show.limit).ok();
    let probe = Probe::new(call, &ready.opened, &ready.manifest, common::run::Verb::Show)?;
    let mut exit = Exit::Success;
    for id in &nodes {
        let Some(node) = ready.manifest.nodes.get(id) else { continue };
        match probe.preview(id, limit) {
            Ok((_, table)) => call.console.output(&render(node, &table, is_inline, show.output)),
            Err(failure) => {
                call.console.emit(&Event::EncounteredError(failure.describe(node)));
                call.console.emit(&Event::ResultCode(failure.code));
                exit = Exit::NodeFailed;
            }
        }
    }
    Ok(exit)
}

/// Tests come along with what they test; only those that are named are shown.
fn is_asked_for(manifest: &Manifest, id: &NodeId, select: &[String]) -> bool {
    let Some(node) = manifest.nodes.get(id) else { return false };
    node.resource_type != ResourceType::Test || select.iter().any(|selector| selector.contains(&node.name))
}

fn render(node: &Node, table: &Table, is_inline: bool, format: ShowFormat) -> String {
    match format {
        ShowFormat::Text if is_inline => format!("Previewing inline node:\n{}", text_table(table)),
        ShowFormat::Text => format!("Previewing node '{}':\n{}", node.name, text_table(table)),
        ShowFormat::Json => {
            let document = if is_inline {
                json!({ "show": json_rows(table) })
            } else {
                json!({ "node": node.name, "show": json_rows(table) })
            };
            serde_json::to_string_pretty(&document).unwrap_or_default()
        }
    }
}

fn json_rows(table: &Table) -> Vec<Json> {
    let row = |cells: &Vec<Datum>| -> Json {
        let names = table.columns.iter().map(|column| column.name.clone());
        Json::Object(names.zip(cells.iter().map(json_cell)).collect::<JsonMap>())
    };
    table.rows.iter().map(row).collect()
}

fn json_cell(cell: &Datum) -> Json {
    match cell {
        Datum::Null => Json::Null,
        Datum::Bool(value) => json!(value),
        Datum::Int(value) => json!(value),
        Datum::Float(value) => json!(value),
        Datum::Decimal(text) => text.parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
        other => json!(text_cell(other)),
    }
}

/// A table with right-aligned numbers, as agate prints it for dbt.
fn text_table(table: &Table) -> String {
    let cells: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(text_cell).collect()).collect();
    let numeric = |column: usize| {
        table
            .rows
            .iter()
            .all(|row| matches!(row[column], Datum::Int(_) | Datum::Float(_) | Datum::Decimal(_) | Datum::Null))
            && !table.rows.is_empty()
    };
    let width = |column: usize| {
        let widest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        widest.max(table.columns[column].name.chars().count())
    };
    let layout: Vec<(usize, bool)> = (0..table.columns.len()).map(|column| (width(column), numeric(column))).collect();
    let line = |texts: Vec<&str>| {
        let padded: Vec<String> = texts
            .into_iter()
            .zip(&layout)
            .map(
                |(text, (width, numeric))| if *numeric { format!("{text:>width$}") } else { format!("{text:<width$}") },
            )
            .collect();
        format!("| {} |", padded.join(" | "))
    };
    let mut lines = vec![
        line(table.columns.iter().map(|column| column.name.as_str()).collect()),
        format!("| {} |", layout.iter().map(|(width, _)| "-".repeat(*width)).collect::<Vec<_>>().join(" | ")),
    ];
    lines.extend(cells.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.push(String::new());
    lines.join("\n")
}

fn text_cell(cell: &Datum) -> String {
    let text = match cell {
        Datum::Null => String::new(),
        Datum::Bool(true) => "True".to_owned(),
        Datum::Bool(false) => "False".to_owned(),
        Datum::Int(value) => value.to_string(),
        Datum::Float(value) => value.to_string(),
        Datum::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Datum::Decimal(text)
        | Datum::Text(text)
        | Datum::Date(text)
        | Datum::Time(text)
        | Datum::Timestamp(text)
        | Datum::Other(text) => text.clone(),
    };
    if text.chars().count() <= CELL_WIDTH_MAX {
        return text;
    }
    text.chars().take(CELL_WIDTH_MAX - 3).collect::<String>() + "..."
}

#[cfg(test)]
mod tests {
    use common::table::Column;

    use super::*;

    #[test]
    fn tables_align_numbers_right() {
        let column = |name: &str| Column { name: name.to_owned(), data_type: String::new() };
        let table = Table {
            columns: vec![column("id"), column("word")],
            rows: vec![vec![Datum::Int(1), Datum::Text("one".to_owned())], vec![Datum::Int(20), Datum::Null]],
        };
        assert_eq!(text_table(&table), "| id | word |\n| -- | ---- |\n|  1 | one  |\n| 20 |      |\n");
    }
}

//! The result of a unit test's query, taken apart into what the model gave and what was expected.
//!
//! Invariant: cells are spelled as Python prints the values that dbt makes of them, since that is what dbt compares and shows; the
//! rows of each side are sorted, so that their order does not count.

use std::rc::Rc;

use common::table::Table;

use crate::context::agate;
use crate::jinja::compare::sort_by_key;
use crate::jinja::value::Value;

/// Both sides, over the same columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    pub columns: Vec<String>,
    pub actual: Vec<Vec<Cell>>,
    pub expected: Vec<Vec<Cell>>,
}

/// A value as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Python's `str()`; `None` for null.
    pub text: Option<String>,
    /// As it stands in a row that only one side has: text as it is, other values as Python's `repr()`.
    pub spelled: String,
}

impl Sides {
    /// `None` where the query did not say of each row whether it is actual or expected.
    pub fn of(table: &Table) -> Option<Self> {
        let mut columns: Vec<String> = table.columns.iter().map(|column| column.name.to_lowercase()).collect();
        let kind = columns.iter().position(|name| name == "actual_or_expected")?;
        columns.remove(kind);
        let rows = agate::values(table);
        let side = |wanted: &str| {
            let of_side = rows.iter().filter(|row| row[kind].as_str() == Some(wanted));
            let cells =
                of_side.map(|row| row.iter().enumerate().filter(|(at, _)| *at != kind).map(|(_, cell)| cell.clone()));
            sorted(cells.map(Iterator::collect).collect())
        };
        Some(Self { columns, actual: side("actual"), expected: side("expected") })
    }
}

/// By the first cell, then by the second and so on; nulls last. What Python cannot compare stays as it is.
fn sorted(rows: Vec<Rc<[Value]>>) -> Vec<Vec<Cell>> {
    let key = |row: &Rc<[Value]>| {
        let part = |cell: &Value| Value::tuple(vec![Value::Bool(cell.is_none()), cell.clone()]);
        Value::tuple(row.iter().map(part).collect::<Vec<_>>())
    };
    let keyed = rows.iter().map(|row| (key(row), Value::Tuple(row.clone()))).collect();
    let in_order = match sort_by_key(keyed, false) {
        Ok(sorted) => sorted
            .into_iter()
            .filter_map(|(_, row)| if let Value::Tuple(row) = row { Some(row) } else { None })
            .collect(),
        Err(_) => rows,
    };
    in_order.iter().map(|row| row.iter().map(cell).collect()).collect()
}

fn cell(value: &Value) -> Cell {
    let text = (!value.is_none()).then(|| value.to_str().to_string());
    let spelled = match value {
        Value::None => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Str(_) | Value::Int(_) => value.to_str().to_string(),
        other => other.repr(),
    };
    Cell { text, spelled }
}

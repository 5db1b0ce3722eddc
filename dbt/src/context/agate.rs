//! Query results as templates see them: agate's tables, rows and columns, as far as dbt exposes them.
//!
//! Invariant: values have the types that dbt's inference gives: a column of machine integers stays integers, one number with a
//! fraction makes the whole column `Decimal`, text never becomes anything else.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use common::table::{Datum, Response, Table};
use rust_decimal::Decimal;

use super::Output;
use super::arguments::text_of;
use crate::jinja::Interpreter;
use crate::jinja::error::{Error, ErrorKind, Result};
use crate::jinja::value::{Args, Key, Object, Value};

/// A result. Rows and columns share its cells.
pub struct TableObject {
    names: Rc<[Rc<str>]>,
    types: Rc<[&'static str]>,
    rows: Vec<Rc<[Value]>>,
    /// Where `print_table` prints.
    output: Arc<dyn Output>,
}

impl TableObject {
    pub fn new(table: &Table, output: Arc<dyn Output>) -> Self {
        let width = table.columns.len();
        let fractional = fractional(table);
        let types = (0..width)
            .map(|column| {
                match table.rows.iter().filter_map(|row| row.get(column)).find(|cell| **cell != Datum::Null) {
                    None => "Integer",
                    Some(Datum::Int(_)) if !fractional[column] => "Integer",
                    Some(Datum::Int(_) | Datum::Float(_) | Datum::Decimal(_)) => "Number",
                    Some(Datum::Bool(_)) => "Boolean",
                    Some(Datum::Date(_)) => "Date",
                    Some(Datum::Timestamp(_)) => "DateTime",
                    Some(_) => "Text",
                }
            })
            .collect();
        Self {
            names: table.columns.iter().map(|column| Rc::from(column.name.as_str())).collect(),
            types,
            rows: values(table),
            output,
        }
    }

    pub fn empty(output: Arc<dyn Output>) -> Self {
        Self::new(&Table::default(), output)
    }

    /// Rows as lists, which `load_result(…).data` shows.
    pub fn matrix(&self) -> Value {
        Value::list(self.rows.iter().map(|row| Value::list(row.to_vec())).collect::<Vec<_>>())
    }

    /// agate's name for the type of a column.
    pub fn column_type(&self, index: usize) -> &'static str {
        self.types.get(index).copied().unwrap_or("Text")
    }

    fn names_tuple(&self) -> Value {
        Value::tuple(self.names.iter().map(|name| Value::Str(name.clone())).collect::<Vec<_>>())
    }

    fn row(&self, index: usize) -> Option<Value> {
        let cells = self.rows.get(index)?.clone();
        Some(Value::object(Sequence {
            kind: Kind::Row,
            keys: self.names.clone(),
            values: cells,
            name: None,
            data_type: "",
        }))
    }

    fn row_values(&self) -> Vec<Value> {
        (0..self.rows.len()).filter_map(|index| self.row(index)).collect()
    }

    fn column(&self, index: usize) -> Value {
        let values: Rc<[Value]> = self.rows.iter().map(|row| row.get(index).cloned().unwrap_or(Value::None)).collect();
        Value::object(Sequence {
            kind: Kind::Column,
            keys: Rc::new([]),
            values,
            name: self.names.get(index).cloned(),
            data_type: self.types.get(index).copied().unwrap_or("Text"),
        })
    }

    fn columns(&self) -> Value {
        let values = (0..self.names.len()).map(|index| self.column(index)).collect();
        Value::object(Sequence { kind: Kind::Mapped, keys: self.names.clone(), values, name: None, data_type: "" })
    }

    /// The first rows in columns, as `print_table` shows them.
    fn print(&self, max_rows: usize) -> String {
        let mut lines: Vec<Vec<String>> = vec![self.names.iter().map(|name| name.to_string()).collect()];
        let text = |cell: &Value| if cell.is_none() { String::new() } else { cell.to_str().to_string() };
        lines.extend(self.rows.iter().take(max_rows).map(|row| row.iter().map(text).collect()));
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        let show = |cells: &Vec<String>| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} "));
            format!("|{}|", padded.collect::<Vec<_>>().join("|"))
        };
        let rule = format!("|{}|", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+"));
        let mut shown = vec![show(&lines[0]), rule];
        shown.extend(lines[1..].iter().map(show));
        shown.join("\n")
    }
}

/// The cells of a result with the types that dbt gives them.
pub fn values(table: &Table) -> Vec<Rc<[Value]>> {
    let fractional = fractional(table);
    let row =
        |cells: &Vec<Datum>| cells.iter().zip(&fractional).map(|(cell, fraction)| value_of(cell, *fraction)).collect();
    table.rows.iter().map(row).collect()
}

/// Whether a column holds numbers with a fraction.
fn fractional(table: &Table) -> Vec<bool> {
    let has_fraction = |column: usize| {
        table.rows.iter().any(|row| matches!(row.get(column), Some(Datum::Float(_) | Datum::Decimal(_))))
    };
    (0..table.columns.len()).map(has_fraction).collect()
}

fn value_of(cell: &Datum, fractional: bool) -> Value {
    let decimal = |text: &str| match text.parse::<Decimal>().or_else(|_| Decimal::from_scientific(text)) {
        Ok(number) => Value::Decimal(number),
        Err(_) => text.parse::<f64>().map_or_else(|_| Value::str(text), Value::Float),
    };
    match cell {
        Datum::Null => Value::None,
        Datum::Bool(flag) => Value::Bool(*flag),
        Datum::Int(number) if fractional => Value::Decimal(Decimal::from(*number)),
        Datum::Int(number) => Value::Int(*number),
        // As Python writes a float: a whole one keeps its `.0`.
        Datum::Float(number) => decimal(&format!("{number:?}")),
        Datum::Decimal(text) => decimal(text),
        Datum::Date(text) | Datum::Timestamp(text) => super::time::from_iso(text),
        Datum::Text(text) | Datum::Time(text) | Datum::Other(text) => Value::str(text.as_str()),
        Datum::Bytes(bytes) => Value::bytes(bytes.as_slice()),
    }
}

impl Object for TableObject {
    fn type_name(&self) -> &'static str {
        "Table"
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok(Some(match name {
            "column_names" => self.names_tuple(),
            "column_types" => Value::tuple(self.types.iter().map(|name| Value::str(*name)).collect::<Vec<_>>()),
            "columns" => self.columns(),
            "rows" => Value::object(Sequence {
                kind: Kind::Mapped,
                keys: Rc::new([]),
                values: self.row_values().into(),
                name: None,
                data_type: "",
            }),
            "print_table" => Value::function("print_table", move |_, args| {
                let [max_rows, _, _] = args.bind("print_table", ["max_rows", "max_columns", "output"], 0)?;
                let rows =
                    max_rows.and_then(|rows| rows.as_int()).and_then(|rows| usize::try_from(rows).ok()).unwrap_or(20);
                self.output.print(&self.print(rows));
                Ok(Value::None)
            }),
            "select" | "exclude" => {
                let keep = name == "select";
                Value::function("select", move |_, args| {
                    let [wanted] = args.exact("select")?;
                    let wanted: Vec<String> = match &wanted {
                        Value::List(items) => items.borrow().iter().filter_map(text_of).collect(),
                        Value::Tuple(items) => items.iter().filter_map(text_of).collect(),
                        other => text_of(other).into_iter().collect(),
                    };
                    let kept: Vec<usize> = (0..self.names.len())
                        .filter(|index| wanted.iter().any(|name| **name == *self.names[*index]) == keep)
                        .collect();
                    Ok(Value::object(Self {
                        names: kept.iter().map(|index| self.names[*index].clone()).collect(),
                        types: kept.iter().map(|index| self.types[*index]).collect(),
                        rows: self
                            .rows
                            .iter()
                            .map(|row| kept.iter().map(|index| row[*index].clone()).collect())
                            .collect(),
                        output: self.output.clone(),
                    }))
                })
            }
            "limit" => Value::function("limit", move |_, args| {
                let [count] = args.exact("limit")?;
                let count = count.as_int().and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
                let rows = self.rows.iter().take(count).cloned().collect();
                Ok(Value::object(Self {
                    names: self.names.clone(),
                    types: self.types.clone(),
                    rows,
                    output: self.output.clone(),
                }))
            }),
            "rename" => Value::function("rename", move |_, args| {
                let [names] = args.bind("rename", ["column_names"], 1)?;
                let names: Rc<[Rc<str>]> = match names {
                    Some(Value::Dict(map)) => {
                        let map = map.borrow();
                        let renamed = |name: &Rc<str>| map.get(&**name).map_or_else(|| name.clone(), Value::to_str);
                        self.names.iter().map(renamed).collect()
                    }
                    Some(Value::List(list)) if list.borrow().len() == self.names.len() => {
                        list.borrow().iter().map(Value::to_str).collect()
                    }
                    _ => {
                        return Err(
                            Error::new(ErrorKind::Type, "rename() wants a dict or a name for each column").into()
                        );
                    }
                };
                Ok(Value::object(Self {
                    names,
                    types: self.types.clone(),
                    rows: self.rows.clone(),
                    output: self.output.clone(),
                }))
            }),
            _ => return Ok(None),
        }))
    }

    fn get_item(self: Rc<Self>, _interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        Ok(key.as_int().and_then(|index| position(index, self.rows.len())).and_then(|index| self.row(index)))
    }

    fn iterate(self: Rc<Self>, _interpreter: &mut Interpreter) -> Result<Option<Vec<Value>>> {
        Ok(Some(self.row_values()))
    }

    fn is_true(&self) -> bool {
        !self.rows.is_empty()
    }

    fn length(&self) -> Option<usize> {
        Some(self.rows.len())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Counts from the end for negative numbers, as Python does.
fn position(index: i64, length: usize) -> Option<usize> {
    let length_signed = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length_signed } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Row,
    Column,
    /// The sequence of all rows or columns.
    Mapped,
}

/// agate's `MappedSequence`: values by place, and by name where they have names. Iterating gives the values.
struct Sequence {
    kind: Kind,
    keys: Rc<[Rc<str>]>,
    values: Rc<[Value]>,
    /// Of a column.
    name: Option<Rc<str>>,
    data_type: &'static str,
}

impl Sequence {
    fn by_name(&self, name: &str) -> Option<Value> {
        let index = self.keys.iter().position(|key| &**key == name)?;
        self.values.get(index).cloned()
    }

    fn pairs(&self) -> impl Iterator<Item = (Value, Value)> + '_ {
        self.keys.iter().map(|key| Value::Str(key.clone())).zip(self.values.iter().cloned())
    }

    fn method(&self, name: &str, args: Args) -> Result<Value> {
        Ok(match name {
            "values" => Value::tuple(self.values.to_vec()),
            "keys" => Value::tuple(self.keys.iter().map(|key| Value::Str(key.clone())).collect::<Vec<_>>()),
            "items" => Value::list(self.pairs().map(|(key, value)| Value::tuple(vec![key, value])).collect::<Vec<_>>()),
            "dict" => {
                let mut fields = crate::jinja::value::Dict::new();
                for (key, value) in self.pairs() {
                    fields.insert(Key::new(key)?, value);
                }
                Value::dict(fields)
            }
            "get" => {
                let [key, default] = args.bind("get", ["key", "default"], 1)?;
                let found = key.and_then(|key| text_of(&key)).and_then(|key| self.by_name(&key));
                found.or(default).unwrap_or(Value::None)
            }
            "values_without_nulls" => {
                Value::tuple(self.values.iter().filter(|value| !value.is_none()).cloned().collect::<Vec<_>>())
            }
            "values_distinct" => {
                let mut seen = crate::jinja::value::Set::new();
                for value in self.values.iter() {
                    seen.insert(Key::new(value.clone())?);
                }
                Value::tuple(seen.into_iter().map(Key::into_value).collect::<Vec<_>>())
            }
            _ => {
                let sorted = self.values.iter().map(|value| (value.clone(), value.clone())).collect();
                let sorted = crate::jinja::compare::sort_by_key(sorted, false)?;
                Value::tuple(sorted.into_iter().map(|(value, _)| value).collect::<Vec<_>>())
            }
        })
    }
}

const METHODS: &[&str] =
    &["values", "keys", "items", "dict", "get", "values_without_nulls", "values_distinct", "values_sorted"];

impl Object for Sequence {
    fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Row => "Row",
            Kind::Column => "Column",
            Kind::Mapped => "MappedSequence",
        }
    }

    fn to_str(&self) -> String {
        let values: Vec<String> = self.values.iter().map(Value::repr).collect();
        format!("<agate.{}: ({})>", self.type_name(), values.join(", "))
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        if self.kind == Kind::Column {
            match name {
                "name" => return Ok(self.name.clone().map(Value::Str)),
                "data_type" => return Ok(Some(Value::str(self.data_type))),
                _ => {}
            }
        }
        if METHODS.contains(&name) {
            let name: Rc<str> = name.into();
            return Ok(Some(Value::function("method", move |_, args| self.method(&name, args))));
        }
        Ok(None)
    }

    fn get_item(self: Rc<Self>, _interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        Ok(match key {
            Value::Str(name) => self.by_name(name),
            _ => key
                .as_int()
                .and_then(|index| position(index, self.values.len()))
                .map(|index| self.values[index].clone()),
        })
    }

    fn iterate(self: Rc<Self>, _interpreter: &mut Interpreter) -> Result<Option<Vec<Value>>> {
        Ok(Some(self.values.to_vec()))
    }

    fn is_true(&self) -> bool {
        !self.values.is_empty()
    }

    fn length(&self) -> Option<usize> {
        Some(self.values.len())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let other = other.as_any().downcast_ref::<Self>();
        other.is_some_and(|other| {
            self.values.len() == other.values.len() && self.values.iter().zip(&*other.values).all(|(a, b)| a == b)
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// dbt's `AdapterResponse`.
pub struct ResponseObject(pub Response);

impl Object for ResponseObject {
    fn type_name(&self) -> &'static str {
        "AdapterResponse"
    }

    fn to_str(&self) -> String {
        self.0.message.clone()
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok(Some(match name {
            "_message" => Value::str(self.0.message.as_str()),
            "code" => Value::from(self.0.code.as_deref()),
            "rows_affected" => Value::from(self.0.rows_affected),
            _ => return Ok(None),
        }))
    }

    fn get_item(self: Rc<Self>, interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        match key.as_str() {
            Some(name) => self.get_attr(interpreter, name),
            None => Ok(None),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

//! Values that callers hand to macros, and the text that macros hand back.

use common::relation::Relation;
use common::table::Column;
use common::target::AdapterType;
use common::{Json, JsonMap};

use crate::context::arguments::text_of;
use crate::context::column::ColumnObject;
use crate::context::relation::RelationObject;
use crate::jinja::value::Value;

/// A relation as templates see it.
pub fn relation(relation: &Relation, adapter: AdapterType) -> Value {
    RelationObject::new(relation.clone(), adapter).into_value()
}

/// A list of columns as `adapter.get_columns_in_relation` gives it.
pub fn columns(columns: &[Column], adapter: AdapterType) -> Value {
    let columns: Vec<Value> =
        columns.iter().map(|column| ColumnObject::from_warehouse(column, adapter).into_value()).collect();
    Value::list(columns)
}

/// The column's type as `column.data_type` gives it.
pub fn column_type(column: &Column, adapter: AdapterType) -> String {
    ColumnObject::from_warehouse(column, adapter).data_type()
}

/// The column's name as `column.quoted` gives it.
pub fn quoted_column(column: &Column) -> String {
    format!("\"{}\"", column.name)
}

/// Rows by the names of their columns.
pub fn rows(rows: &[JsonMap]) -> Value {
    Value::from(&Json::from_iter(rows.iter().cloned().map(Json::Object)))
}

/// A list of texts.
pub fn texts(texts: &[String]) -> Value {
    let texts: Vec<Value> = texts.iter().map(|text| Value::str(text.as_str())).collect();
    Value::list(texts)
}

/// What a macro rendered or returned, as text; empty for none.
pub fn text(value: &Value) -> String {
    text_of(value).unwrap_or_default()
}

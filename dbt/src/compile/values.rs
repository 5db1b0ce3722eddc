//! Values that callers hand to macros, and the text that macros hand back.

use common::relation::Relation;
use common::table::Column;
use common::target::AdapterType;

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

/// A list of texts.
pub fn texts(texts: &[String]) -> Value {
    let texts: Vec<Value> = texts.iter().map(|text| Value::str(text.as_str())).collect();
    Value::list(texts)
}

/// What a macro rendered or returned, as text; empty for none.
pub fn text(value: &Value) -> String {
    text_of(value).unwrap_or_default()
}

//! Points in time as templates see them.

use crate::jinja::value::Value;

/// A date or a time of a query result.
pub fn from_iso(text: &str) -> Value {
    Value::str(text)
}

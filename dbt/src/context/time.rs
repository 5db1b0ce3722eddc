//! Points in time as templates see them.

use common::Timestamp;

use crate::jinja::value::Value;

/// A date or a time of a query result.
pub fn from_iso(text: &str) -> Value {
    Value::str(text)
}

/// `run_started_at`
pub fn from_timestamp(timestamp: Timestamp) -> Value {
    Value::from(timestamp.to_iso())
}

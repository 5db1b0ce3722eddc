//! Values and JSON.

use super::value::{Key, Value};

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::None,
            serde_json::Value::Bool(flag) => Self::Bool(*flag),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Self::Int(integer),
                (None, Some(integer)) => Self::integer(integer),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::str(text.as_str()),
            serde_json::Value::Array(items) => Self::list(items.iter().map(Self::from).collect::<Vec<_>>()),
            serde_json::Value::Object(fields) => {
                Self::dict(fields.iter().map(|(name, value)| (Key::str(name.as_str()), Self::from(value))).collect())
            }
        }
    }
}

//! Reading what templates pass to dbt's own functions.

use common::{Json, JsonMap};

use crate::jinja::value::{Args, Value};

/// The text of an argument; `None` for `none` and undefined.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::None | Value::Undefined(_) => None,
        _ => Some(value.to_str().to_string()),
    }
}

pub fn bool_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        _ => None,
    }
}

/// The value of a keyword argument, or of the argument at `index`.
pub fn argument(args: &Args, index: usize, name: &str) -> Option<Value> {
    let named = args.keyword.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone());
    named.or_else(|| args.positional.get(index).cloned())
}

/// A value as JSON, where a config or an artifact keeps it. Dates, decimals out of range and objects become text.
pub fn json_of(value: &Value) -> Json {
    match value {
        Value::None | Value::Undefined(_) => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Decimal(number) => {
            let text = number.to_string();
            text.parse::<i64>()
                .map(Json::from)
                .or_else(|_| text.parse::<f64>().map(Json::from))
                .unwrap_or(Json::String(text))
        }
        Value::List(items) => items.borrow().iter().map(json_of).collect(),
        Value::Tuple(items) => items.iter().map(json_of).collect(),
        Value::Set(items) => items.borrow().iter().map(|item| json_of(item.value())).collect(),
        Value::Dict(fields) => {
            let fields = fields.borrow();
            let pairs = fields.iter().map(|(key, value)| (key.value().to_str().to_string(), json_of(value)));
            Json::Object(pairs.collect::<JsonMap>())
        }
        Value::BigInt(_) | Value::Str(_) | Value::Bytes(_) | Value::Range(_) | Value::Object(_) => {
            Json::String(value.to_str().to_string())
        }
    }
}

//! Ids, times, durations and free-form values.

use std::time::Duration;

use common::{Json, JsonMap, RunId, Timestamp};
use prost_types::value::Kind;

use crate::invalid::Invalid;

const MICROS: i64 = 1_000_000;

pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    let nanos = micros.rem_euclid(MICROS) * 1_000;
    prost_types::Timestamp { seconds: micros.div_euclid(MICROS), nanos: i32::try_from(nanos).unwrap_or_default() }
}

/// Saturates; absent is the beginning of time.
pub fn to_timestamp(at: Option<prost_types::Timestamp>) -> Timestamp {
    let at = at.unwrap_or_default();
    Timestamp::from_micros(at.seconds.saturating_mul(MICROS).saturating_add(i64::from(at.nanos) / 1_000))
}

pub fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default() }
}

pub fn to_duration(field: &'static str, duration: prost_types::Duration) -> Result<Duration, Invalid> {
    let negative = |_| Invalid::new(field, "is negative");
    let seconds = u64::try_from(duration.seconds).map_err(negative)?;
    let nanos = u32::try_from(duration.nanos).map_err(negative)?;
    Ok(Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into())))
}

pub fn to_run(field: &'static str, text: &str) -> Result<RunId, Invalid> {
    text.parse().map_err(|_| Invalid::new(field, format!("is not the id of a run: '{text}'")))
}

/// As gRPC writes the names of its status codes.
pub fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whole numbers come back as such, which a `Struct` does not tell from others.
pub fn to_json(map: prost_types::Struct) -> JsonMap {
    map.fields.into_iter().map(|(key, value)| (key, json(value))).collect()
}

fn json(value: prost_types::Value) -> Json {
    /// Beyond this, a double has no room for every whole number.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(flag)) => Json::Bool(flag),
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() <= EXACT_MAX => {
            Json::from(number as i64)
        }
        Some(Kind::NumberValue(number)) => Json::from(number),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => Json::Array(list.values.into_iter().map(json).collect()),
        Some(Kind::StructValue(map)) => Json::Object(to_json(map)),
    }
}

pub fn of_json(map: &JsonMap) -> prost_types::Struct {
    prost_types::Struct { fields: map.iter().map(|(key, value)| (key.clone(), value_of(value))).collect() }
}

fn value_of(value: &Json) -> prost_types::Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(*flag),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(prost_types::ListValue { values: items.iter().map(value_of).collect() }),
        Json::Object(map) => Kind::StructValue(of_json(map)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn times_before_and_after_1970() {
        for micros in [0, 1, -1, 1_700_000_000_123_456, -1_500_000] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(to_timestamp(Some(timestamp(at))), at);
        }
    }

    #[test]
    fn values_keep_whole_numbers_whole() {
        let json = serde_json::json!({"a": 1, "b": 1.5, "c": [null, true, "x"], "d": {"e": -3}});
        let map = json.as_object().unwrap().clone();
        assert_eq!(to_json(of_json(&map)), map);
    }

    #[test]
    fn durations_do_not_run_backwards() {
        let there = Duration::from_millis(1_500);
        assert_eq!(to_duration("d", duration(there)), Ok(there));
        let back = prost_types::Duration { seconds: -1, nanos: 0 };
        assert_eq!(to_duration("d", back).unwrap_err().to_string(), "d is negative");
    }
}

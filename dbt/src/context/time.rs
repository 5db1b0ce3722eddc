//! Points in time as templates see them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use common::Timestamp;

use crate::jinja::modules::strptime::strptime;
use crate::jinja::value::Value;

/// A date or a time of a query result; text that is neither stays text.
pub fn from_iso(text: &str) -> Value {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Value::from(date);
    }
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"]
        .iter()
        .find_map(|format| DateTime::parse_from_str(text, format).ok());
    if let Some(zoned) = zoned {
        let plain = zoned.format("%Y-%m-%d %H:%M:%S%.6f%z").to_string();
        return strptime(&plain, "%Y-%m-%d %H:%M:%S.%f%z").map_or_else(|_| Value::str(text), |moment| moment.value());
    }
    let naive = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    naive.map_or_else(|| Value::str(text), Value::from)
}

/// `run_started_at`: in UTC.
pub fn from_timestamp(timestamp: Timestamp) -> Value {
    let moment: DateTime<Utc> = DateTime::from_timestamp_micros(timestamp.as_micros()).unwrap_or_default();
    Value::from(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_dates_and_times() {
        assert_eq!(from_iso("2024-05-01").repr(), "datetime.date(2024, 5, 1)");
        assert_eq!(from_iso("2024-05-01 12:30:00.123456").repr(), "datetime.datetime(2024, 5, 1, 12, 30, 0, 123456)");
        assert_eq!(&*from_iso("2024-05-01 12:30:00+02").to_str(), "2024-05-01 12:30:00+02:00");
        assert_eq!(&*from_iso("infinity").to_str(), "infinity");
    }

    #[test]
    fn a_run_starts_in_utc() {
        assert_eq!(&*from_timestamp(Timestamp::from_micros(1_500_000)).to_str(), "1970-01-01 00:00:01.500000+00:00");
    }
}

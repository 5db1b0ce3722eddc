//! Times that people write: with an offset, or in the time zone of the schedule that they are about.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use prost_types::Timestamp;

/// `2026-05-01T12:00:00+02:00`, `2026-05-01 12:00` or `2026-05-01`. A local time that comes twice is the first one; one that does not
/// exist is refused.
pub fn parse(text: &str, zone: &str) -> Result<Timestamp, String> {
    let wire = |seconds: i64, nanos: u32| Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or_default() };
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(wire(moment.timestamp(), moment.timestamp_subsec_nanos()));
    }
    let zone = if zone.is_empty() { "UTC" } else { zone };
    let zone: Tz = zone.parse().map_err(|_| format!("'{zone}' is no time zone of the IANA database"))?;
    let formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let with_time = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN));
    let local = with_time
        .or_else(date)
        .ok_or_else(|| format!("'{text}' is no time such as 2026-05-01, 2026-05-01 12:00 or 2026-05-01T12:00:00Z"))?;
    let moment = zone.from_local_datetime(&local).earliest();
    let moment = moment.ok_or_else(|| format!("'{text}' does not exist in {zone}: clocks are put forward then"))?;
    Ok(wire(moment.timestamp(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_are_those_of_the_zone() {
        let at = |text: &str| parse(text, "Europe/London").map(|at| at.seconds);
        assert_eq!(at("2026-07-01"), Ok(1_782_860_400));
        assert_eq!(at("2026-07-01 00:00"), Ok(1_782_860_400));
        assert_eq!(at("2026-07-01T00:00:00Z"), Ok(1_782_864_000));
        assert!(at("2026-03-29 01:30").is_err_and(|problem| problem.contains("does not exist")));
        assert!(at("July").is_err_and(|problem| problem.contains("is no time such as")));
        assert!(parse("2026-07-01", "Mars").is_err());
    }
}

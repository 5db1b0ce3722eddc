//! Points in time. The core never reads a clock: a timestamp always arrives with the command that needs it.

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// Saturates at the ends of the range instead of overflowing.
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to `self`; zero where the clock went backwards.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// ISO 8601 in UTC with microseconds, as dbt writes times into its artifacts: `2024-05-01T12:00:00.000000Z`.
    pub fn to_iso(self) -> String {
        chrono::DateTime::from_timestamp_micros(self.0)
            .map(|time| time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string())
            .unwrap_or_else(|| format!("{}us", self.0))
    }

    /// As Python writes a time without its zone, in UTC: `2024-05-01T12:00:00`, with microseconds only where there are some.
    pub fn to_naive_iso(self) -> String {
        let zoned = self.to_iso();
        let naive = zoned.strip_suffix('Z').unwrap_or(&zoned);
        naive.strip_suffix(".000000").unwrap_or(naive).to_owned()
    }

    /// As Python writes it, and warehouses read it: `2024-05-01 12:00:00+00:00`, with microseconds only where there are some.
    pub fn to_sql(self) -> String {
        let Some(time) = chrono::DateTime::from_timestamp_micros(self.0) else { return format!("{}us", self.0) };
        let format = if self.0 % 1_000_000 == 0 { "%Y-%m-%d %H:%M:%S+00:00" } else { "%Y-%m-%d %H:%M:%S%.6f+00:00" };
        time.format(format).to_string()
    }

    /// ISO 8601 as above and as warehouses write it, `2024-05-01 12:00:00.5+02`; without an offset it is UTC.
    pub fn parse_iso(text: &str) -> Option<Self> {
        const ZONED: [&str; 3] = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%z"];
        const PLAIN: [&str; 2] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
        let text = text.trim();
        let text = text.strip_suffix('Z').map_or_else(|| text.to_owned(), |text| format!("{text}+00:00"));
        let zoned = ZONED.iter().find_map(|format| chrono::DateTime::parse_from_str(&text, format).ok());
        let plain = || PLAIN.iter().find_map(|format| chrono::NaiveDateTime::parse_from_str(&text, format).ok());
        let micros = zoned.map(|zoned| zoned.timestamp_micros());
        micros.or_else(|| plain().map(|plain| plain.and_utc().timestamp_micros())).map(Self)
    }
}

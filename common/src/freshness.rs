//! How old the data of a source are, and how old they may be.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::manifest::Source;
use crate::task::NodeStatus;
use crate::{Json, Timestamp};

/// What a source's `freshness` allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    pub warn_after: Option<Duration>,
    pub error_after: Option<Duration>,
    /// A condition on the rows that count.
    pub filter: Option<String>,
}

impl Thresholds {
    /// None where nothing is expected of the source.
    pub fn of(source: &Source) -> Option<Self> {
        let freshness = source.freshness.as_ref()?;
        let thresholds = Self {
            warn_after: length(&freshness["warn_after"]),
            error_after: length(&freshness["error_after"]),
            filter: freshness["filter"].as_str().map(str::to_owned),
        };
        (thresholds.warn_after.is_some() || thresholds.error_after.is_some()).then_some(thresholds)
    }

    /// dbt's status: `pass`, `warn`, and for what it calls `error` here `fail`, which no error of the warehouse is.
    pub fn judge(&self, age: Age) -> NodeStatus {
        let exceeds = |allowed: Option<Duration>| allowed.is_some_and(|allowed| age.seconds() > allowed.as_secs_f64());
        match (exceeds(self.error_after), exceeds(self.warn_after)) {
            (true, _) => NodeStatus::Fail,
            (false, true) => NodeStatus::Warn,
            (false, false) => NodeStatus::Pass,
        }
    }
}

/// `{count: 6, period: hour}`
fn length(threshold: &Json) -> Option<Duration> {
    let seconds = match threshold["period"].as_str()? {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 24 * 3_600,
        _ => return None,
    };
    Some(Duration::from_secs(threshold["count"].as_u64()?.saturating_mul(seconds)))
}

/// When a source was loaded last, as of when it was looked at. As text it is what an attempt says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// None of a source without rows: dbt takes the year 1.
    pub loaded_at: Option<Timestamp>,
    pub seen_at: Timestamp,
}

impl Age {
    /// The first moment of the year 1, which stands for never.
    pub const NEVER: Timestamp = Timestamp(-62_135_596_800_000_000);

    pub fn seconds(self) -> f64 {
        (self.seen_at.as_micros() - self.loaded_at.unwrap_or(Self::NEVER).as_micros()) as f64 / 1e6
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen_at = self.seen_at.to_iso();
        match self.loaded_at {
            Some(loaded_at) => write!(f, "loaded at {}, seen at {seen_at}", loaded_at.to_iso()),
            None => write!(f, "never loaded, seen at {seen_at}"),
        }
    }
}

impl FromStr for Age {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (loaded, seen) = text.split_once(", seen at ").ok_or(())?;
        let loaded_at = match loaded.strip_prefix("loaded at ") {
            Some(loaded) => Some(Timestamp::parse_iso(loaded).ok_or(())?),
            None if loaded == "never loaded" => None,
            None => return Err(()),
        };
        Ok(Self { loaded_at, seen_at: Timestamp::parse_iso(seen).ok_or(())? })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn an_age_is_read_as_it_is_written() {
        let seen_at = Timestamp(1_782_862_200_123_456);
        for age in [Age { loaded_at: Some(Timestamp(-5)), seen_at }, Age { loaded_at: None, seen_at }] {
            assert_eq!(age.to_string().parse(), Ok(age));
        }
        assert_eq!(Age { loaded_at: Some(Timestamp(1)), seen_at }.seconds(), 1_782_862_200.123_455);
        assert!("loaded at noon, seen at night".parse::<Age>().is_err());
    }

    #[test]
    fn what_is_just_old_enough_passes() {
        let thresholds = Thresholds {
            warn_after: Some(Duration::from_secs(60)),
            error_after: Some(Duration::from_secs(3_600)),
            filter: None,
        };
        let judge = |seconds: i64| {
            let loaded_at = Some(Timestamp(0));
            thresholds.judge(Age { loaded_at, seen_at: Timestamp(seconds * 1_000_000) })
        };
        assert_eq!(
            [60, 61, 3_600, 3_601].map(judge),
            [NodeStatus::Pass, NodeStatus::Warn, NodeStatus::Warn, NodeStatus::Fail]
        );
        assert_eq!(thresholds.judge(Age { loaded_at: None, seen_at: Timestamp(0) }), NodeStatus::Fail);
    }
}

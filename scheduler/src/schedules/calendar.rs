//! The ticks of a cron expression in a time zone.
//!
//! | local time | fixed (`30 2 * * *`) | by intervals (`30 * * * *`, `*/15 2 * * *`) |
//! | --- | --- | --- |
//! | is skipped in spring | the first moment behind the gap | left out |
//! | comes twice in autumn | the first time only | both times |
//!
//! A field `*`, or with a step, among seconds, minutes and hours makes intervals. That is Vixie cron's rule, which Debian keeps.
//!
//! The expression is asked about local time without a zone, in which every day has 24 hours; `zone` says which moments that means.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Timelike, Utc};
use chrono_tz::Tz;
use common::Timestamp;
use common::schedule::{Calendar, ScheduleName, Upcoming};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, Direction, JobType};

use super::zone::{self, Local};

/// Longest expression, in bytes.
const CRON_MAX: usize = 1_000;
/// Ticks that are counted before the counting stops.
pub const COUNT_MAX: u64 = 10_000;
/// A schedule that has no tick for so long has none: nobody means it.
const DAYS_MAX: i64 = 200 * 365;
const EPOCH: NaiveDateTime =
    NaiveDate::from_ymd_opt(1970, 1, 1).expect("it is a date").and_time(chrono::NaiveTime::MIN);

/// What is wrong with a calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    #[error("'{cron}' is no cron expression: {problem}")]
    Cron { cron: String, problem: String },
    #[error("'{cron}' is never due: no date matches it")]
    Never { cron: String },
    #[error("'{0}' is no time zone of the IANA database")]
    Zone(String),
    #[error("the schedule ends before it starts")]
    EndsFirst,
    #[error("a schedule that follows others has no start, end or jitter")]
    Follows,
    #[error("a jitter of more than a day would mix up ticks")]
    Jitter,
}

impl Invalid {
    /// The field of a schedule that it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Cron { .. } | Self::Never { .. } | Self::Follows => "cron",
            Self::Zone(_) => "time_zone",
            Self::EndsFirst => "end",
            Self::Jitter => "jitter",
        }
    }
}

/// A calendar that can be asked for its ticks.
#[derive(Clone, Debug)]
pub struct Ticks {
    /// None of a calendar that follows other schedules, and so has no ticks of its own.
    cron: Option<Cron>,
    /// Whether it means intervals rather than times of day.
    by_intervals: bool,
    zone: Tz,
    start_at: Option<Timestamp>,
    end_at: Option<Timestamp>,
    jitter: Duration,
    salt: u64,
}

impl Ticks {
    /// Refuses what can have no tick.
    pub fn new(name: &ScheduleName, calendar: &Calendar) -> Result<Self, Invalid> {
        let Calendar { cron, time_zone, start_at, end_at, jitter } = calendar;
        let wrong = |problem: String| Invalid::Cron { cron: cron.clone(), problem };
        let zone: Tz = time_zone.parse().map_err(|_| Invalid::Zone(time_zone.clone()))?;
        if start_at.zip(*end_at).is_some_and(|(start, end)| end < start) {
            return Err(Invalid::EndsFirst);
        }
        if *jitter > Duration::from_secs(24 * 3_600) {
            return Err(Invalid::Jitter);
        }
        let salt = fnv(name.as_str().as_bytes());
        let ticks = |cron: Option<Cron>, by_intervals: bool| {
            let (start_at, end_at, jitter) = (*start_at, *end_at, *jitter);
            Self { cron, by_intervals, zone, start_at, end_at, jitter, salt }
        };
        if let Some(mut followed) = calendar.follows() {
            if start_at.is_some() || end_at.is_some() || !jitter.is_zero() {
                return Err(Invalid::Follows);
            }
            let unspellable = followed.find(|followed| ScheduleName::new(followed).is_none());
            return match (unspellable, calendar.follows().into_iter().flatten().next()) {
                (Some(unspellable), _) => Err(wrong(format!("'{unspellable}' is no name of a schedule"))),
                (None, None) => Err(wrong("it names no schedule to follow".to_owned())),
                (None, Some(_)) => Ok(ticks(None, true)),
            };
        }
        let fields = cron.split_whitespace().count();
        if cron.len() > CRON_MAX {
            return Err(wrong(format!("it is longer than {CRON_MAX} bytes")));
        }
        if !cron.trim_start().starts_with('@') && !(5..=6).contains(&fields) {
            return Err(wrong(format!("it has {fields} fields, not five, or six with seconds in front")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| wrong(error.to_string().trim_end_matches('.').to_owned()))?;
        // The days, month and weekdays come last. What stands for a nickname is known to the parser alone.
        let mut of_time = cron.split_whitespace().take(fields.saturating_sub(3));
        let by_intervals = match fields {
            1 => parsed.determine_job_type() == JobType::IntervalWildcard,
            _ => of_time.any(|field| field.contains(['*', '?'])),
        };
        let ticks = ticks(Some(parsed), by_intervals);
        match ticks.ahead(EPOCH, true) {
            Some(first) if first.signed_duration_since(EPOCH).num_days() < DAYS_MAX => Ok(ticks),
            _ => Err(Invalid::Never { cron: cron.clone() }),
        }
    }

    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first tick later than `after`.
    pub fn after(&self, after: Timestamp) -> Option<Timestamp> {
        let just_before = |start: Timestamp| Timestamp(start.as_micros().saturating_sub(1));
        let after = self.start_at.map_or(after, |start| after.max(just_before(start)));
        let found = zone::after(self, moment(after)?)?;
        Some(Timestamp(found.timestamp_micros())).filter(|tick| self.end_at.is_none_or(|end| *tick <= end))
    }

    /// The first tick at `from` or later.
    pub fn from(&self, from: Timestamp) -> Option<Timestamp> {
        self.after(Timestamp(from.as_micros().saturating_sub(1)))
    }

    /// The last tick earlier than `before`, whenever the schedule starts: an interval has a beginning even where the schedule had none.
    pub fn before(&self, before: Timestamp) -> Option<Timestamp> {
        zone::before(self, moment(before)?).map(|found| Timestamp(found.timestamp_micros()))
    }

    fn find(&self, at: NaiveDateTime, inclusive: bool, direction: Direction) -> Option<NaiveDateTime> {
        let cron = self.cron.as_ref()?;
        let found = match direction {
            Direction::Forward => cron.find_next_occurrence(&at.and_utc(), inclusive),
            Direction::Backward => cron.find_previous_occurrence(&at.and_utc(), inclusive),
        };
        found.ok().map(|found| found.naive_utc())
    }

    /// When the tick is due, jitter included.
    pub fn upcoming(&self, scheduled_at: Timestamp) -> Upcoming {
        let jitter = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX);
        let late = match jitter {
            0 => 0,
            jitter => fnv(&[self.salt.to_le_bytes(), scheduled_at.as_micros().to_le_bytes()].concat()) % (jitter + 1),
        };
        Upcoming { scheduled_at, due_at: scheduled_at.plus(Duration::from_micros(late)) }
    }

    /// The first tick later than `after`, as it comes.
    pub fn next(&self, after: Timestamp) -> Option<Upcoming> {
        self.after(after).map(|tick| self.upcoming(tick))
    }

    /// In the calendar's time zone, as RFC 3339.
    pub fn local(&self, at: Timestamp) -> String {
        moment(at).map(|at| at.with_timezone(&self.zone).to_rfc3339()).unwrap_or_default()
    }

    /// How many ticks there are from `from` up to `until`, both included, and the last of them. Counts to [`COUNT_MAX`].
    pub fn count(&self, from: Timestamp, until: Timestamp) -> (u64, Option<Timestamp>) {
        let last = self.before(Timestamp(until.as_micros().saturating_add(1))).filter(|last| *last >= from);
        let Some(last) = last.filter(|last| self.start_at.is_none_or(|start| *last >= start)) else { return (0, None) };
        let last = match self.end_at {
            Some(end) if end < last => match self.before(Timestamp(end.as_micros().saturating_add(1))) {
                Some(last) if last >= from => last,
                _ => return (0, None),
            },
            _ => last,
        };
        let ticks = std::iter::successors(self.from(from), |tick| self.after(*tick));
        let count = ticks.take_while(|tick| *tick <= last).take(COUNT_MAX as usize).count() as u64;
        (count, Some(last))
    }
}

impl Local for Ticks {
    fn zone(&self) -> Tz {
        self.zone
    }

    fn by_intervals(&self) -> bool {
        self.by_intervals
    }

    fn ahead(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        self.find(from, inclusive, Direction::Forward)
    }

    fn behind(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        // The expression knows whole seconds only: behind a part of one is that second itself.
        let whole = from.with_nanosecond(0)?;
        self.find(whole, whole < from, Direction::Backward)
    }
}

/// As chrono has it.
pub fn moment(at: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(at.as_micros())
}

/// FNV-1a: the same everywhere and forever, unlike the standard library's hashes.
fn fnv(bytes: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

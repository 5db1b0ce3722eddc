//! Microbatch models: incremental models that are built batch by batch, each batch an hour, a day, a month or a year of event time.
//!
//! Source: dbt's documentation, "About microbatch incremental models". Everything is in UTC, as there.
//!
//! Invariant: batches follow one another without gap or overlap, each aligned to its size.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike, Utc};
use serde::{Deserialize, Serialize};

use crate::node_config::{Materialization, NodeConfig};
use crate::{Json, NodeId, Timestamp};

/// The value of `incremental_strategy`.
pub const STRATEGY: &str = "microbatch";
/// Most batches of one model in one run: eleven years of hours.
pub const BATCHES_MAX: usize = 100_000;

/// How much event time a batch covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BatchSize {
    Hour,
    Day,
    Month,
    Year,
}

/// Event times from `start` on, before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    pub start: Timestamp,
    pub end: Timestamp,
}

/// Which event times a run is about, where it was asked for some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTime {
    /// Without it, a model goes back from the end as far as its `lookback` says, or to its `begin` where it was never built.
    pub start: Option<Timestamp>,
    /// Without it, the time at which the run was asked for.
    pub end: Option<Timestamp>,
}

/// What a model's configuration says of its batches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Microbatch {
    /// The column that holds the event time.
    pub event_time: String,
    pub begin: Timestamp,
    pub size: BatchSize,
    /// Batches before the last one that a run builds again.
    pub lookback: u32,
}

/// The batches of one model in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batches {
    pub size: BatchSize,
    pub span: Span,
}

/// One batch, as the model's templates see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    pub size: BatchSize,
    pub span: Span,
}

/// A config key of a microbatch model whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey {
    pub key: &'static str,
    pub message: String,
}

/// What became of a model's batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchResults {
    pub batches: Batches,
    /// Batches that were not built, as ranges of their numbers: from the first, before the second.
    pub failed: Vec<(u32, u32)>,
}

impl BatchSize {
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Month, Self::Year];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The beginning of the batch that `at` is in.
    pub fn truncate(self, at: Timestamp) -> Timestamp {
        timestamp(self.floor(moment(at)))
    }

    /// `at`, where a batch begins there; otherwise the beginning of the next one.
    pub fn ceiling(self, at: Timestamp) -> Timestamp {
        let truncated = self.truncate(at);
        if truncated == at { at } else { self.offset(at, 1) }
    }

    /// The beginning of the batch that comes `count` batches after the one that `at` is in, or before it where `count` is negative.
    pub fn offset(self, at: Timestamp, count: i64) -> Timestamp {
        let floor = self.floor(moment(at));
        let months = |count: i64| {
            let months = Months::new(u32::try_from(count.unsigned_abs()).unwrap_or(u32::MAX));
            if count < 0 { floor.checked_sub_months(months) } else { floor.checked_add_months(months) }
        };
        let moved = match self {
            Self::Hour => TimeDelta::try_hours(count).and_then(|delta| floor.checked_add_signed(delta)),
            Self::Day => TimeDelta::try_days(count).and_then(|delta| floor.checked_add_signed(delta)),
            Self::Month => months(count),
            Self::Year => months(count.saturating_mul(12)),
        };
        timestamp(moved.unwrap_or(floor))
    }

    /// How dbt names the batch that begins at `start`: `2024-09-17T16`, `2024-09-17`, `2024-09`, `2024`.
    pub fn name(self, start: Timestamp) -> String {
        let format = match self {
            Self::Hour => "%Y-%m-%dT%H",
            Self::Day => "%Y-%m-%d",
            Self::Month => "%Y-%m",
            Self::Year => "%Y",
        };
        moment(start).format(format).to_string()
    }

    fn floor(self, at: NaiveDateTime) -> NaiveDateTime {
        let (year, month, day, hour) = match self {
            Self::Hour => (at.year(), at.month(), at.day(), at.hour()),
            Self::Day => (at.year(), at.month(), at.day(), 0),
            Self::Month => (at.year(), at.month(), 1, 0),
            Self::Year => (at.year(), 1, 1, 0),
        };
        NaiveDate::from_ymd_opt(year, month, day).and_then(|date| date.and_hms_opt(hour, 0, 0)).unwrap_or(at)
    }
}

impl Microbatch {
    /// What a model says of its batches; none where it is no microbatch model.
    pub fn of(config: &NodeConfig) -> Option<Result<Self, BadKey>> {
        let is_microbatch = config.materialized == Materialization::Incremental
            && config.incremental_strategy.as_deref() == Some(STRATEGY);
        is_microbatch.then(|| Self::read(config))
    }

    fn read(config: &NodeConfig) -> Result<Self, BadKey> {
        let given = |key: &str| config.extra.get(key).filter(|value| !value.is_null());
        let bad = |key: &'static str, wanted: &str, got: Option<&Json>| BadKey {
            key,
            message: format!("a microbatch model must have {wanted}, but got: {}", got.unwrap_or(&Json::Null)),
        };
        let event_time = match &config.event_time {
            Some(Json::String(column)) => column.clone(),
            other => return Err(bad("event_time", "the name of its column with the event time", other.as_ref())),
        };
        let begin = given("begin").and_then(Json::as_str).and_then(begin);
        let begin = begin.ok_or_else(|| bad("begin", "its earliest event time (ISO format)", given("begin")))?;
        let size = given("batch_size").and_then(Json::as_str);
        let size = BatchSize::ALL.into_iter().find(|known| Some(known.as_str()) == size);
        let size = size.ok_or_else(|| bad("batch_size", "one of hour, day, month, year", given("batch_size")))?;
        let lookback = given("lookback").map_or(Some(1), Json::as_u64).and_then(|count| u32::try_from(count).ok());
        let lookback = lookback.ok_or_else(|| bad("lookback", "a whole number of batches", given("lookback")))?;
        match given("concurrent_batches") {
            None | Some(Json::Bool(_)) => Ok(Self { event_time, begin, size, lookback }),
            other => Err(bad("concurrent_batches", "True or False", other)),
        }
    }

    /// The batches of a run that was asked for at `now`. One that is not incremental builds the model from its `begin` on. None where
    /// there are more than [`BATCHES_MAX`].
    pub fn batches(&self, is_incremental: bool, event_time: EventTime, now: Timestamp) -> Option<Batches> {
        let end = self.size.ceiling(event_time.end.unwrap_or(now));
        let start = match event_time.start {
            Some(start) => self.size.truncate(start),
            None if !is_incremental => self.size.truncate(self.begin),
            // The end is the beginning of a batch, so the last batch is the one before it.
            None => self.size.offset(end, -1 - i64::from(self.lookback)),
        };
        let batches = Batches { size: self.size, span: Span { start, end } };
        (batches.count() <= BATCHES_MAX).then_some(batches)
    }
}

impl Batches {
    /// How many there are; more than [`BATCHES_MAX`] are not counted further.
    pub fn count(self) -> usize {
        self.iter().take(BATCHES_MAX + 1).count()
    }

    /// In order of time; at least one, which is empty where the span is.
    pub fn iter(self) -> impl Iterator<Item = Batch> {
        let Self { size, span } = self;
        let mut next = Some(span.start);
        std::iter::from_fn(move || {
            let start = next.take()?;
            let following = size.offset(start, 1);
            // What cannot be moved on is the last.
            let is_last = following >= span.end || following <= start;
            next = (!is_last).then_some(following);
            Some(Batch { size, span: Span { start, end: if is_last { span.end } else { following } } })
        })
    }
}

impl Batch {
    pub fn name(&self) -> String {
        self.size.name(self.span.start)
    }

    /// `model.batch.id`
    pub fn id(&self) -> String {
        self.name().replace('-', "")
    }

    /// What stands for this batch of `model` where each batch is a matter of its own, as in a publish log.
    pub fn node(&self, model: &NodeId) -> NodeId {
        NodeId::from(format!("{model}[{}]", self.name()).as_str())
    }
}

impl BatchResults {
    /// `is_built` says whether the batch with a number was built.
    pub fn new(batches: Batches, is_built: impl Fn(usize) -> bool) -> Self {
        let mut failed: Vec<(u32, u32)> = Vec::new();
        for (number, _) in (0_u32..).zip(batches.iter()).filter(|(number, _)| !is_built(*number as usize)) {
            match failed.last_mut() {
                Some((_, before)) if *before == number => *before += 1,
                _ => failed.push((number, number + 1)),
            }
        }
        Self { batches, failed }
    }

    pub fn successful(&self) -> Vec<Span> {
        self.spans(false)
    }

    pub fn failed(&self) -> Vec<Span> {
        self.spans(true)
    }

    /// How many were built, of how many.
    pub fn counts(&self) -> (usize, usize) {
        let all = self.batches.count();
        let failed: u32 = self.failed.iter().map(|(from, before)| before.saturating_sub(*from)).sum();
        (all.saturating_sub(failed as usize), all)
    }

    fn spans(&self, failed: bool) -> Vec<Span> {
        let is_failed = |number: u32| self.failed.iter().any(|(from, before)| (*from..*before).contains(&number));
        let numbered = (0_u32..).zip(self.batches.iter());
        numbered.filter(|(number, _)| is_failed(*number) == failed).map(|(_, batch)| batch.span).collect()
    }
}

/// What Python's `datetime.fromisoformat` reads, without the offset: dbt looks at the time on the clock.
fn begin(text: &str) -> Option<Timestamp> {
    const TIMES: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    const ZONED: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z"];
    let text = text.trim();
    let date = || text.parse::<NaiveDate>().ok().and_then(|date| date.and_hms_opt(0, 0, 0));
    let time = || TIMES.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let zoned = || {
        let text = text.strip_suffix('Z').map_or_else(|| text.to_owned(), |plain| format!("{plain}+00:00"));
        ZONED.iter().find_map(|format| DateTime::parse_from_str(&text, format).ok()).map(|zoned| zoned.naive_local())
    };
    date().or_else(time).or_else(zoned).map(timestamp)
}

fn moment(at: Timestamp) -> NaiveDateTime {
    DateTime::<Utc>::from_timestamp_micros(at.as_micros()).unwrap_or_default().naive_utc()
}

fn timestamp(at: NaiveDateTime) -> Timestamp {
    Timestamp::from_micros(at.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        begin(text).unwrap()
    }

    fn model(size: BatchSize) -> Microbatch {
        Microbatch { event_time: "at".to_owned(), begin: at("2024-01-30"), size, lookback: 1 }
    }

    fn names(batches: Batches) -> Vec<String> {
        batches.iter().map(|batch| batch.name()).collect()
    }

    /// The examples are those of dbt's own comments.
    #[test]
    fn times_are_aligned_to_batches() {
        let now = at("2024-09-17 16:06:00");
        let cases = [
            (BatchSize::Hour, "2024-09-17 16:00", "2024-09-17 15:00", "2024-09-17 17:00"),
            (BatchSize::Day, "2024-09-17", "2024-09-16", "2024-09-18"),
            (BatchSize::Month, "2024-09-01", "2024-08-01", "2024-10-01"),
            (BatchSize::Year, "2024-01-01", "2023-01-01", "2025-01-01"),
        ];
        for (size, truncated, before, after) in cases {
            assert_eq!(size.truncate(now), at(truncated), "{size:?}");
            assert_eq!(size.offset(now, -1), at(before), "{size:?}");
            assert_eq!(size.offset(now, 1), at(after), "{size:?}");
            assert_eq!(size.ceiling(now), at(after), "{size:?}");
            assert_eq!(size.ceiling(at(truncated)), at(truncated), "{size:?}");
        }
    }

    #[test]
    fn a_model_that_was_never_built_begins_at_its_begin() {
        let batches = model(BatchSize::Month).batches(false, EventTime::default(), at("2024-03-02")).unwrap();
        assert_eq!(names(batches), ["2024-01", "2024-02", "2024-03"]);
        assert_eq!(batches.iter().last().unwrap().span.end, at("2024-04-01"));
    }

    #[test]
    fn a_model_that_is_there_goes_back_by_its_lookback() {
        let batches = |now| model(BatchSize::Day).batches(true, EventTime::default(), at(now)).unwrap();
        assert_eq!(names(batches("2024-03-02 00:00:01")), ["2024-03-01", "2024-03-02"]);
        // At midnight the day that begins has no events yet.
        assert_eq!(names(batches("2024-03-02")), ["2024-02-29", "2024-03-01"]);
    }

    #[test]
    fn a_span_that_is_asked_for_wins() {
        let event_time = EventTime { start: Some(at("2024-01-01 05:00")), end: Some(at("2024-01-01 07:30")) };
        let batches = model(BatchSize::Hour).batches(true, event_time, at("2030-01-01")).unwrap();
        assert_eq!(names(batches), ["2024-01-01T05", "2024-01-01T06", "2024-01-01T07"]);
        assert_eq!(batches.iter().next().unwrap().id(), "20240101T05");
    }

    #[test]
    fn too_many_batches_are_refused() {
        let event_time = EventTime { start: Some(at("0001-01-01")), end: Some(at("2024-01-01")) };
        assert_eq!(model(BatchSize::Hour).batches(true, event_time, at("2030-01-01")), None);
        assert!(model(BatchSize::Year).batches(true, event_time, at("2030-01-01")).is_some());
    }

    #[test]
    fn results_are_kept_as_ranges() {
        let event_time = EventTime { start: Some(at("2024-01-01")), end: Some(at("2024-01-07")) };
        let batches = model(BatchSize::Day).batches(true, event_time, at("2030-01-01")).unwrap();
        let results = BatchResults::new(batches, |number| matches!(number, 0 | 3));
        assert_eq!(results.failed, [(1, 3), (4, 6)]);
        assert_eq!(results.counts(), (2, 6));
        let starts: Vec<Timestamp> = results.successful().into_iter().map(|span| span.start).collect();
        assert_eq!(starts, [at("2024-01-01"), at("2024-01-04")]);
        assert_eq!(results.failed().len(), 4);
    }

    #[test]
    fn each_key_is_checked() {
        let mut config = NodeConfig {
            materialized: Materialization::Incremental,
            incremental_strategy: Some(STRATEGY.to_owned()),
            event_time: Some(json!("at")),
            ..NodeConfig::default()
        };
        let good = json!({ "begin": "2024-01-01T02:00:00+02:00", "batch_size": "day", "lookback": 3 });
        config.extra = good.as_object().unwrap().clone();
        let read = Microbatch::of(&config).unwrap().unwrap();
        assert_eq!((read.begin, read.size, read.lookback), (at("2024-01-01 02:00"), BatchSize::Day, 3));
        let wrong = [
            ("begin", json!("yesterday")),
            ("begin", json!(null)),
            ("batch_size", json!("week")),
            ("batch_size", json!(null)),
            ("lookback", json!(-1)),
            ("lookback", json!("2")),
            ("concurrent_batches", json!("yes")),
        ];
        for (key, value) in wrong {
            let mut config = config.clone();
            config.extra.insert(key.to_owned(), value.clone());
            let bad = Microbatch::of(&config).unwrap().unwrap_err();
            assert_eq!(bad.key, key);
            assert!(bad.message.ends_with(&value.to_string()), "{}", bad.message);
        }
        config.event_time = None;
        assert_eq!(Microbatch::of(&config).unwrap().unwrap_err().key, "event_time");
        config.incremental_strategy = None;
        assert_eq!(Microbatch::of(&config), None);
    }
}

//! Event times of runs, and what became of a microbatch model's batches.

use common::microbatch::{BatchResults, BatchSize, Batches, EventTime, Span};

use crate::invalid::Invalid;
use crate::scalar::{timestamp, to_timestamp};
use crate::v1;

/// 0001-01-01 and 10000-01-01, in seconds: calendars of warehouses know what lies between.
const SECONDS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;

/// Absent where it says nothing.
pub fn event_time(event_time: EventTime) -> Option<v1::EventTime> {
    let EventTime { start, end } = event_time;
    (event_time != EventTime::default()).then(|| v1::EventTime { start: start.map(timestamp), end: end.map(timestamp) })
}

/// A start without an end, and a start that is not before the end, are refused.
pub fn to_event_time(event_time: Option<v1::EventTime>) -> Result<EventTime, Invalid> {
    let Some(v1::EventTime { start, end }) = event_time else { return Ok(EventTime::default()) };
    let moment = |field: &'static str, at: Option<prost_types::Timestamp>| match at {
        Some(at) if !SECONDS.contains(&at.seconds) => Err(Invalid::new(field, "is not between the years 1 and 9999")),
        at => Ok(at.map(|at| to_timestamp(Some(at)))),
    };
    let (start, end) = (moment("event_time.start", start)?, moment("event_time.end", end)?);
    match (start, end) {
        (Some(_), None) => Err(Invalid::missing("event_time.end")),
        (Some(start), Some(end)) if start >= end => Err(Invalid::new("event_time.start", "is not before the end")),
        _ => Ok(EventTime { start, end }),
    }
}

pub fn results(results: &BatchResults) -> v1::BatchResults {
    let size = match results.batches.size {
        BatchSize::Hour => v1::BatchSize::Hour,
        BatchSize::Day => v1::BatchSize::Day,
        BatchSize::Month => v1::BatchSize::Month,
        BatchSize::Year => v1::BatchSize::Year,
    };
    let failed = results.failed.iter().map(|(from, before)| v1::batch_results::Range { from: *from, before: *before });
    v1::BatchResults {
        size: size.into(),
        start: Some(timestamp(results.batches.span.start)),
        end: Some(timestamp(results.batches.span.end)),
        failed: failed.collect(),
    }
}

pub fn to_results(results: v1::BatchResults) -> Result<BatchResults, Invalid> {
    let size = match results.size() {
        v1::BatchSize::Hour => BatchSize::Hour,
        v1::BatchSize::Day => BatchSize::Day,
        v1::BatchSize::Month => BatchSize::Month,
        v1::BatchSize::Year => BatchSize::Year,
        v1::BatchSize::Unspecified => return Err(Invalid::missing("batches.size")),
    };
    let span = Span { start: to_timestamp(results.start), end: to_timestamp(results.end) };
    let batches = Batches { size, span };
    if batches.count() > common::microbatch::BATCHES_MAX {
        return Err(Invalid::new("batches", "are more than a run may have"));
    }
    let failed = results.failed.into_iter().map(|range| (range.from, range.before)).collect();
    Ok(BatchResults { batches, failed })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn event_times_are_checked() {
        let read = |start, end| to_event_time(Some(v1::EventTime { start, end }));
        assert_eq!(read(None, None).unwrap(), EventTime::default());
        assert_eq!(read(at(1), at(2)).unwrap().start, Some(Timestamp::from_micros(1_000_000)));
        assert_eq!(read(None, at(2)).unwrap().start, None);
        assert_eq!(read(at(1), None).unwrap_err().field, "event_time.end");
        assert_eq!(read(at(2), at(2)).unwrap_err().field, "event_time.start");
        assert_eq!(read(None, at(i64::MAX)).unwrap_err().field, "event_time.end");
    }

    #[test]
    fn results_come_back_as_they_were() {
        let span = Span { start: Timestamp::from_micros(0), end: Timestamp::from_micros(3_600_000_000 * 30) };
        let there = BatchResults { batches: Batches { size: BatchSize::Hour, span }, failed: vec![(3, 5)] };
        assert_eq!(to_results(results(&there)).unwrap(), there);
        let mut forged = results(&there);
        forged.start = at(SECONDS.start);
        assert_eq!(to_results(forged).unwrap_err().field, "batches");
    }
}

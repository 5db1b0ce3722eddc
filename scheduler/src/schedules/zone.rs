//! From local times to moments, where clocks are put forward and back.
//!
//! ```text
//!   local   01:00   02:00 ╌╌ skipped ╌╌ 03:00      01:00 ╌╌╌╌╌ 02:00/01:00 ╌╌╌╌ 02:00
//!   moment  ───────────┴────────────────           ─────────────┴───────────────┴────
//!                   transition                     first time        second time
//! ```
//!
//! Invariant: what is found is strictly later, or earlier, than what was asked about, so that going on from it always ends.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// No clock is put forward or back by more than this, nor twice within it.
const NEAR: TimeDelta = TimeDelta::hours(4);
/// Local times in a row that are looked at before the search gives up.
const STEPS_MAX: usize = 100_000;

/// Local times that mean something, without a time zone.
pub(super) trait Local {
    fn zone(&self) -> Tz;
    /// Whether they mean intervals rather than times of day.
    fn by_intervals(&self) -> bool;
    /// The first one later than `from`, or at it.
    fn ahead(&self, from: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime>;
    /// The last one earlier than `from`.
    fn behind(&self, from: NaiveDateTime) -> Option<NaiveDateTime>;
}

/// The first moment later than `at`.
pub(super) fn after(local: &impl Local, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let zone = local.zone();
    let here = naive(zone, at);
    if !local.by_intervals() {
        let ahead = successors(local.ahead(here, false), |from| local.ahead(*from, false));
        return ahead.filter_map(|time| time_of_day(zone, time)).find(|moment| *moment > at);
    }
    if let Some(transition) = transition(zone, at, at + NEAR) {
        let next = local.ahead(here, false)? - (here - at.naive_utc());
        if next < transition.naive_utc() {
            return Some(next.and_utc());
        }
        let there = naive(zone, transition);
        return Some((local.ahead(there, true)? - (there - transition.naive_utc())).and_utc());
    }
    let ahead = successors(local.ahead(here, false), |from| local.ahead(*from, false));
    let later = |time: NaiveDateTime| {
        let both = zone.from_local_datetime(&time);
        [both.earliest(), both.latest()].into_iter().flatten().map(|found| found.to_utc()).find(|found| *found > at)
    };
    ahead.into_iter().find_map(later)
}

/// The last moment earlier than `at`.
pub(super) fn before(local: &impl Local, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let zone = local.zone();
    if !local.by_intervals() {
        // The first time of what comes twice is earlier than local times that are earlier than it.
        let behind = successors(local.behind(naive(zone, at) + NEAR), |from| local.behind(*from));
        return behind.filter_map(|time| time_of_day(zone, time)).find(|moment| *moment < at);
    }
    let just_before = at - TimeDelta::microseconds(1);
    let here = naive(zone, just_before) + TimeDelta::microseconds(1);
    if let Some(transition) = transition(zone, at - NEAR, just_before) {
        let last = local.behind(here)? - (here - at.naive_utc());
        if last >= transition.naive_utc() {
            return Some(last.and_utc());
        }
        let there = naive(zone, transition - TimeDelta::microseconds(1)) + TimeDelta::microseconds(1);
        return Some((local.behind(there)? - (there - transition.naive_utc())).and_utc());
    }
    let behind = successors(local.behind(here), |from| local.behind(*from));
    let earlier = |time: NaiveDateTime| {
        let both = zone.from_local_datetime(&time);
        [both.latest(), both.earliest()].into_iter().flatten().map(|found| found.to_utc()).find(|found| *found < at)
    };
    behind.into_iter().find_map(earlier)
}

fn successors(
    first: Option<NaiveDateTime>,
    next: impl FnMut(&NaiveDateTime) -> Option<NaiveDateTime>,
) -> impl Iterator<Item = NaiveDateTime> {
    std::iter::successors(first, next).take(STEPS_MAX)
}

/// The moment of a time of day: the first of two, and where there is none, the end of what is skipped.
fn time_of_day(zone: Tz, time: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(found) | MappedLocalTime::Ambiguous(found, _) => Some(found.to_utc()),
        MappedLocalTime::None => {
            let earlier = zone.from_local_datetime(&(time - NEAR)).latest()?.to_utc();
            transition(zone, earlier, earlier + NEAR + NEAR)
        }
    }
}

fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(i64::from(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()))
}

fn naive(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    at.naive_utc() + offset(zone, at)
}

/// The first moment of another offset in `(from, until]`, to the second. There is at most one within such a time.
fn transition(zone: Tz, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let old = offset(zone, from);
    if offset(zone, until) == old {
        return None;
    }
    // Offsets change on whole seconds.
    let (mut before, mut behind) = (from.timestamp(), until.timestamp());
    let at = |seconds: i64| DateTime::from_timestamp(seconds, 0);
    while before + 1 < behind {
        let middle = before + (behind - before) / 2;
        if offset(zone, at(middle)?) == old { before = middle } else { behind = middle }
    }
    at(behind)
}

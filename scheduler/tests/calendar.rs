//! Calendars: daylight saving, what is refused, and the same ticks as an independent implementation gives.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;
use std::time::Duration;

use chrono::DateTime;
use common::schedule::{Calendar, CatchUp, CatchUpPolicy, MissReason, Upcoming};
use common::{ScheduleName, Timestamp};
use scheduler::schedules::Ticks;
use scheduler::schedules::calendar::{COUNT_MAX, Invalid};
use scheduler::schedules::due::{Due, Fate, due};

fn name() -> ScheduleName {
    ScheduleName::new("nightly").unwrap()
}

fn calendar(cron: &str, zone: &str) -> Calendar {
    let (cron, time_zone) = (cron.to_owned(), zone.to_owned());
    Calendar { cron, time_zone, start_at: None, end_at: None, jitter: Duration::ZERO }
}

fn ticks(cron: &str, zone: &str) -> Ticks {
    Ticks::new(&name(), &calendar(cron, zone)).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
}

/// The next ticks, in the zone's own time.
fn next(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let ticks = ticks(cron, zone);
    let local = |tick: Timestamp| {
        DateTime::from_timestamp_micros(tick.as_micros()).unwrap().with_timezone(&ticks.zone()).to_rfc3339()
    };
    let coming = std::iter::successors(ticks.after(at(after)), |tick| ticks.after(*tick));
    coming.take(count).map(local).collect()
}

#[test]
fn a_time_that_does_not_exist_is_the_next_that_does() {
    // 02:00 to 03:00 of 2026-03-08 do not exist in New York.
    assert_eq!(
        next("30 2 * * *", "America/New_York", "2026-03-07T00:00:00-05:00", 3),
        ["2026-03-07T02:30:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"]
    );
    assert_eq!(
        next("30 * * * *", "America/New_York", "2026-03-08T01:00:00-05:00", 3),
        ["2026-03-08T01:30:00-05:00", "2026-03-08T03:30:00-04:00", "2026-03-08T04:30:00-04:00"]
    );
    // Half an hour in Lord Howe: 02:00 to 02:30 of 2026-10-04.
    assert_eq!(
        next("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", 2),
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
    );
}

#[test]
fn a_time_that_comes_twice_counts_once_a_day_and_twice_an_hour() {
    assert_eq!(
        next("30 1 * * *", "America/New_York", "2026-11-01T00:00:00-04:00", 2),
        ["2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"]
    );
    assert_eq!(
        next("30 * * * *", "America/New_York", "2026-11-01T01:00:00-04:00", 3),
        ["2026-11-01T01:30:00-04:00", "2026-11-01T01:30:00-05:00", "2026-11-01T02:30:00-05:00"]
    );
}

#[test]
fn expressions_mean_what_they_mean_to_cron() {
    let utc = |cron, count| next(cron, "UTC", "2026-01-30T12:00:00Z", count);
    assert_eq!(utc("@daily", 1), ["2026-01-31T00:00:00+00:00"]);
    assert_eq!(utc("@hourly", 1), ["2026-01-30T13:00:00+00:00"]);
    assert_eq!(utc("0 0 L * *", 2), ["2026-01-31T00:00:00+00:00", "2026-02-28T00:00:00+00:00"]);
    assert_eq!(utc("0 9 * * MON#1", 1), ["2026-02-02T09:00:00+00:00"]);
    assert_eq!(utc("*/20 0 12 * * *", 2), ["2026-01-30T12:00:20+00:00", "2026-01-30T12:00:40+00:00"]);
    // Day of month or day of week, where both are given.
    assert_eq!(utc("0 0 13 * FRI", 2), ["2026-02-06T00:00:00+00:00", "2026-02-13T00:00:00+00:00"]);
    assert_eq!(utc("0 0 * * 7", 1), utc("0 0 * * 0", 1));
}

#[test]
fn what_can_never_be_due_is_refused() {
    let refused = |cron: &str, zone: &str| Ticks::new(&name(), &calendar(cron, zone)).unwrap_err();
    assert_eq!(refused("0 0 31 2 *", "UTC"), Invalid::Never { cron: "0 0 31 2 *".to_owned() });
    assert_eq!(refused("0 0 * * *", "Mars/Olympus"), Invalid::Zone("Mars/Olympus".to_owned()));
    for cron in ["", "* * * *", "61 * * * *", "0 25 * * *", "* * * * * * *", "0 0 * * MOND", "@never", "0 0 30-10 * *x"]
    {
        assert!(matches!(refused(cron, "UTC"), Invalid::Cron { .. }), "{cron}");
    }
    assert!(matches!(refused(&"0,".repeat(1_000), "UTC"), Invalid::Cron { .. }));
    let ends = Calendar { start_at: Some(Timestamp(2)), end_at: Some(Timestamp(1)), ..calendar("@daily", "UTC") };
    assert_eq!(Ticks::new(&name(), &ends).unwrap_err(), Invalid::EndsFirst);
}

#[test]
fn ticks_are_between_start_and_end() {
    let (start, end) = (at("2026-05-01T00:00:00Z"), at("2026-05-02T00:00:00Z"));
    let later = at("2027-01-01T00:00:00Z");
    let bounded = Calendar { start_at: Some(start), end_at: Some(end), ..calendar("@daily", "UTC") };
    let ticks = Ticks::new(&name(), &bounded).unwrap();
    assert_eq!((ticks.after(Timestamp(0)), ticks.after(start), ticks.after(end)), (Some(start), Some(end), None));
    assert_eq!(ticks.count(at("2026-01-01T00:00:00Z"), later), (2, Some(end)));
    assert_eq!(ticks.count(at("2026-05-03T00:00:00Z"), later), (0, None));
}

#[test]
fn parts_of_seconds_are_behind_the_tick_of_their_second() {
    for cron in ["* * * * *", "0 12 * * *", "* * * * * *"] {
        let ticks = ticks(cron, "America/New_York");
        let (noon, later) = (at("2026-05-01T12:00:00-04:00"), at("2026-05-01T12:00:00.35-04:00"));
        assert_eq!(ticks.before(later), Some(noon), "{cron}");
        assert!(ticks.before(noon) < Some(noon) && ticks.after(later) > Some(later), "{cron}");
        assert_eq!(ticks.from(noon), Some(noon), "{cron}");
        assert_eq!(ticks.count(noon, later), (1, Some(noon)), "{cron}");
    }
}

#[test]
fn jitter_stays_within_its_bound_and_is_always_the_same() {
    let jitter = Duration::from_secs(60);
    let of = |schedule: &str| {
        let jittery = Calendar { jitter, ..calendar("@daily", "UTC") };
        Ticks::new(&ScheduleName::new(schedule).unwrap(), &jittery).unwrap().next(Timestamp(0)).unwrap()
    };
    let late: Vec<Duration> =
        (0..100).map(|n| of(&format!("s{n}"))).map(|tick| tick.due_at.since(tick.scheduled_at)).collect();
    assert!(late.iter().all(|late| *late <= jitter));
    let in_first_half = late.iter().filter(|late| **late < jitter / 2).count();
    assert!((20..80).contains(&in_first_half), "{in_first_half}");
    assert_eq!(of("s1"), of("s1"));
    assert_eq!(of("s1").due_at, Timestamp(of("s1").scheduled_at.0 + late[1].as_micros() as i64));
}

fn fates(policy: CatchUpPolicy, hours_late: i64, ticks_max: u32) -> Vec<(String, Fate)> {
    let ticks = ticks("@hourly", "UTC");
    let catch_up = CatchUp { window: Duration::from_secs(5 * 3_600), policy, ticks_max };
    let now = Timestamp(at("2026-01-01T00:00:00Z").0 + hours_late * 3_600_000_000 + 60_000_000);
    let mut next = Some(ticks.upcoming(at("2026-01-01T00:00:00Z")));
    let mut decided = Vec::new();
    while let Some(Due { scheduled_at, fate, next: following }) =
        next.and_then(|next| due(&ticks, &catch_up, next, now))
    {
        decided.push((scheduled_at.to_iso()[11..16].to_owned(), fate));
        next = following;
    }
    assert!(next.unwrap().scheduled_at > now, "the first tick that is left is to come");
    decided
}

#[test]
fn late_ticks_run_as_the_policy_says() {
    let missed = |until: &str, count, reason| Fate::Missed { until: at(until), count, reason };
    let run = |tick: &str| (tick.to_owned(), Fate::Run);
    let too_late = ("00:00".to_owned(), missed("2026-01-01T03:00:00Z", 4, MissReason::TooLate));
    assert_eq!(
        fates(CatchUpPolicy::All, 8, 100),
        [too_late.clone(), run("04:00"), run("05:00"), run("06:00"), run("07:00"), run("08:00")]
    );
    let bound = ("04:00".to_owned(), missed("2026-01-01T06:00:00Z", 3, MissReason::Bound));
    assert_eq!(fates(CatchUpPolicy::All, 8, 2), [too_late.clone(), bound, run("07:00"), run("08:00")]);
    let others = ("04:00".to_owned(), missed("2026-01-01T07:00:00Z", 4, MissReason::Policy));
    assert_eq!(fates(CatchUpPolicy::Latest, 8, 100), [too_late, others, run("08:00")]);
    let all = ("00:00".to_owned(), missed("2026-01-01T08:00:00Z", 9, MissReason::Policy));
    assert_eq!(fates(CatchUpPolicy::None, 8, 100), [all]);
    assert_eq!(fates(CatchUpPolicy::Latest, 0, 100), [run("00:00")]);
}

#[test]
fn on_time_is_on_time_whatever_the_policy_and_nothing_is_early() {
    let ticks = ticks("@hourly", "UTC");
    let next = ticks.upcoming(at("2026-01-01T00:00:00Z"));
    let catch_up = CatchUp { window: Duration::ZERO, policy: CatchUpPolicy::None, ticks_max: 0 };
    let fate = |now: &str| due(&ticks, &catch_up, next, at(now)).map(|due| due.fate);
    assert_eq!(fate("2025-12-31T23:59:59.999999Z"), None);
    assert_eq!(fate("2026-01-01T00:00:00Z"), Some(Fate::Run));
    assert_eq!(fate("2026-01-01T00:00:30Z"), Some(Fate::Run));
    assert!(matches!(fate("2026-01-01T00:00:31Z"), Some(Fate::Missed { count: 1, .. })));
}

#[test]
fn years_of_missed_ticks_are_counted_only_so_far() {
    let ticks = ticks("* * * * * *", "UTC");
    let next = Upcoming { scheduled_at: at("2020-01-01T00:00:00Z"), due_at: at("2020-01-01T00:00:00Z") };
    let now = at("2026-01-01T00:00:00Z");
    let catch_up = CatchUp { window: Duration::from_secs(60), ..CatchUp::default() };
    let Some(Due { fate: Fate::Missed { until, count, .. }, next, .. }) = due(&ticks, &catch_up, next, now) else {
        panic!("they are too late");
    };
    assert_eq!((until, count), (at("2025-12-31T23:58:59Z"), COUNT_MAX));
    assert_eq!(next.unwrap().scheduled_at, at("2025-12-31T23:59:00Z"));
}

/// `cargo xtask test` runs it, with a Python that has cronsim.
#[test]
#[ignore = "needs cronsim: cargo xtask test"]
fn ticks_are_those_of_cronsim() {
    let python = std::env::var("KONTIKI_CRON_PYTHON").expect("cargo xtask test sets it");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/cron/ticks.py");
    let output = Command::new(python).arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut lines, mut compared) = (0, 0);
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let [zone, cron, begin, end, expected] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let seconds = |text: &str| Timestamp(text.parse::<i64>().unwrap() * 1_000_000);
        let (begin, end, ticks) = (seconds(begin), seconds(end), ticks(cron, zone));
        let expected: Vec<Timestamp> = expected.split(',').filter(|tick| !tick.is_empty()).map(seconds).collect();
        let coming = std::iter::successors(ticks.after(begin), |tick| ticks.after(*tick));
        let found: Vec<Timestamp> = coming.take_while(|tick| *tick <= end).collect();
        if let Some(place) =
            (0..found.len().max(expected.len())).find(|place| found.get(*place) != expected.get(*place))
        {
            let [found, expected] = [&found, &expected].map(|ticks| ticks.get(place).map(|tick| tick.to_iso()));
            panic!("{cron} in {zone}: {found:?}, cronsim has {expected:?}");
        }
        let back = found.last().copied();
        let back: Vec<Timestamp> = std::iter::successors(back, |tick| ticks.before(*tick)).take(found.len()).collect();
        assert!(back.iter().rev().eq(&found), "{cron} in {zone} has other ticks backwards");
        (lines, compared) = (lines + 1, compared + found.len());
    }
    assert!(lines > 1_000 && compared > 300_000, "{lines} lines, {compared} ticks");
}

//! Which ticks of a schedule run, given how late it is.
//!
//! ```text
//!   next ............ now - window ............ now - on time ........ now
//!   └── too late: missed ──┘└── late: the catch-up policy decides ──┘└─ on time: run ─┘
//! ```

use std::time::Duration;

use common::Timestamp;
use common::schedule::{CatchUp, CatchUpPolicy, MissReason, Upcoming};

use super::Ticks;

/// What is to be said about the tick that is next, and about those behind it up to `next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub scheduled_at: Timestamp,
    pub fate: Fate,
    /// The tick that is next when this is decided.
    pub next: Option<Upcoming>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Run,
    /// These do not run any more. Of very many, `count` says only how many were counted.
    Missed {
        until: Timestamp,
        count: u64,
        reason: MissReason,
    },
}

/// What becomes of the tick that is next; none while it is not due. Deciding it makes another one next, so one asks again.
pub fn due(ticks: &Ticks, catch_up: &CatchUp, next: Upcoming, now: Timestamp) -> Option<Due> {
    if next.due_at > now {
        return None;
    }
    let tick = next.scheduled_at;
    let run = || Some(Due { scheduled_at: tick, fate: Fate::Run, next: ticks.next(tick) });
    let missed = |until: Timestamp, reason: MissReason| {
        let (count, last) = ticks.count(tick, until);
        let until = last.unwrap_or(tick);
        let fate = Fate::Missed { until, count: count.max(1), reason };
        Some(Due { scheduled_at: tick, fate, next: ticks.next(until) })
    };
    if now.since(next.due_at) <= CatchUp::ON_TIME {
        return run();
    }
    let window = if catch_up.policy == CatchUpPolicy::None { CatchUp::ON_TIME } else { catch_up.window };
    let window = window.max(CatchUp::ON_TIME);
    let oldest = minus(now, window);
    if next.due_at < oldest {
        let reason = if catch_up.policy == CatchUpPolicy::None { MissReason::Policy } else { MissReason::TooLate };
        return missed(Timestamp(oldest.as_micros() - 1), reason);
    }
    let kept = match catch_up.policy {
        CatchUpPolicy::All => catch_up.ticks_max.max(1),
        CatchUpPolicy::Latest | CatchUpPolicy::None => 1,
    };
    let first = first_of_latest(ticks, now, kept).unwrap_or(tick);
    if tick < first {
        let reason = if kept == 1 { MissReason::Policy } else { MissReason::Bound };
        return missed(Timestamp(first.as_micros() - 1), reason);
    }
    run()
}

/// The first of the `count` latest ticks that have come by `now`.
fn first_of_latest(ticks: &Ticks, now: Timestamp, count: u32) -> Option<Timestamp> {
    let end = Timestamp(now.as_micros().saturating_add(1));
    let backwards = std::iter::successors(ticks.before(end), |tick| ticks.before(*tick));
    backwards.take(count as usize).last()
}

fn minus(at: Timestamp, duration: Duration) -> Timestamp {
    Timestamp(at.as_micros().saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
}

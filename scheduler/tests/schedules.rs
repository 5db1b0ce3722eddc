//! Schedules in the state: a tick is decided once, and what becomes of it where earlier runs have not finished.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/commands.rs"]
mod commands;
mod support;

use common::schedule::{Decision, MissReason, Overlap, Upcoming};
use common::{RequestId, RunId, ScheduleName, Timestamp};
use scheduler::state::command::{BackfillRequest, Slept, Steer, TickDecision, TickProposal};
use scheduler::state::schedules::{BackfillState, Order, Series};
use scheduler::state::{
    Backfill, BackfillId, CancelCause, Command, Event, Reply, RunOutcome, RunState, Scheduled, Submission, Tick,
};
use support::*;

fn name() -> ScheduleName {
    ScheduleName::new("nightly").unwrap()
}

fn upcoming(at: i64) -> Option<Upcoming> {
    Some(Upcoming { scheduled_at: Timestamp(at), due_at: Timestamp(at) })
}

/// A cluster with one worker and the schedule, whose ticks are 10, 20, 30 and so on.
fn scheduled(overlap: Overlap) -> Machine {
    let mut machine = Machine::default();
    machine.register("w", 4);
    let mut put = commands::put();
    put.declared.overlap = overlap;
    put.next = upcoming(10);
    assert_eq!(machine.apply(Command::PutSchedules { puts: vec![put] }).reply, Reply::Put { changed: 1 });
    machine
}

fn standing(machine: &Machine) -> &Scheduled {
    machine.state.schedule(&name()).unwrap()
}

fn run_of(tick: i64) -> RunId {
    run_id(100 + tick as u64)
}

/// A decision about a tick at which a run of one task begins; its relation is its own.
fn decision(machine: &Machine, tick: i64) -> TickDecision {
    let mut plan = plan(100 + tick as u64, &[("a", &[])]);
    plan.tasks[0].relation = None;
    let submission = Submission::new(plan, options(), "m1");
    TickDecision {
        next: upcoming(tick + 10),
        proposal: TickProposal::Run(Box::new(submission)),
        ..commands::decide(standing(machine).version, tick)
    }
}

fn decide(machine: &mut Machine, tick: i64) -> Reply {
    let decision = decision(machine, tick);
    machine.apply(Command::DecideTick(Box::new(decision))).reply
}

fn finish(machine: &mut Machine, tick: i64) {
    let live = machine.state.assignments(&worker("w"));
    let of = live.into_iter().find(|assignment| assignment.run == run_of(tick)).unwrap();
    machine.succeed(&of);
}

fn decisions(machine: &Machine) -> Vec<(i64, Decision)> {
    standing(machine).ticks().map(|tick| (tick.scheduled_at.0, tick.decision.clone())).collect()
}

fn started(tick: i64) -> Decision {
    Decision::Started { run: run_of(tick) }
}

#[test]
fn a_tick_and_its_run_are_one_entry_and_come_once() {
    let mut machine = scheduled(Overlap::Skip);
    let first = decision(&machine, 10);
    let applied = machine.apply(Command::DecideTick(Box::new(first.clone())));
    assert_eq!(applied.reply, Reply::Decided(started(10)));
    assert!(applied.events.contains(&Event::RunSubmitted { run: run_of(10) }));
    assert_eq!(standing(&machine).next, upcoming(20));
    // Another leader comes too late with the same, and with a run of its own.
    let mut other = first;
    let plan = plan(7, &[("a", &[])]);
    other.proposal = TickProposal::Run(Box::new(Submission::new(plan, options(), "m1")));
    let refused = machine.apply(Command::DecideTick(Box::new(other)));
    assert!(rejected(&refused).contains("is not the one that schedule 'nightly' decides next"));
    assert_eq!(machine.state.runs().count(), 1);
    finish(&mut machine, 10);
    let tick = standing(&machine).ticks().next().unwrap().clone();
    assert_eq!((tick.decision, tick.outcome), (started(10), Some(RunOutcome::Success)));
    assert_eq!(machine.state.origin(&run_of(10)).unwrap().scheduled_at, Timestamp(10));
}

#[test]
fn nothing_is_early() {
    let mut machine = scheduled(Overlap::Skip);
    let early = TickDecision { decided_at: Timestamp(9), ..decision(&machine, 10) };
    assert!(rejected(&machine.apply(Command::DecideTick(Box::new(early)))).contains("is not due yet"));
    assert_eq!(standing(&machine).next, upcoming(10));
}

#[test]
fn skip_skips_while_an_earlier_run_has_not_finished() {
    let mut machine = scheduled(Overlap::Skip);
    decide(&mut machine, 10);
    assert_eq!(decide(&mut machine, 20), Reply::Decided(Decision::Skipped { running: run_of(10) }));
    finish(&mut machine, 10);
    decide(&mut machine, 30);
    assert_eq!(
        decisions(&machine),
        [(10, started(10)), (20, Decision::Skipped { running: run_of(10) }), (30, started(30))]
    );
}

#[test]
fn buffer_one_begins_when_what_runs_has_finished() {
    let mut machine = scheduled(Overlap::BufferOne);
    decide(&mut machine, 10);
    assert_eq!(decide(&mut machine, 20), Reply::Decided(Decision::Buffered));
    assert_eq!(decide(&mut machine, 30), Reply::Decided(Decision::Skipped { running: run_of(10) }));
    assert_eq!(machine.state.runs().count(), 1);
    finish(&mut machine, 10);
    assert_eq!(decisions(&machine)[1], (20, started(20)));
    finish(&mut machine, 20);
    assert_eq!((standing(&machine).active().count(), standing(&machine).buffered()), (0, None));
}

#[test]
fn what_is_buffered_is_withdrawn_by_a_pause() {
    let mut machine = scheduled(Overlap::BufferOne);
    decide(&mut machine, 10);
    decide(&mut machine, 20);
    machine.apply(Command::PauseSchedule { name: name() });
    finish(&mut machine, 10);
    assert_eq!(decisions(&machine)[1], (20, Decision::Missed { reason: MissReason::Withdrawn }));
    assert_eq!(machine.state.runs().count(), 1);
}

#[test]
fn allow_all_runs_side_by_side() {
    let mut machine = scheduled(Overlap::AllowAll);
    decide(&mut machine, 10);
    decide(&mut machine, 20);
    assert_eq!(standing(&machine).active().collect::<Vec<_>>(), [run_of(10), run_of(20)]);
}

#[test]
fn cancel_other_cancels_what_runs_and_begins() {
    let mut machine = scheduled(Overlap::CancelOther);
    decide(&mut machine, 10);
    decide(&mut machine, 20);
    assert!(matches!(machine.state.run(&run_of(10)).unwrap().state, RunState::Stopping(_)));
    let held = machine.state.assignments(&worker("w")).into_iter().find(|held| held.run == run_of(10)).unwrap();
    machine.report(canceled(&held));
    let superseded = RunOutcome::Canceled(CancelCause::Superseded);
    assert_eq!(standing(&machine).ticks().next().unwrap().outcome, Some(superseded));
    assert_eq!(standing(&machine).active().collect::<Vec<_>>(), [run_of(20)]);
}

#[test]
fn a_plan_that_is_refused_is_a_decision() {
    let mut machine = scheduled(Overlap::Skip);
    let mut plan = plan(110, &[("a", &[]), ("a", &[])]);
    plan.tasks[1].node = plan.tasks[0].node.clone();
    let proposal = TickProposal::Run(Box::new(Submission::new(plan, options(), "m1")));
    let broken = TickDecision { proposal, ..decision(&machine, 10) };
    machine.apply(Command::DecideTick(Box::new(broken)));
    let reason = "the plan names model.shop.a twice".to_owned();
    assert_eq!(decisions(&machine), [(10, Decision::Failed { reason })]);
    assert_eq!(standing(&machine).next, upcoming(20));
}

#[test]
fn ticks_that_were_missed_are_one_record() {
    let mut machine = scheduled(Overlap::Skip);
    let proposal = TickProposal::Missed { until: Timestamp(50), count: 5, reason: MissReason::TooLate };
    let missed = TickDecision { proposal, next: upcoming(60), ..decision(&machine, 10) };
    machine.apply(Command::DecideTick(Box::new(missed.clone())));
    let Tick { scheduled_at, until, count, .. } = standing(&machine).ticks().next().unwrap().clone();
    assert_eq!((scheduled_at, until, count), (Timestamp(10), Timestamp(50), 5));
    // What follows lies behind all of them.
    let proposal = TickProposal::Missed { until: Timestamp(90), count: 4, reason: MissReason::TooLate };
    let back = TickDecision { scheduled_at: Timestamp(60), proposal, next: upcoming(70), ..missed };
    rejected(&machine.apply(Command::DecideTick(Box::new(back))));
}

#[test]
fn a_change_fires_nothing_of_the_past() {
    let mut machine = scheduled(Overlap::Skip);
    decide(&mut machine, 10);
    let mut put = commands::put();
    put.declared.overlap = Overlap::AllowAll;
    put.next = upcoming(90);
    let version = standing(&machine).version;
    machine.apply(Command::PutSchedules { puts: vec![put.clone()] });
    // The calendar is the same, so is what is next; what was planned for the schedule as it was is refused.
    assert_eq!(standing(&machine).next, upcoming(20));
    let stale = TickDecision { version, ..decision(&machine, 20) };
    rejected(&machine.apply(Command::DecideTick(Box::new(stale))));
    put.declared.calendar.cron = "@hourly".to_owned();
    machine.now = Timestamp(25);
    machine.apply(Command::PutSchedules { puts: vec![put.clone()] });
    assert_eq!(standing(&machine).next, upcoming(90));
    assert_eq!(decisions(&machine)[1], (20, Decision::Missed { reason: MissReason::Changed }));
    // By a clock that is behind.
    put.declared.calendar.cron = "@daily".to_owned();
    put.next = upcoming(20);
    assert!(rejected(&machine.apply(Command::PutSchedules { puts: vec![put.clone()] })).contains("decides next"));
    // The same again changes nothing.
    put.declared.calendar.cron = "@hourly".to_owned();
    put.next = upcoming(500);
    assert_eq!(machine.apply(Command::PutSchedules { puts: vec![put] }).reply, Reply::Put { changed: 0 });
}

#[test]
fn a_pause_is_recorded_when_it_ends() {
    let mut machine = scheduled(Overlap::Skip);
    machine.apply(Command::PauseSchedule { name: name() });
    assert_eq!(standing(&machine).next, None);
    let slept = Some(Slept { from: Timestamp(10), until: Timestamp(40), count: 4 });
    let resume = Command::ResumeSchedule { name: name(), next: upcoming(50), slept };
    machine.apply(resume.clone());
    machine.apply(resume);
    let [tick] = &standing(&machine).ticks().collect::<Vec<_>>()[..] else { panic!("one record") };
    assert_eq!((tick.until, tick.count, standing(&machine).next), (Timestamp(40), 4, upcoming(50)));
}

#[test]
fn a_trigger_is_beside_the_calendar_and_comes_once() {
    let mut machine = scheduled(Overlap::Skip);
    let trigger =
        TickDecision { series: Series::Manual, scheduled_at: Timestamp(13), next: None, ..decision(&machine, 13) };
    for _ in 0..2 {
        let reply = machine.apply(Command::DecideTick(Box::new(trigger.clone()))).reply;
        assert_eq!(reply, Reply::Decided(started(13)));
    }
    assert_eq!((machine.state.runs().count(), standing(&machine).next), (1, upcoming(10)));
    // What runs is in the way of what is due.
    assert_eq!(decide(&mut machine, 10), Reply::Decided(Decision::Skipped { running: run_of(13) }));
}

fn backfill(machine: &mut Machine, total: u64, parallel: u32) -> BackfillId {
    let request = BackfillRequest {
        schedule: name(),
        version: standing(machine).version,
        request: RequestId("fill".into()),
        from: Timestamp(100),
        until: Timestamp(100 + 10 * (total as i64 - 1)),
        total,
        first: Timestamp(100),
        order: Order::OldestFirst,
        parallel,
    };
    let Reply::BackfillStarted { id, .. } = machine.apply(Command::StartBackfill(Box::new(request))).reply else {
        panic!("it starts");
    };
    id
}

fn fill(machine: &mut Machine, id: BackfillId, tick: i64, last: bool) -> Reply {
    let next = upcoming(tick + 10).filter(|_| !last);
    let decision = TickDecision { series: Series::Backfill(id), next, ..decision(machine, tick) };
    machine.apply(Command::DecideTick(Box::new(decision))).reply
}

#[test]
fn a_backfill_runs_so_many_at_once_and_ends() {
    let mut machine = scheduled(Overlap::Skip);
    let id = backfill(&mut machine, 3, 2);
    assert_eq!(backfill(&mut machine, 3, 2), id);
    let known = |machine: &Machine| -> Backfill { machine.state.backfill(&id).unwrap().clone() };
    assert_eq!(fill(&mut machine, id, 100, false), Reply::Decided(started(100)));
    assert_eq!(fill(&mut machine, id, 110, false), Reply::Decided(started(110)));
    assert!(matches!(fill(&mut machine, id, 120, true), Reply::Rejected(_)));
    assert_eq!(known(&machine).due(), None);
    finish(&mut machine, 100);
    assert_eq!(known(&machine).due(), Some(Timestamp(120)));
    machine.apply(Command::SteerBackfill { id, steer: Steer::Pause });
    assert_eq!(known(&machine).due(), None);
    machine.apply(Command::SteerBackfill { id, steer: Steer::Resume });
    fill(&mut machine, id, 120, true);
    finish(&mut machine, 110);
    assert_eq!(known(&machine).state, BackfillState::Active);
    machine.now = Timestamp(999);
    finish(&mut machine, 120);
    assert_eq!(known(&machine).state, BackfillState::Finished { at: Timestamp(999) });
    assert!(known(&machine).ticks().all(|tick| tick.outcome == Some(RunOutcome::Success)));
    // The schedule itself has heard nothing of it.
    assert_eq!((decisions(&machine), standing(&machine).next), (vec![], upcoming(10)));
}

#[test]
fn a_backfill_that_is_canceled_stops_what_runs() {
    let mut machine = scheduled(Overlap::Skip);
    let id = backfill(&mut machine, 3, 2);
    fill(&mut machine, id, 100, false);
    machine.apply(Command::SteerBackfill { id, steer: Steer::Cancel });
    assert!(matches!(machine.state.run(&run_of(100)).unwrap().state, RunState::Stopping(_)));
    assert!(matches!(fill(&mut machine, id, 110, false), Reply::Rejected(_)));
    rejected(&machine.apply(Command::SteerBackfill { id, steer: Steer::Resume }));
}

#[test]
fn what_was_decided_is_forgotten_but_what_runs() {
    let mut machine = scheduled(Overlap::AllowAll);
    decide(&mut machine, 10);
    decide(&mut machine, 20);
    finish(&mut machine, 10);
    let forgotten = machine.apply(Command::ForgetTicks { before: Timestamp(1_000) });
    assert_eq!(forgotten.reply, Reply::Forgotten { ticks: 1 });
    assert_eq!(decisions(&machine), [(20, started(20))]);
    assert_eq!(standing(&machine).next, upcoming(30));
}

#[test]
fn schedules_go_and_their_runs_stay() {
    let mut machine = scheduled(Overlap::Skip);
    decide(&mut machine, 10);
    machine.apply(Command::RemoveSchedules { names: vec![name()] });
    assert_eq!((machine.state.schedules().len(), machine.state.next_due()), (0, None));
    finish(&mut machine, 10);
    assert!(rejected(&machine.apply(Command::PauseSchedule { name: name() })).contains("'nightly' does not exist"));
}

#[test]
fn a_change_at_the_very_moment_of_a_tick_decides_it_once() {
    let mut machine = scheduled(Overlap::Skip);
    // Whoever changed it saw the tick of 10 as yet to come; now it is due.
    machine.now = Timestamp(12);
    let mut put = commands::put();
    put.declared.calendar.cron = "@hourly".to_owned();
    put.next = upcoming(10);
    assert_eq!(machine.apply(Command::PutSchedules { puts: vec![put] }).reply, Reply::Put { changed: 1 });
    assert_eq!((standing(&machine).next, decisions(&machine)), (upcoming(10), vec![]));
    decide(&mut machine, 10);
    assert_eq!(decisions(&machine), [(10, started(10))]);
}

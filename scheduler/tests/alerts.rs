//! Alerts in the state: what is told, to whom, and how often; and schedules that follow others.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/commands.rs"]
mod commands;
mod support;

use common::ScheduleName;
use common::Timestamp;
use common::alert::{AlertKind, Channel, Receiver, Reference, Slack};
use common::run::PlannedTask;
use common::schedule::{MissReason, Overlap, Upcoming};
use common::task::FailureKind;
use scheduler::state::alerts::{ENDED_KEPT, NoticeId, Sent};
use scheduler::state::command::{PutSchedule, TickDecision, TickProposal};
use scheduler::state::schedules::Series;
use scheduler::state::{Command, Reply, RunOutcome, Submission};
use support::*;

fn name(text: &str) -> ScheduleName {
    ScheduleName::new(text).unwrap()
}

fn channel(text: &str, on: &[AlertKind], schedules: &[&str], all_runs: bool) -> Channel {
    Channel {
        name: name(text),
        receiver: Receiver::Slack(Slack { url: Reference::Env("URL".to_owned()), text: None }),
        on: on.to_vec(),
        schedules: schedules.iter().map(|pattern| (*pattern).to_owned()).collect(),
        all_runs,
    }
}

fn declare(machine: &mut Machine, schedule: &str, change: impl FnOnce(&mut PutSchedule)) {
    let mut put = commands::put();
    put.declared.name = name(schedule);
    put.declared.overlap = Overlap::AllowAll;
    put.declared.deadline = None;
    put.next = Some(Upcoming { scheduled_at: Timestamp(10), due_at: Timestamp(10) });
    change(&mut put);
    assert_eq!(machine.apply(Command::PutSchedules { puts: vec![put] }).reply, Reply::Put { changed: 1 });
}

/// A cluster with a worker, the schedule `nightly`, and a channel that takes everything about schedules.
fn machine() -> Machine {
    let mut machine = Machine::default();
    machine.register("w", 4);
    declare(&mut machine, "nightly", |_| {});
    machine.apply(Command::PutChannels { channels: vec![channel("ops", &AlertKind::ALL, &[], false)] });
    machine
}

/// Decides the schedule's tick; its run has the number and these tasks.
fn begin(machine: &mut Machine, schedule: &str, tick: i64, run: u64, tasks: &[(&str, &[u32])]) {
    let mut plan = plan(run, tasks);
    plan.tasks.iter_mut().for_each(|task| task.relation = None);
    decide(machine, schedule, tick, TickProposal::Run(Box::new(Submission::new(plan, options(), "m1"))));
}

fn decide(machine: &mut Machine, schedule: &str, tick: i64, proposal: TickProposal) {
    machine.now = Timestamp(machine.now.0.max(tick));
    let follows = machine.state.schedule(&name(schedule)).unwrap().declared.calendar.follows().is_some();
    let next = Upcoming { scheduled_at: Timestamp(tick + 10), due_at: Timestamp(tick + 10) };
    let version = machine.state.schedule(&name(schedule)).unwrap().version;
    let decision = TickDecision {
        schedule: name(schedule),
        decided_at: machine.now,
        next: (!follows).then_some(next),
        proposal,
        ..commands::decide(version, tick)
    };
    let reply = machine.apply(Command::DecideTick(Box::new(decision))).reply;
    assert!(matches!(reply, Reply::Decided(_)), "{reply:?}");
}

/// Ends each of the run's attempts.
fn end(machine: &mut Machine, run: u64, failing: &[&str]) {
    loop {
        let held = machine.state.assignments(&worker("w")).into_iter().find(|held| held.run == run_id(run));
        let Some(held) = held else { return };
        if failing.iter().any(|failing| held.node == node(failing)) {
            machine.report(failure(&held, FailureKind::User));
        } else {
            machine.succeed(&held);
        }
    }
}

/// What is on its way: channel, kind and failed nodes.
fn pending(machine: &Machine) -> Vec<(String, AlertKind, u32)> {
    let notices = machine.state.alerts().notices();
    notices.map(|(_, notice)| (notice.channel.to_string(), notice.alert.kind, notice.alert.nodes_total)).collect()
}

fn of_ops(kinds: &[(AlertKind, u32)]) -> Vec<(String, AlertKind, u32)> {
    kinds.iter().map(|(kind, nodes)| ("ops".to_owned(), *kind, *nodes)).collect()
}

#[test]
fn a_node_that_fails_is_told_once_and_its_recovery_once() {
    let mut machine = machine();
    begin(&mut machine, "nightly", 10, 1, &[("a", &[]), ("b", &[])]);
    end(&mut machine, 1, &["a"]);
    let told = [(AlertKind::Failure, 1)];
    assert_eq!(pending(&machine), of_ops(&told));
    let alert = machine.state.alerts().notices().next().unwrap().1.alert.clone();
    assert_eq!((alert.run, alert.scheduled_at), (Some(run_id(1)), Some(Timestamp(10))));
    assert_eq!(alert.nodes[0].message, "no such column");
    // It fails again: nobody hears it twice.
    machine.retry(1);
    end(&mut machine, 1, &["a"]);
    assert_eq!(pending(&machine), of_ops(&told));
    machine.retry(1);
    end(&mut machine, 1, &[]);
    assert_eq!(pending(&machine), of_ops(&[(AlertKind::Failure, 1), (AlertKind::Recovery, 0)]));
    begin(&mut machine, "nightly", 20, 2, &[("a", &[])]);
    end(&mut machine, 2, &[]);
    assert_eq!(pending(&machine).len(), 2, "what goes on as before is no news");
    // A run that has nothing to do with the schedule, where the channel takes only schedules.
    machine.submit(plan(3, &[("c", &[])]));
    end(&mut machine, 3, &["c"]);
    assert_eq!(pending(&machine).len(), 2);
    machine.apply(Command::RemoveRuns { runs: vec![run_id(1), run_id(3)] });
}

#[test]
fn channels_take_what_they_were_declared_for() {
    let mut machine = machine();
    let only = [
        channel("failures", &[AlertKind::Failure], &["night*"], true),
        channel("other", &AlertKind::ALL, &["hourly"], false),
    ];
    machine.apply(Command::PutChannels { channels: only.to_vec() });
    begin(&mut machine, "nightly", 10, 1, &[("a", &[])]);
    end(&mut machine, 1, &["a"]);
    let names = |machine: &Machine| pending(machine).into_iter().map(|(channel, ..)| channel).collect::<Vec<_>>();
    assert_eq!(names(&machine), ["failures", "ops"]);
    machine.submit(plan(3, &[("c", &[])]));
    end(&mut machine, 3, &["c"]);
    assert_eq!(names(&machine), ["failures", "ops", "failures"]);
    machine.apply(Command::RemoveChannels { names: vec![name("failures")] });
    assert_eq!(names(&machine), ["ops"]);
    let gone = machine.apply(Command::RemoveChannels { names: vec![name("failures")] });
    assert!(rejected(&gone).contains("channel 'failures' does not exist"));
    assert!(rejected(&machine.apply(Command::TestChannel { name: name("failures") })).contains("does not exist"));
}

#[test]
fn a_deadline_is_told_unless_the_run_succeeded() {
    let mut machine = machine();
    let deadline = Some(std::time::Duration::from_micros(100));
    declare(&mut machine, "slow", |put| put.declared.deadline = deadline);
    begin(&mut machine, "slow", 10, 1, &[("a", &[])]);
    begin(&mut machine, "slow", 20, 2, &[("b", &[])]);
    assert_eq!(machine.state.alerts().next_deadline(), Some(Timestamp(110)));
    end(&mut machine, 1, &[]);
    assert_eq!(machine.state.alerts().next_deadline(), Some(Timestamp(120)));
    machine.now = Timestamp(119);
    machine.apply(Command::TellDeadlines);
    assert_eq!(pending(&machine), []);
    machine.now = Timestamp(120);
    machine.apply(Command::TellDeadlines);
    assert_eq!(pending(&machine), of_ops(&[(AlertKind::Deadline, 0)]));
    let alert = machine.state.alerts().notices().next().unwrap().1.alert.clone();
    assert_eq!((alert.run, alert.scheduled_at), (Some(run_id(2)), Some(Timestamp(20))));
    machine.apply(Command::TellDeadlines);
    assert_eq!(pending(&machine).len(), 1);
}

#[test]
fn a_run_of_nothing_is_in_time() {
    let mut machine = machine();
    declare(&mut machine, "slow", |put| put.declared.deadline = Some(std::time::Duration::from_micros(100)));
    begin(&mut machine, "slow", 10, 1, &[]);
    assert_eq!(machine.state.alerts().next_deadline(), None);
}

#[test]
fn ticks_that_nobody_meant_to_miss_are_told() {
    let mut machine = machine();
    let missed = |reason| TickProposal::Missed { until: Timestamp(12), count: 3, reason };
    decide(&mut machine, "nightly", 10, missed(MissReason::Policy));
    assert_eq!(pending(&machine), []);
    decide(&mut machine, "nightly", 20, missed(MissReason::TooLate));
    decide(&mut machine, "nightly", 30, TickProposal::Failed { reason: "no such project".to_owned() });
    assert_eq!(pending(&machine), of_ops(&[(AlertKind::TickMissed, 0), (AlertKind::TickMissed, 0)]));
    let summaries: Vec<String> = machine.state.alerts().notices().map(|(_, notice)| notice.alert.summary()).collect();
    assert!(
        summaries[0].ends_with("has no run: too late: outside the catch-up window, with 2 others"),
        "{summaries:?}"
    );
    assert!(summaries[1].ends_with("has no run: no such project"), "{summaries:?}");
}

#[test]
fn sources_that_are_stale_are_another_kind() {
    let mut machine = machine();
    let mut plan = plan(1, &[]);
    plan.tasks = vec![PlannedTask::new("source.shop.raw.orders".into(), Vec::new())];
    decide(&mut machine, "nightly", 10, TickProposal::Run(Box::new(Submission::new(plan, options(), "m1"))));
    let held = machine.state.assignments(&worker("w")).remove(0);
    machine.report(failure(&held, FailureKind::TestFailed));
    assert_eq!(pending(&machine), of_ops(&[(AlertKind::SourceStale, 1)]));
}

#[test]
fn a_notice_ends_once() {
    let mut machine = machine();
    let Reply::Noticed(id) = machine.apply(Command::TestChannel { name: name("ops") }).reply else { panic!() };
    let settle = |machine: &mut Machine, sent: Sent| {
        machine.apply(Command::SettleNotices { settled: vec![(id, sent)] });
    };
    settle(&mut machine, Sent::Failed { error: "503".to_owned(), again_at: Timestamp(50) });
    let notice = machine.state.alerts().notice(id).unwrap();
    assert_eq!((notice.failures, notice.due_at, notice.error.as_deref()), (1, Timestamp(50), Some("503")));
    settle(&mut machine, Sent::Arrived);
    settle(&mut machine, Sent::GivenUp { error: "late".to_owned() });
    let ended: Vec<_> = machine.state.alerts().ended().map(|ended| (ended.id, ended.error.clone())).collect();
    assert_eq!(ended, [(id, None)]);
    let unknown = NoticeId { index: 999, place: 0 };
    machine.apply(Command::SettleNotices { settled: vec![(unknown, Sent::Arrived)] });
    for _ in 0..ENDED_KEPT + 5 {
        let Reply::Noticed(id) = machine.apply(Command::TestChannel { name: name("ops") }).reply else { panic!() };
        machine.apply(Command::SettleNotices { settled: vec![(id, Sent::Arrived)] });
    }
    assert_eq!(machine.state.alerts().ended().count(), ENDED_KEPT);
}

fn next_of(machine: &Machine, schedule: &str) -> Option<i64> {
    machine.state.schedule(&name(schedule)).unwrap().next.map(|next| next.scheduled_at.0)
}

#[test]
fn a_schedule_follows_when_all_have_succeeded() {
    let mut machine = machine();
    declare(&mut machine, "hourly", |_| {});
    declare(&mut machine, "mart", |put| {
        put.declared.calendar.cron = "@after nightly, hourly".to_owned();
        put.next = None;
    });
    begin(&mut machine, "nightly", 10, 1, &[("a", &[])]);
    end(&mut machine, 1, &["a"]);
    begin(&mut machine, "hourly", 10, 2, &[("b", &[])]);
    end(&mut machine, 2, &[]);
    assert_eq!(next_of(&machine, "mart"), None, "one of them has failed");
    begin(&mut machine, "nightly", 20, 3, &[("a", &[])]);
    end(&mut machine, 3, &[]);
    assert_eq!(next_of(&machine, "mart"), Some(20));
    // Both succeed again before its tick is decided: that is for the next one.
    for (schedule, tick, run) in [("nightly", 30, 4), ("hourly", 20, 5)] {
        begin(&mut machine, schedule, tick, run, &[("a", &[])]);
        end(&mut machine, run, &[]);
    }
    assert_eq!(next_of(&machine, "mart"), Some(20));
    begin(&mut machine, "mart", 20, 6, &[("m", &[])]);
    assert_eq!(next_of(&machine, "mart"), Some(30));
    begin(&mut machine, "mart", 30, 7, &[("m", &[])]);
    assert_eq!(next_of(&machine, "mart"), None);
    let outcome = |machine: &Machine| machine.state.schedule(&name("mart")).unwrap().ticks().last().unwrap().outcome;
    end(&mut machine, 7, &[]);
    assert_eq!(outcome(&machine), Some(RunOutcome::Success));
    // While it is paused nothing arrives.
    machine.apply(Command::PauseSchedule { name: name("mart") });
    begin(&mut machine, "hourly", 30, 8, &[("a", &[])]);
    end(&mut machine, 8, &[]);
    machine.apply(Command::ResumeSchedule { name: name("mart"), next: None, slept: None });
    begin(&mut machine, "nightly", 40, 9, &[("a", &[])]);
    end(&mut machine, 9, &[]);
    assert_eq!(next_of(&machine, "mart"), None);
    begin(&mut machine, "hourly", 40, 10, &[("a", &[])]);
    end(&mut machine, 10, &[]);
    assert_eq!(next_of(&machine, "mart"), Some(40));
    machine.apply(Command::RemoveSchedules { names: vec![name("mart")] });
}

#[test]
fn what_arrives_again_for_the_same_tick_gets_a_tick_of_its_own() {
    let mut machine = machine();
    declare(&mut machine, "mart", |put| {
        put.declared.calendar.cron = "@after nightly".to_owned();
        put.next = None;
    });
    begin(&mut machine, "nightly", 10, 1, &[("a", &[])]);
    end(&mut machine, 1, &[]);
    assert_eq!(next_of(&machine, "mart"), Some(10));
    // Somebody runs the same tick by hand before the follower's is decided.
    let version = machine.state.schedule(&name("nightly")).unwrap().version;
    let mut plan = plan(2, &[("a", &[])]);
    plan.tasks[0].relation = None;
    let by_hand = TickDecision {
        series: Series::Manual,
        next: None,
        proposal: TickProposal::Run(Box::new(Submission::new(plan, options(), "m1"))),
        ..commands::decide(version, 10)
    };
    machine.apply(Command::DecideTick(Box::new(by_hand)));
    end(&mut machine, 2, &[]);
    machine.now = Timestamp(15);
    begin(&mut machine, "mart", 10, 3, &[("m", &[])]);
    assert_eq!(next_of(&machine, "mart"), Some(15));
}

//! The state machine, command by command: exact replies and events.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and talk")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use common::diagnostic::Code;
use common::run::{ATTEMPTS_LOST_MAX, RunPlan};
use common::session::WorkerDescription;
use common::task::{Assignment, FailureKind, NodeStatus, TaskState};
use common::{Attempt, Epoch, Timestamp};
use scheduler::State;
use scheduler::state::{
    CancelCause, Command, Counts, Ending, Event, Failure, Reply, RunOutcome, RunState, StopCause, Verdict,
};
use support::*;

#[test]
fn a_report_hands_out_the_next_task_in_the_same_entry() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let first = machine.submit(plan(1, &[("a", &[]), ("b", &[0])]));
    assert_eq!(first, [assignment(1, "a", 1, 2)]);

    let applied = machine.report(success(&first[0]));
    assert_eq!(applied.reply, Reply::Reported(vec![Verdict::Accepted]));
    let ending = Some(Arc::new(Ending { failure: None, result: Some(result(NodeStatus::Success)) }));
    let state = TaskState::Success;
    let finished = Event::TaskFinished { run: run_id(1), task: 0, node: node("a"), attempt: Attempt(1), state, ending };
    let next = Event::TaskAssigned { task: 1, worker: worker("w"), assignment: assignment(1, "b", 1, 3) };
    assert_eq!(applied.events, [finished, next]);

    let applied = machine.report(success(&assignment(1, "b", 1, 3)));
    let counts = Counts { total: 2, success: 2, ..Counts::default() };
    let finished = Event::RunFinished { run: run_id(1), outcome: RunOutcome::Success, counts };
    assert_eq!(applied.events[1..], [finished]);
}

#[test]
fn stale_and_repeated_reports_change_nothing() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let first = machine.submit(plan(1, &[("a", &[])]));
    machine.apply(Command::LoseWorker { worker: worker("w") });
    let second = machine.register("v", 1);
    assert_eq!(second, [assignment(1, "a", 2, 4)]);

    let stale = machine.report(success(&first[0]));
    assert_eq!((stale.reply, stale.events), (Reply::Reported(vec![Verdict::Stale]), vec![]));
    // The right epoch under the wrong attempt, an unknown node, an unknown run.
    for wrong in [assignment(1, "a", 1, 4), assignment(1, "z", 2, 4), assignment(9, "a", 2, 4)] {
        assert_eq!(machine.report(success(&wrong)).reply, Reply::Reported(vec![Verdict::Stale]));
    }
    let twice = Command::ReportTasks { reports: vec![success(&second[0]), failure(&second[0], FailureKind::User)] };
    assert_eq!(machine.apply(twice).reply, Reply::Reported(vec![Verdict::Accepted, Verdict::Stale]));
    assert_eq!(machine.task(1, "a"), TaskState::Success);
}

#[test]
fn the_same_request_is_the_same_run() {
    let mut machine = Machine::default();
    let first = machine.apply(submit(plan(1, &[("a", &[])])));
    assert_eq!(first.reply, Reply::Submitted { run: run_id(1), new: true });
    let mut again = plan(2, &[("b", &[])]);
    again.request = plan(1, &[]).request;
    let second = machine.apply(submit(again));
    assert_eq!((second.reply, second.events), (Reply::Submitted { run: run_id(1), new: false }, vec![]));
    let mut other = plan(1, &[]);
    other.request = plan(3, &[]).request;
    assert_eq!(rejected(&machine.apply(submit(other))), format!("run {} exists under another request id", run_id(1)));
}

#[test]
fn an_empty_run_finishes_at_once() {
    let mut machine = Machine::default();
    let applied = machine.apply(submit(plan(1, &[])));
    let finished = Event::RunFinished { run: run_id(1), outcome: RunOutcome::Success, counts: Counts::default() };
    assert_eq!(applied.events, [Event::RunSubmitted { run: run_id(1) }, finished]);
}

#[test]
fn malformed_plans_are_rejected_and_leave_no_trace() {
    let mut machine = Machine::default();
    let mut unknown_pool = plan(1, &[("a", &[])]);
    unknown_pool.tasks[0].pools = vec!["heavy".to_owned()];
    let mut full_pool = unknown_pool.clone();
    full_pool.pools.insert("heavy".to_owned(), 0);
    let mut no_attempts = plan(1, &[("a", &[])]);
    no_attempts.retry.attempts_max = 0;
    let pool = "model.shop.a wants a place in pool 'heavy', which neither the plan nor an operator defines, or which has no places";
    let order = |name: &str| format!("an upstream of model.shop.{name} does not come before it in the plan");
    for (plan, message) in [
        (plan(1, &[("a", &[]), ("b", &[1])]), order("b")),
        (plan(1, &[("a", &[7])]), order("a")),
        (plan(1, &[("a", &[]), ("b", &[0, 0])]), order("b")),
        (plan(1, &[("a", &[]), ("a", &[0])]), "the plan names model.shop.a twice".to_owned()),
        (unknown_pool, pool.to_owned()),
        (full_pool, pool.to_owned()),
        (no_attempts, "the retry policy allows no attempt".to_owned()),
    ] {
        let applied = machine.apply(submit(plan));
        assert_eq!((rejected(&applied), applied.events), (message, vec![]));
    }
    assert_eq!(machine.state.runs().count(), 0);
    for slots in [0, 1_000_000] {
        let register = register("w", slots, vec![]);
        assert_eq!(rejected(&machine.apply(register)), "a worker needs between 1 and 100000 slots");
    }
}

#[test]
fn what_a_worker_and_an_operator_name_is_bounded() {
    let mut machine = Machine::default();
    let labels = (0..65).map(|label| (label.to_string(), String::new())).collect();
    let description = WorkerDescription { labels, ..WorkerDescription::default() };
    let register = Command::RegisterWorker { worker: worker("w"), slots: 1, running: Vec::new(), description };
    assert_eq!(rejected(&machine.apply(register)), "a worker may have 64 labels at most");
    let set = |pool: u32| Command::SetPool { pool: pool.to_string(), places: Some(1) };
    for pool in 0..1_000 {
        assert_eq!(machine.state.apply(u64::from(pool) + 2, machine.now, set(pool)).reply, Reply::Done);
    }
    assert_eq!(rejected(&machine.apply(set(1_000))), "operators may limit 1000 pools at most");
    assert_eq!(machine.apply(set(7)).reply, Reply::Done);
    // A run holds the pools that its tasks name, however many there are.
    let mut plan = plan(1, &[("a", &[])]);
    plan.tasks[0].pools = vec!["7".to_owned()];
    machine.submit(plan);
    assert_eq!(names(&machine.register("w", 1)), ["a"]);
    assert_eq!(machine.state.in_pool("7"), 1);
}

#[test]
fn an_entry_applies_once() {
    let mut machine = Machine::default();
    machine.submit(plan(1, &[("a", &[])]));
    let digest = machine.state.digest();
    let again = machine.state.apply(1, Timestamp(5), submit(plan(2, &[])));
    assert_eq!(rejected(&again), "log entry 1 was applied before");
    assert_eq!((machine.state.digest(), machine.state.runs().count()), (digest, 1));
}

#[test]
fn longest_critical_path_first_then_plan_order() {
    let mut machine = Machine::default();
    let mut plan = plan(1, &[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[])]);
    for (task, priority) in plan.tasks.iter_mut().zip([5, 9, 9, 7]) {
        task.priority = priority;
    }
    machine.submit(plan);
    assert_eq!(names(&machine.register("w", 4)), ["b", "c", "d", "a"]);
}

#[test]
fn work_spreads_over_workers_and_runs() {
    let mut machine = Machine::default();
    machine.register("w", 2);
    machine.register("v", 3);
    let wide: [(&str, &[u32]); 3] = [("a", &[]), ("b", &[]), ("c", &[])];
    let applied = machine.apply(submit(plan(1, &wide)));
    let workers: Vec<String> = applied
        .events
        .iter()
        .filter_map(|event| match event {
            Event::TaskAssigned { worker, .. } => Some(worker.to_string()),
            _ => None,
        })
        .collect();
    // The worker with the most free slots; among equals the first by id.
    assert_eq!(workers, ["v", "v", "w"]);
    machine.submit(plan(2, &[("x", &[]), ("y", &[]), ("z", &[])]));
    let running = |run| machine.state.run(&run_id(run)).unwrap().running();
    assert_eq!((running(1), running(2)), (3, 2));
    machine.submit(plan(3, &[("p", &[]), ("q", &[])]));
    // The run with the fewest running tasks gets the next slot, though it came last.
    let next = machine.succeed(&assignment(1, "a", 1, 3));
    assert_eq!(names(&next), ["p"]);
}

#[test]
fn a_full_pool_holds_back_only_its_own_tasks() {
    let mut machine = Machine::default();
    let mut plan = plan(1, &[("a", &[]), ("b", &[]), ("c", &[])]);
    plan.pools.insert("heavy".to_owned(), 1);
    plan.tasks[0].pools = vec!["heavy".to_owned()];
    plan.tasks[1].pools = vec!["heavy".to_owned(), "heavy".to_owned()];
    machine.submit(plan);
    let first = machine.register("w", 3);
    assert_eq!(names(&first), ["a", "c"]);
    assert_eq!(names(&machine.succeed(&first[1])), Vec::<&str>::new());
    assert_eq!(names(&machine.succeed(&first[0])), ["b"]);
}

#[test]
fn two_runs_never_build_the_same_node_at_once() {
    let mut machine = Machine::default();
    machine.register("w", 4);
    let first = machine.submit(plan(1, &[("a", &[])]));
    assert_eq!(names(&machine.submit(plan(2, &[("a", &[]), ("b", &[])]))), ["b"]);
    let next = machine.succeed(&first[0]);
    assert_eq!(next, [assignment(2, "a", 1, 4)]);
}

#[test]
fn a_transient_failure_backs_off_and_gives_up_at_last() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let first = machine.submit(plan(1, &[("a", &[])]));
    let applied = machine.report(failure(&first[0], FailureKind::Transient));
    let ending = Arc::new(Ending {
        failure: Some(Failure {
            kind: FailureKind::Transient,
            code: Code::SqlError,
            message: "no such column".to_owned(),
        }),
        result: Some(result(NodeStatus::Error)),
    });
    let due_at = machine.state.next_retry().unwrap();
    // Between half of the backoff and all of it.
    assert!((50_000..=100_000).contains(&due_at.as_micros()), "{due_at:?}");
    let kind = FailureKind::Transient;
    let event =
        Event::TaskUpForRetry { run: run_id(1), task: 0, node: node("a"), attempt: Attempt(1), kind, due_at, ending };
    assert_eq!(applied.events, [event]);

    machine.now = Timestamp(due_at.as_micros() - 1);
    assert_eq!(assigned(&machine.apply(Command::PromoteRetries)), []);
    machine.now = due_at;
    assert_eq!(assigned(&machine.apply(Command::PromoteRetries)), [assignment(1, "a", 2, 5)]);
    machine.report(failure(&assignment(1, "a", 2, 5), FailureKind::Transient));
    let wait = machine.state.next_retry().unwrap().since(due_at);
    assert!((100_000..=200_000).contains(&wait.as_micros()), "{wait:?}");
    machine.advance(wait);
    machine.apply(Command::PromoteRetries);
    machine.report(failure(&assignment(1, "a", 3, 7), FailureKind::Transient));
    assert_eq!(machine.task(1, "a"), TaskState::Failed(FailureKind::Transient));
    assert_eq!(machine.state.next_retry(), None);
}

#[test]
fn a_failure_fails_everything_downstream_and_nothing_else() {
    let mut machine = Machine::default();
    let tasks: [(&str, &[u32]); 5] = [("a", &[]), ("b", &[]), ("c", &[0]), ("d", &[1, 2]), ("e", &[1])];
    machine.submit(plan(1, &tasks));
    let running = machine.register("w", 2);
    let applied = machine.report(failure(&running[0], FailureKind::User));
    let ended: Vec<_> = applied
        .events
        .iter()
        .filter_map(|event| match event {
            Event::TaskFinished { node, state, .. } => Some((node.as_str(), state.clone())),
            _ => None,
        })
        .collect();
    let failed = TaskState::Failed(FailureKind::User);
    let expected = [
        ("model.shop.a", failed),
        ("model.shop.c", TaskState::UpstreamFailed),
        ("model.shop.d", TaskState::UpstreamFailed),
    ];
    assert_eq!(ended, expected);
    let next = machine.succeed(&running[1]);
    assert_eq!(names(&next), ["e"]);
    let applied = machine.report(success(&next[0]));
    let counts = Counts { total: 5, success: 2, failed: 1, upstream_failed: 2, ..Counts::default() };
    let finished = Event::RunFinished { run: run_id(1), outcome: RunOutcome::Failed, counts };
    assert_eq!(applied.events.last(), Some(&finished));
}

#[test]
fn fail_fast_skips_the_rest_and_cancels_what_runs() {
    let mut machine = Machine::default();
    let mut plan = plan(1, &[("a", &[]), ("b", &[]), ("c", &[]), ("d", &[0])]);
    plan.fail_fast = true;
    machine.submit(plan);
    let running = machine.register("w", 2);
    let applied = machine.report(failure(&running[0], FailureKind::TestFailed));
    let cancel =
        Event::TaskCancelRequested { worker: worker("w"), run: run_id(1), node: node("b"), epoch: running[1].epoch };
    assert!(applied.events.contains(&cancel));
    assert_eq!(machine.task(1, "c"), TaskState::Skipped);
    assert_eq!(machine.task(1, "d"), TaskState::UpstreamFailed);
    assert_eq!(machine.state.run(&run_id(1)).unwrap().state, RunState::Stopping(StopCause::FailFast));
    let applied = machine.report(canceled(&running[1]));
    let counts = Counts { total: 4, failed: 1, upstream_failed: 1, skipped: 1, canceled: 1, ..Counts::default() };
    let finished = Event::RunFinished { run: run_id(1), outcome: RunOutcome::Failed, counts };
    assert_eq!(applied.events.last(), Some(&finished));
}

#[test]
fn a_canceled_run_ends_when_its_attempts_have() {
    let mut machine = Machine::default();
    machine.submit(plan(1, &[("a", &[]), ("b", &[]), ("c", &[0])]));
    let running = machine.register("w", 2);
    machine.cancel(1);
    assert_eq!(machine.task(1, "c"), TaskState::Canceled);
    // Asked again, it is not asked twice.
    assert_eq!(machine.cancel(1).events, []);
    // One attempt finished before the word reached it: what is published stays published.
    machine.report(success(&running[0]));
    assert_eq!(machine.task(1, "a"), TaskState::Success);
    let applied = machine.report(failure(&running[1], FailureKind::Transient));
    let counts = Counts { total: 3, success: 1, canceled: 2, ..Counts::default() };
    let outcome = RunOutcome::Canceled(CancelCause::Request);
    assert_eq!(applied.events.last(), Some(&Event::RunFinished { run: run_id(1), outcome, counts }));
    assert_eq!(rejected(&machine.cancel(1)), format!("run {} has finished", run_id(1)));
    assert_eq!(rejected(&machine.cancel(9)), format!("run {} does not exist", run_id(9)));
}

#[test]
fn a_lost_worker_loses_its_attempts_to_others() {
    let mut machine = Machine::default();
    machine.submit(plan(1, &[("a", &[])]));
    machine.register("w", 1);
    machine.register("v", 1);
    let applied = machine.apply(Command::LoseWorker { worker: worker("w") });
    assert_eq!(assigned(&applied), [assignment(1, "a", 2, 4)]);
    assert_eq!(rejected(&machine.apply(Command::LoseWorker { worker: worker("w") })), "worker w is not registered");
    machine.apply(Command::LoseWorker { worker: worker("v") });
    assert_eq!(machine.task(1, "a"), TaskState::Ready);
}

#[test]
fn attempts_lost_with_workers_leave_those_that_may_fail() {
    let mut machine = Machine::default();
    let mut plan = plan(1, &[("a", &[])]);
    plan.retry.attempts_max = 2;
    machine.submit(plan);
    for lost in 1..ATTEMPTS_LOST_MAX {
        machine.register("w", 1);
        machine.apply(Command::LoseWorker { worker: worker("w") });
        assert_eq!(machine.task(1, "a"), TaskState::Ready, "after {lost}");
    }
    // What was counted is in a snapshot, too.
    machine.state = State::from_bytes(&machine.state.to_bytes()).unwrap();
    let held = machine.register("w", 1);
    machine.report(failure(&held[0], FailureKind::Transient));
    assert!(matches!(machine.task(1, "a"), TaskState::UpForRetry { .. }));
    machine.advance(Duration::from_secs(60));
    machine.apply(Command::PromoteRetries);
    // It has one attempt left that may fail, and one that may not be lost.
    let last = machine.apply(Command::LoseWorker { worker: worker("w") });
    assert_eq!(machine.task(1, "a"), TaskState::Failed(FailureKind::WorkerLost));
    let counts = Counts { total: 1, failed: 1, ..Counts::default() };
    let finished = Event::RunFinished { run: run_id(1), outcome: RunOutcome::Failed, counts };
    assert_eq!(last.events.last(), Some(&finished));
    // A retry begins to count anew.
    machine.retry(1);
    machine.register("w", 1);
    machine.apply(Command::LoseWorker { worker: worker("w") });
    assert_eq!(machine.task(1, "a"), TaskState::Ready);
}

#[test]
fn a_worker_that_returns_gets_what_it_missed_and_drops_what_is_stale() {
    let mut machine = Machine::default();
    machine.submit(plan(1, &[("a", &[]), ("b", &[])]));
    let owned = machine.register("w", 2);
    let stale = Assignment { epoch: Epoch(1), ..owned[1].clone() };
    let running = vec![owned[0].clone(), stale.clone()];
    let applied = machine.apply(register("w", 2, running));
    assert_eq!(applied.reply, Reply::Registered { missing: vec![owned[1].clone()], stale: vec![stale] });
}

#[test]
fn a_draining_worker_takes_nothing_new() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let first = machine.submit(plan(1, &[("a", &[]), ("b", &[0])]));
    let applied = machine.apply(Command::DrainWorker { worker: worker("w") });
    assert_eq!(applied.events, [Event::WorkerDraining { worker: worker("w") }]);
    assert_eq!(machine.succeed(&first[0]), []);
    assert_eq!(names(&machine.register("v", 1)), ["b"]);
    assert_eq!(rejected(&machine.apply(Command::DrainWorker { worker: worker("x") })), "worker x is not registered");
}

#[test]
fn a_retried_run_does_again_what_did_not_succeed_under_higher_epochs() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let first = machine.submit(plan(1, &[("a", &[]), ("b", &[0]), ("c", &[1])]));
    let second = machine.succeed(&first[0]);
    assert_eq!(rejected(&machine.retry(1)), format!("run {} has not finished", run_id(1)));
    machine.report(failure(&second[0], FailureKind::User));
    let applied = machine.retry(1);
    assert_eq!(applied.reply, Reply::Retried { tasks: 2 });
    let again = assignment(1, "b", 2, machine.state.applied());
    let assigned = Event::TaskAssigned { task: 1, worker: worker("w"), assignment: again.clone() };
    assert_eq!(applied.events, [Event::RunRetried { run: run_id(1), tasks: 2 }, assigned]);
    assert_eq!(machine.state.run(&run_id(1)).unwrap().manifest_digest, "m2");
    let last = machine.succeed(&again);
    machine.succeed(&last[0]);
    assert_eq!(rejected(&machine.retry(1)), format!("every task of run {} succeeded", run_id(1)));
}

#[test]
fn only_finished_runs_are_forgotten() {
    let mut machine = Machine::default();
    machine.submit(plan(1, &[]));
    machine.submit(plan(2, &[("a", &[])]));
    let applied = machine.apply(Command::RemoveRuns { runs: vec![run_id(1), run_id(2), run_id(3)] });
    assert_eq!(
        (applied.reply, applied.events),
        (Reply::Removed { runs: 1 }, vec![Event::RunRemoved { run: run_id(1) }])
    );
    assert_eq!(machine.state.run_of(&plan(1, &[]).request), None);
    assert_eq!(machine.state.run_of(&plan(2, &[]).request), Some(run_id(2)));
}

#[test]
fn the_state_keeps_the_latest_time_when_a_clock_steps_back() {
    let mut machine = Machine { now: Timestamp(50), ..Machine::default() };
    machine.submit(plan(1, &[]));
    machine.now = Timestamp(20);
    machine.submit(plan(2, &[]));
    assert_eq!(machine.state.at(), Timestamp(50));
    assert_eq!(machine.state.run(&run_id(2)).unwrap().submitted_at, Timestamp(50));
}

/// A hook in front of the nodes, and two behind them.
fn hooked(run: u64, nodes: &[(&str, &[u32])]) -> RunPlan {
    let last = nodes.len() as u32;
    let behind: Vec<u32> = (1..=last).collect();
    let upstreams: Vec<Vec<u32>> = nodes.iter().map(|(_, up)| [&[0], *up].concat()).collect();
    let mut tasks: Vec<(&str, &[u32])> = vec![("start", &[])];
    tasks.extend(nodes.iter().zip(&upstreams).map(|((name, _), upstreams)| (*name, upstreams.as_slice())));
    let first_end = [last + 1];
    tasks.extend([("grant", behind.as_slice()), ("tell", first_end.as_slice())]);
    let mut plan = plan(run, &tasks);
    for index in [0, last + 1, last + 2] {
        let task = &mut plan.tasks[index as usize];
        task.node = format!("operation.shop.{}", tasks[index as usize].0).as_str().into();
    }
    plan
}

fn hook_state(machine: &Machine, name: &str) -> TaskState {
    let node = format!("operation.shop.{name}").as_str().into();
    machine.state.run(&run_id(1)).unwrap().task(&node).unwrap().state.clone()
}

#[test]
fn hooks_behind_the_nodes_follow_whatever_became_of_them() {
    let mut machine = Machine::default();
    machine.register("w", 2);
    let start = machine.submit(hooked(1, &[("a", &[]), ("b", &[1]), ("c", &[])]));
    assert_eq!(names(&start), ["start"]);
    let nodes = machine.succeed(&start[0]);
    assert_eq!(names(&nodes), ["a", "c"]);
    assert_eq!(assigned(&machine.report(failure(&nodes[0], FailureKind::User))), []);
    assert_eq!(machine.task(1, "b"), TaskState::UpstreamFailed);
    let grant = machine.succeed(&nodes[1]);
    assert_eq!(names(&grant), ["grant"]);
    // Among themselves, the first that fails ends them.
    let applied = machine.report(failure(&grant[0], FailureKind::User));
    assert_eq!(hook_state(&machine, "tell"), TaskState::UpstreamFailed);
    let counts = Counts { total: 6, success: 2, failed: 2, upstream_failed: 2, ..Counts::default() };
    let finished = Event::RunFinished { run: run_id(1), outcome: RunOutcome::Failed, counts };
    assert_eq!(applied.events.last(), Some(&finished));
}

#[test]
fn a_hook_that_fails_in_front_leaves_only_the_hooks_behind() {
    let mut machine = Machine::default();
    machine.register("w", 2);
    let mut plan = hooked(1, &[("a", &[]), ("b", &[1])]);
    plan.fail_fast = true;
    let start = machine.submit(plan);
    let grant = assigned(&machine.report(failure(&start[0], FailureKind::User)));
    assert_eq!((machine.task(1, "a"), machine.task(1, "b")), (TaskState::UpstreamFailed, TaskState::UpstreamFailed));
    assert_eq!(names(&grant), ["grant"]);
    let tell = machine.succeed(&grant[0]);
    machine.succeed(&tell[0]);
    assert!(machine.state.run(&run_id(1)).unwrap().is_finished());
}

#[test]
fn hooks_follow_a_run_that_fails_fast_but_not_a_canceled_one() {
    let mut machine = Machine::default();
    machine.register("w", 2);
    let mut plan = hooked(1, &[("a", &[]), ("b", &[]), ("c", &[1])]);
    plan.fail_fast = true;
    let start = machine.submit(plan);
    let nodes = machine.succeed(&start[0]);
    assert_eq!(assigned(&machine.report(failure(&nodes[0], FailureKind::User))), []);
    let grant = assigned(&machine.report(canceled(&nodes[1])));
    assert_eq!(names(&grant), ["grant"]);
    machine.cancel(1);
    assert_eq!(hook_state(&machine, "tell"), TaskState::Canceled);
    machine.report(canceled(&grant[0]));
    assert!(machine.state.run(&run_id(1)).unwrap().is_finished());
}

#[test]
fn a_retry_repeats_the_hooks_around_what_it_does() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let start = machine.submit(hooked(1, &[("a", &[]), ("b", &[])]));
    let a = machine.succeed(&start[0]);
    let b = machine.succeed(&a[0]);
    let grant = assigned(&machine.report(failure(&b[0], FailureKind::User)));
    let tell = machine.succeed(&grant[0]);
    machine.succeed(&tell[0]);
    let applied = machine.retry(1);
    assert_eq!(applied.reply, Reply::Retried { tasks: 4 });
    let again = assigned(&applied);
    assert_eq!((names(&again), again[0].attempt), (vec!["start"], Attempt(2)));
    // Restored from its bytes, the run goes on alike.
    machine.state = State::from_bytes(&machine.state.to_bytes()).unwrap();
    machine.register("w", 1);
    let again = machine.state.assignments(&worker("w"));
    let mut done = vec![];
    let mut next = again;
    while let Some(assignment) = next.pop() {
        done.extend(names(std::slice::from_ref(&assignment)).into_iter().map(str::to_owned));
        next = machine.succeed(&assignment);
    }
    assert_eq!(done, ["start", "b", "grant", "tell"]);
    let run = machine.state.run(&run_id(1)).unwrap();
    assert!(matches!(run.state, RunState::Finished { outcome: RunOutcome::Success, .. }));
    assert_eq!(run.selected().map(|node| node.as_str()).collect::<Vec<_>>(), ["model.shop.a", "model.shop.b"]);
}

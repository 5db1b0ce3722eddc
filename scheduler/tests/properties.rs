//! Random sequences of commands, most of them wrong: nothing panics, every invariant holds after every one, and two replicas
//! that apply the same entries agree.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use common::run::{PlannedTask, RunPlan};
use common::task::{Assignment, FailureKind, TaskReport};
use common::{Attempt, Epoch};
use proptest::collection::vec;
use proptest::prelude::*;
use scheduler::State;
use scheduler::state::invariants;
use scheduler::state::{CancelCause, Command};
use support::*;

/// Names are few, so that commands meet.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn any_plan() -> impl Strategy<Value = RunPlan> {
    // An upstream of 9 does not exist; equal names and pools without places are refused.
    let task = (0..NAMES.len(), vec(prop_oneof![20 => 0u32..4, 1 => Just(9)], 0..3), 0u64..3, 0usize..4);
    let places = prop_oneof![20 => 1u32..3, 1 => Just(0)];
    (1u64..5, 1u64..5, vec(task, 0..5), places, any::<bool>(), 0u32..4).prop_map(
        |(run, request, tasks, places, fail_fast, attempts_max)| {
            let mut plan = plan(run, &[]);
            plan.request = support::plan(request, &[]).request;
            plan.tasks = tasks
                .into_iter()
                .enumerate()
                .map(|(index, (name, upstreams, priority, pools))| {
                    let ok = |upstream: &u32| *upstream == 9 || (*upstream as usize) < index;
                    let node = node(if name == 3 { "a" } else { NAMES[index % 4] });
                    let upstreams = upstreams.into_iter().filter(ok).collect();
                    PlannedTask {
                        priority,
                        pools: if pools == 0 { vec!["heavy".to_owned()] } else { vec![] },
                        relation: Some(node.to_string()),
                        ..PlannedTask::new(node, upstreams)
                    }
                })
                .collect();
            plan.pools.insert("heavy".to_owned(), places);
            plan.fail_fast = fail_fast;
            plan.retry.attempts_max = attempts_max;
            plan
        },
    )
}

fn any_assignment() -> impl Strategy<Value = Assignment> {
    (1u64..5, 0..NAMES.len(), 0u32..4, 0u64..40)
        .prop_map(|(run, name, attempt, epoch)| assignment(run, NAMES[name], attempt, epoch))
}

/// An attempt that lives, chosen by number when it is known what lives; or any at all.
#[derive(Clone, Debug)]
enum Told {
    Live(usize),
    Made(Assignment),
}

#[derive(Clone, Debug)]
enum Action {
    Command(Command),
    Report(Vec<(Told, usize)>),
    Hello { worker: &'static str, slots: u32, running: Vec<Told> },
    Advance(u64),
}

fn any_told() -> impl Strategy<Value = Told> {
    prop_oneof![4 => (0usize..16).prop_map(Told::Live), 1 => any_assignment().prop_map(Told::Made)]
}

fn any_worker() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("v"), Just("w"), Just("x")]
}

fn any_action() -> impl Strategy<Value = Action> {
    let run = || (1u64..6).prop_map(run_id);
    let cause = prop_oneof![Just(CancelCause::Request), Just(CancelCause::Superseded), Just(CancelCause::Interrupted)];
    let hello = (any_worker(), 0u32..4, vec(any_told(), 0..3));
    let retry = |run| Action::Command(Command::RetryRun { run, manifest_digest: "m".to_owned() });
    prop_oneof![
        6 => any_plan().prop_map(|plan| Action::Command(submit(plan))),
        16 => vec((any_told(), 0usize..6), 1..4).prop_map(Action::Report),
        4 => hello.prop_map(|(worker, slots, running)| Action::Hello { worker, slots, running }),
        2 => any_worker().prop_map(|name| Action::Command(Command::LoseWorker { worker: worker(name) })),
        1 => any_worker().prop_map(|name| Action::Command(Command::DrainWorker { worker: worker(name) })),
        3 => Just(Action::Command(Command::PromoteRetries)),
        3 => (0u64..300).prop_map(Action::Advance),
        1 => (run(), cause).prop_map(|(run, cause)| Action::Command(Command::CancelRun { run, cause })),
        3 => run().prop_map(retry),
        1 => vec(run(), 0..3).prop_map(|runs| Action::Command(Command::RemoveRuns { runs })),
    ]
}

fn resolve(state: &State, told: Told) -> Assignment {
    match told {
        Told::Made(assignment) => assignment,
        Told::Live(number) => {
            let live: Vec<Assignment> = state.workers().flat_map(|(worker, _)| state.assignments(worker)).collect();
            let nobody = assignment(9, "a", 1, 1);
            live.get(number % live.len().max(1)).cloned().unwrap_or(nobody)
        }
    }
}

fn ended(of: &Assignment, how: usize) -> TaskReport {
    match how {
        0 => failure(of, FailureKind::Transient),
        1 => failure(of, FailureKind::User),
        2 => canceled(of),
        3 => failure(of, FailureKind::Fenced),
        _ => success(of),
    }
}

fn play(machine: &mut Machine, action: Action) -> Option<Command> {
    let command = match action {
        Action::Advance(ms) => {
            machine.advance(Duration::from_millis(ms));
            return None;
        }
        Action::Command(command) => command,
        Action::Report(reports) => {
            let reports = reports.into_iter().map(|(told, how)| ended(&resolve(&machine.state, told), how));
            Command::ReportTasks { reports: reports.collect() }
        }
        Action::Hello { worker: name, slots, running } => {
            let running = running.into_iter().map(|told| resolve(&machine.state, told)).collect();
            register(name, slots, running)
        }
    };
    machine.apply(command.clone());
    Some(command)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_commanded_the_invariants_hold(actions in vec(any_action(), 1..60)) {
        let mut machine = Machine::default();
        let mut replica = State::default();
        for action in actions {
            // `Machine::apply` checks every invariant.
            if let Some(command) = play(&mut machine, action) {
                replica.apply(replica.applied() + 1, machine.now, command);
                prop_assert_eq!(replica.digest(), machine.state.digest());
            }
        }
    }

    #[test]
    fn a_state_read_back_from_a_snapshot_goes_on_alike(
        before in vec(any_action(), 1..30),
        after in vec(any_action(), 1..15),
    ) {
        let mut machine = Machine::default();
        for action in before {
            play(&mut machine, action);
        }
        let bytes = postcard::to_stdvec(&machine.state).unwrap();
        let mut restored: State = postcard::from_bytes(&bytes).unwrap();
        restored.restore();
        for action in after {
            let Some(command) = play(&mut machine, action) else { continue };
            restored.apply(restored.applied() + 1, machine.now, command);
            prop_assert_eq!(restored.digest(), machine.state.digest());
            invariants::check(&restored).unwrap();
        }
    }

    #[test]
    fn when_workers_report_success_every_run_ends(plans in vec(any_plan(), 1..4)) {
        let mut machine = Machine::default();
        machine.register("w", 2);
        for plan in plans {
            machine.submit(plan);
        }
        for _ in 0..100 {
            let live = machine.state.assignments(&worker("w"));
            let Some(first) = live.first() else { break };
            machine.succeed(first);
        }
        prop_assert!(machine.state.runs().all(|run| run.is_finished() && run.counts().success == run.counts().total));
    }
}

#[test]
fn attempts_that_nobody_made_are_stale() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    machine.submit(plan(1, &[("a", &[])]));
    for (attempt, epoch) in [(0, 0), (u32::MAX, u64::MAX), (1, 1), (2, 2)] {
        let told = Assignment { attempt: Attempt(attempt), epoch: Epoch(epoch), ..assignment(1, "a", 0, 0) };
        assert!(machine.report(success(&told)).events.is_empty());
    }
}

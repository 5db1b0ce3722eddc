//! The in-process leader with a worker on a thread of its own, over a real folder.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and talk")]

mod support;

use std::sync::mpsc::Receiver;
use std::time::Duration;

use common::session::{LeaderMessage, WorkerMessage};
use common::task::{Assignment, FailureKind, TaskReport, TaskState};
use scheduler::local::{self, CancelCause, Config, Event, Handle, Session, Submission, Update};
use scheduler::state::{Counts, RunOutcome, RunState};
use support::*;

fn open(folder: &tempfile::TempDir) -> Handle {
    local::start(Config::new(folder.path())).unwrap()
}

fn submission(plan: common::run::RunPlan) -> Submission {
    Submission::new(plan, options(), "m1")
}

fn connect(handle: &Handle, name: &str, slots: u32) -> Session {
    let session = handle.connect_worker().unwrap();
    session.0.blocking_send(hello(name, slots, vec![])).unwrap();
    session
}

fn next_assignment(session: &mut Session) -> Assignment {
    loop {
        if let LeaderMessage::Assign(assignment) = session.1.blocking_recv().unwrap() {
            return assignment;
        }
    }
}

fn tell(session: &Session, report: TaskReport) {
    session.0.blocking_send(WorkerMessage::Report(Box::new(report))).unwrap();
}

/// Reports success for `count` tasks.
fn work(session: &mut Session, count: usize) {
    for _ in 0..count {
        let assignment = next_assignment(session);
        let Assignment { run, node, epoch, .. } = assignment.clone();
        session.0.blocking_send(WorkerMessage::Started { run, node, epoch }).unwrap();
        let mut report = success(&assignment);
        report.result.compiled_code = Some(format!("select * from {}", assignment.node));
        tell(session, report);
    }
}

fn outcome(updates: Receiver<Update>) -> RunOutcome {
    let finished = updates.into_iter().find_map(|update| match update {
        Update::Event(Event::RunFinished { outcome, .. }) => Some(outcome),
        _ => None,
    });
    finished.unwrap()
}

#[test]
fn a_run_from_submission_to_its_last_event() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    let updates = handle.subscribe(run_id(1)).unwrap();
    let mut session = connect(&handle, "w", 2);
    let run = handle.submit(submission(plan(1, &[("a", &[]), ("b", &[0])]))).unwrap();
    assert_eq!(run, run_id(1));
    work(&mut session, 2);

    let seen: Vec<String> = updates
        .into_iter()
        .map(|update| match update {
            Update::Started { node, .. } => format!("started {node}"),
            Update::Event(Event::RunSubmitted { .. }) => "submitted".to_owned(),
            Update::Event(Event::TaskAssigned { assignment, .. }) => format!("assigned {}", assignment.node),
            Update::Event(Event::TaskFinished { ending, .. }) => {
                format!("finished: {}", ending.unwrap().result.clone().unwrap().compiled_code.unwrap())
            }
            Update::Event(Event::RunFinished { outcome, .. }) => format!("run: {outcome:?}"),
            update => panic!("{update:?}"),
        })
        .collect();
    let expected = [
        "submitted",
        "assigned model.shop.a",
        "started model.shop.a",
        "finished: select * from model.shop.a",
        "assigned model.shop.b",
        "started model.shop.b",
        "finished: select * from model.shop.b",
        "run: Success",
    ];
    assert_eq!(seen, expected);

    let view = handle.last_run().unwrap().unwrap();
    assert_eq!(view.counts, Counts { total: 2, success: 2, ..Counts::default() });
    // The log does not keep compiled code.
    assert_eq!(view.tasks[0].ending.as_ref().unwrap().result.as_ref().unwrap().compiled_code, None);
    assert_eq!(view.options, options());
    assert_eq!(handle.durations().unwrap().get(&node("a")), Some(&Duration::from_millis(250)));
    handle.shutdown();
    assert!(handle.last_run().is_err());
}

#[test]
fn a_report_is_acknowledged_and_may_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    let mut session = connect(&handle, "w", 1);
    handle.submit(submission(plan(1, &[("a", &[])]))).unwrap();
    let assignment = next_assignment(&mut session);
    let Assignment { run, node, epoch, .. } = assignment.clone();
    for _ in 0..2 {
        tell(&session, success(&assignment));
        let acknowledged = LeaderMessage::Acknowledged { run, node: node.clone(), epoch };
        assert_eq!(session.1.blocking_recv(), Some(acknowledged));
    }
    assert_eq!(handle.run(run_id(1)).unwrap().unwrap().counts.success, 1);
    handle.shutdown();
}

#[test]
fn what_a_dead_process_left_is_interrupted_and_retry_goes_on_under_higher_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let first = {
        let handle = open(&folder);
        let mut session = connect(&handle, "w", 1);
        handle.submit(submission(plan(1, &[("a", &[]), ("b", &[0]), ("c", &[1])]))).unwrap();
        work(&mut session, 1);
        let interrupted = next_assignment(&mut session);
        handle.shutdown();
        interrupted
    };
    let handle = open(&folder);
    let view = handle.last_run().unwrap().unwrap();
    let outcome_before = RunOutcome::Canceled(CancelCause::Interrupted);
    assert!(matches!(view.state, RunState::Finished { outcome, .. } if outcome == outcome_before));
    let states: Vec<_> = view.tasks.iter().map(|task| task.state.clone()).collect();
    assert_eq!(states, [TaskState::Success, TaskState::Canceled, TaskState::Canceled]);

    // A worker that registers gets nothing until somebody asks for a retry.
    let mut session = connect(&handle, "v", 1);
    let updates = handle.subscribe(run_id(1)).unwrap();
    assert_eq!(handle.retry(run_id(1), "m2").unwrap(), 2);
    let again = next_assignment(&mut session);
    assert_eq!((&again.node, again.attempt.0), (&first.node, 2));
    assert!(again.epoch > first.epoch);
    // The dead process's report, late: it changes nothing.
    tell(&session, success(&first));
    tell(&session, success(&again));
    work(&mut session, 1);
    assert_eq!(outcome(updates), RunOutcome::Success);
    assert_eq!(
        handle.retry(run_id(1), "m2").unwrap_err().to_string(),
        format!("every task of run {} succeeded", run_id(1))
    );
    handle.shutdown();
}

#[test]
fn a_new_run_supersedes_an_unfinished_one() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    handle.submit(submission(plan(1, &[("a", &[])]))).unwrap();
    handle.submit(submission(plan(2, &[("a", &[])]))).unwrap();
    let view = handle.run(run_id(1)).unwrap().unwrap();
    let superseded = RunOutcome::Canceled(CancelCause::Superseded);
    assert!(matches!(view.state, RunState::Finished { outcome, .. } if outcome == superseded));
    // The same request again is the same run, and supersedes nothing.
    assert_eq!(handle.submit(submission(plan(2, &[("a", &[])]))).unwrap(), run_id(2));
    assert_eq!(handle.run(run_id(2)).unwrap().unwrap().state, RunState::Active);
    handle.shutdown();
}

#[test]
fn cancelling_reaches_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    let mut session = connect(&handle, "w", 1);
    handle.submit(submission(plan(1, &[("a", &[]), ("b", &[])]))).unwrap();
    let assignment = next_assignment(&mut session);
    let updates = handle.subscribe(run_id(1)).unwrap();
    handle.cancel(run_id(1)).unwrap();
    let Assignment { run, node, epoch, .. } = assignment.clone();
    assert_eq!(session.1.blocking_recv(), Some(LeaderMessage::Cancel { run, node, epoch }));
    tell(&session, canceled(&assignment));
    assert_eq!(outcome(updates), RunOutcome::Canceled(CancelCause::Request));
    handle.shutdown();
}

#[test]
fn a_worker_that_hangs_up_is_lost_and_another_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    let mut first = connect(&handle, "w", 1);
    handle.submit(submission(plan(1, &[("a", &[])]))).unwrap();
    next_assignment(&mut first);
    drop(first);
    let mut second = connect(&handle, "v", 1);
    assert_eq!(next_assignment(&mut second).attempt.0, 2);
    handle.shutdown();
}

#[test]
fn an_attached_worker_is_called_on_the_leaders_thread_until_it_stops_listening() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    let (sender, receiver) = std::sync::mpsc::sync_channel(8);
    let deliver = move |messages| sender.send((messages, std::thread::current().name().map(str::to_owned))).is_ok();
    let uplink = handle.attach(deliver).unwrap();
    uplink.send(hello("w", 1, vec![])).unwrap();
    let updates = handle.subscribe(run_id(1)).unwrap();
    handle.submit(submission(plan(1, &[("a", &[]), ("b", &[0])]))).unwrap();
    let (messages, thread): (Vec<LeaderMessage>, _) = receiver.recv().unwrap();
    assert_eq!(thread.as_deref(), Some("leader"));
    let [LeaderMessage::Assign(assignment)] = &messages[..] else { panic!("{messages:?}") };
    drop(receiver);
    uplink.send(WorkerMessage::Report(Box::new(success(assignment)))).unwrap();
    // Nobody hears the next assignment: the worker is lost and another one gets the task.
    let mut second = connect(&handle, "v", 1);
    let again = next_assignment(&mut second);
    assert_eq!(again.node, node("b"));
    tell(&second, success(&again));
    assert_eq!(outcome(updates), RunOutcome::Success);
    handle.shutdown();
}

#[test]
fn a_transient_failure_is_tried_again_when_its_time_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    let mut session = connect(&handle, "w", 1);
    let mut plan = plan(1, &[("a", &[])]);
    plan.retry.backoff_initial_ms = 1;
    handle.submit(submission(plan)).unwrap();
    let assignment = next_assignment(&mut session);
    tell(&session, failure(&assignment, FailureKind::Transient));
    assert_eq!(next_assignment(&mut session).attempt.0, 2);
    handle.shutdown();
}

#[test]
fn a_second_leader_in_the_same_folder_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let handle = open(&folder);
    let error = local::start(Config::new(folder.path())).err().unwrap();
    assert!(error.is_locked(), "{error}");
    handle.shutdown();
    open(&folder).shutdown();
}

#[test]
fn old_runs_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let handle = local::start(Config { runs_kept: 2, ..Config::new(folder.path()) }).unwrap();
    for run in 1..=4 {
        handle.submit(submission(plan(run, &[]))).unwrap();
    }
    // The next turn of the leader forgets; a retry of nothing makes it turn.
    assert!(handle.retry(run_id(9), "m").is_err());
    let kept = handle.read(|state| state.runs().map(|run| run.id).collect::<Vec<_>>()).unwrap();
    assert_eq!(kept, [run_id(3), run_id(4)]);
    handle.shutdown();
}

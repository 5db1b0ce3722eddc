//! What only a cluster needs of the state machine: timeouts, priorities, pools, labels, projects, journals, entries of others.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use common::bundle::BundleFile;
use common::run::Deployed;
use common::session::WorkerDescription;
use common::task::{FailureKind, FailureKinds, TaskState};
use common::{ContentDigest, Epoch, NodeId, Timestamp};
use scheduler::leader::{Leader, Policy, SessionId, Ticket};
use scheduler::state::projects::digest;
use scheduler::state::{CancelCause, Command, Counts, Event, Reply, RunOutcome, State, StopCause, Submission};
use scheduler::{LogEntry, Proposer};
use support::*;

#[test]
fn an_attempt_out_of_time_fails_and_its_worker_is_told() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let mut plan = plan(1, &[("a", &[])]);
    plan.task_timeout = Some(Duration::from_secs(2));
    plan.retry.kinds = FailureKinds::one(FailureKind::Timeout);
    plan.retry.attempts_max = 2;
    let first = machine.submit(plan);
    assert_eq!(machine.state.next_timeout(), Some(Timestamp(2_000_000)));
    machine.now = Timestamp(1_999_999);
    assert_eq!(machine.apply(Command::EnforceTimeouts).events, []);
    machine.now = Timestamp(2_000_000);
    let applied = machine.apply(Command::EnforceTimeouts);
    let epoch = first[0].epoch;
    let cancel = Event::TaskCancelRequested { worker: worker("w"), run: run_id(1), node: node("a"), epoch };
    assert_eq!(applied.events[0], cancel);
    assert!(matches!(&applied.events[1], Event::TaskUpForRetry { kind: FailureKind::Timeout, .. }));
    // The worker's own word comes too late.
    assert_eq!(machine.report(canceled(&first[0])).events, []);
    machine.now = machine.state.next_retry().unwrap();
    let second = assigned(&machine.apply(Command::PromoteRetries));
    machine.advance(Duration::from_secs(2));
    machine.apply(Command::EnforceTimeouts);
    assert_eq!(machine.task(1, "a"), TaskState::Failed(FailureKind::Timeout));
    assert_eq!(machine.state.next_timeout(), None);
    let tried = machine.state.run(&run_id(1)).unwrap().attempts(0);
    let ended: Vec<_> = tried.iter().map(|tried| (tried.epoch, tried.ended_at.is_some())).collect();
    assert_eq!(ended, [(first[0].epoch, true), (second[0].epoch, true)]);
    assert_eq!(tried[0].failure.as_ref().unwrap().message, "the attempt took longer than the 2s that the run allows");
}

#[test]
fn a_run_out_of_time_is_canceled_and_a_retry_has_its_time_again() {
    let mut machine = Machine::default();
    let mut plan = plan(1, &[("a", &[])]);
    plan.timeout = Some(Duration::from_secs(60));
    machine.submit(plan);
    machine.now = Timestamp(60_000_000);
    let applied = machine.apply(Command::EnforceTimeouts);
    let cause = StopCause::Canceled(CancelCause::Timeout);
    assert_eq!(applied.events[0], Event::RunStopping { run: run_id(1), cause });
    let counts = Counts { total: 1, canceled: 1, ..Counts::default() };
    let outcome = RunOutcome::Canceled(CancelCause::Timeout);
    assert_eq!(applied.events.last(), Some(&Event::RunFinished { run: run_id(1), outcome, counts }));
    assert_eq!(machine.state.next_timeout(), None);
    machine.retry(1);
    assert_eq!(machine.state.next_timeout(), Some(Timestamp(120_000_000)));
}

#[test]
fn runs_of_a_higher_priority_go_first() {
    let mut machine = Machine::default();
    for (run, priority) in [(1, 0), (2, 5), (3, -5)] {
        let mut plan = plan(run, &[(["x", "y", "z"][run as usize - 1], &[])]);
        plan.priority = priority;
        machine.submit(plan);
    }
    assert_eq!(names(&machine.register("w", 3)), ["y", "x", "z"]);
}

#[test]
fn an_operators_limit_goes_before_the_plans() {
    let mut machine = Machine::default();
    let mut plan = plan(1, &[("a", &[]), ("b", &[]), ("c", &[])]);
    plan.pools.insert("warehouse".to_owned(), 3);
    for task in &mut plan.tasks {
        task.pools = vec!["warehouse".to_owned()];
    }
    let set = |places| Command::SetPool { pool: "warehouse".to_owned(), places };
    machine.apply(set(Some(1)));
    machine.submit(plan);
    let first = machine.register("w", 3);
    assert_eq!(names(&first), ["a"]);
    assert_eq!(names(&assigned(&machine.apply(set(Some(2))))), ["b"]);
    assert_eq!(machine.state.in_pool("warehouse"), 2);
    // Lowered: what runs goes on, nothing new starts.
    machine.apply(set(Some(0)));
    assert_eq!(machine.succeed(&first[0]), []);
    assert_eq!(names(&assigned(&machine.apply(set(None)))), ["c"]);
}

#[test]
fn a_pool_that_only_operators_define_is_known() {
    let mut machine = Machine::default();
    machine.apply(Command::SetPool { pool: "tag:heavy".to_owned(), places: Some(1) });
    let mut plan = plan(1, &[("a", &[]), ("b", &[])]);
    for task in &mut plan.tasks {
        task.pools = vec!["tag:heavy".to_owned()];
    }
    machine.submit(plan);
    assert_eq!(names(&machine.register("w", 2)), ["a"]);
}

#[test]
fn tasks_go_to_workers_that_carry_the_labels() {
    let mut machine = Machine::default();
    let mut zoned = plan(1, &[("a", &[])]);
    zoned.worker_labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    machine.submit(zoned);
    machine.submit(plan(2, &[("b", &[])]));
    let mut hello = |name: &str, zone: &str| {
        let labels = BTreeMap::from([("zone".to_owned(), zone.to_owned()), ("size".to_owned(), "xl".to_owned())]);
        let description = WorkerDescription { labels, ..WorkerDescription::default() };
        let command = Command::RegisterWorker { worker: worker(name), slots: 4, running: vec![], description };
        names(&assigned(&machine.apply(command))).join(" ")
    };
    assert_eq!(hello("v", "b"), "b");
    assert_eq!(hello("w", "a"), "a");
}

#[test]
fn two_projects_never_write_the_same_relation_at_once() {
    let mut machine = Machine::default();
    machine.register("w", 4);
    let mut other = plan(2, &[("renamed", &[])]);
    other.tasks[0].relation = Some("shop.main.a".to_owned());
    let mut test = plan(3, &[("test", &[])]);
    test.tasks[0].relation = None;
    let first = machine.submit(plan(1, &[("a", &[])]));
    assert_eq!(machine.submit(other), []);
    // What writes nothing waits for nobody.
    assert_eq!(names(&machine.submit(test)), ["test"]);
    assert_eq!(names(&machine.succeed(&first[0])), ["renamed"]);
}

#[test]
fn a_worker_that_drains_does_so_until_it_is_gone() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    machine.apply(Command::DrainWorker { worker: worker("w") });
    machine.submit(plan(1, &[("a", &[])]));
    assert_eq!(machine.register("w", 1), []);
    assert!(machine.state.worker(&worker("w")).unwrap().draining);
}

#[test]
fn a_run_again_from_a_node_has_it_and_what_is_downstream_and_what_failed() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let tasks: [(&str, &[u32]); 5] = [("a", &[]), ("b", &[0]), ("c", &[1]), ("d", &[0]), ("e", &[])];
    let mut next = machine.submit(plan(1, &tasks));
    while let Some(running) = next.first().cloned() {
        let fails = running.node == node("e");
        let report = if fails { failure(&running, FailureKind::User) } else { success(&running) };
        next = assigned(&machine.report(report));
    }
    let run = machine.state.run(&run_id(1)).unwrap();
    let request = plan(2, &[]).request;
    let again = run.again_from(&[node("b")], run_id(2), request.clone()).unwrap();
    let tasks: Vec<_> = again.plan.tasks.iter().map(|task| (task.node.clone(), task.upstreams.clone())).collect();
    assert_eq!(tasks, [(node("b"), vec![]), (node("c"), vec![0]), (node("e"), vec![])]);
    let unknown = run.again_from(&[NodeId::new("model.shop.zz")], run_id(2), request).unwrap_err();
    assert_eq!(unknown.to_string(), "the run has no task model.shop.zz");
    let applied = machine.apply(Command::SubmitRun(Box::new(again)));
    assert_eq!(names(&assigned(&applied)), ["b"]);
}

fn put(digest: u8, size: u64, offset: u64, bytes: usize) -> Command {
    Command::PutBlob { digest: ContentDigest([digest; 32]), size, offset, bytes: vec![0; bytes] }
}

fn file(path: &str, digest: u8) -> BundleFile {
    BundleFile { path: path.to_owned(), digest: ContentDigest([digest; 32]), size: 10 }
}

fn deploy(files: Vec<BundleFile>) -> Command {
    Command::DeployProject { project: "shop".to_owned(), bundle: digest(&files), files, revision: "r".to_owned() }
}

#[test]
fn files_arrive_in_pieces_and_a_piece_may_come_twice() {
    let mut machine = Machine::default();
    assert_eq!(machine.apply(put(1, 10, 0, 6)).reply, Reply::Received { bytes: 6 });
    assert_eq!(machine.apply(put(1, 10, 0, 6)).reply, Reply::Received { bytes: 6 });
    let out_of_place = "the piece does not go on from byte 6 of the file's 10";
    for wrong in [put(1, 10, 7, 3), put(1, 9, 6, 3), put(1, 10, 6, 5)] {
        assert_eq!(rejected(&machine.apply(wrong)), out_of_place);
    }
    let missing = format!("1 files of the bundle have not been uploaded, {} among them", ContentDigest([1; 32]));
    assert_eq!(rejected(&machine.apply(deploy(vec![file("a.sql", 1)]))), missing);
    assert_eq!(machine.apply(put(1, 10, 6, 4)).reply, Reply::Received { bytes: 10 });
    assert_eq!(machine.apply(deploy(vec![file("a.sql", 1)])).reply, Reply::Deployed { changed: true });
    assert_eq!(machine.apply(deploy(vec![file("a.sql", 1)])).reply, Reply::Deployed { changed: false });
}

/// A run of a deployed project on the DuckDB file `shop`.
fn on_a_file(run: u64, tasks: &[(&str, &[u32])]) -> Command {
    let deployed = Deployed { project: "shop".to_owned(), bundle: digest(&[file("a.sql", 0)]), target: target() };
    let submission = Submission::new(plan(run, tasks), options(), "m1");
    Command::SubmitRun(Box::new(Submission { deployed: Some(deployed), ..submission }))
}

fn deployed() -> Machine {
    let mut machine = Machine::default();
    machine.apply(put(0, 10, 0, 10));
    machine.apply(deploy(vec![file("a.sql", 0)]));
    machine
}

#[test]
fn a_duckdb_file_has_one_writer_whoever_joins() {
    let mut machine = deployed();
    machine.register("v", 1);
    let first = assigned(&machine.apply(on_a_file(1, &[("a", &[]), ("b", &[]), ("c", &[])])));
    assert_eq!(names(&first), ["a"]);
    assert_eq!(machine.register("w", 4), []);
    assert_eq!(assigned(&machine.apply(on_a_file(2, &[("d", &[])]))), []);
    // What is elsewhere is not kept back.
    assert_eq!(names(&machine.submit(plan(3, &[("e", &[])]))), ["e"]);
    machine.state = State::from_bytes(&machine.state.to_bytes()).unwrap();
    assert_eq!(names(&machine.succeed(&first[0])), ["b"]);
    // One that leaves finishes what it holds; then the file is another's.
    machine.apply(Command::DrainWorker { worker: worker("v") });
    let held = machine.state.assignments(&worker("v"));
    assert_eq!(names(&machine.succeed(&held[0])), ["c", "d"]);
    assert_eq!(machine.state.assignments(&worker("w")).len(), 3);
}

#[test]
fn the_file_of_a_lost_worker_is_another_s() {
    let mut machine = deployed();
    machine.register("v", 2);
    machine.apply(on_a_file(1, &[("a", &[]), ("b", &[]), ("c", &[])]));
    machine.register("u", 1);
    machine.register("w", 2);
    let applied = machine.apply(Command::LoseWorker { worker: worker("v") });
    assert_eq!(names(&assigned(&applied)), ["a", "b"]);
    assert_eq!(machine.state.assignments(&worker("w")).len(), 2);
}

#[test]
fn labels_of_a_run_go_before_whoever_wrote_its_file_last() {
    let mut machine = deployed();
    machine.register("v", 1);
    let first = assigned(&machine.apply(on_a_file(1, &[("a", &[])])));
    let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    let description = WorkerDescription { labels: labels.clone(), ..WorkerDescription::default() };
    machine.apply(Command::RegisterWorker { worker: worker("w"), slots: 1, running: vec![], description });
    let Command::SubmitRun(mut zoned) = on_a_file(2, &[("b", &[])]) else { unreachable!("a submission is one") };
    zoned.plan.worker_labels = labels;
    assert_eq!(assigned(&machine.apply(Command::SubmitRun(zoned))), []);
    assert_eq!(names(&machine.succeed(&first[0])), ["b"]);
    assert_eq!(machine.state.assignments(&worker("w")).len(), 1);
}

#[test]
fn files_are_collected_when_no_bundle_names_them_and_bundles_go_when_nobody_needs_them() {
    let mut machine = Machine::default();
    let collect = |machine: &mut Machine| {
        machine.advance(Duration::from_secs(1));
        machine.apply(Command::CollectBlobs { before: machine.now })
    };
    for number in 0..12 {
        machine.apply(put(number, 10, 0, 10));
    }
    machine.apply(deploy(vec![file("a.sql", 0)]));
    // A run holds the first bundle.
    let bundle = digest(&[file("a.sql", 0)]);
    let deployed = Some(Deployed { project: "shop".to_owned(), bundle, target: target() });
    let submission =
        |run| Submission { deployed: deployed.clone(), ..Submission::new(plan(run, &[]), options(), "m1") };
    machine.apply(Command::SubmitRun(Box::new(submission(1))));
    for number in 1..11 {
        machine.apply(deploy(vec![file("a.sql", number)]));
    }
    assert_eq!(machine.state.projects().deployments("shop").count(), 10);
    // Only the twelfth file is in no bundle.
    let applied = collect(&mut machine);
    assert_eq!(applied.events, [Event::BlobsCollected { digests: vec![ContentDigest([11; 32])] }]);
    machine.apply(Command::RemoveRuns { runs: vec![run_id(1)] });
    let applied = collect(&mut machine);
    assert_eq!(applied.events, [Event::BlobsCollected { digests: vec![ContentDigest([0; 32])] }]);
    let unknown = machine.apply(Command::SubmitRun(Box::new(submission(2))));
    assert_eq!(rejected(&unknown), format!("bundle {bundle} is not deployed"));
    assert_eq!(machine.state.runs().count(), 0);
}

#[test]
fn whoever_watches_goes_on_where_it_stopped() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    let first = machine.submit(plan(1, &[("a", &[]), ("b", &[0])]));
    let second = machine.succeed(&first[0]);
    machine.succeed(&second[0]);
    let run = machine.state.run(&run_id(1)).unwrap();
    // Submitted, assigned, finished, assigned, finished, and the run's end.
    assert_eq!(run.last_sequence(), 6);
    let all: Vec<_> = run.events(0).collect();
    for after in 0..=6 {
        assert_eq!(run.events(after).collect::<Vec<_>>(), all[after as usize..]);
    }
    assert_eq!(run.events(7).count(), 0);
    assert!(matches!(&all[1].event, Event::TaskAssigned { assignment, .. } if assignment.epoch == Epoch(2)));
}

fn leader(state: State, first: Proposer) -> Leader {
    let policy = Policy {
        lease: Duration::from_secs(10),
        lose_on_disconnect: false,
        runs_kept: 10,
        history_kept: None,
        transcripts_kept: None,
    };
    Leader::new(state, policy, first, Timestamp(0))
}

#[test]
fn a_leader_finds_its_own_entries_among_those_of_others() {
    let mut leader = leader(State::default(), Proposer { replica: 1, sequence: 100 });
    leader.propose(Ticket(7), submit(plan(1, &[])));
    let own = leader.take_batch(Timestamp(5)).remove(0);
    assert_eq!(own.proposer, Some(Proposer { replica: 1, sequence: 100 }));
    // Entries of the leader before it, of its own earlier term, and of nobody.
    let of = |proposer, run| LogEntry { proposer, ..LogEntry { command: submit(plan(run, &[])), ..own.clone() } };
    leader.commit(1, of(Some(Proposer { replica: 2, sequence: 100 }), 2));
    leader.commit(2, of(Some(Proposer { replica: 1, sequence: 3 }), 3));
    leader.commit(3, of(None, 4));
    assert_eq!(leader.output().replies, []);
    leader.commit(4, own);
    assert_eq!(leader.output().replies, [(Ticket(7), Reply::Submitted { run: run_id(1), new: true })]);
    assert_eq!(leader.state().runs().count(), 4);
}

#[test]
fn a_leader_that_resigns_says_what_is_not_known() {
    let mut leader = leader(State::default(), Proposer { replica: 1, sequence: 0 });
    leader.connect(SessionId(4));
    leader.propose(Ticket(1), submit(plan(1, &[])));
    leader.take_batch(Timestamp(0));
    leader.propose(Ticket(2), submit(plan(2, &[])));
    let resigned = leader.resign();
    assert_eq!((resigned.unknown, resigned.undone), (vec![Ticket(1)], vec![Ticket(2)]));
    assert_eq!((resigned.sessions, resigned.state.applied()), (vec![SessionId(4)], 0));
}

#[test]
fn what_time_demands_is_proposed_once_until_it_is_applied() {
    let mut machine = Machine::default();
    let mut plan = plan(1, &[("a", &[])]);
    plan.timeout = Some(Duration::from_secs(1));
    machine.submit(plan);
    let mut leader = leader(machine.state, Proposer { replica: 1, sequence: 0 });
    assert_eq!(leader.next_tick(), Some(Timestamp(1_000_000)));
    leader.tick(Timestamp(1_000_000));
    let batch = leader.take_batch(Timestamp(1_000_000));
    assert_eq!(batch[0].command, Command::EnforceTimeouts);
    leader.tick(Timestamp(1_000_001));
    assert!(!leader.has_pending());
    assert_eq!(leader.next_tick(), None);
    leader.commit(2, batch[0].clone());
    leader.tick(Timestamp(1_000_002));
    assert!(!leader.has_pending());
}

#[test]
fn a_worker_that_drains_is_told_again_when_it_returns() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    machine.apply(Command::DrainWorker { worker: worker("w") });
    let mut leader = leader(machine.state, Proposer { replica: 1, sequence: 0 });
    leader.connect(SessionId(1));
    leader.receive(SessionId(1), hello("w", 1, vec![]), Timestamp(0));
    let entry = leader.take_batch(Timestamp(0)).remove(0);
    leader.commit(3, entry);
    assert_eq!(leader.output().messages, [(SessionId(1), common::session::LeaderMessage::Drain)]);
}

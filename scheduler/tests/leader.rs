//! The leader's side of sessions, message by message.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use common::session::{LeaderMessage, WorkerMessage};
use common::task::{Assignment, TaskReport};
use common::transcript::{PACKED_BYTES_MAX, Packed};
use common::{NodeId, Timestamp};
use scheduler::leader::{Leader, Output, Policy, SessionId, Ticket, Update};
use scheduler::state::{CancelCause, Command, Event, State};
use scheduler::{LogEntry, Proposer, priority};
use support::*;

/// How the leader names its first entry.
const FIRST: Proposer = Proposer { replica: 1, sequence: 0 };
const LEASE: Duration = Duration::from_secs(10);

struct Fixture {
    leader: Leader,
    now: Timestamp,
}

impl Fixture {
    fn new(lose_on_disconnect: bool) -> Self {
        let policy =
            Policy { lease: LEASE, lose_on_disconnect, runs_kept: 2, history_kept: None, transcripts_kept: None };
        Self { leader: Leader::new(State::default(), policy, FIRST, Timestamp(0)), now: Timestamp(0) }
    }

    fn tell(&mut self, session: u64, message: WorkerMessage) {
        self.leader.receive(SessionId(session), message, self.now);
    }

    fn hello(&mut self, session: u64, name: &str, running: Vec<Assignment>) -> Output {
        self.leader.connect(SessionId(session));
        self.tell(session, hello(name, 2, running));
        self.turn()
    }

    fn report(&mut self, session: u64, report: TaskReport) {
        self.tell(session, WorkerMessage::Report(Box::new(report)));
    }

    fn propose(&mut self, command: Command) -> Output {
        self.leader.propose(Ticket(1), command);
        self.turn()
    }

    fn turn(&mut self) -> Output {
        self.leader.tick(self.now);
        for entry in self.leader.take_batch(self.now) {
            self.leader.commit(self.leader.state().applied() + 1, entry);
        }
        self.leader.output()
    }
}

fn assign(assignment: &Assignment) -> LeaderMessage {
    LeaderMessage::Assign(assignment.clone())
}

fn acknowledged(of: &Assignment) -> LeaderMessage {
    LeaderMessage::Acknowledged { run: of.run, node: of.node.clone(), epoch: of.epoch }
}

fn cancel(of: &Assignment) -> LeaderMessage {
    LeaderMessage::Cancel { run: of.run, node: of.node.clone(), epoch: of.epoch }
}

#[test]
fn a_session_begins_with_hello() {
    let mut fixture = Fixture::new(false);
    fixture.leader.connect(SessionId(1));
    fixture.tell(1, WorkerMessage::Heartbeat);
    assert_eq!(fixture.turn().closed, [SessionId(1)]);
    // What still arrives on it is not heard.
    fixture.tell(1, hello("w", 1, vec![]));
    assert_eq!(fixture.turn().closed, []);
    assert_eq!(fixture.leader.state().workers().count(), 0);
}

#[test]
fn a_worker_has_one_session_the_latest() {
    let mut fixture = Fixture::new(true);
    fixture.hello(1, "w", vec![]);
    assert_eq!(fixture.hello(2, "w", vec![]).closed, [SessionId(1)]);
    // The end of the older one means nothing any more.
    fixture.leader.disconnect(SessionId(1));
    fixture.turn();
    assert_eq!(fixture.leader.state().workers().count(), 1);
    fixture.leader.disconnect(SessionId(2));
    fixture.turn();
    assert_eq!(fixture.leader.state().workers().count(), 0);
}

#[test]
fn reports_that_arrive_together_share_an_entry_and_are_all_acknowledged() {
    let mut fixture = Fixture::new(false);
    fixture.hello(1, "w", vec![]);
    let output = fixture.propose(submit(plan(1, &[("a", &[]), ("b", &[]), ("c", &[0])])));
    let (a, b) = (assignment(1, "a", 1, 2), assignment(1, "b", 1, 2));
    assert_eq!(output.messages, [(SessionId(1), assign(&a)), (SessionId(1), assign(&b))]);
    for of in [&a, &b, &a] {
        fixture.report(1, success(of));
    }
    let output = fixture.turn();
    assert_eq!(fixture.leader.state().applied(), 3);
    let next = assignment(1, "c", 1, 3);
    let expected = [acknowledged(&a), acknowledged(&b), acknowledged(&a), assign(&next)];
    assert_eq!(output.messages, expected.map(|message| (SessionId(1), message)));
}

#[test]
fn compiled_code_reaches_subscribers_and_not_the_log() {
    let mut fixture = Fixture::new(false);
    fixture.hello(1, "w", vec![]);
    fixture.propose(submit(plan(1, &[("a", &[])])));
    let of = assignment(1, "a", 1, 2);
    let mut stale = success(&Assignment { attempt: common::Attempt(9), ..of.clone() });
    stale.result.compiled_code = Some("stale".to_owned());
    let mut report = success(&of);
    report.result.compiled_code = Some("select 1".to_owned());
    fixture.report(1, report);
    fixture.report(1, stale);
    let mut entries = fixture.leader.take_batch(Timestamp(0));
    let Command::ReportTasks { reports } = &entries[0].command else { panic!("{entries:?}") };
    assert!(reports.iter().all(|report| report.result.compiled_code.is_none()));
    fixture.leader.commit(3, entries.remove(0));
    let told = fixture.leader.output().updates.into_iter().find_map(|update| match update {
        Update::Event(Event::TaskFinished { ending, .. }) => ending.unwrap().result.clone().unwrap().compiled_code,
        _ => None,
    });
    assert_eq!(told.as_deref(), Some("select 1"));
}

#[test]
fn a_transcript_comes_in_front_of_its_report_and_stays_with_its_run() {
    let mut fixture = Fixture::new(false);
    fixture.hello(1, "w", vec![]);
    fixture.propose(submit(plan(1, &[("a", &[]), ("b", &[])])));
    let (a, b) = (assignment(1, "a", 1, 2), assignment(1, "b", 1, 2));
    let stale = Assignment { attempt: common::Attempt(9), ..a.clone() };
    let told = |of: &Assignment, bytes: usize| TaskReport { transcript: Packed(vec![7; bytes]), ..success(of) };
    // The two that are as long as may be do not go into one entry.
    for report in [told(&a, PACKED_BYTES_MAX), told(&stale, 3), told(&b, PACKED_BYTES_MAX)] {
        fixture.report(1, report);
    }
    let entries = fixture.leader.take_batch(Timestamp(0));
    let names: Vec<&str> = entries.iter().map(|entry| entry.command.name()).collect();
    assert_eq!(names, ["keep_transcripts", "keep_transcripts", "keep_transcripts", "report_tasks"]);
    for (index, entry) in (3..).zip(entries) {
        // What is in the log is what the replicas get.
        let entry = LogEntry::from_bytes(&entry.to_bytes()).unwrap();
        fixture.leader.commit(index, entry);
    }
    let piece = PACKED_BYTES_MAX as u64 + 4;
    let kept = fixture.leader.output().updates.into_iter().filter_map(|update| match update {
        Update::Event(Event::TranscriptKept { run, offset, piece }) => Some((run, offset, piece.len() as u64)),
        _ => None,
    });
    assert_eq!(kept.collect::<Vec<_>>(), [(run_id(1), 0, piece), (run_id(1), piece, piece)]);
    let state = fixture.leader.state();
    let places: Vec<(u32, u32)> =
        state.transcripts_of(&run_id(1)).unwrap().places().map(|place| (place.task, place.attempt.0)).collect();
    assert_eq!(places, [(0, 1), (1, 1)]);
    assert!(state.run(&run_id(1)).unwrap().is_finished());
    fixture.propose(Command::RemoveRuns { runs: vec![run_id(1)] });
    assert_eq!(fixture.leader.state().transcripts_of(&run_id(1)), None);
}

#[test]
fn a_worker_that_returns_hears_what_it_missed_what_is_stale_and_what_should_stop() {
    let mut fixture = Fixture::new(false);
    fixture.hello(1, "w", vec![]);
    fixture.propose(submit(plan(1, &[("a", &[]), ("b", &[])])));
    let (a, b) = (assignment(1, "a", 1, 2), assignment(1, "b", 1, 2));
    fixture.leader.disconnect(SessionId(1));
    fixture.propose(Command::CancelRun { run: run_id(1), cause: CancelCause::Request });
    let stale = assignment(9, "z", 1, 1);
    let output = fixture.hello(2, "w", vec![a.clone(), stale.clone()]);
    let expected = [assign(&b), cancel(&stale), cancel(&a), cancel(&b)];
    assert_eq!(output.messages, expected.map(|message| (SessionId(2), message)));
}

#[test]
fn a_silent_worker_is_lost_when_its_lease_ends() {
    let mut fixture = Fixture::new(false);
    fixture.hello(1, "w", vec![]);
    fixture.now = Timestamp(6_000_000);
    fixture.tell(1, WorkerMessage::Heartbeat);
    fixture.now = Timestamp(15_999_999);
    assert_eq!(fixture.turn().closed, []);
    assert_eq!(fixture.leader.next_tick(), Some(Timestamp(16_000_000)));
    fixture.now = Timestamp(16_000_000);
    assert_eq!(fixture.turn().closed, [SessionId(1)]);
    assert_eq!(fixture.leader.state().workers().count(), 0);
    // Heartbeats never entered the log: hello, and the loss.
    assert_eq!(fixture.leader.state().applied(), 2);
}

#[test]
fn a_new_leader_gives_every_worker_a_whole_lease() {
    let mut fixture = Fixture::new(false);
    fixture.hello(1, "w", vec![]);
    let policy =
        Policy { lease: LEASE, lose_on_disconnect: false, runs_kept: 2, history_kept: None, transcripts_kept: None };
    let later = Timestamp(60_000_000);
    fixture.leader = Leader::new(fixture.leader.resign().state, policy, FIRST, later);
    assert_eq!(fixture.leader.next_tick(), Some(later.plus(LEASE)));
}

#[test]
fn the_oldest_finished_runs_are_forgotten() {
    let mut fixture = Fixture::new(false);
    for run in 1..=4 {
        fixture.propose(submit(plan(run, &[])));
    }
    fixture.turn();
    let kept: Vec<_> = fixture.leader.state().runs().map(|run| run.id).collect();
    assert_eq!(kept, [run_id(3), run_id(4)]);
}

#[test]
fn what_is_older_than_history_is_kept_is_forgotten() {
    let kept = Duration::from_secs(7_200);
    let policy = Policy {
        lease: LEASE,
        lose_on_disconnect: false,
        runs_kept: 10,
        history_kept: Some(kept),
        transcripts_kept: None,
    };
    let mut fixture = Fixture::new(false);
    fixture.propose(submit(plan(1, &[])));
    fixture.turn();
    let state = fixture.leader.resign().state;
    let (finished_at, _) = state.finished().next().unwrap();
    let mut leader = Leader::new(state, policy, FIRST, finished_at);
    assert_eq!(leader.next_tick(), Some(finished_at.plus(kept)));
    leader.tick(Timestamp(finished_at.0 + kept.as_micros() as i64 - 1));
    assert!(!leader.has_pending());
    leader.tick(finished_at.plus(kept));
    let entries = leader.take_batch(finished_at.plus(kept));
    let commands: Vec<_> = entries.into_iter().map(|entry| entry.command).collect();
    assert_eq!(commands, [Command::RemoveRuns { runs: vec![run_id(1)] }]);
}

#[test]
fn started_is_told_and_not_logged() {
    let mut fixture = Fixture::new(false);
    fixture.hello(1, "w", vec![]);
    let Assignment { run, node, epoch, .. } = assignment(1, "a", 1, 2);
    fixture.tell(1, WorkerMessage::Started { run, node: node.clone(), epoch });
    assert!(!fixture.leader.has_pending());
    assert_eq!(fixture.turn().updates, [Update::Started { worker: worker("w"), run, node, epoch }]);
}

#[test]
fn priorities_are_the_time_to_the_end_of_the_longest_chain() {
    let mut plan = plan(1, &[("a", &[]), ("b", &[0]), ("c", &[0]), ("d", &[1])]);
    let seconds = |name: &str, seconds| -> (NodeId, Duration) { (node(name), Duration::from_secs(seconds)) };
    let durations = BTreeMap::from([seconds("a", 1), seconds("b", 2), seconds("c", 20)]);
    priority::by_critical_path(&mut plan, &durations);
    let priorities: Vec<u64> = plan.tasks.iter().map(|task| task.priority).collect();
    // `d` never ran: 100 ms are assumed.
    assert_eq!(priorities, [21_000, 2_100, 20_000, 100]);
}

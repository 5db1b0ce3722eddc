//! The core by itself: entries are applied to it, and what leaves it is looked at.

use common::run::{PlannedTask, RunOptions, RunPlan, Verb};
use common::{ContentDigest, NodeId, RequestId};

use super::*;
use crate::raft::machine::Core as _;
use crate::state::Submission;

const ENTRY: LeaderId = LeaderId { term: 1, node_id: 1 };

fn core() -> Core {
    core_in(std::path::Path::new("unused"))
}

fn core_in(folder: &std::path::Path) -> Core {
    let policy = Policy {
        lease: Duration::from_secs(1),
        lose_on_disconnect: false,
        runs_kept: 1,
        history_kept: None,
        transcripts_kept: None,
    };
    Core::new(policy, Blobs::new(folder))
}

fn entry() -> Data {
    let command = Command::PromoteRetries;
    Data(LogEntry { at: Timestamp(1), proposer: None, traceparent: None, command }.to_bytes().into())
}

#[test]
fn a_state_that_differs_from_the_leaders_stops_the_replica() {
    let core = core();
    core.apply(LogId::new(ENTRY, 1), Some(&entry())).expect("it is whole");
    let own = core.checkpoint();
    core.compare(own);
    assert!(core.failure().borrow().is_none());

    core.compare(Checkpoint { index: 1, digest: !own.digest });
    let failure = core.failure();
    let failure = failure.borrow();
    let Some(Error::Stopped(reason)) = &*failure else { panic!("{failure:?}") };
    assert!(reason.starts_with("its state differs from the leader's after entry 1: "), "{reason}");
}

#[test]
fn a_difference_found_while_applying_stops_openraft_too() {
    let core = core();
    core.compare(Checkpoint { index: 2, digest: 7 });
    core.apply(LogId::new(ENTRY, 1), Some(&entry())).expect("nothing is known of it");
    core.apply(LogId::new(ENTRY, 2), Some(&entry())).expect_err("it differs");
    assert!(core.failure().borrow().is_some());
}

#[test]
fn an_entry_that_cannot_be_read_is_not_passed_over() {
    let error = core().apply(LogId::new(ENTRY, 3), Some(&Data(vec![250, 1].into()))).expect_err("it is damaged");
    assert_eq!(error.to_string(), "entry 3 cannot be applied: it was written by a newer version");
}

#[test]
fn leads_once_everything_of_earlier_terms_is_applied() {
    let core = core();
    core.identify(ProposerId { replica: 1, incarnation: 1 });
    let term = LeaderId { term: 2, node_id: 1 };
    core.set_elected(Some(term));
    core.apply(LogId::new(ENTRY, 1), Some(&entry())).expect("it is whole");
    assert!(!core.is_leading());
    core.apply(LogId::new(term, 2), None).expect("blank");
    assert!(core.is_leading());

    let (session, mut messages) = core.connect().expect("it leads");
    let answered = core.propose(Command::PromoteRetries.into()).expect("it leads");
    core.set_elected(None);
    assert!(!core.is_leading());
    assert!(matches!(answered.blocking_recv(), Ok(Err(Error::NotLeader { .. }))), "it never left");
    assert_eq!(messages.blocking_recv(), None);
    assert!(core.receive(session, WorkerMessage::Heartbeat).is_err());
}

#[test]
fn looks_at_the_clock_when_the_first_timeout_is_due() {
    let core = core();
    core.identify(ProposerId { replica: 1, incarnation: 1 });
    core.set_elected(Some(ENTRY));
    core.apply(LogId::new(ENTRY, 1), None).expect("blank");
    core.lock().next_tick = Timestamp(i64::MAX);
    let at = core.clock.now();
    let request = RequestId("a".into());
    let timeout = Duration::from_secs(3_600);
    let task = PlannedTask::new(NodeId::new("model.shop.a"), Vec::new());
    let plan = RunPlan { timeout: Some(timeout), ..RunPlan::new(RunId(uuid::Uuid::nil()), request, vec![task]) };
    let submission = Submission::new(plan, RunOptions::new(Verb::Build), "m1");
    let command = Command::SubmitRun(Box::new(submission));
    let submit = LogEntry { at, proposer: None, traceparent: None, command };
    core.apply(LogId::new(ENTRY, 2), Some(&Data(submit.to_bytes().into()))).expect("it is whole");
    assert_eq!(core.lock().next_tick, at.plus(timeout));
}

#[test]
fn no_piece_is_written_that_the_state_does_not_take() {
    let folder = tempfile::tempdir().expect("there is room");
    let core = core_in(folder.path());
    let digest = |number| ContentDigest([number; 32]);
    let pieces = [(1, 3, 0, "abc"), (1, 6, 3, "def"), (2, u64::MAX, 0, "abc"), (3, 6, 3, "def")];
    for ((number, size, offset, bytes), index) in pieces.into_iter().zip(1..) {
        let command = Command::PutBlob { digest: digest(number), size, offset, bytes: bytes.into() };
        let put = LogEntry { at: Timestamp(1), proposer: None, traceparent: None, command };
        core.apply(LogId::new(ENTRY, index), Some(&Data(put.to_bytes().into()))).expect("it is whole");
    }
    let files = std::fs::read_dir(folder.path().join("blobs")).expect("one was taken");
    assert_eq!(files.count(), 1);
    let held = std::fs::read(core.blobs().path(&digest(1).to_string())).expect("it was taken");
    assert_eq!(held, b"abc");
}

#[test]
fn what_had_left_is_unknown_when_the_term_ends_or_openraft_refuses() {
    let core = core();
    core.identify(ProposerId { replica: 1, incarnation: 3 });
    core.set_elected(Some(ENTRY));
    core.apply(LogId::new(ENTRY, 1), None).expect("blank");
    let answered = core.propose(Command::PromoteRetries.into()).expect("it leads");
    let batch = core.take_batch().0.expect("it is pending");
    assert_eq!((batch.term, batch.entries.len()), (ENTRY, 1));
    let first = batch.entries[0].proposer.expect("it has one");
    assert_eq!((first.replica, first.sequence >> SEQUENCE_BITS), (1, 3));

    core.refused(ENTRY);
    assert!(answered.blocking_recv().is_err(), "nobody knows");
    assert!(core.is_leading(), "the term goes on");
    core.propose(Command::PromoteRetries.into()).expect("it leads");
    let again = core.take_batch().0.expect("it is pending").entries[0].proposer.expect("it has one");
    assert!(again.sequence > first.sequence, "no sequence comes twice");
}

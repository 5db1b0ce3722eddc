//! Bytes once written are read forever: entries and states of every version.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/commands.rs"]
mod commands;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use common::microbatch::{BatchResults, BatchSize, Batches, EventTime, Span};
use common::run::RunOptions;
use common::schedule::Upcoming;
use common::session::WorkerDescription;
use common::task::{FailureKind, NodeResult, NodeStatus};
use common::transcript::{Packed, Told};
use common::{ContentDigest, Timestamp};
use scheduler::state::alerts::Sent;
use scheduler::state::command::PutSchedule;
use scheduler::state::{CancelCause, Command, Reply, Submission};
use scheduler::store::{Damage, Log, SledLog, decode_entry};
use scheduler::{LogEntry, Proposer, State};
use support::*;

const AT: Timestamp = Timestamp(1_700_000_000_000_000);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn entry(command: Command) -> LogEntry {
    let proposer = Some(Proposer { replica: 3, sequence: 1 << 40 });
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    LogEntry { at: AT, proposer, traceparent, command }
}

fn check(file: &str, written: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(written, expected, "add a version instead of changing {golden:?}");
}

#[test]
fn every_command_has_golden_bytes() {
    let written = commands::all().into_iter().map(|(name, command)| {
        let entry = entry(command);
        let bytes = entry.to_bytes();
        assert_eq!(LogEntry::from_bytes(&bytes), Ok(entry));
        format!("{name} {}\n", hex(&bytes))
    });
    check("entries.v2.txt", &written.collect::<String>());
}

/// Fields that came later, in commands as old as any.
#[test]
fn event_times_and_batches_have_golden_bytes() {
    let event_time = EventTime { start: Some(Timestamp(1)), end: Some(Timestamp(2)) };
    let timed = RunOptions { event_time, ..options() };
    let submit = Command::SubmitRun(Box::new(Submission::new(plan(1, &[("a", &[])]), timed, "m1")));
    let day = 86_400_000_000;
    let batches = Batches { size: BatchSize::Day, span: Span { start: Timestamp(0), end: Timestamp(5 * day) } };
    let results = BatchResults { batches, failed: vec![(1, 3)] };
    let mut report = failure(&assignment(1, "a", 1, 2), FailureKind::User);
    report.result = NodeResult { status: NodeStatus::PartialSuccess, batches: Some(results), ..report.result };
    let commands = [("timed", submit), ("batched", Command::ReportTasks { reports: vec![report] })];
    let written = commands.into_iter().map(|(name, command)| {
        let entry = entry(command);
        let bytes = entry.to_bytes();
        assert_eq!(LogEntry::from_bytes(&bytes), Ok(entry));
        format!("{name} {}\n", hex(&bytes))
    });
    check("entries.v2.batches.txt", &written.collect::<String>());
}

#[test]
fn entries_that_are_no_entries_are_refused() {
    let good = entry(Command::PromoteRetries).to_bytes();
    assert_eq!(LogEntry::from_bytes(&[]), Err(Damage::TooShort));
    assert_eq!(LogEntry::from_bytes(&[&[3], &good[1..]].concat()), Err(Damage::Version(3)));
    assert_eq!(LogEntry::from_bytes(&good[..good.len() - 1]), Err(Damage::Shape));
    assert_eq!(LogEntry::from_bytes(&[&good[..], &[0]].concat()), Err(Damage::Shape));
}

/// What the first version could say, in today's words.
fn commands_v1() -> BTreeMap<&'static str, Command> {
    let mut pooled = plan(1, &[("a", &[]), ("b", &[0])]);
    pooled.pools.insert("heavy".to_owned(), 2);
    pooled.tasks[1].pools = vec!["heavy".to_owned()];
    for task in &mut pooled.tasks {
        task.relation = Some(task.node.to_string());
    }
    let held = assignment(1, "a", 1, 2);
    let reports = vec![success(&held), failure(&held, FailureKind::Transient), canceled(&held)];
    let (running, description) = (vec![held], WorkerDescription::default());
    let commands = [
        Command::RegisterWorker { worker: worker("w"), slots: 4, running, description },
        Command::DrainWorker { worker: worker("w") },
        Command::LoseWorker { worker: worker("w") },
        submit(pooled),
        Command::ReportTasks { reports },
        Command::PromoteRetries,
        Command::CancelRun { run: run_id(1), cause: CancelCause::Superseded },
        Command::RetryRun { run: run_id(1), manifest_digest: "m2".to_owned() },
        Command::RemoveRuns { runs: vec![run_id(1), run_id(2)] },
    ];
    commands.into_iter().map(|command| (command.name(), command)).collect()
}

#[test]
fn entries_of_the_first_version_are_read() {
    let golden = include_str!("golden/entries.v1.txt");
    assert_eq!(golden.lines().count(), commands_v1().len());
    for (line, (key, command)) in golden.lines().zip(commands_v1()) {
        let (name, hex) = line.split_once(' ').unwrap();
        assert_eq!(name, key);
        let (entry, previous) = decode_entry(7, &bytes(hex)).unwrap();
        let content = LogEntry { at: AT, proposer: None, traceparent: None, command };
        assert_eq!((entry.index, entry.content, previous), (7, content, 6));
    }
}

/// The schedule with a first tick behind those that are decided.
fn later() -> PutSchedule {
    PutSchedule { next: Some(Upcoming { scheduled_at: Timestamp(100), due_at: Timestamp(100) }), ..commands::put() }
}

#[test]
fn states_have_golden_bytes() {
    let mut machine = Machine { now: AT, ..Machine::default() };
    machine.register("v", 1);
    machine.apply(Command::PutBlob { digest: ContentDigest([7; 32]), size: 10, offset: 0, bytes: vec![0; 10] });
    // What came after the version was written changes no byte of it.
    let is_newer = |command: &Command| matches!(command, Command::ForgetTranscripts { .. });
    for command in commands::all().into_values().filter(|command| !is_newer(command)) {
        machine.apply(command);
    }
    assert_eq!(machine.state.runs().count(), 1);
    let mut plan = plan(4, &[("a", &[]), ("b", &[0])]);
    plan.pools.insert("heavy".to_owned(), u32::MAX);
    machine.submit(plan);
    let assignment = machine.state.assignments(&worker("w")).remove(0);
    let told = Told { assignment, packed: Packed(vec![1, 2, 3]) };
    machine.apply(Command::KeepTranscripts { transcripts: vec![told] });
    assert_eq!(machine.state.transcripts().count(), 1);
    machine.apply(Command::PutSchedules { puts: vec![commands::put()] });
    let version = machine.state.schedules().next().unwrap().1.version;
    for tick in [10, 20] {
        machine.apply(Command::DecideTick(Box::new(commands::decide(version, tick))));
    }
    machine.apply(Command::DeclareSchedules { puts: vec![later()], gates: commands::gates() });
    machine.apply(Command::PutChannels { channels: commands::channels() });
    machine.apply(Command::TestChannel { name: commands::channels()[0].name.clone() });
    machine.now = machine.now.plus(Duration::from_secs(60));
    machine.apply(Command::TellDeadlines);
    let failed = machine.state.alerts().notices().map(|(id, _)| (id, Sent::Arrived)).take(1).collect();
    machine.apply(Command::SettleNotices { settled: failed });
    assert_eq!((machine.state.alerts().notices().len(), machine.state.alerts().ended().count()), (4, 1));
    let bytes = machine.state.to_bytes();
    check("state.v6.txt", &format!("{}\n", hex(&bytes)));
    let restored = State::from_bytes(&bytes).unwrap();
    assert_eq!(restored.to_bytes(), bytes);
    assert_eq!(State::from_bytes(&[]).err(), Some(Damage::TooShort));
    assert_eq!(State::from_bytes(&[&[7], &bytes[1..]].concat()).err(), Some(Damage::Version(7)));
    assert_eq!(State::from_bytes(&bytes[..bytes.len() - 1]).err(), Some(Damage::Shape));
}

#[test]
fn a_state_of_the_second_version_is_read_and_goes_on() {
    let golden = bytes(include_str!("golden/state.v2.txt").trim_end());
    let mut state = State::from_bytes(&golden).unwrap();
    assert_eq!((state.runs().count(), state.transcripts().count()), (2, 0));
    // The bytes of today are those of then, the version and what came at the end apart.
    let mut today = state.to_bytes();
    assert_eq!((today[0], today.split_off(golden.len())), (6, vec![0; 15]));
    assert_eq!(today[1..], golden[1..]);
    let held = state.assignments(&worker("w")).remove(0);
    let told = Told { assignment: held, packed: Packed(vec![1, 2, 3]) };
    let kept = state.apply(state.applied() + 1, AT, Command::KeepTranscripts { transcripts: vec![told] });
    assert_eq!(kept.reply, Reply::Kept { transcripts: 1 });
}

#[test]
fn a_state_of_the_third_version_is_read_and_goes_on() {
    let golden = bytes(include_str!("golden/state.v3.txt").trim_end());
    let mut state = State::from_bytes(&golden).unwrap();
    assert_eq!((state.runs().count(), state.transcripts().count(), state.schedules().count()), (2, 1, 0));
    let put = state.apply(state.applied() + 1, AT, Command::PutSchedules { puts: vec![commands::put()] });
    assert_eq!((put.reply, state.schedules().count()), (Reply::Put { changed: 1 }, 1));
}

#[test]
fn a_state_of_the_fourth_version_is_read_and_goes_on() {
    let golden = bytes(include_str!("golden/state.v4.txt").trim_end());
    let mut state = State::from_bytes(&golden).unwrap();
    assert_eq!((state.schedules().count(), state.alerts().channels().len()), (1, 0));
    let put = state.apply(state.applied() + 1, AT, Command::PutChannels { channels: commands::channels() });
    assert_eq!((put.reply, state.alerts().channels().len()), (Reply::Put { changed: 3 }, 3));
}

#[test]
fn a_state_of_the_fifth_version_is_read_and_goes_on() {
    let golden = bytes(include_str!("golden/state.v5.txt").trim_end());
    let mut state = State::from_bytes(&golden).unwrap();
    let name = commands::put().declared.name;
    assert_eq!((state.alerts().channels().len(), state.gate(&name)), (3, None));
    let declare = Command::DeclareSchedules { puts: vec![later()], gates: commands::gates() };
    assert_eq!(state.apply(state.applied() + 1, AT, declare).reply, Reply::Put { changed: 1 });
    assert_eq!(state.gate(&name), commands::gates().get(&name));
}

#[test]
fn a_snapshot_of_the_first_version_is_read_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let golden = include_str!("golden/snapshot.v1.txt").trim_end();
    std::fs::write(folder.path().join("snapshot"), bytes(golden)).unwrap();
    let log = SledLog::open(folder.path()).unwrap();
    let mut state = log.snapshot().unwrap().unwrap();
    assert_eq!((log.last_index(), state.applied()), (9, 9));
    let held = assignment(1, "a", 1, 9);
    assert_eq!(state.assignments(&worker("w")), std::slice::from_ref(&held));
    let next = state.apply(10, AT, Command::ReportTasks { reports: vec![success(&held)] });
    assert_eq!(assigned(&next), [assignment(1, "b", 1, 10)]);
    // There was no journal; it begins here.
    let run = state.run(&run_id(1)).unwrap();
    assert_eq!(run.events(0).map(|recorded| recorded.event).collect::<Vec<_>>(), next.events);
}

//! The Raft log on disk: openraft's own suite, what a power loss may take, what damage is noticed, and the bytes it writes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use openraft::StorageError;
use openraft::entry::RaftEntry;
use openraft::storage::{RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use scheduler::State;
use scheduler::raft::log::{LogStore, decode_entry, encode_entry};
use scheduler::raft::machine::{Core, Machine, decode_snapshot, encode_snapshot};
use scheduler::raft::{Data, Entry, LeaderId, LogId, Membership, Payload, SnapshotMeta, StoredMembership, Types, Vote};
use scheduler::replica::Member;
use scheduler::store::{Error, SyncData};

/// A core that keeps nothing.
struct NoCore;

impl Core for NoCore {
    fn apply(&self, _: LogId, _: Option<&Data>) -> io::Result<()> {
        Ok(())
    }

    fn state(&self) -> State {
        State::default()
    }

    fn install(&self, _: Option<LogId>, _: State) {}
}

struct Builder;

impl StoreBuilder<Types, LogStore, Machine, tempfile::TempDir> for Builder {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<Types>> {
        let folder = tempfile::tempdir().unwrap();
        let log = LogStore::open(folder.path()).unwrap();
        let machine = Machine::open(folder.path(), Arc::new(NoCore)).unwrap();
        Ok((folder, log, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_suite_of_openraft() {
    Suite::test_all(Builder).await.unwrap();
}

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId { term, node_id: 1 }, index)
}

fn entry(term: u64, index: u64, bytes: usize) -> Entry {
    let data = vec![u8::try_from(index % 251).unwrap(); bytes];
    Entry::new(log_id(term, index), Payload::Normal(Data(data.into())))
}

fn vote(term: u64) -> Vote {
    Vote { leader_id: LeaderId { term, node_id: 1 }, committed: true }
}

async fn entries(log: &mut LogStore) -> Vec<Entry> {
    log.get_log_reader().await.try_get_log_entries(0..).await.unwrap()
}

#[tokio::test]
async fn keeps_entries_votes_and_marks_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let written: Vec<Entry> = (0..50).map(|index| entry(1, index, 10_000)).collect();
    {
        let mut log = LogStore::open(folder.path()).unwrap();
        assert!(log.is_empty());
        log.save_vote(&vote(1)).await.unwrap();
        log.blocking_append(written.clone()).await.unwrap();
        log.save_committed(Some(log_id(1, 40))).await.unwrap();
        log.purge(log_id(1, 9)).await.unwrap();
        log.truncate_after(Some(log_id(1, 44))).await.unwrap();
        log.blocking_append([entry(2, 45, 3)]).await.unwrap();
    }
    let mut log = LogStore::open(folder.path()).unwrap();
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(1, 9)));
    assert_eq!(state.last_log_id, Some(log_id(2, 45)));
    assert_eq!(log.read_committed().await.unwrap(), Some(log_id(1, 40)));
    assert_eq!(log.get_log_reader().await.read_vote().await.unwrap(), Some(vote(1)));
    let mut expected = written[10..45].to_vec();
    expected.push(entry(2, 45, 3));
    assert_eq!(entries(&mut log).await, expected);
}

#[tokio::test]
async fn reads_as_much_as_fits_a_message_and_at_least_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(folder.path()).unwrap();
    // More than the cache of the newest holds, so that the oldest come from disk.
    let written: Vec<Entry> = (0..60).map(|index| entry(1, index, 400_000)).collect();
    for entries in written.chunks(7) {
        log.blocking_append(entries.to_vec()).await.unwrap();
    }
    let mut reader = log.get_log_reader().await;
    assert_eq!(reader.limited_get_log_entries(0, 60).await.unwrap(), written[..2]);
    assert_eq!(reader.limited_get_log_entries(57, 60).await.unwrap(), written[57..59]);
    assert_eq!(reader.try_get_log_entries(..).await.unwrap(), written);
    let huge = entry(1, 60, 2_000_000);
    log.blocking_append([huge.clone()]).await.unwrap();
    assert_eq!(reader.limited_get_log_entries(60, 61).await.unwrap(), [huge]);
}

/// Copies the files of a log as they were when they were last synced: what a power loss leaves at the least.
fn record_synced(folder: &Path, copy: &Path) -> SyncData {
    let (folder, copy) = (folder.to_owned(), copy.to_owned());
    Box::new(move |file: &File| {
        file.sync_data()?;
        copy_folder(&folder, &copy)
    })
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for item in std::fs::read_dir(from)? {
        let item = item?;
        let target = to.join(item.file_name());
        if item.file_type()?.is_dir() {
            copy_folder(&item.path(), &target)?;
        } else {
            std::fs::copy(item.path(), target)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_power_loss_takes_nothing_that_was_acknowledged() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut log = LogStore::open_with(folder.path(), record_synced(folder.path(), copy.path())).unwrap();
    for round in 0..20u64 {
        let new: Vec<Entry> = (round * 3..round * 3 + 3).map(|index| entry(round, index, 5_000)).collect();
        log.save_vote(&vote(round)).await.unwrap();
        log.blocking_append(new).await.unwrap();

        // Another replica would now be told. The machine loses its power: only what was synced is left.
        let mut found = LogStore::open(copy.path()).unwrap();
        assert_eq!(found.get_log_reader().await.read_vote().await.unwrap(), Some(vote(round)));
        assert_eq!(found.get_log_state().await.unwrap().last_log_id, Some(log_id(round, round * 3 + 2)));
        assert_eq!(entries(&mut found).await.len() as u64, round * 3 + 3);
        drop(found);
        std::fs::remove_dir_all(copy.path()).unwrap();
    }
}

#[tokio::test]
async fn a_vote_and_entries_whose_sync_fails_are_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let is_full = full.clone();
    let sync: SyncData = Box::new(move |file| {
        if is_full.load(Ordering::SeqCst) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device"));
        }
        file.sync_data()
    });
    let mut log = LogStore::open_with(folder.path(), sync).unwrap();
    let mut failure = log.failure();
    log.blocking_append([entry(1, 0, 10)]).await.unwrap();
    full.store(true, Ordering::SeqCst);
    log.blocking_append([entry(1, 1, 10)]).await.unwrap_err();
    let reason = failure.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(reason.contains("no space left on device"), "{reason}");
    assert!(log.save_vote(&vote(7)).await.unwrap_err().to_string().contains("no space left on device"));
    drop(log);

    full.store(false, Ordering::SeqCst);
    let mut log = LogStore::open(folder.path()).unwrap();
    assert_eq!(log.get_log_reader().await.read_vote().await.unwrap(), None);
    assert_eq!(entries(&mut log).await[0], entry(1, 0, 10));
}

#[tokio::test]
async fn appends_that_wait_together_are_synced_together() {
    let folder = tempfile::tempdir().unwrap();
    let syncs = Arc::new(Mutex::new(0));
    let counted = syncs.clone();
    let (enter, entered) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let sync: SyncData = Box::new(move |file| {
        *counted.lock().unwrap() += 1;
        enter.send(()).unwrap();
        left.recv().unwrap();
        file.sync_data()
    });
    let mut log = LogStore::open_with(folder.path(), sync).unwrap();
    let mut waiting = Vec::new();
    for index in 0..100 {
        let (tell, told) = Types::oneshot();
        log.append([entry(1, index, 10)], openraft::storage::IOFlushed::signal(tell)).await.unwrap();
        waiting.push(told);
        if index == 0 {
            entered.recv().unwrap();
        }
    }
    // Readable before any of them is on disk.
    assert_eq!(entries(&mut log).await.len(), 100);
    leave.send(()).unwrap();
    leave.send(()).unwrap();
    for told in waiting {
        told.await.unwrap().unwrap();
    }
    assert_eq!(*syncs.lock().unwrap(), 2);
    leave.send(()).unwrap();
}

/// Changes one value of the database behind the log's back.
fn change(folder: &Path, change: impl FnOnce(&sled::Db)) {
    let db = sled::open(folder.join("log")).unwrap();
    change(&db);
    db.flush().unwrap();
}

fn key(index: u64, chunk: u16) -> Vec<u8> {
    [index.to_be_bytes().as_slice(), &chunk.to_be_bytes()].concat()
}

async fn written(entries: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(folder.path()).unwrap();
    log.blocking_append((0..entries).map(|index| entry(1, index, 5_000))).await.unwrap();
    drop(log);
    folder
}

fn refusal(folder: &Path) -> String {
    LogStore::open(folder).err().unwrap().to_string()
}

#[tokio::test]
async fn refuses_a_damaged_entry_and_names_it() {
    let folder = written(10).await;
    change(folder.path(), |db| {
        let mut value = db.get(key(6, 1)).unwrap().unwrap().to_vec();
        value[17] ^= 1;
        db.insert(key(6, 1), value).unwrap();
    });
    assert_eq!(refusal(folder.path()), "entry 6 of the log cannot be read: its checksum does not match");
}

#[tokio::test]
async fn refuses_a_missing_entry_and_names_it() {
    let folder = written(10).await;
    change(folder.path(), |db| {
        db.remove(key(4, 0)).unwrap();
        db.remove(key(4, 1)).unwrap();
    });
    assert_eq!(refusal(folder.path()), "entry 4 of the log cannot be read: it is missing, though later ones are there");
}

#[tokio::test]
async fn refuses_a_log_that_lost_its_end() {
    let folder = written(10).await;
    let older = tempfile::tempdir().unwrap();
    copy_folder(&folder.path().join("log"), older.path()).unwrap();
    {
        let mut log = LogStore::open(folder.path()).unwrap();
        log.save_vote(&vote(9)).await.unwrap();
    }
    // The database as it was before the vote, beside the mark that knows of it.
    std::fs::remove_dir_all(folder.path().join("log")).unwrap();
    copy_folder(older.path(), &folder.path().join("log")).unwrap();
    assert_eq!(refusal(folder.path()), "the log ends at entry 9, but more was acknowledged: its file is damaged");
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _log = LogStore::open(folder.path()).unwrap();
    assert!(matches!(LogStore::open(folder.path()).err().unwrap(), Error::Locked { .. }));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_bytes_of_a_snapshot() {
    let members = std::collections::BTreeMap::from([(1, Member::default())]);
    let membership = Membership::new(vec![std::collections::BTreeSet::from([1])], members).unwrap();
    let last_membership = StoredMembership::new(Some(log_id(2, 5)), membership);
    let meta = SnapshotMeta { last_log_id: Some(log_id(2, 7)), last_membership };
    let bytes = encode_snapshot(&meta, &State::default());
    let state = State::default().to_bytes();
    assert_eq!(
        hex(&bytes[..bytes.len() - state.len() - 12]),
        SNAPSHOT,
        "the state behind it has golden bytes of its own"
    );
    let (found, _) = decode_snapshot(&bytes).unwrap();
    assert_eq!(found, meta);
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    assert!(decode_snapshot(&damaged).is_err());
    assert!(decode_snapshot(&bytes[..bytes.len() - 1]).is_err());
}

/// What was written once is read forever: these bytes never change.
#[test]
fn golden_bytes() {
    let member = |id| Member { id, name: format!("r{id}"), address: format!("h{id}:1"), promote: id == 3 };
    let members = std::collections::BTreeMap::from([(1, member(1)), (2, member(2)), (3, member(3))]);
    let membership = Membership::new(vec![std::collections::BTreeSet::from([1, 2])], members).unwrap();
    let of = |payload| Entry::new(log_id(2, 7), payload);
    let cases = [
        (of(Payload::Blank), BLANK),
        (of(Payload::Normal(Data(b"command".as_slice().into()))), COMMAND),
        (of(Payload::Membership(membership)), MEMBERSHIP),
    ];
    for (entry, golden) in cases {
        let bytes = encode_entry(&entry);
        assert_eq!(hex(&bytes), golden);
        assert_eq!(decode_entry(7, &bytes).unwrap(), entry);
    }
}

const BLANK: &str = "010000000000000006b12d1c520000000000000002000000000000000100";
const COMMAND: &str = "0100000000000000061ea1127e0000000000000002000000000000000101636f6d6d616e64";
const MEMBERSHIP: &str = "0100000000000000068a4f5cfd0000000000000002000000000000000102010201020301010272310468313a310002020272320468323a310003030272330468333a3101";
const SNAPSHOT: &str = "0100000040d27ec0e601190100000000000000020000000000000001000000000000000701190100000000000000020000000000000001000000000000000509010101010100000000";

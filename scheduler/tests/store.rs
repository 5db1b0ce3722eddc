//! The log: damage, locks, power loss and `kill -9`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and talk")]

#[path = "support/commands.rs"]
mod commands;
mod support;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use common::Timestamp;
use scheduler::LogEntry;
use scheduler::State;
use scheduler::state::Command;
use scheduler::store::{Damage, Entry, Error, Log, SledLog, decode_entry, encode_entry};
use support::*;

fn entry(index: u64, command: Command) -> Entry {
    let at = Timestamp(1_700_000_000_000_000);
    Entry { index, content: LogEntry { at, proposer: None, traceparent: None, command } }
}

fn small(index: u64) -> Entry {
    entry(index, Command::DrainWorker { worker: worker("w") })
}

fn indexes(log: &dyn Log) -> Vec<u64> {
    let mut indexes = Vec::new();
    log.read(0, &mut |entry| indexes.push(entry.index)).unwrap();
    indexes
}

#[test]
fn a_frame_notices_damage_and_a_wrong_place() {
    let good = encode_entry(&small(7), 6);
    assert_eq!(decode_entry(7, &good), Ok((small(7), 6)));
    for at in [1, 9, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        assert_eq!(decode_entry(7, &damaged), Err(Damage::Checksum));
    }
    assert_eq!(decode_entry(8, &good), Err(Damage::Checksum));
    assert_eq!(decode_entry(7, &good[..5]), Err(Damage::TooShort));
    assert_eq!(decode_entry(7, &[&[3], &good[1..]].concat()), Err(Damage::Version(3)));
}

#[test]
fn entries_come_back_in_order_whatever_their_size() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..5_000).map(|index| format!("model_with_a_long_name_{index}")).collect();
    let tasks: Vec<(&str, &[u32])> = names.iter().map(|name| (name.as_str(), &[] as &[u32])).collect();
    let entries = [small(1), entry(2, submit(plan(1, &tasks))), small(900)];
    let mut log = SledLog::open(folder.path()).unwrap();
    log.append(&entries[..2]).unwrap();
    log.append(&entries[2..]).unwrap();
    drop(log);
    let log = SledLog::open(folder.path()).unwrap();
    let mut read = Vec::new();
    log.read(2, &mut |entry| read.push(entry)).unwrap();
    assert_eq!(read, entries[1..]);
    assert_eq!((log.last_index(), log.len()), (900, 3));
    // sled never syncs what it puts into files of their own, so there must be none.
    assert_eq!(std::fs::read_dir(folder.path().join("log/blobs")).unwrap().count(), 0);
}

#[test]
fn entries_out_of_order_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SledLog::open(folder.path()).unwrap();
    log.append(&[small(5)]).unwrap();
    let error = log.append(&[small(6), small(6)]).unwrap_err();
    assert_eq!(error.to_string(), "entry 6 does not come after entry 6");
    assert_eq!(indexes(&log), [5]);
}

#[test]
fn a_cut_log_goes_on_from_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SledLog::open(folder.path()).unwrap();
    log.append(&[small(1), small(2), small(3)]).unwrap();
    log.truncate(2).unwrap();
    assert_eq!(log.last_index(), 1);
    log.append(&[small(2)]).unwrap();
    assert_eq!(indexes(&log), [1, 2]);
    drop(log);
    assert_eq!(SledLog::open(folder.path()).unwrap().last_index(), 2);
}

#[test]
fn a_snapshot_takes_the_place_of_the_entries_it_covers() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = State::default();
    let mut log = SledLog::open(folder.path()).unwrap();
    for (index, command) in (1..).zip(commands::all().into_values()) {
        log.append(&[entry(index, command.clone())]).unwrap();
        state.apply(index, Timestamp(1), command);
    }
    log.compact(&state).unwrap();
    let last = state.applied();
    assert_eq!((log.last_index(), log.len()), (last, 0));
    log.append(&[small(last + 1)]).unwrap();
    drop(log);
    let log = SledLog::open(folder.path()).unwrap();
    assert_eq!((log.last_index(), log.len(), indexes(&log)), (last + 1, 1, vec![last + 1]));
    let mut restored = log.snapshot().unwrap().unwrap();
    scheduler::state::invariants::check(&restored).unwrap();
    assert_eq!(restored.digest(), state.digest());
    // Both go on alike.
    let next = submit(plan(7, &[("a", &[])]));
    assert_eq!(restored.apply(last + 1, Timestamp(2), next.clone()), state.apply(last + 1, Timestamp(2), next));
    assert_eq!(restored.digest(), state.digest());
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = SledLog::open(folder.path()).unwrap();
    log.compact(&State::default()).unwrap();
    drop(log);
    let path = folder.path().join("snapshot");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = SledLog::open(folder.path()).err().unwrap();
    assert_eq!(error.to_string(), format!("{} cannot be read: its checksum does not match", path.display()));
}

/// Changes the values under the log's feet.
fn tamper(folder: &Path, change: impl FnOnce(&sled::Db)) {
    // sled lets go of its lock a little after the log was dropped.
    let open = || sled::Config::new().path(folder.join("log")).open().ok();
    let db = std::iter::repeat_with(open).flatten().next().unwrap();
    change(&db);
    db.flush().unwrap();
}

fn chunk(index: u64) -> Vec<u8> {
    [&index.to_be_bytes()[..], &[0, 0]].concat()
}

#[test]
fn a_damaged_entry_is_refused_by_its_index() {
    for (change, message) in [
        ("flip", "entry 2 of the log cannot be read: its checksum does not match"),
        ("remove", "entry 3 of the log cannot be read: the entry before it is missing"),
        ("cut", "entry 2 of the log cannot be read: it is cut off"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = SledLog::open(folder.path()).unwrap();
        log.append(&[small(1), small(2), small(3)]).unwrap();
        drop(log);
        tamper(folder.path(), |db| {
            let mut value = db.get(chunk(2)).unwrap().unwrap().to_vec();
            match change {
                "flip" => value[15] ^= 1,
                "cut" => value.truncate(4),
                _ => {
                    db.remove(chunk(2)).unwrap();
                    return;
                }
            }
            db.insert(chunk(2), value).unwrap();
        });
        let error = SledLog::open(folder.path()).err().unwrap();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn damage_that_sled_takes_for_the_end_of_its_file_is_noticed() {
    for place in (0..6_000).step_by(500) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = SledLog::open(folder.path()).unwrap();
        for index in 1..=50 {
            log.append(&[small(index)]).unwrap();
        }
        drop(log);
        let path = folder.path().join("log/db");
        let mut bytes = std::fs::read(&path).unwrap();
        for byte in &mut bytes[place..place + 8] {
            *byte ^= 0x55;
        }
        std::fs::write(&path, bytes).unwrap();
        let error = SledLog::open(folder.path()).err().unwrap();
        assert!(matches!(error, Error::EntriesLost { last, acknowledged: 50 } if last < 50), "at {place}: {error}");
    }
}

#[test]
fn a_second_opening_names_the_holder() {
    let folder = tempfile::tempdir().unwrap();
    let log = SledLog::open(folder.path()).unwrap();
    let error = SledLog::open(folder.path()).err().unwrap();
    let (path, pid) = (folder.path().display(), std::process::id());
    assert_eq!(error.to_string(), format!("{path} is in use by another process (process {pid})"));
    drop(log);
    SledLog::open(folder.path()).unwrap();
}

#[test]
fn after_a_failed_sync_nothing_more_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut syncs = 0;
    let failing = move |file: &File| {
        syncs += 1;
        if syncs == 2 { Err(std::io::Error::other("the disk is gone")) } else { file.sync_data() }
    };
    let mut log = SledLog::open_with(folder.path(), Box::new(failing)).unwrap();
    log.append(&[small(1)]).unwrap();
    for reason in ["the disk is gone", "an earlier write failed; open the log again"] {
        let error = log.append(&[small(2)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: {reason}", folder.path().display()));
    }
    assert_eq!(log.last_index(), 1);
}

/// What a disk that lost its power keeps: the database as of its last sync, and nothing that was never synced.
struct Disk {
    synced: PathBuf,
    files: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Disk {
    fn new(folder: &Path) -> Self {
        Self { synced: folder.join("log/db"), files: Arc::default() }
    }

    fn sync(&self) -> impl FnMut(&File) -> std::io::Result<()> + Send + use<> {
        let (path, files) = (self.synced.clone(), self.files.clone());
        move |file| {
            file.sync_data()?;
            *files.lock().unwrap() = Some(std::fs::read(&path)?);
            Ok(())
        }
    }

    /// A folder with what was durable.
    fn after_power_loss(&self, from: &Path) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("log")).unwrap();
        // Written and synced when the log was made; sled's other files (`snap.…`, blobs) never are.
        std::fs::copy(from.join("log/conf"), folder.path().join("log/conf")).unwrap();
        if let Some(bytes) = &*self.files.lock().unwrap() {
            std::fs::write(folder.path().join("log/db"), bytes).unwrap();
        }
        folder
    }
}

#[test]
fn power_loss_after_any_append_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path());
    let mut log = SledLog::open_with(folder.path(), Box::new(disk.sync())).unwrap();
    let names: Vec<String> = (0..200).map(|index| format!("model_{index}")).collect();
    let tasks: Vec<(&str, &[u32])> = names.iter().map(|name| (name.as_str(), &[] as &[u32])).collect();
    for index in 1..=60 {
        // Large and small entries, so that sled's pages split and its buffers fill.
        let next = if index % 3 == 0 { entry(index, submit(plan(index, &tasks))) } else { small(index) };
        log.append(&[next]).unwrap();
        let survivor = disk.after_power_loss(folder.path());
        let reopened = SledLog::open(survivor.path()).unwrap();
        assert_eq!(indexes(&reopened), (1..=index).collect::<Vec<_>>());
    }
}

#[test]
fn without_the_sync_power_loss_is_noticed() {
    // The test above can fail: a log that syncs only every other time loses what it acknowledged.
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path());
    let (mut sync, mut calls) = (disk.sync(), 0);
    let lazy = move |file: &File| {
        calls += 1;
        if calls % 2 == 1 { sync(file) } else { Ok(()) }
    };
    let mut log = SledLog::open_with(folder.path(), Box::new(lazy)).unwrap();
    log.append(&[small(1)]).unwrap();
    log.append(&[small(2)]).unwrap();
    let survivor = disk.after_power_loss(folder.path());
    assert_eq!(indexes(&SledLog::open(survivor.path()).unwrap()), [1]);
}

/// Not a test by itself: the process that `kill_dash_nine_loses_nothing_acknowledged` kills.
#[test]
fn append_until_killed() {
    let Ok(folder) = std::env::var("KONTIKI_TEST_APPEND_TO") else { return };
    let mut log = SledLog::open(Path::new(&folder)).unwrap();
    for index in log.last_index() + 1.. {
        log.append(&[small(index)]).unwrap();
        println!("acknowledged {index}");
    }
}

#[test]
fn kill_dash_nine_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 1..=5u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "append_until_killed", "--nocapture"])
            .env("KONTIKI_TEST_APPEND_TO", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let enough = acknowledged + 20 * round;
        let parse = |line: String| Some(line.rsplit_once("acknowledged ")?.1.parse::<u64>().unwrap());
        acknowledged = lines.by_ref().filter_map(parse).find(|index| *index >= enough).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What was in the pipe was acknowledged too.
        acknowledged = lines.filter_map(parse).last().unwrap_or(acknowledged);
        let log = SledLog::open(folder.path()).unwrap();
        let found = indexes(&log);
        assert!(log.last_index() >= acknowledged, "{} entries of {acknowledged}", found.len());
        assert_eq!(found, (1..=log.last_index()).collect::<Vec<_>>());
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(SledLog::open(&file.join("state")), Err(Error::Io { .. })));
}

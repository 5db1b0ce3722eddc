//! The leader's disk: what was written may be lost until it is synced.

use scheduler::State;
use scheduler::store::{Entry, decode_entry, encode_entry};

#[derive(Debug, Default)]
pub struct Disk {
    /// Entries as bytes, by index.
    written: Vec<(u64, Vec<u8>)>,
    synced: usize,
    snapshot: Option<State>,
}

impl Disk {
    pub fn last_index(&self) -> u64 {
        let covered = self.snapshot.as_ref().map_or(0, State::applied);
        self.written.last().map_or(covered, |(index, _)| *index)
    }

    pub fn write(&mut self, entries: &[Entry]) {
        for entry in entries {
            let previous = self.last_index();
            self.written.push((entry.index, encode_entry(entry, previous)));
        }
    }

    pub fn sync(&mut self) {
        self.synced = self.written.len();
    }

    pub fn unsynced(&self) -> usize {
        self.written.len() - self.synced
    }

    /// The power fails: the last `lost` entries are gone, never more than are not synced.
    pub fn lose(&mut self, lost: usize) {
        let kept = self.written.len() - lost.min(self.unsynced());
        self.written.truncate(kept);
        self.sync();
    }

    pub fn compact(&mut self, state: &State) {
        self.written.retain(|(index, _)| *index > state.applied());
        self.sync();
        self.snapshot = Some(state.clone());
    }

    /// What a new leader reads: the Raft snapshot and the entries after it.
    pub fn read(&self) -> (State, Vec<Entry>) {
        let mut state = self.snapshot.clone().unwrap_or_default();
        state.restore();
        let decode = |(index, bytes): &(u64, Vec<u8>)| {
            let (entry, _) = decode_entry(*index, bytes).expect("the entry was encoded by the same code");
            entry
        };
        (state, self.written.iter().map(decode).collect())
    }
}

//! A replica's disk: what was written may be lost until it is synced, the last writes first.

use std::sync::Arc;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub term: u64,
    /// None for the blank entry with which a leader begins.
    pub content: Option<Arc<[u8]>>,
}

/// A snapshot and the entry up to which it goes.
#[derive(Clone, Debug, Default)]
pub struct Base {
    pub index: u64,
    pub term: u64,
    /// Empty before the first entry.
    pub state: Arc<[u8]>,
}

/// What a disk holds.
#[derive(Clone, Debug, Default)]
pub struct Image {
    pub term: u64,
    pub voted_for: Option<u64>,
    pub base: Base,
    /// From the entry after the snapshot on.
    log: Vec<Logged>,
}

#[derive(Clone, Debug)]
pub enum Write {
    Vote {
        term: u64,
        voted_for: Option<u64>,
    },
    /// Puts entries behind `after`; what was there is gone.
    Append {
        after: u64,
        entries: Vec<Logged>,
    },
    Snapshot(Base),
}

#[derive(Debug, Default)]
pub struct Disk {
    written: Image,
    durable: Image,
    unsynced: Vec<Write>,
}

impl Image {
    pub fn last_index(&self) -> u64 {
        self.base.index + self.log.len() as u64
    }

    pub fn last_term(&self) -> u64 {
        self.log.last().map_or(self.base.term, |entry| entry.term)
    }

    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.base.index { Some(self.base.term) } else { self.entry(index).map(|entry| entry.term) }
    }

    pub fn entry(&self, index: u64) -> Option<&Logged> {
        self.log.get(usize::try_from(index.checked_sub(self.base.index + 1)?).ok()?)
    }

    /// Entries from `index` on, which comes after the snapshot.
    pub fn entries(&self, index: u64) -> &[Logged] {
        let place = index.saturating_sub(self.base.index + 1) as usize;
        self.log.get(place..).unwrap_or_default()
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Vote { term, voted_for } => (self.term, self.voted_for) = (*term, *voted_for),
            Write::Append { after, entries } => {
                self.log.truncate(after.saturating_sub(self.base.index) as usize);
                self.log.extend_from_slice(entries);
            }
            Write::Snapshot(base) => {
                let follows = self.term_at(base.index) == Some(base.term);
                self.log = if follows { self.entries(base.index + 1).to_vec() } else { Vec::new() };
                self.base = base.clone();
            }
        }
    }
}

impl Disk {
    pub fn written(&self) -> &Image {
        &self.written
    }

    pub fn durable(&self) -> &Image {
        &self.durable
    }

    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    pub fn write(&mut self, write: Write) {
        self.written.apply(&write);
        self.unsynced.push(write);
    }

    pub fn sync(&mut self) {
        for write in self.unsynced.drain(..) {
            self.durable.apply(&write);
        }
    }

    /// The power fails; `kept` of the writes that were not synced reached the disk all the same.
    pub fn lose(&mut self, kept: usize) {
        for write in self.unsynced.drain(..).take(kept) {
            self.durable.apply(&write);
        }
        self.written = self.durable.clone();
    }
}

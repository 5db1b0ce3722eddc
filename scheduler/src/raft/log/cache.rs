//! The newest entries in memory: whatever is not on disk yet, and as much more as fits a budget.
//!
//! Invariant: indexes are contiguous, and an entry that is not on disk is never let go of.

use std::collections::VecDeque;
use std::ops::Range;

use openraft::entry::RaftEntry;

use crate::raft::{Entry, Payload};

/// Kept for followers that are a little behind, and for apply.
const BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Cache {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries below this index are on disk.
    flushed: u64,
}

impl Cache {
    pub fn append(&mut self, entries: Vec<Entry>) {
        let (Some(first), Some(next)) = (entries.first().map(RaftEntry::index), self.end()) else {
            self.bytes += entries.iter().map(size).sum::<usize>();
            self.entries.extend(entries);
            return;
        };
        if first != next {
            self.truncate(first);
            if self.end().is_some_and(|next| next != first) {
                self.clear();
            }
        }
        self.bytes += entries.iter().map(size).sum::<usize>();
        self.entries.extend(entries);
    }

    /// Everything below `end` is on disk.
    pub fn flushed(&mut self, end: u64) {
        self.flushed = end;
        while self.bytes > BYTES_MAX
            && let Some(first) = self.start()
            && first < self.flushed
        {
            self.drop_first();
        }
    }

    /// Forgets entries from `from` on. What is appended there again is not on disk.
    pub fn truncate(&mut self, from: u64) {
        self.flushed = self.flushed.min(from);
        while self.entries.back().is_some_and(|last| last.index() >= from) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= size(&entry);
            }
        }
    }

    /// Forgets entries up to `upto`.
    pub fn purge(&mut self, upto: u64) {
        while self.start().is_some_and(|first| first <= upto) {
            self.drop_first();
        }
    }

    /// The first index that is here.
    pub fn start(&self) -> Option<u64> {
        self.entries.front().map(RaftEntry::index)
    }

    fn end(&self) -> Option<u64> {
        self.entries.back().map(|last| last.index() + 1)
    }

    /// The part of a range that is here.
    pub fn range(&self, range: Range<u64>) -> impl Iterator<Item = &Entry> {
        let start = self.start().unwrap_or(0);
        let place = |index: u64| usize::try_from(index.saturating_sub(start)).unwrap_or(usize::MAX);
        let end = place(range.end).min(self.entries.len());
        self.entries.range(place(range.start).min(end)..end)
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= size(&entry);
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// About what an entry costs.
pub(super) fn size(entry: &Entry) -> usize {
    let data = match &entry.payload {
        Payload::Normal(data) => data.0.len(),
        Payload::Blank | Payload::Membership(_) => 0,
    };
    data + size_of::<Entry>()
}

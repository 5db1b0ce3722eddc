//! Reads entries: the newest from memory, older ones from disk.

use std::fmt::Debug;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use openraft::storage::RaftLogReader;

use super::cache::size;
use super::codec::decode_entry;
use super::{Shared, disk};
use crate::raft::{Entry, Types, Vote};
use crate::store::Error;

/// Most bytes of entries in one message to a follower, except that one entry is always sent.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Entries read from disk at once.
const STEP: u64 = 64;

#[derive(Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    /// Entries of a range, as many as fit `bytes_max`, and at least one if there is one.
    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<Entry>, Error> {
        let mut budget = Budget { left: bytes_max, entries: Vec::new() };
        let mut next = range.start;
        loop {
            let on_disk = {
                let inner = self.shared.lock();
                let end = inner.last.map_or(0, |last| last.index + 1).min(range.end);
                let cached = inner.cache.start().unwrap_or(end);
                next = next.max(inner.purged.map_or(0, |purged| purged.index + 1));
                if next >= cached.min(end) {
                    inner.cache.range(next..end).all(|entry| budget.take(entry.clone()));
                    return Ok(budget.entries);
                }
                // In steps, so that a small budget does not read the whole log.
                next..cached.min(end).min(next + STEP)
            };
            next = on_disk.end;
            let values = &self.shared.values;
            values.scan(on_disk, |index, bytes| {
                let entry = decode_entry(index, bytes).map_err(|damage| disk::damaged(values, index, damage))?;
                budget.take(entry);
                Ok(())
            })?;
            if budget.is_full() {
                return Ok(budget.entries);
            }
        }
    }
}

struct Budget {
    left: usize,
    entries: Vec<Entry>,
}

impl Budget {
    fn is_full(&self) -> bool {
        self.left == 0
    }

    /// False once nothing more fits.
    fn take(&mut self, entry: Entry) -> bool {
        if self.is_full() {
            return false;
        }
        let size = size(&entry);
        if size > self.left && !self.entries.is_empty() {
            self.left = 0;
            return false;
        }
        self.left = self.left.saturating_sub(size);
        self.entries.push(entry);
        true
    }
}

impl RaftLogReader<Types> for Reader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> std::io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.read(start..end, usize::MAX).map_err(std::io::Error::other)
    }

    async fn read_vote(&mut self) -> std::io::Result<Option<Vote>> {
        Ok(self.shared.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> std::io::Result<Vec<Entry>> {
        self.read(start..end, MESSAGE_BYTES_MAX).map_err(std::io::Error::other)
    }
}

//! The thread that makes the log durable: whatever is queued becomes one write, and then the callbacks are called.
//!
//! Purged entries are removed in small steps, and only while nothing else waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use openraft::storage::IOFlushed;
use tokio::sync::{oneshot, watch};

use super::disk::{Disk, Write};
use super::{Operation, Shared};
use crate::raft::{LogId, Types};
use crate::store::Error;

pub(super) struct Flusher {
    shared: Arc<Shared>,
    disk: Disk,
    failure: watch::Sender<Option<Arc<str>>>,
}

/// Who waits for a write.
enum Waiter {
    Entries { end: u64, flushed: IOFlushed<Types> },
    Vote(oneshot::Sender<std::io::Result<()>>),
}

struct Work {
    operations: Vec<Operation>,
    committed: Option<LogId>,
    closing: bool,
}

impl Flusher {
    pub fn new(shared: Arc<Shared>, disk: Disk, failure: watch::Sender<Option<Arc<str>>>) -> Self {
        Self { shared, disk, failure }
    }

    pub fn run(mut self) {
        // sled panics on some errors of the disk; whoever waits must hear of that too.
        let result = catch_unwind(AssertUnwindSafe(|| self.flush_until_closed()));
        let reason: Arc<str> = match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string().into(),
            Err(_) => "the log's database broke off".into(),
        };
        let mut inner = self.shared.lock();
        inner.failed = Some(reason.clone());
        let queued = std::mem::take(&mut inner.queue);
        drop(inner);
        // No receiver: the replica is being closed.
        let _ = self.failure.send(Some(reason.clone()));
        for operation in queued {
            refuse(operation, &reason);
        }
    }

    fn flush_until_closed(&mut self) -> Result<(), Error> {
        let mut purging = true;
        loop {
            let work = self.wait(purging);
            purging |= work.operations.iter().any(|operation| matches!(operation, Operation::Purge { .. }));
            if work.closing && work.operations.is_empty() {
                return self.close(work.committed);
            }
            if work.operations.is_empty() {
                purging = self.disk.remove_purged()?;
            } else {
                self.flush(work)?;
            }
        }
    }

    /// Everything that is queued. Returns without anything where there is something to purge or the log is being closed.
    fn wait(&self, purging: bool) -> Work {
        let mut inner = self.shared.lock();
        while inner.queue.is_empty() && !purging && !inner.closing {
            inner = self.shared.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let operations = std::mem::take(&mut inner.queue);
        let changed = (!operations.is_empty() || inner.closing) && std::mem::take(&mut inner.committed_changed);
        let committed = if changed { inner.committed } else { None };
        Work { operations, committed, closing: inner.closing }
    }

    fn flush(&mut self, work: Work) -> Result<(), Error> {
        let mut write = Write::new();
        write.committed(work.committed.as_ref());
        let mut waiters = Vec::with_capacity(work.operations.len());
        let mut operations = work.operations.into_iter();
        while let Some(operation) = operations.next() {
            let result = self.take(operation, &mut write, &mut waiters);
            if let Err(error) = result {
                self.fail(waiters, operations, &error);
                return Err(error);
            }
        }
        match self.finish(write, &mut waiters) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.fail(waiters, operations, &error);
                Err(error)
            }
        }
    }

    fn take(&mut self, operation: Operation, write: &mut Write, waiters: &mut Vec<Waiter>) -> Result<(), Error> {
        match operation {
            Operation::Append { entries, flushed } => {
                let end = entries.last().map_or(0, |entry| entry.log_id.index + 1);
                waiters.push(Waiter::Entries { end, flushed });
                write.append(&entries)
            }
            Operation::SaveVote { vote, saved } => {
                waiters.push(Waiter::Vote(saved));
                write.vote(&vote);
                Ok(())
            }
            Operation::Purge { upto } => {
                write.purged(&upto);
                // Removed after this write, which says so, is on disk.
                self.disk.purge(upto.index + 1);
                Ok(())
            }
            // What was written before must be there to be removed.
            Operation::Truncate { from, done } => {
                let finished = self.finish(std::mem::replace(write, Write::new()), waiters);
                let result = finished.and_then(|()| self.disk.truncate(from));
                // A receiver that is gone belongs to a replica that is being closed.
                let _ = done.send(result.as_ref().map(drop).map_err(io));
                result
            }
        }
    }

    /// Makes a write durable and tells everyone who waits for it.
    fn finish(&mut self, write: Write, waiters: &mut Vec<Waiter>) -> Result<(), Error> {
        if !write.is_empty {
            self.disk.write(write)?;
        }
        let end = waiters.iter().filter_map(|waiter| match waiter {
            Waiter::Entries { end, .. } => Some(*end),
            Waiter::Vote(_) => None,
        });
        if let Some(end) = end.max() {
            self.shared.lock().cache.flushed(end);
        }
        for waiter in waiters.drain(..) {
            waiter.tell(Ok(()));
        }
        Ok(())
    }

    fn fail(&self, waiters: Vec<Waiter>, operations: impl Iterator<Item = Operation>, error: &Error) {
        let reason: Arc<str> = error.to_string().into();
        self.shared.lock().failed = Some(reason.clone());
        for waiter in waiters {
            waiter.tell(Err(io(error)));
        }
        for operation in operations {
            refuse(operation, &reason);
        }
    }

    fn close(&mut self, committed: Option<LogId>) -> Result<(), Error> {
        let mut write = Write::new();
        write.committed(committed.as_ref());
        if write.is_empty { Ok(()) } else { self.disk.write(write) }
    }
}

impl Waiter {
    fn tell(self, result: std::io::Result<()>) {
        match self {
            Self::Entries { flushed, .. } => flushed.io_completed(result),
            Self::Vote(saved) => {
                // As above: the replica is being closed.
                let _ = saved.send(result);
            }
        }
    }
}

fn refuse(operation: Operation, reason: &str) {
    let error = || Err(std::io::Error::other(reason.to_owned()));
    match operation {
        Operation::Append { flushed, .. } => flushed.io_completed(error()),
        Operation::SaveVote { saved: waiter, .. } | Operation::Truncate { done: waiter, .. } => {
            // As above: the replica is being closed.
            let _ = waiter.send(error());
        }
        Operation::Purge { .. } => {}
    }
}

fn io(error: &Error) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

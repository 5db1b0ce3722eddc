//! The journal of a run as a stream, from any replica.
//!
//! Invariant: events come in the order of their numbers, without gaps and without repeats, however slow the reader is: what it
//! has not read stays in the state, and nothing is queued for it.

use std::collections::VecDeque;
use std::sync::Arc;

use common::RunId;
use futures::Stream;
use futures::stream;
use tokio::sync::watch::Receiver;

use super::Error;
use super::core::Core;
use crate::state::Recorded;

/// Events copied out of the state at once.
const EVENTS_MAX: usize = 256;

struct Watching {
    core: Arc<Core>,
    run: RunId,
    after: u64,
    changed: Receiver<()>,
    failure: Receiver<Option<Error>>,
    copied: VecDeque<Recorded>,
    ended: bool,
}

/// Ends after the last event of a run that has finished, and at once where the run does not exist.
pub(super) fn events(core: Arc<Core>, run: RunId, after: u64) -> impl Stream<Item = Result<Recorded, Error>> + Send {
    let (changed, failure) = (core.subscribe(run), core.failure());
    let watching = Watching { core, run, after, changed, failure, copied: VecDeque::new(), ended: false };
    stream::unfold(watching, |mut watching| async move { Some((watching.next().await?, watching)) })
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Recorded, Error>> {
        loop {
            if let Some(recorded) = self.copied.pop_front() {
                self.after = recorded.sequence;
                return Some(Ok(recorded));
            }
            if self.ended {
                return None;
            }
            if let Some(error) = self.failure.borrow_and_update().clone() {
                self.ended = true;
                return Some(Err(error));
            }
            // Before the look, so that no change after it is missed.
            self.changed.mark_unchanged();
            let (copied, is_over) = self.copy();
            self.ended = is_over && copied.is_empty();
            if copied.is_empty() && !self.ended {
                tokio::select! {
                    // The core lives as long as this.
                    _ = self.changed.changed() => {}
                    _ = self.failure.changed() => {}
                }
            }
            self.copied = copied;
        }
    }

    /// What comes next, and whether nothing comes after what is there now.
    fn copy(&self) -> (VecDeque<Recorded>, bool) {
        self.core.read(|state| match state.run(&self.run) {
            Some(run) => {
                let copied: VecDeque<Recorded> = run.events(self.after).take(EVENTS_MAX).collect();
                let last = copied.back().map_or(self.after, |recorded| recorded.sequence);
                (copied, run.is_finished() && last >= run.last_sequence())
            }
            None => (VecDeque::new(), true),
        })
    }
}

//! What happened in a run, numbered from 1 without gaps: some ten bytes an event, so that it is kept as long as the run.
//!
//! Every replica that applied the same entries has the same bytes. Whoever watches a run says up to which number it has seen,
//! and any replica goes on from there. What an attempt ended with is not in the bytes but with the run's tasks.

use std::borrow::Cow;

use common::task::{FailureKind, TaskState};
use common::{Attempt, Epoch, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};

use super::run::{Counts, RunOutcome, StopCause};

/// Events between two places from which reading can begin.
const STRIDE: u64 = 256;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Journal {
    bytes: Vec<u8>,
    last: Place,
    /// Every [`STRIDE`] events, where the next one begins.
    places: Vec<Place>,
    /// Workers that were assigned tasks; records name them by position.
    workers: Vec<WorkerId>,
}

/// Between two records; what the next one counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Number of the last event before.
    sequence: u64,
    offset: u64,
    at: Timestamp,
    epoch: Epoch,
}

/// One event, tasks by their index in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Record<'a> {
    Submitted,
    Assigned {
        task: u32,
        attempt: Attempt,
        /// In the bytes, how much greater than that of the assignment before.
        epoch: u64,
        worker: u32,
    },
    UpForRetry {
        task: u32,
        attempt: Attempt,
        kind: FailureKind,
        /// Microseconds from now.
        wait: u64,
    },
    /// `has_ending` where the task's last attempt had ended.
    Finished {
        task: u32,
        attempt: Attempt,
        state: Cow<'a, TaskState>,
        has_ending: bool,
    },
    Stopping(StopCause),
    Retried {
        tasks: u32,
    },
    RunFinished {
        outcome: RunOutcome,
        counts: Counts,
    },
}

impl Journal {
    /// Number of the last event.
    pub fn last(&self) -> u64 {
        self.last.sequence
    }

    pub fn push(&mut self, at: Timestamp, mut record: Record<'_>) {
        if self.last.sequence.is_multiple_of(STRIDE) {
            self.places.push(self.last);
        }
        if let Record::Assigned { epoch, .. } = &mut record {
            let difference = epoch.wrapping_sub(self.last.epoch.0);
            self.last.epoch = Epoch(*epoch);
            *epoch = difference;
        }
        let passed = at.as_micros().wrapping_sub(self.last.at.as_micros()) as u64;
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(&(passed, record), bytes)
            .expect("records have only shapes that postcard knows, and memory is the only limit");
        let sequence = self.last.sequence + 1;
        self.last = Place { sequence, offset: self.bytes.len() as u64, at, epoch: self.last.epoch };
    }

    /// The position of a worker among those that records name.
    pub fn worker(&mut self, worker: &WorkerId) -> u32 {
        let known = self.workers.iter().rposition(|known| known == worker);
        let position = known.unwrap_or_else(|| {
            self.workers.push(worker.clone());
            self.workers.len() - 1
        });
        position as u32
    }

    pub fn worker_at(&self, position: u32) -> Option<&WorkerId> {
        self.workers.get(position as usize)
    }

    /// The events after number `after`, with their numbers and times.
    pub fn after(&self, after: u64) -> impl Iterator<Item = (u64, Timestamp, Record<'static>)> + '_ {
        let stride = usize::try_from(after / STRIDE).unwrap_or(usize::MAX);
        let begin = self.places.get(stride).copied().unwrap_or(self.last);
        Reader { bytes: &self.bytes, place: begin }.filter(move |(sequence, ..)| *sequence > after)
    }

    /// Gives back memory that no further event will need soon.
    pub fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.places.shrink_to_fit();
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    place: Place,
}

impl Iterator for Reader<'_> {
    type Item = (u64, Timestamp, Record<'static>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(usize::try_from(self.place.offset).ok()?..)?;
        // Nothing is left, or bytes that this program did not write.
        let ((passed, mut record), left) = postcard::take_from_bytes::<(u64, Record<'static>)>(rest).ok()?;
        let place = &mut self.place;
        place.offset += (rest.len() - left.len()) as u64;
        place.sequence += 1;
        place.at = Timestamp(place.at.as_micros().wrapping_add(passed as i64));
        if let Record::Assigned { epoch, .. } = &mut record {
            place.epoch = Epoch(place.epoch.0.wrapping_add(*epoch));
            *epoch = place.epoch.0;
        }
        Some((place.sequence, place.at, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(task: u32) -> Record<'static> {
        Record::Assigned { task, attempt: Attempt(1), epoch: 1_000_000 + u64::from(task), worker: 0 }
    }

    #[test]
    fn reading_may_begin_anywhere() {
        let mut journal = Journal::default();
        let at = |task: u32| Timestamp(1_700_000_000_000_000 + i64::from(task) * 1_000);
        for task in 0..1_000 {
            journal.push(at(task), assigned(task));
        }
        assert_eq!(journal.last(), 1_000);
        for after in [0, 1, 255, 256, 257, 999, 1_000, 5_000, u64::MAX] {
            let read: Vec<_> = journal.after(after).collect();
            let expected: Vec<_> = (after.min(1_000)..1_000)
                .map(|number| (number + 1, at(number as u32), assigned(number as u32)))
                .collect();
            assert_eq!(read, expected, "after {after}");
        }
    }

    #[test]
    fn an_event_takes_a_dozen_bytes() {
        let mut journal = Journal::default();
        for task in 0..10_000 {
            let at = Timestamp(1_700_000_000_000_000 + i64::from(task) * 900_000);
            journal.push(at, assigned(task));
            let state = Cow::Owned(TaskState::Success);
            journal.push(at, Record::Finished { task, attempt: Attempt(1), state, has_ending: true });
        }
        assert!(journal.bytes.len() < 20_000 * 10, "{} bytes", journal.bytes.len());
    }

    #[test]
    fn workers_are_named_once() {
        let mut journal = Journal::default();
        let [v, w] = ["v", "w"].map(|name| WorkerId(name.into()));
        assert_eq!([&v, &w, &v].map(|worker| journal.worker(worker)), [0, 1, 0]);
        assert_eq!((journal.worker_at(1), journal.worker_at(2)), (Some(&w), None));
    }
}

//! What time it is, without jumps: the wall clock as of the start, and on from there by the monotonic one.

use common::Timestamp;
use tokio::time::Instant;

pub(super) struct Clock {
    origin: Timestamp,
    since: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { origin: crate::local::clock::now(), since: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        self.origin.plus(self.since.elapsed())
    }
}

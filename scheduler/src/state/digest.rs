//! A rolling hash: cheap enough for every step, good enough to tell replicas apart. Not for adversaries.

use common::task::TaskState;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest(u64);

impl Digest {
    pub fn mix(&mut self, words: &[u64]) {
        for word in words {
            // The finaliser of SplitMix64.
            let mut x = (self.0 ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            self.0 = x ^ (x >> 31);
        }
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

/// A number that tells states apart; running ones by epoch, waiting ones by due time.
pub(super) fn word(state: &TaskState) -> u64 {
    match state {
        TaskState::Pending => 0,
        TaskState::Ready => 1,
        TaskState::Running { epoch, .. } => 2 | epoch.0 << 8,
        TaskState::UpForRetry { due_at, .. } => 3 | (due_at.as_micros() as u64) << 8,
        TaskState::Success => 4,
        TaskState::Failed(kind) => 5 | (*kind as u64) << 8,
        TaskState::UpstreamFailed => 6,
        TaskState::Skipped => 7,
        TaskState::Canceled => 8,
    }
}

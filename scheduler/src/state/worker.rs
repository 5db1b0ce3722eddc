//! A registered worker and what it holds.

use std::collections::BTreeSet;

use common::RunId;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    pub slots: u32,
    pub draining: bool,
    /// Attempts assigned and not yet ended, as run and task index.
    #[serde(skip)]
    pub(super) running: BTreeSet<(RunId, u32)>,
}

impl Worker {
    /// How many more tasks it may be handed.
    pub fn free(&self) -> u32 {
        if self.draining { 0 } else { self.slots.saturating_sub(self.running.len() as u32) }
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }
}

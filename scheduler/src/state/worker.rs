//! A registered worker and what it holds.

use std::collections::{BTreeMap, BTreeSet};

use common::session::WorkerDescription;
use common::{RunId, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    pub slots: u32,
    pub draining: bool,
    pub description: WorkerDescription,
    pub registered_at: Timestamp,
    /// Attempts assigned and not yet ended, as run and task index.
    #[serde(skip)]
    pub(super) running: BTreeSet<(RunId, u32)>,
}

impl Worker {
    /// How many more tasks it may be handed.
    pub fn free(&self) -> u32 {
        if self.draining { 0 } else { self.slots.saturating_sub(self.running.len() as u32) }
    }

    /// Whether it carries all of the labels.
    pub fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().all(|(name, value)| self.description.labels.get(name) == Some(value))
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }
}

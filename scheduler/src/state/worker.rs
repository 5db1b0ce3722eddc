//! A registered worker and what it holds.

use std::collections::{BTreeMap, BTreeSet};

use common::session::WorkerDescription;
use common::{RunId, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};

use super::{LABELS_MAX, NAME_MAX, Rejection, WORKER_SLOTS_MAX};

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
        self.description.carries(labels)
    }

    pub fn running(&self) -> usize {
        self.running.len()
    }
}

/// What a worker may say of itself: `apply` asks, and before a greeting is proposed the session does.
pub fn check(id: &WorkerId, slots: u32, description: &WorkerDescription) -> Result<(), Rejection> {
    if slots == 0 || slots > WORKER_SLOTS_MAX {
        return Err(Rejection::SlotsOutOfRange { max: WORKER_SLOTS_MAX });
    }
    let WorkerDescription { host, version, labels } = description;
    if labels.len() > LABELS_MAX {
        return Err(Rejection::TooManyLabels { max: LABELS_MAX as u32 });
    }
    let labels = labels.iter().flat_map(|(name, value)| [name.as_str(), value]);
    let mut names = [&*id.0, host, version].into_iter().chain(labels);
    if names.any(|name| name.len() > NAME_MAX) {
        return Err(Rejection::NameTooLong { max: NAME_MAX as u32 });
    }
    Ok(())
}

//! What a worker and the leader say to each other. In one process the messages travel over channels, in a cluster over one
//! bidirectional gRPC stream; the code at both ends is the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::task::{Assignment, TaskReport};
use crate::{Epoch, NodeId, RunId, WorkerId};

/// What a worker says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerDescription {
    /// For people.
    pub host: String,
    /// Of the program, for people.
    pub version: String,
    /// Runs may ask for workers that carry certain labels.
    pub labels: BTreeMap<String, String>,
}

impl WorkerDescription {
    /// Whether it carries all of the labels.
    pub fn carries(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(name) == Some(value))
    }
}

/// From the worker to the leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WorkerMessage {
    /// First on every session; names what the worker holds from an earlier one: what waits or runs, and what has ended without
    /// the leader acknowledging it. `slots` is how many attempts it takes at once, those that wait included.
    Hello {
        worker: WorkerId,
        slots: u32,
        running: Vec<Assignment>,
        description: WorkerDescription,
    },
    Heartbeat,
    /// The task really began on a slot: for the console and for traces, never for the log.
    Started {
        run: RunId,
        node: NodeId,
        epoch: Epoch,
    },
    /// Sent again until `LeaderMessage::Acknowledged` names its epoch.
    Report(Box<TaskReport>),
}

/// From the leader to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LeaderMessage {
    Assign(Assignment),
    /// The report of that attempt is committed (or was stale): forget it.
    Acknowledged {
        run: RunId,
        node: NodeId,
        epoch: Epoch,
    },
    /// Stop the attempt; its SQL is interrupted.
    Cancel {
        run: RunId,
        node: NodeId,
        epoch: Epoch,
    },
    /// Finish what runs, take nothing new, then leave.
    Drain,
}

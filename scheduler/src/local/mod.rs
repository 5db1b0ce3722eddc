//! The leader in one process, for the verbs of a laptop: the state machine, tick and sessions of a cluster on one thread, with
//! the log in the project's `.kontiki/`.
//!
//! ```text
//!   Handle ──▶ inbox ──▶ [ leader thread: drain, tick, append + fdatasync once, apply ] ──▶ sessions, subscribers, replies
//! ```
//!
//! Invariant: nothing is answered, assigned or acknowledged before its entry is on disk.
//!
//! A process that starts finds the runs of dead ones: they end as interrupted, and `retry` goes on with them under higher
//! epochs. Indexes start over at the milliseconds since 1970 where that is higher, so that a process started later holds the
//! higher epochs whatever folder its log is in.

pub(crate) mod clock;
mod error;
mod handle;
mod thread;

use std::path::PathBuf;
use std::time::Duration;

use common::run::RunOptions;
use common::task::TaskState;
use common::{Attempt, NodeId, RunId, Timestamp};
use std::sync::Arc;

use crate::leader::Policy;
use crate::state::{Counts, Ending, Run, RunState};

pub use crate::leader::Update;
pub use crate::state::{CancelCause, Event, Submission};
pub use error::Error;
pub use handle::{Handle, Session, Uplink};

/// How to lead.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the log lives; made if missing.
    pub directory: PathBuf,
    /// A worker not heard for this long is lost.
    pub lease: Duration,
    /// Finished runs that are remembered.
    pub runs_kept: usize,
}

impl Config {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), lease: Duration::from_secs(30), runs_kept: 20 }
    }

    fn policy(&self) -> Policy {
        Policy {
            lease: self.lease,
            lose_on_disconnect: true,
            runs_kept: self.runs_kept,
            history_kept: None,
            transcripts_kept: None,
        }
    }
}

/// Opens the log, replays it, ends what a dead process left running, and leads.
pub fn start(config: Config) -> Result<Handle, Error> {
    thread::start(config)
}

/// A run as of one moment.
#[derive(Clone, Debug)]
pub struct RunView {
    pub id: RunId,
    pub options: RunOptions,
    pub manifest_digest: String,
    pub submitted_at: Timestamp,
    pub state: RunState,
    pub counts: Counts,
    /// In plan order.
    pub tasks: Vec<TaskView>,
}

#[derive(Clone, Debug)]
pub struct TaskView {
    pub node: NodeId,
    pub state: TaskState,
    /// The last attempt; 0 before the first.
    pub attempt: Attempt,
    /// How the last attempt ended, without compiled code.
    pub ending: Option<Arc<Ending>>,
}

impl From<&Run> for RunView {
    fn from(run: &Run) -> Self {
        let tasks = run.tasks().iter().map(|task| TaskView {
            node: task.node.clone(),
            state: task.state.clone(),
            attempt: task.attempt,
            ending: task.ending().map(Arc::new),
        });
        Self {
            id: run.id,
            options: run.options.clone(),
            manifest_digest: run.manifest_digest.clone(),
            submitted_at: run.submitted_at,
            state: run.state,
            counts: run.counts(),
            tasks: tasks.collect(),
        }
    }
}

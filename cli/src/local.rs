//! The cluster in one process: the leader, one worker and the session between them, as on a fleet, without threads between.
//!
//! ```text
//!   leader ══ session ══ worker ── slots ── warehouse
//! ```
//!
//! Invariant: at most one end of the session waits for the other: the leader for the worker, never the worker for the leader.

use std::collections::HashMap;
use std::sync::mpsc::TrySendError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::diagnostic::Code;
use common::session::{LeaderMessage, WorkerMessage};
use common::task::FailureKind;
use common::{RunId, WorkerId};
use scheduler::local::{Handle, Uplink};
use worker::session::{Outbox, Refusal};
use worker::warehouse::{Error, Warehouse};
use worker::{Opened, Run, Runs};

/// There is no other worker to leave anything to, and views that are ready together are published together.
const OFFERED_PER_SLOT: u32 = 48;

/// How long the end of a run waits for slots to end.
const CLOSE_MAX: Duration = Duration::from_secs(10);

/// Leader and worker of this process.
pub struct Local {
    pub leader: Handle,
    worker: worker::Handle,
    worker_join: worker::session::Join,
    runs: Arc<Registry>,
}

/// The runs that this process knows.
struct Registry {
    warehouse: Arc<dyn Warehouse>,
    runs: Mutex<HashMap<RunId, Arc<Run>>>,
}

impl Runs for Registry {
    fn get(&self, run: RunId) -> Result<Opened, Error> {
        let known = self.runs.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned();
        let unknown = || Error::new(FailureKind::System, Code::Internal, "the run is not known to this worker");
        known.map(|run| Opened { run, warehouse: Arc::clone(&self.warehouse) }).ok_or_else(unknown)
    }

    fn at_hand(&self, run: RunId) -> Option<Arc<Run>> {
        self.get(run).ok().map(|opened| opened.run)
    }
}

impl Local {
    /// Starts a worker beside the leader. It connects with `join`, after its run is known.
    pub fn start(leader: Handle, slots: u32, warehouse: Arc<dyn Warehouse>) -> std::io::Result<Self> {
        let runs = Arc::new(Registry { warehouse, runs: Mutex::default() });
        let config = worker::Config {
            worker: WorkerId(format!("local-{}", uuid::Uuid::now_v7()).into()),
            slots,
            offered_per_slot: OFFERED_PER_SLOT,
            description: Default::default(),
            heartbeat_interval: Duration::from_secs(5),
            resend_after: Duration::from_secs(5),
            runs: Arc::clone(&runs) as Arc<dyn Runs>,
        };
        let (worker, worker_join) = worker::start(config)?;
        Ok(Self { leader, worker, worker_join, runs })
    }

    /// Makes a run known to the worker; must come before the run is submitted.
    pub fn register(&self, id: RunId, run: Run) -> Arc<Run> {
        let run = Arc::new(run);
        self.runs.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&run));
        run
    }

    /// Opens the session between worker and leader.
    pub fn join(&self) -> anyhow::Result<()> {
        let worker = self.worker.clone();
        let uplink = self.leader.attach(move |messages| {
            worker.deliver_all(messages);
            true
        })?;
        self.worker.connect(ToLeader(uplink));
        Ok(())
    }

    /// Lets the worker go, once runs are finished. The slots' connections close meanwhile: an embedded warehouse then writes its log
    /// into its file as soon as nobody else has it open, and need not replay it the next time.
    pub fn close(self) -> Closing {
        self.worker.deliver(LeaderMessage::Drain);
        Closing { worker: self.worker_join, leader: self.leader }
    }
}

/// A worker and a leader that are ending; dropping it waits until they have, but not for ever.
pub struct Closing {
    worker: worker::session::Join,
    leader: Handle,
}

impl Drop for Closing {
    fn drop(&mut self) {
        // A slot whose warehouse gives no sign of life must not keep the program from ending.
        self.worker.wait_for(CLOSE_MAX);
        self.leader.shutdown();
    }
}

struct ToLeader(Uplink);

impl Outbox for ToLeader {
    fn offer(&mut self, message: WorkerMessage) -> Result<(), Refusal> {
        self.0.try_send(vec![message]).map_err(|error| refusal(&error))
    }

    fn offer_all(&mut self, messages: Vec<WorkerMessage>) -> (usize, Result<(), Refusal>) {
        let count = messages.len();
        match self.0.try_send(messages) {
            Ok(()) => (count, Ok(())),
            Err(error) => (0, Err(refusal(&error))),
        }
    }
}

fn refusal(error: &TrySendError<()>) -> Refusal {
    match error {
        TrySendError::Full(()) => Refusal::Full,
        TrySendError::Disconnected(()) => Refusal::Closed,
    }
}

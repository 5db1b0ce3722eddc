//! The cluster in one process: the leader, one worker and the session between them, as on a fleet, over channels.
//!
//! ```text
//!   leader ══ session over channels ══ worker ── slots ── warehouse
//! ```

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use common::session::WorkerMessage;
use common::{RunId, WorkerId};
use scheduler::local::{self, Handle};
use worker::warehouse::Warehouse;
use worker::{Run, Runs};

/// Messages of the worker that wait for the leader.
const OUTBOX_MAX: usize = 1_024;

/// Leader and worker of this process.
pub struct Local {
    pub leader: Handle,
    worker: worker::Handle,
    runs: Arc<Registry>,
}

/// The runs that this process knows.
#[derive(Default)]
struct Registry {
    runs: Mutex<HashMap<RunId, Arc<Run>>>,
}

impl Runs for Registry {
    fn get(&self, run: RunId) -> Option<Arc<Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned()
    }
}

impl Local {
    /// Opens the log in `directory`, and starts leader and worker. The worker connects with `join`, after its run is known.
    pub fn start(directory: &Path, slots: u32, warehouse: Arc<dyn Warehouse>) -> Result<Self> {
        let leader = local::start(local::Config::new(directory))?;
        let runs = Arc::new(Registry::default());
        let config = worker::Config {
            worker: WorkerId(format!("local-{}", uuid::Uuid::now_v7()).into()),
            slots,
            heartbeat_interval: Duration::from_secs(5),
            resend_after: Duration::from_secs(5),
            warehouse,
            runs: Arc::clone(&runs) as Arc<dyn Runs>,
        };
        let (worker, _join) = worker::start(config).context("cannot start the worker's threads")?;
        Ok(Self { leader, worker, runs })
    }

    /// Makes a run known to the worker; must come before the run is submitted.
    pub fn register(&self, id: RunId, run: Run) -> Arc<Run> {
        let run = Arc::new(run);
        self.runs.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&run));
        run
    }

    /// Opens the session between worker and leader.
    pub fn join(&self) -> Result<()> {
        let (to_leader, mut from_leader) = self.leader.connect_worker()?;
        let (outbox, messages) = sync_channel::<WorkerMessage>(OUTBOX_MAX);
        spawn("to-leader", move || {
            while let Ok(message) = messages.recv() {
                if to_leader.blocking_send(message).is_err() {
                    return;
                }
            }
        })?;
        let worker = self.worker.clone();
        spawn("from-leader", move || {
            while let Some(message) = from_leader.blocking_recv() {
                worker.deliver(message);
            }
        })?;
        self.worker.connect(outbox);
        Ok(())
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .with_context(|| format!("cannot start thread {name}"))?;
    Ok(())
}

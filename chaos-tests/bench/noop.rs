//! A worker that does nothing, or sleeps: what is left is the scheduler's own cost.
//!
//! Invariant: like every worker, it keeps a report until it is acknowledged, and greets a new leader with all it holds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::table::Response;
use common::task::{Assignment, NodeResult, NodeStatus, TaskOutcome, TaskReport};
use common::transcript::Packed;
use common::{Epoch, NodeId, RunId, Timestamp, WorkerId};
use futures::StreamExt;
use proto::client::{Replicas, leader_of};
use proto::session::FromLeader;
use proto::v1::worker_service_client::WorkerServiceClient;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;

const HEARTBEAT: Duration = Duration::from_millis(500);
const RECONNECT: Duration = Duration::from_millis(10);
const BATCH_MAX: usize = 1_024;

#[derive(Clone)]
pub struct Config {
    pub name: String,
    pub slots: u32,
    /// How long each task takes.
    pub pause: Duration,
}

/// A running worker; aborted when dropped, as if its process had died.
pub struct Noop {
    seen: Arc<Mutex<Seen>>,
    assigned: watch::Receiver<Option<Instant>>,
    task: JoinHandle<()>,
}

/// What the worker noticed.
#[derive(Default)]
pub struct Seen {
    /// When each assignment that was new arrived.
    pub assigned: Vec<Instant>,
    /// From the last report before an assignment to the assignment.
    pub hops: Vec<Duration>,
    reported: Option<Instant>,
}

type Key = (RunId, NodeId, Epoch);

/// What the worker holds, and whether it has ended and waits to be acknowledged.
type Held = Arc<Mutex<BTreeMap<Key, (Assignment, bool)>>>;

/// The way out of the session that is open now: what began in another one ends here as well.
type Outbox = Arc<Mutex<Option<mpsc::UnboundedSender<WorkerMessage>>>>;

impl Noop {
    pub fn start(replicas: &Replicas, config: Config) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let (latest, assigned) = watch::channel(None);
        let held = Held::default();
        let (replicas, outbox) = (replicas.clone(), Outbox::default());
        let session = Session { replicas, config, seen: Arc::clone(&seen), latest, held, outbox };
        Self { seen, assigned, task: tokio::spawn(session.keep()) }
    }

    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When the last assignment that was new arrived, and a way to wait for the next.
    pub fn assigned(&self) -> watch::Receiver<Option<Instant>> {
        self.assigned.clone()
    }

    /// The first new assignment after a moment.
    pub fn first_after(&self, moment: Instant) -> Option<Instant> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.assigned.iter().copied().find(|at| *at > moment)
    }
}

impl Drop for Noop {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Session {
    replicas: Replicas,
    config: Config,
    seen: Arc<Mutex<Seen>>,
    latest: watch::Sender<Option<Instant>>,
    held: Held,
    outbox: Outbox,
}

impl Session {
    async fn keep(self) {
        loop {
            for address in self.replicas.addresses() {
                if let Some(leader) = self.attend(&address).await {
                    self.replicas.prefer(&leader);
                    break;
                }
            }
            tokio::time::sleep(RECONNECT).await;
        }
    }

    /// One session; gives back who leads where that is another replica.
    async fn attend(&self, address: &str) -> Option<String> {
        let channel = self.replicas.channel(address).ok()?;
        let (outbox, messages) = mpsc::unbounded_channel();
        let requests = UnboundedReceiverStream::new(messages).map(|message| proto::session::request(message, ""));
        let held: Vec<(Assignment, bool)> = self.held().values().cloned().collect();
        // The receiver lives as long as the call below.
        let _ = outbox.send(WorkerMessage::Hello {
            worker: WorkerId(self.config.name.as_str().into()),
            slots: self.config.slots,
            running: held.iter().map(|(assignment, _)| assignment.clone()).collect(),
            description: WorkerDescription::default(),
        });
        *self.outbox.lock().unwrap_or_else(PoisonError::into_inner) = Some(outbox.clone());
        let mut answers = match WorkerServiceClient::new(channel).session(requests).await {
            Ok(answers) => answers.into_inner().ready_chunks(BATCH_MAX),
            Err(status) => return leader_of(&status).filter(|leader| !leader.is_empty()),
        };
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            tokio::select! {
                _ = heartbeat.tick() => {
                    outbox.send(WorkerMessage::Heartbeat).ok()?;
                    self.resend(&outbox)?;
                }
                batch = answers.next() => for answer in batch? {
                    match proto::session::to_response(answer.ok()?).ok()? {
                        FromLeader::Message(LeaderMessage::Assign(assignment)) => self.execute(assignment),
                        FromLeader::Message(LeaderMessage::Acknowledged { run, node, epoch }) => {
                            self.held().remove(&(run, node, epoch));
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// What ended and was not acknowledged, such as what ended between two sessions. A report that comes twice changes nothing.
    fn resend(&self, outbox: &mpsc::UnboundedSender<WorkerMessage>) -> Option<()> {
        for (assignment, _) in self.held().values().filter(|(_, has_ended)| *has_ended) {
            outbox.send(WorkerMessage::Report(Box::new(report(assignment)))).ok()?;
        }
        Some(())
    }

    fn execute(&self, assignment: Assignment) {
        let key = (assignment.run, assignment.node.clone(), assignment.epoch);
        if self.held().insert(key.clone(), (assignment.clone(), false)).is_some() {
            return;
        }
        let now = Instant::now();
        {
            let mut seen = self.seen();
            seen.assigned.push(now);
            if let Some(reported) = seen.reported.take() {
                seen.hops.push(now - reported);
            }
        }
        self.latest.send_replace(Some(now));
        let end = {
            let (held, seen, outbox) = (Arc::clone(&self.held), Arc::clone(&self.seen), Arc::clone(&self.outbox));
            move || {
                if let Some((_, has_ended)) = held.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key) {
                    *has_ended = true;
                }
                seen.lock().unwrap_or_else(PoisonError::into_inner).reported = Some(Instant::now());
                let outbox = outbox.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(open) = &*outbox {
                    // Where that session is over, the next one resends it at its first heartbeat.
                    let _ = open.send(WorkerMessage::Report(Box::new(report(&assignment))));
                }
            }
        };
        if self.config.pause.is_zero() {
            end();
        } else {
            let pause = self.config.pause;
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                end();
            });
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, (Assignment, bool)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(assignment: &Assignment) -> TaskReport {
    let now = Timestamp::default();
    TaskReport {
        run: assignment.run,
        node: assignment.node.clone(),
        attempt: assignment.attempt,
        epoch: assignment.epoch,
        outcome: TaskOutcome::Success,
        result: NodeResult {
            status: NodeStatus::Success,
            thread: "Thread-1".to_owned(),
            compile_started_at: now,
            compile_completed_at: now,
            execute_started_at: now,
            execute_completed_at: now,
            message: Some("OK".to_owned()),
            failures: None,
            response: Response { message: "OK".to_owned(), code: None, rows_affected: None },
            relation_name: None,
            compiled_code: None,
            batches: None,
        },
        transcript: Packed::default(),
    }
}

//! The worker as a component: keeps the session with the leader, and hands assignments to slots.
//!
//! ```text
//! Assign ─▶ waiting ─▶ on a slot ─▶ reported ─▶ (Acknowledged) forgotten
//! ```
//!
//! Invariants: a report is kept, and sent again, until the leader acknowledges it; an attempt that this worker knows is never
//! started twice; the session thread never blocks on the leader (what the leader does not take is sent again), so a leader
//! that blocks on the session cannot deadlock with it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::diagnostic::Code;
use common::session::{LeaderMessage, WorkerMessage};
use common::task::{Assignment, FailureKind, TaskReport};
use common::{Epoch, NodeId, RunId, WorkerId};

use crate::cancellation::Cancellation;
use crate::execute::refused;
use crate::run::Runs;
use crate::slots::{Event, Job, Slots};

/// Messages that wait for the session thread.
const INBOX_MAX: usize = 1_024;

/// Attempts offered for each slot: while one runs, the next is here already, so that no slot waits for the leader's commit.
const OFFERED_PER_SLOT: u32 = 2;

/// How soon to interrupt again an attempt that was canceled and still runs: an interruption that arrives between two statements
/// is lost.
const INSIST_AFTER: Duration = Duration::from_millis(50);

/// What a worker is started with.
pub struct Config {
    pub worker: WorkerId,
    /// Tasks at once; each slot is a thread with a connection of its own.
    pub slots: u32,
    pub heartbeat_interval: Duration,
    /// A report without acknowledgement is sent again after this.
    pub resend_after: Duration,
    pub runs: Arc<dyn Runs>,
}

/// Controls a running worker. Cheap to clone; dropping it does not stop the worker.
#[derive(Clone)]
pub struct Handle {
    inbox: SyncSender<Input>,
}

/// Waits for the end of a worker.
pub struct Join {
    thread: JoinHandle<()>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The leader is behind; later there will be room.
    Full,
    /// The session is over.
    Closed,
}

/// The worker's way to the leader. It must never wait for the leader, who may be waiting for this worker.
pub trait Outbox: Send {
    fn offer(&mut self, message: WorkerMessage) -> Result<(), Refusal>;
}

impl Outbox for SyncSender<WorkerMessage> {
    fn offer(&mut self, message: WorkerMessage) -> Result<(), Refusal> {
        self.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::Full,
            TrySendError::Disconnected(_) => Refusal::Closed,
        })
    }
}

/// Everything the session thread reacts to.
pub(crate) enum Input {
    /// A session with a leader begins; it hears everything from here on.
    Connect(Box<dyn Outbox>),
    Leader(LeaderMessage),
    Slot(Event),
    CancelAll,
}

/// An attempt's name in the session.
type Key = (RunId, NodeId, Epoch);

struct Session {
    config: Config,
    outbox: Option<Box<dyn Outbox>>,
    slots: Slots,
    waiting: VecDeque<Assignment>,
    running: BTreeMap<Key, (Assignment, Cancellation)>,
    reports: BTreeMap<Key, Unacknowledged>,
    draining: bool,
}

struct Unacknowledged {
    report: Box<TaskReport>,
    /// `None` where it still has to be sent on this session.
    sent_at: Option<Instant>,
}

/// Starts the worker's threads. It idles until `Handle::connect`.
pub fn start(config: Config) -> std::io::Result<(Handle, Join)> {
    let (inbox, inputs) = sync_channel(INBOX_MAX);
    let slots = Slots::start(&config, &inbox)?;
    let session = Session {
        config,
        outbox: None,
        slots,
        waiting: VecDeque::new(),
        running: BTreeMap::new(),
        reports: BTreeMap::new(),
        draining: false,
    };
    let thread = std::thread::Builder::new().name("session".to_owned()).spawn(move || session.run(&inputs))?;
    Ok((Handle { inbox }, Join { thread }))
}

impl Handle {
    /// Begins a session: the worker greets over `outbox` and reports there. Replaces an earlier session; what it had not
    /// acknowledged is sent again.
    pub fn connect(&self, outbox: impl Outbox + 'static) {
        self.send(Input::Connect(Box::new(outbox)));
    }

    /// A message of the leader. Blocks while the worker is behind; does nothing once the worker has stopped.
    pub fn deliver(&self, message: LeaderMessage) {
        self.send(Input::Leader(message));
    }

    /// Stops every attempt and interrupts their SQL; each is reported as canceled.
    pub fn cancel_all(&self) {
        self.send(Input::CancelAll);
    }

    fn send(&self, input: Input) {
        // The worker only stops reading after a drain: nobody is left to hear this then.
        drop(self.inbox.send(input));
    }
}

impl Join {
    /// Returns when the worker has drained: all attempts ended, all reports acknowledged.
    pub fn wait(self) {
        // A panic of the session thread was printed by the panic hook; there is nothing to add.
        drop(self.thread.join());
    }
}

impl Session {
    fn run(mut self, inputs: &Receiver<Input>) {
        let mut heartbeat_at = Instant::now() + self.config.heartbeat_interval;
        while !self.is_drained() {
            let timeout = self.next_wake(heartbeat_at).saturating_duration_since(Instant::now());
            match inputs.recv_timeout(timeout) {
                Ok(input) => self.react(input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= heartbeat_at {
                self.tell(WorkerMessage::Heartbeat);
                heartbeat_at = Instant::now() + self.config.heartbeat_interval;
            }
            self.insist();
            self.fill_slots();
            self.send_reports();
        }
        self.slots.stop();
    }

    fn react(&mut self, input: Input) {
        match input {
            Input::Connect(outbox) => self.greet(outbox),
            Input::Leader(LeaderMessage::Assign(assignment)) => self.assign(assignment),
            Input::Leader(LeaderMessage::Acknowledged { run, node, epoch }) => {
                self.reports.remove(&(run, node, epoch));
            }
            Input::Leader(LeaderMessage::Cancel { run, node, epoch }) => self.cancel(&(run, node, epoch)),
            Input::Leader(LeaderMessage::Drain) => self.draining = true,
            Input::CancelAll => {
                let keys: Vec<Key> = self.running.keys().cloned().chain(self.waiting.iter().map(key)).collect();
                for key in &keys {
                    self.cancel(key);
                }
            }
            Input::Slot(Event::Started(assignment)) => {
                let Assignment { run, node, epoch, .. } = assignment;
                self.tell(WorkerMessage::Started { run, node, epoch });
            }
            Input::Slot(Event::Finished { slot, report }) => {
                self.slots.free(slot);
                self.running.remove(&(report.run, report.node.clone(), report.epoch));
                self.keep(report);
            }
        }
    }

    fn greet(&mut self, outbox: Box<dyn Outbox>) {
        self.outbox = Some(outbox);
        let running = self.running.values().map(|(assignment, _)| assignment);
        let ended = self.reports.values().map(|unacknowledged| {
            let TaskReport { run, node, attempt, epoch, .. } = unacknowledged.report.as_ref();
            Assignment { run: *run, node: node.clone(), attempt: *attempt, epoch: *epoch }
        });
        let hello = WorkerMessage::Hello {
            worker: self.config.worker.clone(),
            slots: self.offered(),
            running: running.chain(&self.waiting).cloned().chain(ended).collect(),
        };
        self.tell(hello);
        for unacknowledged in self.reports.values_mut() {
            unacknowledged.sent_at = None;
        }
    }

    fn offered(&self) -> u32 {
        self.config.slots.saturating_mul(OFFERED_PER_SLOT)
    }

    fn assign(&mut self, assignment: Assignment) {
        let key = key(&assignment);
        let known = self.running.contains_key(&key)
            || self.reports.contains_key(&key)
            || self.waiting.iter().any(|waiting| self::key(waiting) == key);
        if known {
            return;
        }
        // A leader assigns no more than was offered; what goes beyond is refused, not hoarded.
        if self.draining || self.waiting.len() >= self.offered() as usize {
            let message = if self.draining { "the worker is leaving" } else { "the worker has no free slot" };
            self.keep(Box::new(refused(&assignment, FailureKind::WorkerLost, Code::WorkerLost, message)));
        } else {
            self.waiting.push_back(assignment);
        }
    }

    fn cancel(&mut self, key: &Key) {
        if let Some((_, cancellation)) = self.running.get(key) {
            cancellation.cancel();
        } else if let Some(index) = self.waiting.iter().position(|waiting| self::key(waiting) == *key)
            && let Some(assignment) = self.waiting.remove(index)
        {
            let report = refused(&assignment, FailureKind::Canceled, Code::Canceled, "the run was canceled");
            self.keep(Box::new(report));
        }
    }

    fn insist(&self) {
        for (_, cancellation) in self.running.values().filter(|(_, cancellation)| cancellation.is_canceled()) {
            cancellation.cancel();
        }
    }

    fn fill_slots(&mut self) {
        while self.slots.has_free()
            && let Some(assignment) = self.waiting.pop_front()
        {
            let cancellation = Cancellation::default();
            self.running.insert(key(&assignment), (assignment.clone(), cancellation.clone()));
            self.slots.hand(Job { assignment, cancellation });
        }
    }

    fn keep(&mut self, report: Box<TaskReport>) {
        let key = (report.run, report.node.clone(), report.epoch);
        self.reports.insert(key, Unacknowledged { report, sent_at: None });
    }

    fn send_reports(&mut self) {
        let Some(outbox) = &mut self.outbox else { return };
        let now = Instant::now();
        for unacknowledged in self.reports.values_mut() {
            let due = unacknowledged.sent_at.is_none_or(|at| now.duration_since(at) >= self.config.resend_after);
            if due && outbox.offer(WorkerMessage::Report(unacknowledged.report.clone())).is_ok() {
                unacknowledged.sent_at = Some(now);
            }
        }
    }

    /// Sends what may get lost: heartbeats are followed by others, a start is only for the eye.
    fn tell(&mut self, message: WorkerMessage) {
        if let Some(outbox) = &mut self.outbox
            && outbox.offer(message) == Err(Refusal::Closed)
        {
            self.outbox = None;
        }
    }

    fn next_wake(&self, heartbeat_at: Instant) -> Instant {
        /// How soon to try again where the leader's queue was full.
        const FULL_RETRY: Duration = Duration::from_millis(5);
        let canceling = self.running.values().any(|(_, cancellation)| cancellation.is_canceled());
        let wake_at = if canceling { heartbeat_at.min(Instant::now() + INSIST_AFTER) } else { heartbeat_at };
        if self.outbox.is_none() {
            return wake_at;
        }
        let due = self.reports.values().map(|unacknowledged| match unacknowledged.sent_at {
            Some(at) => at + self.config.resend_after,
            None => Instant::now() + FULL_RETRY,
        });
        due.min().map_or(wake_at, |due| due.min(wake_at))
    }

    fn is_drained(&self) -> bool {
        self.draining && self.running.is_empty() && self.waiting.is_empty() && self.reports.is_empty()
    }
}

fn key(assignment: &Assignment) -> Key {
    (assignment.run, assignment.node.clone(), assignment.epoch)
}

//! The worker as a component: keeps the session with the leader, and hands assignments to slots.
//!
//! ```text
//! Assign ─▶ waiting ─▶ on a slot ─▶ reported ─▶ (Acknowledged) forgotten
//! ```
//!
//! Invariants: a report is kept, and sent again, until the leader acknowledges it; an attempt that this worker knows is never
//! started twice; the session thread never blocks on the leader (what the leader does not take is sent again), so a leader
//! that blocks on the session cannot deadlock with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::diagnostic::Code;
use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::task::{Assignment, FailureKind, TaskOutcome, TaskReport};
use common::{Epoch, NodeId, RunId, Timestamp, WorkerId, telemetry};

use crate::cancellation::Cancellation;
use crate::execute::refused;
use crate::queue::Queue;
use crate::run::Runs;
use crate::slots::{Event, Job, Slots};
use crate::trace;

/// Messages that wait for the session thread.
const INBOX_MAX: usize = 1_024;

/// Inputs that are heard before the slots get new work, so that attempts which arrive together can be taken together.
const INPUTS_AT_ONCE: usize = 256;

/// How soon to interrupt again an attempt that was canceled and still runs: an interruption that arrives between two statements
/// is lost.
const INSIST_AFTER: Duration = Duration::from_millis(50);

/// What a worker is started with.
pub struct Config {
    pub worker: WorkerId,
    /// Tasks at once; each slot is a thread with a connection of its own.
    pub slots: u32,
    /// Attempts offered for each slot. Two hide the leader's commit: while one runs, the next is here already. With more, cheap ones
    /// can be published together, but other workers find less to do.
    pub offered_per_slot: u32,
    /// What the leader is told of this worker.
    pub description: WorkerDescription,
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
    /// Closed by the thread's end.
    ended: Receiver<Never>,
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

    /// Offers messages in their order until one is refused; tells how many were taken, and why the rest was not.
    fn offer_all(&mut self, messages: Vec<WorkerMessage>) -> (usize, Result<(), Refusal>) {
        let count = messages.len();
        for (taken, message) in messages.into_iter().enumerate() {
            if let Err(refusal) = self.offer(message) {
                return (taken, Err(refusal));
            }
        }
        (count, Ok(()))
    }
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
    Leader(Vec<LeaderMessage>),
    Slot(Event),
    CancelAll,
    Abandon,
}

/// An attempt's name in the session.
pub(crate) type Key = (RunId, NodeId, Epoch);

struct Session {
    config: Config,
    outbox: Option<Box<dyn Outbox>>,
    slots: Slots,
    waiting: Queue,
    running: BTreeMap<Key, (Assignment, Cancellation)>,
    reports: BTreeMap<Key, Unacknowledged>,
    /// When attempts that wait were heard of, where somebody traces them.
    heard: BTreeMap<Key, Timestamp>,
    draining: bool,
    /// What ends from now on because it was interrupted was not canceled: others should do it.
    abandoning: bool,
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
        waiting: Queue::default(),
        running: BTreeMap::new(),
        reports: BTreeMap::new(),
        heard: BTreeMap::new(),
        draining: false,
        abandoning: false,
    };
    let (alive, ended) = sync_channel(0);
    let run = move || {
        let _alive: SyncSender<Never> = alive;
        session.run(&inputs);
    };
    let thread = std::thread::Builder::new().name("session".to_owned()).spawn(run)?;
    Ok((Handle { inbox }, Join { thread, ended }))
}

impl Handle {
    /// Begins a session: the worker greets over `outbox` and reports there. Replaces an earlier session; what it had not
    /// acknowledged is sent again.
    pub fn connect(&self, outbox: impl Outbox + 'static) {
        self.send(Input::Connect(Box::new(outbox)));
    }

    /// A message of the leader. Blocks while the worker is behind; does nothing once the worker has stopped.
    pub fn deliver(&self, message: LeaderMessage) {
        self.deliver_all(vec![message]);
    }

    /// Messages of the leader that belong together: they are heard before any of them is acted on.
    pub fn deliver_all(&self, messages: Vec<LeaderMessage>) {
        self.send(Input::Leader(messages));
    }

    /// Stops every attempt and interrupts their SQL; each is reported as canceled.
    pub fn cancel_all(&self) {
        self.send(Input::CancelAll);
    }

    /// Interrupts everything, for others to do: each attempt is reported as lost.
    pub fn abandon(&self) {
        self.send(Input::Abandon);
    }

    fn send(&self, input: Input) {
        // The worker only stops reading after a drain: nobody is left to hear this then.
        drop(self.inbox.send(input));
    }
}

/// Nothing is ever sent over this channel.
enum Never {}

impl Join {
    /// Waits at most so long; false where attempts or reports are still there then. The threads go on.
    pub fn wait_for(&self, limit: Duration) -> bool {
        matches!(self.ended.recv_timeout(limit), Err(RecvTimeoutError::Disconnected))
    }

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
            for input in inputs.try_iter().take(INPUTS_AT_ONCE) {
                self.react(input);
            }
            if Instant::now() >= heartbeat_at {
                self.tell(vec![WorkerMessage::Heartbeat]);
                heartbeat_at = Instant::now() + self.config.heartbeat_interval;
            }
            self.insist();
            self.fill_slots();
            self.send_reports();
        }
        // The leader has nothing more to say: it records that while the warehouse closes.
        drop(self.outbox.take());
        self.slots.stop();
    }

    fn react(&mut self, input: Input) {
        match input {
            Input::Connect(outbox) => self.greet(outbox),
            Input::Leader(messages) => messages.into_iter().for_each(|message| self.hear(message)),
            Input::CancelAll => self.cancel_all(),
            Input::Abandon => {
                self.abandoning = true;
                self.cancel_all();
            }
            Input::Slot(Event::Started(assignments)) => {
                let started = |Assignment { run, node, epoch, .. }| WorkerMessage::Started { run, node, epoch };
                self.tell(assignments.into_iter().map(started).collect());
            }
            Input::Slot(Event::Finished { slot, reports }) => {
                self.slots.free(slot);
                for report in reports {
                    self.running.remove(&(report.run, report.node.clone(), report.epoch));
                    self.keep(Box::new(report));
                }
            }
        }
    }

    fn hear(&mut self, message: LeaderMessage) {
        match message {
            LeaderMessage::Assign(assignment) => self.assign(assignment),
            LeaderMessage::Acknowledged { run, node, epoch } => drop(self.reports.remove(&(run, node, epoch))),
            LeaderMessage::Cancel { run, node, epoch } => self.cancel(&(run, node, epoch)),
            LeaderMessage::Drain => self.draining = true,
        }
    }

    fn cancel_all(&mut self) {
        let keys: Vec<Key> = self.running.keys().cloned().chain(self.waiting.iter().map(key)).collect();
        for key in &keys {
            self.cancel(key);
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
            running: running.chain(self.waiting.iter()).cloned().chain(ended).collect(),
            description: self.config.description.clone(),
        };
        self.tell(vec![hello]);
        for unacknowledged in self.reports.values_mut() {
            unacknowledged.sent_at = None;
        }
    }

    fn offered(&self) -> u32 {
        self.config.slots.saturating_mul(self.config.offered_per_slot)
    }

    fn assign(&mut self, assignment: Assignment) {
        let key = key(&assignment);
        let known = self.running.contains_key(&key) || self.reports.contains_key(&key) || self.waiting.contains(&key);
        if known {
            return;
        }
        // A leader assigns no more than was offered; what goes beyond is refused, not hoarded.
        if self.draining || self.waiting.len() >= self.offered() as usize {
            let message = if self.draining { "the worker is leaving" } else { "the worker has no free slot" };
            self.keep(Box::new(refused(&assignment, FailureKind::WorkerLost, Code::WorkerLost, message)));
        } else {
            let run = self.config.runs.at_hand(assignment.run);
            let rank = run.as_ref().map_or(0, |run| run.rank(&assignment.node));
            let is_light = assignment.attempt.0 == 1 && run.is_some_and(|run| run.is_light(&assignment.node));
            if telemetry::is_on() {
                self.heard.insert(key, trace::now());
            }
            self.waiting.push(assignment, rank, is_light);
        }
    }

    fn cancel(&mut self, key: &Key) {
        if let Some((_, cancellation)) = self.running.get(key) {
            cancellation.cancel();
        } else if let Some(assignment) = self.waiting.remove(key) {
            self.heard.remove(key);
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
        while self.slots.has_free() && !self.waiting.is_empty() {
            let taken = self.waiting.take(self.config.slots as usize);
            let attempts = taken.into_iter().map(|assignment| {
                let cancellation = Cancellation::default();
                if let Some(heard_at) = self.heard.remove(&key(&assignment)) {
                    trace::waited(&assignment, heard_at);
                }
                self.running.insert(key(&assignment), (assignment.clone(), cancellation.clone()));
                (assignment, cancellation)
            });
            let job = Job { attempts: attempts.collect() };
            self.slots.hand(job);
        }
    }

    fn keep(&mut self, mut report: Box<TaskReport>) {
        if self.abandoning && report.outcome == TaskOutcome::Canceled {
            let message = "the worker was stopped".to_owned();
            report.outcome = TaskOutcome::Failure { kind: FailureKind::WorkerLost, code: Code::WorkerLost, message };
        }
        let key = (report.run, report.node.clone(), report.epoch);
        self.reports.insert(key, Unacknowledged { report, sent_at: None });
    }

    fn send_reports(&mut self) {
        if self.outbox.is_none() {
            return;
        }
        let now = Instant::now();
        let is_due = |at: Instant| now.duration_since(at) >= self.config.resend_after;
        let mut due: Vec<&mut Unacknowledged> =
            self.reports.values_mut().filter(|report| report.sent_at.is_none_or(is_due)).collect();
        if due.is_empty() {
            return;
        }
        let messages = due.iter().map(|unacknowledged| WorkerMessage::Report(unacknowledged.report.clone())).collect();
        let taken = offer(&mut self.outbox, messages);
        for unacknowledged in due.iter_mut().take(taken) {
            unacknowledged.sent_at = Some(now);
        }
    }

    /// Sends what may get lost: heartbeats are followed by others, a start is only for the eye.
    fn tell(&mut self, messages: Vec<WorkerMessage>) {
        offer(&mut self.outbox, messages);
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

/// How many were taken. A session that is over takes nothing ever again: waiting for it to have room would never end.
fn offer(outbox: &mut Option<Box<dyn Outbox>>, messages: Vec<WorkerMessage>) -> usize {
    let Some(open) = outbox else { return 0 };
    let (taken, outcome) = open.offer_all(messages);
    if outcome == Err(Refusal::Closed) {
        *outbox = None;
    }
    taken
}

pub(crate) fn key(assignment: &Assignment) -> Key {
    (assignment.run, assignment.node.clone(), assignment.epoch)
}

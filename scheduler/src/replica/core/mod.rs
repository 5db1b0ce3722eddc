//! The state behind its one lock, and while this replica leads the leader around it.
//!
//! ```text
//!             elected, and everything of earlier terms applied
//!   following ──────────────────────────────────────────────────▶ leading
//!       ▲         the term is over, or a proposal was refused        │
//!       └────────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants:
//! - Entries are applied on the thread that learns that they are committed, and what follows from them leaves in the same call.
//! - A leader that resigns leaves nobody waiting: whoever asked is told that the outcome is not known.
//! - The lock is never held over an await. Nothing blocks under it but the pieces of blobs that are written: the state never says of a
//!   blob what is not so.

mod inner;
mod lines;
mod proposer;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use common::session::WorkerMessage;
use common::{RunId, Timestamp, telemetry};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::Error;
use super::clock::Clock;
use super::digests::{Digests, Divergence};
use super::session::Outbox;
use crate::entry::{LogEntry, Proposer};
use crate::leader::{Leader, Policy, Proposal, SessionId, Ticket};
use crate::metrics;
use crate::raft::machine::{self, Blobs};
use crate::raft::network::{Checkpoint, Compare};
use crate::raft::{Data, LeaderId, LogId};
use crate::state::{Command, Event, Reply, State};
use crate::trace::Spans;

/// Batches that may be on their way at once. While they are, everything that arrives waits to become one more.
const BATCHES_MAX: usize = 2;
/// Proposals that may wait for their replies.
const WAITING_MAX: usize = 65_536;
/// Messages of workers that may wait for a batch before their senders have to.
const RECEIVED_MAX: usize = 16_384;
/// Messages a worker may be behind before its session is closed.
const OUTBOX_MAX: usize = 65_536;
/// Sequences of one incarnation.
const SEQUENCE_BITS: u32 = 40;
/// The leader looks at the clock at most this often, and at least every second.
const TICK_MIN_MS: u64 = 10;
const TICK_MAX_MS: u64 = 1_000;

pub(in crate::replica) use proposer::propose_until_stopped;

pub(in crate::replica) struct Core {
    inner: Mutex<Inner>,
    policy: Policy,
    clock: Clock,
    blobs: Blobs,
    /// Set once, when the replica knows its id.
    proposer: OnceLock<ProposerId>,
    /// There is something to propose.
    pub pending: Notify,
    /// Index of the last entry applied.
    applied: watch::Sender<u64>,
    /// Senders of worker messages wait while this is set.
    congested: watch::Sender<bool>,
    /// Why the replica must stop.
    failure: watch::Sender<Option<Error>>,
}

/// Sequences of different incarnations never meet.
#[derive(Clone, Copy)]
pub(in crate::replica) struct ProposerId {
    pub replica: u64,
    pub incarnation: u64,
}

struct Inner {
    mode: Mode,
    /// The last entry applied.
    last: Option<LogId>,
    /// The term that this replica was elected for, while it lasts.
    elected: Option<LeaderId>,
    outboxes: BTreeMap<SessionId, Outbox>,
    waiting: BTreeMap<Ticket, oneshot::Sender<Result<Answer, Error>>>,
    watchers: HashMap<RunId, watch::Sender<()>>,
    digests: Digests,
    /// Of the runs under way, while this replica leads.
    spans: Spans,
    /// Entries on their way, and the last of each batch.
    in_flight: VecDeque<usize>,
    received: usize,
    /// Above every session, ticket and sequence of this incarnation so far.
    next: u64,
    next_tick: Timestamp,
    paused: bool,
    /// Bytes applied since the last snapshot was asked for.
    bytes: usize,
}

/// A reply, and the index of its entry.
pub(in crate::replica) type Answer = (u64, Reply);

enum Mode {
    Following(Box<State>),
    Leading(Box<Leader>, LeaderId),
}

/// Entries to be appended in one go, for one term.
pub(in crate::replica) struct Batch {
    pub term: LeaderId,
    pub entries: Vec<LogEntry>,
}

impl Core {
    pub fn new(policy: Policy, blobs: Blobs) -> Self {
        let inner = Inner {
            mode: Mode::Following(Box::default()),
            last: None,
            elected: None,
            outboxes: BTreeMap::new(),
            waiting: BTreeMap::new(),
            watchers: HashMap::new(),
            digests: Digests::default(),
            spans: Spans::default(),
            in_flight: VecDeque::new(),
            received: 0,
            next: 0,
            next_tick: Timestamp::default(),
            paused: false,
            bytes: 0,
        };
        Self {
            inner: Mutex::new(inner),
            policy,
            clock: Clock::start(),
            blobs,
            proposer: OnceLock::new(),
            pending: Notify::new(),
            applied: watch::Sender::new(0),
            congested: watch::Sender::new(false),
            failure: watch::Sender::new(None),
        }
    }

    /// Says who proposes here. Entries cannot be proposed before.
    pub fn identify(&self, proposer: ProposerId) {
        // A replica is identified once; the same identity again changes nothing.
        let _ = self.proposer.set(proposer);
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    pub fn read<T>(&self, question: impl FnOnce(&State) -> T) -> T {
        question(self.lock().state())
    }

    /// Asks the state and, where this replica leads, when it last heard its workers.
    pub fn read_live<T>(&self, question: impl FnOnce(&State, Option<&Leader>) -> T) -> T {
        let inner = self.lock();
        match &inner.mode {
            Mode::Following(state) => question(state, None),
            Mode::Leading(leader, _) => question(leader.state(), Some(leader)),
        }
    }

    /// Asks the state where this replica leads.
    pub fn read_leading<T>(&self, question: impl FnOnce(&State) -> T) -> Option<T> {
        match &self.lock().mode {
            Mode::Following(_) => None,
            Mode::Leading(leader, _) => Some(question(leader.state())),
        }
    }

    /// The last entry applied, and the hash of the state after it.
    pub fn standing(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.last.map_or(0, |last| last.index), inner.state().digest())
    }

    /// Index of the last entry applied.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    pub fn failure(&self) -> watch::Receiver<Option<Error>> {
        self.failure.subscribe()
    }

    /// The replica cannot go on.
    pub fn fail(&self, reason: &str) {
        self.failure.send_if_modified(|failure| {
            let is_first = failure.is_none();
            if is_first {
                tracing::error!(reason, "the replica stops");
                *failure = Some(Error::Stopped(reason.into()));
            }
            is_first
        });
        self.resign(|_| true);
    }

    pub fn is_leading(&self) -> bool {
        matches!(self.lock().mode, Mode::Leading(..))
    }

    /// openraft's view of who leads changed. A term that this replica was elected for is led once all entries before it are
    /// applied.
    pub fn set_elected(&self, term: Option<LeaderId>) {
        let mut inner = self.lock();
        if inner.elected == term {
            return;
        }
        inner.resign();
        inner.elected = term;
        self.lead(&mut inner);
    }

    fn lead(&self, inner: &mut Inner) {
        let Some(term) = inner.elected else { return };
        let applied = inner.last.is_some_and(|last| last.leader_id == term);
        if !applied || matches!(inner.mode, Mode::Leading(..)) || self.failure.borrow().is_some() {
            return;
        }
        let Some(proposer) = self.proposer.get() else { return };
        let now = self.clock.now();
        let sequence = (proposer.incarnation << SEQUENCE_BITS) + inner.draw();
        let Mode::Following(state) = &mut inner.mode else { return };
        inner.spans = Spans::default();
        if telemetry::is_on() || metrics::get().is_some() {
            let (spans, unsent) = Spans::resume(state, now);
            unsent.into_iter().for_each(telemetry::record);
            inner.spans = spans;
        }
        let first = Proposer { replica: proposer.replica, sequence };
        let leader = Leader::new(std::mem::take(&mut **state), self.policy.clone(), first, now);
        inner.mode = Mode::Leading(Box::new(leader), term);
        (inner.next_tick, inner.paused) = (now, false);
        tracing::info!(term = term.term, "leads");
        self.pending.notify_one();
    }

    fn resign(&self, applies: impl FnOnce(LeaderId) -> bool) {
        let mut inner = self.lock();
        if let Mode::Leading(_, term) = inner.mode
            && applies(term)
        {
            inner.resign();
            self.congested.send_replace(false);
        }
    }

    /// openraft took no entry of a batch of this term, or threw one away. What else is on its way may come or not.
    pub fn refused(&self, refused: LeaderId) {
        self.resign(|term| term == refused);
        // Leads on where the term is not over.
        self.lead(&mut self.lock());
    }

    /// Nothing more is proposed, so that what is on its way can settle before leadership is handed over.
    pub fn pause(&self, paused: bool) {
        self.lock().paused = paused;
        self.pending.notify_one();
    }

    pub fn propose(&self, proposal: Proposal) -> Result<oneshot::Receiver<Result<Answer, Error>>, Error> {
        let mut inner = self.lock();
        if inner.waiting.len() >= WAITING_MAX {
            return Err(Error::Unavailable { reason: "too many proposals are waiting" });
        }
        let ticket = Ticket(inner.draw());
        let Mode::Leading(leader, _) = &mut inner.mode else { return Err(Error::NotLeader { leader: None }) };
        leader.propose(ticket, proposal);
        let (answer, answered) = oneshot::channel();
        inner.waiting.insert(ticket, answer);
        drop(inner);
        self.pending.notify_one();
        Ok(answered)
    }

    pub fn connect(&self) -> Result<(SessionId, mpsc::Receiver<common::session::LeaderMessage>), Error> {
        let mut inner = self.lock();
        let session = SessionId(inner.draw());
        let Mode::Leading(leader, _) = &mut inner.mode else { return Err(Error::NotLeader { leader: None }) };
        leader.connect(session);
        let (sender, receiver) = mpsc::channel(OUTBOX_MAX);
        inner.outboxes.insert(session, Outbox::new(sender));
        Ok((session, receiver))
    }

    /// Takes a worker's message; an error once the session is over. Wait with [`Core::not_congested`] before the next.
    pub fn receive(&self, session: SessionId, message: WorkerMessage) -> Result<(), Error> {
        let mut inner = self.lock();
        if !inner.outboxes.contains_key(&session) {
            return Err(Error::NotLeader { leader: None });
        }
        let now = self.clock.now();
        let Mode::Leading(leader, _) = &mut inner.mode else { return Err(Error::NotLeader { leader: None }) };
        leader.receive(session, message, now);
        let has_pending = leader.has_pending();
        let output = leader.output();
        inner.deliver(output, 0);
        inner.received += 1;
        if inner.received == RECEIVED_MAX {
            self.congested.send_replace(true);
        }
        drop(inner);
        if has_pending {
            self.pending.notify_one();
        }
        Ok(())
    }

    pub async fn not_congested(&self) {
        if *self.congested.borrow() {
            // The sender lives as long as this.
            let _ = self.congested.subscribe().wait_for(|congested| !congested).await;
        }
    }

    pub fn disconnect(&self, session: SessionId) {
        let mut inner = self.lock();
        inner.outboxes.remove(&session);
        if let Mode::Leading(leader, _) = &mut inner.mode {
            leader.disconnect(session);
            drop(inner);
            self.pending.notify_one();
        }
    }

    /// What is to be appended now, and how long until time alone may bring something more.
    pub fn take_batch(&self) -> (Option<Batch>, Duration) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let idle = Duration::from_millis(TICK_MAX_MS);
        let Mode::Leading(leader, term) = &mut inner.mode else { return (None, idle) };
        let now = self.clock.now();
        if now >= inner.next_tick {
            leader.tick(now);
            let earliest = now.plus(Duration::from_millis(TICK_MIN_MS));
            let due_at = leader.next_tick().unwrap_or(now.plus(idle));
            inner.next_tick = due_at.clamp(earliest, now.plus(idle));
        }
        let wait = inner.next_tick.since(now);
        if !leader.has_pending() || inner.in_flight.len() >= BATCHES_MAX || inner.paused {
            return (None, wait);
        }
        let entries = leader.take_batch(now);
        inner.next += entries.len() as u64;
        inner.in_flight.push_back(entries.len());
        inner.received = 0;
        if *self.congested.borrow() {
            self.congested.send_replace(false);
        }
        (Some(Batch { term: *term, entries }), wait)
    }

    /// Whether nothing that was proposed here is still on its way.
    pub fn is_settled(&self) -> bool {
        self.lock().in_flight.is_empty()
    }

    /// Compares the leader's state with this replica's, and stops where they differ.
    pub fn compare(&self, theirs: Checkpoint) {
        let compared = self.lock().digests.compare(theirs);
        if let Err(divergence) = compared {
            self.diverged(divergence);
        }
    }

    fn diverged(&self, Divergence { index, here, there }: Divergence) {
        self.fail(&format!(
            "its state differs from the leader's after entry {index}: {here:016x} here, {there:016x} there"
        ));
    }

    /// Tells of changes to a run, from now on.
    pub fn subscribe(&self, run: RunId) -> watch::Receiver<()> {
        let mut inner = self.lock();
        inner.watchers.retain(|_, watcher| watcher.receiver_count() > 0);
        inner.watchers.entry(run).or_default().subscribe()
    }

    /// Bytes that were applied since this was last asked.
    pub fn take_bytes(&self, at_least: usize) -> bool {
        let mut inner = self.lock();
        let enough = inner.bytes >= at_least;
        if enough {
            inner.bytes = 0;
        }
        enough
    }

    /// Writes a piece of a blob that the state is about to take, and no other. Before the state says that the blob is there, it is.
    fn keep_piece(&self, state: &State, command: &Command) -> std::io::Result<()> {
        let Command::PutBlob { digest, size, offset, bytes } = command else { return Ok(()) };
        let (projects, length) = (state.projects(), bytes.len() as u64);
        let received = projects.blob(digest).map_or(0, |blob| blob.received);
        let is_new = offset.saturating_add(length) > received || *size == 0;
        if is_new && projects.takes(digest, *size, (*offset, length)) {
            self.blobs.write(&digest.to_string(), *offset, bytes)
        } else {
            Ok(())
        }
    }

    /// Brings what lies beside the state to where the state is.
    fn keep_beside(&self, events: &[Event]) -> std::io::Result<()> {
        for event in events {
            match event {
                Event::BlobsCollected { digests } => {
                    digests.iter().try_for_each(|digest| self.blobs.remove(&digest.to_string()))?;
                }
                Event::RunRemoved { run } | Event::TranscriptsForgotten { run } => {
                    self.blobs.remove(&run.to_string())?;
                }
                Event::TranscriptKept { run, offset, piece } => {
                    // Transcripts are for people: a replica that cannot keep one works on, and whoever asks it is told to ask another.
                    if let Err(error) = self.blobs.write(&run.to_string(), *offset, piece) {
                        tracing::warn!(%run, %error, "a transcript could not be kept");
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl machine::Core for Core {
    fn apply(&self, log_id: LogId, data: Option<&Data>) -> std::io::Result<()> {
        let entry = data.map(|data| LogEntry::from_bytes(&data.0)).transpose().map_err(|damage| {
            let reason = format!("entry {} cannot be applied: {damage}", log_id.index);
            std::io::Error::new(std::io::ErrorKind::InvalidData, reason)
        })?;
        let mut inner = self.lock();
        let mut more = false;
        let compared = match entry {
            Some(entry) => {
                self.keep_piece(inner.state(), &entry.command)?;
                inner.bytes += data.map_or(0, |data| data.0.len());
                let events = inner.apply(log_id, entry, || self.clock.now());
                self.keep_beside(&events)?;
                more = inner.settle(log_id);
                more |= inner.hasten(|| self.clock.now());
                let checkpoint = Checkpoint { index: log_id.index, digest: inner.state().digest() };
                inner.digests.applied(checkpoint)
            }
            None => Ok(()),
        };
        inner.last = Some(log_id);
        if inner.elected == Some(log_id.leader_id) {
            self.lead(&mut inner);
        }
        drop(inner);
        self.applied.send_replace(log_id.index);
        if more {
            self.pending.notify_one();
        }
        if let Err(divergence) = compared {
            self.diverged(divergence);
            return Err(std::io::Error::other("the state differs from the leader's"));
        }
        Ok(())
    }

    fn state(&self) -> State {
        self.lock().state().clone()
    }

    fn install(&self, last: Option<LogId>, state: State) {
        let mut inner = self.lock();
        inner.resign();
        inner.digests.reset(Checkpoint { index: state.applied(), digest: state.digest() });
        inner.mode = Mode::Following(Box::new(state));
        inner.last = last;
        for watcher in inner.watchers.values() {
            watcher.send_replace(());
        }
        drop(inner);
        self.applied.send_replace(last.map_or(0, |last| last.index));
    }
}

impl Compare for Core {
    fn checkpoint(&self) -> Checkpoint {
        self.lock().digests.last()
    }
}

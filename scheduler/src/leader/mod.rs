//! The leader's side of sessions and proposals, without I/O: messages become commands, applied commands become messages.
//!
//! ```text
//!   receive, propose, tick ──▶ [pending] ──take_batch──▶ entries ──(committed by the shell)──▶ commit ──▶ Output
//! ```
//!
//! A leader has the state and applies to it, its own entries and those of leaders before it; it finds its own by their
//! proposer. A replica that does not lead applies to the state alone.
//!
//! Invariant: whatever leaves through [`Output`] follows from entries that the shell called committed. The one exception is
//! `Update::Started`, which is for eyes only.

pub mod tick;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::session::{LeaderMessage, WorkerMessage};
use common::task::{Assignment, TaskOutcome, TaskReport};
use common::telemetry::Context;
use common::transcript::{PACKED_BYTES_MAX, Told};
use common::{Epoch, NodeId, RunId, Timestamp, WorkerId};

use crate::entry::{LogEntry, Proposer};
use crate::state::{Command, Ending, Event, Reply, State, Verdict};

pub use tick::{Liveness, Policy, tick};

/// Most reports in one entry.
const REPORTS_MAX: usize = 1_000;
/// Longest message of a report that is kept, in bytes.
const MESSAGE_MAX: usize = 64 * 1024;

/// One stream between a worker and this leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Finds the proposer to whom a reply belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a subscriber sees of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// Committed. The result of a `TaskFinished` carries the compiled code, which the log does not keep.
    Event(Event),
    /// The task really began on a slot of the worker. Not in the log: after a crash nobody remembers it.
    Started { worker: WorkerId, run: RunId, node: NodeId, epoch: Epoch },
}

impl Update {
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Event(event) => event.run(),
            Self::Started { run, .. } => Some(*run),
        }
    }
}

/// What the shell must deliver, in order.
#[derive(Debug, Default)]
pub struct Output {
    pub messages: Vec<(SessionId, LeaderMessage)>,
    pub updates: Vec<Update>,
    pub replies: Vec<(Ticket, Reply)>,
    /// Sessions to close: their worker opens another and says hello again.
    pub closed: Vec<SessionId>,
}

/// What a leader that leads no more leaves behind.
#[derive(Debug)]
pub struct Resigned {
    pub state: State,
    /// Their commands may be committed or not, now or later.
    pub unknown: Vec<Ticket>,
    /// Their commands never left.
    pub undone: Vec<Ticket>,
    pub sessions: Vec<SessionId>,
}

/// A command and the trace that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub command: Command,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The span, in the trace of the run that the command is about, that its commit goes below.
    pub span: Option<Context>,
}

impl Proposal {
    pub fn new(command: Command, traceparent: Option<String>) -> Self {
        Self { command, traceparent, span: None }
    }
}

impl From<Command> for Proposal {
    fn from(command: Command) -> Self {
        Self::new(command, None)
    }
}

pub struct Leader {
    state: State,
    policy: Policy,
    /// Names the next entry.
    next: Proposer,
    liveness: Liveness,
    sessions: BTreeMap<SessionId, Option<WorkerId>>,
    current: BTreeMap<WorkerId, SessionId>,
    reports: Vec<(SessionId, TaskReport)>,
    pending: Vec<(Proposal, Origin)>,
    /// By the number under which each was proposed.
    in_flight: BTreeMap<u64, Origin>,
    /// Commands of `tick` that are not applied yet: until they are, it would only propose them again.
    ticking: usize,
    output: Output,
}

/// Where a proposal came from, and so where its reply goes.
enum Origin {
    Tick,
    Ticket(Ticket),
    Hello(SessionId, WorkerId),
    Reports(Vec<ReportOrigin>),
    /// Nobody waits for the answer.
    Transcripts,
}

struct ReportOrigin {
    session: SessionId,
    run: RunId,
    node: NodeId,
    epoch: Epoch,
    compiled_code: Option<String>,
}

impl Leader {
    /// Leads from `now` on: every registered worker has a whole lease to be heard. `first` names the first entry; a replica
    /// must never use a name twice.
    pub fn new(state: State, policy: Policy, first: Proposer, now: Timestamp) -> Self {
        Self {
            state,
            policy,
            next: first,
            liveness: Liveness::new(now),
            sessions: BTreeMap::new(),
            current: BTreeMap::new(),
            reports: Vec::new(),
            pending: Vec::new(),
            in_flight: BTreeMap::new(),
            ticking: 0,
            output: Output::default(),
        }
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// When each worker was last heard, and from when on it has a lease.
    pub fn liveness(&self) -> &Liveness {
        &self.liveness
    }

    /// Gives the state up and says what became of everything else.
    pub fn resign(self) -> Resigned {
        let ticket = |origin: Origin| match origin {
            Origin::Ticket(ticket) => Some(ticket),
            _ => None,
        };
        Resigned {
            state: self.state,
            unknown: self.in_flight.into_values().filter_map(ticket).collect(),
            undone: self.pending.into_iter().filter_map(|(_, origin)| ticket(origin)).collect(),
            sessions: self.sessions.into_keys().collect(),
        }
    }

    /// When [`Leader::tick`] may have something to do at the latest. None while it waits for what it proposed.
    pub fn next_tick(&self) -> Option<Timestamp> {
        if self.ticking > 0 { None } else { tick::next(&self.state, &self.liveness, &self.policy) }
    }

    pub fn connect(&mut self, session: SessionId) {
        self.sessions.insert(session, None);
    }

    /// The stream is gone. Where that means that the process is gone too, its worker is lost at once; else its lease decides.
    pub fn disconnect(&mut self, session: SessionId) {
        let Some(Some(worker)) = self.sessions.remove(&session) else { return };
        if self.current.get(&worker) == Some(&session) {
            self.current.remove(&worker);
            if self.policy.lose_on_disconnect && !self.is_losing(&worker) {
                self.push(Command::LoseWorker { worker }, Origin::Tick);
            }
        }
    }

    fn is_losing(&self, worker: &WorkerId) -> bool {
        self.pending
            .iter()
            .any(|(proposal, _)| matches!(&proposal.command, Command::LoseWorker { worker: lost } if lost == worker))
    }

    pub fn receive(&mut self, session: SessionId, message: WorkerMessage, now: Timestamp) {
        let Some(known) = self.sessions.get(&session) else { return };
        let worker = known.clone();
        match (worker, message) {
            (_, WorkerMessage::Hello { worker, slots, running, description }) => {
                let command = Command::RegisterWorker { worker: worker.clone(), slots, running, description };
                self.hello(session, worker, command, now);
            }
            // Nothing else may come first.
            (None, _) => self.close(session),
            (Some(worker), message) => {
                self.liveness.heard(&worker, now);
                match message {
                    WorkerMessage::Heartbeat if self.state.worker(&worker).is_none() && !self.is_greeting(session) => {
                        self.close(session);
                    }
                    WorkerMessage::Hello { .. } | WorkerMessage::Heartbeat => {}
                    WorkerMessage::Started { run, node, epoch } => {
                        self.output.updates.push(Update::Started { worker, run, node, epoch });
                    }
                    WorkerMessage::Report(report) => self.reports.push((session, *report)),
                }
            }
        }
    }

    fn is_greeting(&self, session: SessionId) -> bool {
        let origins = self.pending.iter().map(|(_, origin)| origin).chain(self.in_flight.values());
        origins.into_iter().any(|origin| matches!(origin, Origin::Hello(greeting, _) if *greeting == session))
    }

    fn hello(&mut self, session: SessionId, worker: WorkerId, command: Command, now: Timestamp) {
        self.sessions.insert(session, Some(worker.clone()));
        if let Some(older) = self.current.insert(worker.clone(), session)
            && older != session
        {
            self.close(older);
        }
        self.liveness.heard(&worker, now);
        self.push(command, Origin::Hello(session, worker));
    }

    fn close(&mut self, session: SessionId) {
        if let Some(Some(worker)) = self.sessions.remove(&session)
            && self.current.get(&worker) == Some(&session)
        {
            self.current.remove(&worker);
        }
        self.output.closed.push(session);
    }

    pub fn propose(&mut self, ticket: Ticket, proposal: impl Into<Proposal>) {
        self.push(proposal, Origin::Ticket(ticket));
    }

    fn push(&mut self, proposal: impl Into<Proposal>, origin: Origin) {
        self.ticking += usize::from(matches!(origin, Origin::Tick));
        self.pending.push((proposal.into(), origin));
    }

    /// Proposes what time makes necessary, unless what it proposed before is still under way.
    pub fn tick(&mut self, now: Timestamp) {
        if self.ticking == 0 {
            for command in tick(&self.state, &self.liveness, &self.policy, now) {
                self.push(command, Origin::Tick);
            }
        }
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty() || !self.reports.is_empty()
    }

    /// Everything pending as entries, in order. The shell has them committed; whatever it then applies, these entries or
    /// others, goes to [`Leader::commit`].
    pub fn take_batch(&mut self, now: Timestamp) -> Vec<LogEntry> {
        let mut reports = std::mem::take(&mut self.reports).into_iter().peekable();
        while reports.peek().is_some() {
            let mut transcripts = Vec::new();
            let split = |(session, report)| split(session, report, &mut transcripts);
            let (origins, reports) = reports.by_ref().take(REPORTS_MAX).map(split).unzip();
            // In front of the reports: what has a report has its transcript, too, whoever leads then.
            for transcripts in batches(transcripts) {
                self.push(Command::KeepTranscripts { transcripts }, Origin::Transcripts);
            }
            self.push(Command::ReportTasks { reports }, Origin::Reports(origins));
        }
        let pending = std::mem::take(&mut self.pending).into_iter();
        pending
            .map(|(Proposal { command, traceparent, .. }, origin)| {
                let proposer = self.next;
                self.next.sequence += 1;
                self.in_flight.insert(proposer.sequence, origin);
                LogEntry { at: now, proposer: Some(proposer), traceparent, command }
            })
            .collect()
    }

    /// Applies a committed entry. Entries come in the order of their indexes, whoever proposed them.
    pub fn commit(&mut self, index: u64, entry: LogEntry) {
        let own = entry.proposer.filter(|proposer| proposer.replica == self.next.replica);
        let origin = own.and_then(|proposer| self.in_flight.remove(&proposer.sequence));
        self.ticking -= usize::from(matches!(origin, Some(Origin::Tick)));
        let applied = self.state.apply(index, entry.at, entry.command);
        let compiled = origin.map(|origin| self.answer(origin, applied.reply)).unwrap_or_default();
        for event in applied.events {
            self.deliver(event, &compiled);
        }
    }

    /// Everything that became deliverable since the last call.
    pub fn output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// Sends the reply where it belongs; returns the compiled code of accepted reports.
    fn answer(&mut self, origin: Origin, reply: Reply) -> BTreeMap<(RunId, NodeId), String> {
        let mut compiled = BTreeMap::new();
        match (origin, reply) {
            (Origin::Ticket(ticket), reply) => self.output.replies.push((ticket, reply)),
            (Origin::Hello(session, worker), Reply::Registered { missing, stale }) => {
                self.greet(session, &worker, missing, stale);
            }
            (Origin::Hello(session, _), _) => self.close(session),
            (Origin::Reports(origins), Reply::Reported(verdicts)) => {
                for (origin, verdict) in origins.into_iter().zip(verdicts) {
                    let ReportOrigin { session, run, node, epoch, compiled_code } = origin;
                    if let (Verdict::Accepted, Some(code)) = (verdict, compiled_code) {
                        compiled.insert((run, node.clone()), code);
                    }
                    self.output.messages.push((session, LeaderMessage::Acknowledged { run, node, epoch }));
                }
            }
            (Origin::Reports(_) | Origin::Tick | Origin::Transcripts, _) => {}
        }
        compiled
    }

    fn greet(&mut self, session: SessionId, worker: &WorkerId, missing: Vec<Assignment>, stale: Vec<Assignment>) {
        let cancel = |Assignment { run, node, epoch, .. }| (session, LeaderMessage::Cancel { run, node, epoch });
        let owned = self.state.assignments(worker);
        let stopping = owned
            .into_iter()
            .filter(|assignment| self.state.run(&assignment.run).is_some_and(|run| run.stops(&assignment.node)));
        let stopping: Vec<Assignment> = stopping.collect();
        let messages = &mut self.output.messages;
        messages.extend(missing.into_iter().map(|assignment| (session, LeaderMessage::Assign(assignment))));
        messages.extend(stale.into_iter().chain(stopping).map(cancel));
        if self.state.worker(worker).is_some_and(|worker| worker.draining) {
            messages.push((session, LeaderMessage::Drain));
        }
    }

    fn deliver(&mut self, event: Event, compiled: &BTreeMap<(RunId, NodeId), String>) {
        match &event {
            Event::TaskAssigned { worker, assignment, .. } => {
                self.send(&worker.clone(), LeaderMessage::Assign(assignment.clone()));
            }
            Event::TaskCancelRequested { worker, run, node, epoch } => {
                let message = LeaderMessage::Cancel { run: *run, node: node.clone(), epoch: *epoch };
                self.send(&worker.clone(), message);
            }
            Event::WorkerDraining { worker } => self.send(&worker.clone(), LeaderMessage::Drain),
            Event::WorkerLost { worker } => {
                self.liveness.forget(worker);
                if let Some(session) = self.current.get(worker) {
                    self.close(*session);
                }
            }
            _ => {}
        }
        self.output.updates.push(Update::Event(with_compiled_code(event, compiled)));
    }

    fn send(&mut self, worker: &WorkerId, message: LeaderMessage) {
        if let Some(session) = self.current.get(worker) {
            self.output.messages.push((*session, message));
        }
    }

    /// Whether a worker is connected: one that is registered and not connected has died, or comes back, or is lost when its lease ends.
    pub fn has_session(&self, worker: &WorkerId) -> bool {
        self.current.contains_key(worker)
    }

    /// Workers with a session, for shells that end them.
    pub fn connected(&self) -> BTreeSet<SessionId> {
        self.sessions.keys().copied().collect()
    }
}

/// Takes out of a report what the log does not keep.
fn split(session: SessionId, mut report: TaskReport, transcripts: &mut Vec<Told>) -> (ReportOrigin, TaskReport) {
    let compiled_code = report.result.compiled_code.take();
    if let Some(message) = &mut report.result.message {
        shorten(message);
    }
    if let TaskOutcome::Failure { message, .. } = &mut report.outcome {
        shorten(message);
    }
    let (run, node, attempt, epoch) = (report.run, report.node.clone(), report.attempt, report.epoch);
    let packed = std::mem::take(&mut report.transcript);
    if !packed.is_empty() {
        let assignment = Assignment { run, node: node.clone(), attempt, epoch };
        transcripts.push(Told { assignment, packed });
    }
    (ReportOrigin { session, run, node, epoch, compiled_code }, report)
}

/// No entry much longer than a piece of a file.
fn batches(transcripts: Vec<Told>) -> Vec<Vec<Told>> {
    let mut batches: Vec<Vec<Told>> = Vec::new();
    let mut left = 0;
    for told in transcripts {
        let bytes = told.packed.0.len();
        match batches.last_mut().filter(|_| bytes <= left) {
            Some(batch) => batch.push(told),
            None => {
                batches.push(vec![told]);
                left = PACKED_BYTES_MAX;
            }
        }
        left = left.saturating_sub(bytes);
    }
    batches
}

fn shorten(message: &mut String) {
    if message.len() > MESSAGE_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX));
        message.push('…');
    }
}

fn with_compiled_code(event: Event, compiled: &BTreeMap<(RunId, NodeId), String>) -> Event {
    let Event::TaskFinished { run, task, node, attempt, state, ending: Some(ending) } = event else { return event };
    let ending = match compiled.get(&(run, node.clone())) {
        Some(code) => {
            let mut ending = Ending::clone(&ending);
            if let Some(result) = &mut ending.result {
                result.compiled_code = Some(code.clone());
            }
            Arc::new(ending)
        }
        None => ending,
    };
    Event::TaskFinished { run, task, node, attempt, state, ending: Some(ending) }
}

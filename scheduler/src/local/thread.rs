//! The leader's thread: drains what arrived, appends it at once, applies it, delivers.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::session::LeaderMessage;
use common::{RunId, telemetry};

use super::handle::{Deliver, Input, Question, Shared};
use super::{Config, Error, Event, Handle, Update, clock};
use crate::entry;
use crate::leader::{Leader, SessionId, Ticket};
use crate::lineage;
use crate::state::{CancelCause, Command, Reply, State};
use crate::store::{self, Entry, Log, SledLog};
use crate::trace::Spans;

/// Messages that may wait for the leader.
const INBOX_MAX: usize = 8_192;
/// Inputs drained into one append.
const BATCH_MAX: usize = 4_096;
/// Entries after which opening the log saves a snapshot and forgets them: those of a few runs, since every later process would apply
/// them again.
const COMPACT_AFTER: u64 = 250;
/// The leader looks at the clock at least this often.
const TICK_MAX: Duration = Duration::from_secs(1);

pub(super) fn start(config: Config) -> Result<Handle, Error> {
    let mut log = SledLog::open(&config.directory)?;
    let state = replay(&mut log)?;
    let now = clock::now();
    let next_index = (log.last_index() + 1).max(now.as_micros().unsigned_abs() / 1_000);
    let spans = if telemetry::is_on() { Spans::resume(&state, now).0 } else { Spans::default() };
    let leader = Leader::new(state, config.policy(), entry::Proposer { replica: 0, sequence: next_index }, now);
    let mut shell = Shell {
        log: Box::new(log),
        leader,
        next_index,
        outboxes: BTreeMap::new(),
        subscribers: BTreeMap::new(),
        proposers: BTreeMap::new(),
        next_ticket: 0,
        spans,
        shutdown: false,
    };
    shell.end_interrupted()?;
    let (inbox, intake) = sync_channel(INBOX_MAX);
    let failure = Arc::new(OnceLock::new());
    let thread_failure = failure.clone();
    let lead = move || {
        if let Err(error) = shell.lead(&intake) {
            let error = Error::from(error);
            // Set once: this thread is the only writer.
            let _ = thread_failure.set(error.clone());
            shell.fail(&error);
        }
    };
    let thread = std::thread::Builder::new().name("leader".to_owned()).spawn(lead);
    let thread = thread.map_err(|source| store::Error::Io { path: config.directory, source })?;
    let thread = Mutex::new(Some(thread));
    Ok(Handle { shared: Arc::new(Shared { inbox, thread, sessions: AtomicU64::new(0), failure }) })
}

/// The state that the log describes.
fn replay(log: &mut SledLog) -> Result<State, store::Error> {
    let mut state = log.snapshot()?.unwrap_or_default();
    let applied = state.applied();
    log.read(applied + 1, &mut |entry| {
        state.apply(entry.index, entry.content.at, entry.content.command);
    })?;
    if log.len() > COMPACT_AFTER {
        log.compact(&state)?;
    }
    Ok(state)
}

/// Commands proposed together and the replies that are there.
struct Proposer {
    missing: usize,
    replies: Vec<Reply>,
    answer: SyncSender<Result<Vec<Reply>, Error>>,
}

struct Shell {
    leader: Leader,
    log: Box<dyn Log>,
    next_index: u64,
    outboxes: BTreeMap<SessionId, Deliver>,
    subscribers: BTreeMap<RunId, Vec<Sender<Update>>>,
    proposers: BTreeMap<Ticket, Proposer>,
    next_ticket: u64,
    spans: Spans,
    shutdown: bool,
}

impl Shell {
    fn lead(&mut self, intake: &Receiver<Input>) -> Result<(), store::Error> {
        let mut questions = Vec::new();
        while !self.shutdown {
            match intake.recv_timeout(self.wait()) {
                Ok(input) => self.take(input, &mut questions),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.shutdown = true,
            }
            for input in intake.try_iter().take(BATCH_MAX) {
                self.take(input, &mut questions);
            }
            self.leader.tick(clock::now());
            self.commit()?;
            for question in questions.drain(..) {
                question(self.leader.state());
            }
        }
        Ok(())
    }

    fn wait(&self) -> Duration {
        let next = self.leader.next_tick().map(|due_at| due_at.since(clock::now()));
        next.unwrap_or(TICK_MAX).min(TICK_MAX)
    }

    fn take(&mut self, input: Input, questions: &mut Vec<Question>) {
        match input {
            Input::Connect(session, deliver) => {
                self.outboxes.insert(session, deliver);
                self.leader.connect(session);
            }
            Input::Messages(session, messages) => {
                let now = clock::now();
                for message in messages {
                    self.leader.receive(session, message, now);
                }
            }
            Input::Disconnect(session) => {
                self.outboxes.remove(&session);
                self.leader.disconnect(session);
            }
            Input::Propose(commands, answer) => self.propose(commands, answer),
            Input::Read(question) => questions.push(question),
            Input::Subscribe(run, subscriber) => self.subscribers.entry(run).or_default().push(subscriber),
            Input::Shutdown => self.shutdown = true,
        }
    }

    fn propose(&mut self, commands: Vec<Command>, answer: SyncSender<Result<Vec<Reply>, Error>>) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.proposers.insert(ticket, Proposer { missing: commands.len(), replies: Vec::new(), answer });
        for command in commands {
            self.leader.propose(ticket, command);
        }
    }

    /// One append for everything that is pending.
    fn commit(&mut self) -> Result<(), store::Error> {
        if self.leader.has_pending() {
            let contents = self.leader.take_batch(clock::now());
            let numbered = contents.into_iter().zip(self.next_index..);
            let entries: Vec<Entry> = numbered.map(|(content, index)| Entry { index, content }).collect();
            self.log.append(&entries)?;
            self.next_index += entries.len() as u64;
            for Entry { index, content } in entries {
                self.leader.commit(index, content);
            }
        }
        self.deliver();
        Ok(())
    }

    fn deliver(&mut self) {
        let output = self.leader.output();
        let mut by_session: BTreeMap<SessionId, Vec<LeaderMessage>> = BTreeMap::new();
        for (session, message) in output.messages {
            by_session.entry(session).or_default().push(message);
        }
        for (session, messages) in by_session {
            let Some(deliver) = self.outboxes.get_mut(&session) else { continue };
            if !deliver(messages) {
                self.outboxes.remove(&session);
                self.leader.disconnect(session);
            }
        }
        for update in output.updates {
            self.publish(update);
        }
        for (ticket, reply) in output.replies {
            self.answer(ticket, reply);
        }
        for session in output.closed {
            self.outboxes.remove(&session);
        }
    }

    fn publish(&mut self, update: Update) {
        let Some(run) = update.run() else { return };
        if let Update::Event(event) = &update
            && telemetry::is_on()
        {
            let state = self.leader.state();
            self.spans.observe(state, state.at(), event).into_iter().for_each(telemetry::record);
        }
        if let Update::Event(event) = &update {
            let state = self.leader.state();
            lineage::tell(state, state.at(), event);
        }
        let is_last = matches!(update, Update::Event(Event::RunFinished { .. }));
        if let Some(subscribers) = self.subscribers.get_mut(&run) {
            subscribers.retain(|subscriber| subscriber.send(update.clone()).is_ok());
        }
        if is_last {
            self.subscribers.remove(&run);
        }
    }

    fn answer(&mut self, ticket: Ticket, reply: Reply) {
        let Some(proposer) = self.proposers.get_mut(&ticket) else { return };
        proposer.replies.push(reply);
        proposer.missing -= 1;
        if proposer.missing == 0
            && let Some(proposer) = self.proposers.remove(&ticket)
        {
            // A proposer that stopped waiting does not need the answer.
            let _ = proposer.answer.send(Ok(proposer.replies));
        }
    }

    /// Runs and workers of a process that died: nobody but this one can have the log.
    fn end_interrupted(&mut self) -> Result<(), Error> {
        let state = self.leader.state();
        let unfinished = state.runs().filter(|run| !run.is_finished());
        let cause = CancelCause::Interrupted;
        let mut commands: Vec<Command> = unfinished.map(|run| Command::CancelRun { run: run.id, cause }).collect();
        commands.extend(state.workers().map(|(worker, _)| Command::LoseWorker { worker: worker.clone() }));
        for command in commands {
            self.leader.propose(Ticket(u64::MAX), command);
        }
        Ok(self.commit()?)
    }

    fn fail(&mut self, error: &Error) {
        for (_, proposer) in std::mem::take(&mut self.proposers) {
            // As above: a proposer that stopped waiting does not need the answer.
            let _ = proposer.answer.send(Err(error.clone()));
        }
        self.subscribers.clear();
        self.outboxes.clear();
    }
}

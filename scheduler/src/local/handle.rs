//! What callers hold of the leader: cheap to clone, safe from any thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::session::{LeaderMessage, WorkerMessage};
use common::{NodeId, RunId};

use super::{CancelCause, Error, RunView, Submission, Update};
use crate::durations;
use crate::leader::SessionId;
use crate::state::{Command, Reply, State};

/// Messages a session may be behind before it is taken for dead.
const OUTBOX_MAX: usize = 65_536;
/// Messages a worker may be ahead.
const INTAKE_MAX: usize = 1_024;

/// The worker's end of a session.
pub type Session = (tokio::sync::mpsc::Sender<WorkerMessage>, tokio::sync::mpsc::Receiver<LeaderMessage>);

/// Asked of the state, answered over a channel of its own.
pub(super) type Question = Box<dyn FnOnce(&State) + Send>;

/// Hands messages to a worker, all that one commit made deliverable; false once nobody listens.
pub(super) type Deliver = Box<dyn FnMut(Vec<LeaderMessage>) -> bool + Send>;

/// What reaches the leader's thread.
pub(super) enum Input {
    Connect(SessionId, Deliver),
    Messages(SessionId, Vec<WorkerMessage>),
    Disconnect(SessionId),
    Propose(Vec<Command>, SyncSender<Result<Vec<Reply>, Error>>),
    Read(Question),
    Subscribe(RunId, Sender<Update>),
    Shutdown,
}

/// The worker's way to the leader in a session of [`Handle::attach`]. Dropping it ends the session and loses the worker.
pub struct Uplink {
    session: SessionId,
    inbox: SyncSender<Input>,
}

impl Uplink {
    /// Waits while the leader is behind.
    pub fn send(&self, message: WorkerMessage) -> Result<(), Error> {
        self.inbox.send(Input::Messages(self.session, vec![message])).map_err(|_| Error::Stopped)
    }

    /// Messages that the leader hears before it commits any of them. `Full` while it is behind, `Disconnected` once it has stopped;
    /// then it has heard none.
    pub fn try_send(&self, messages: Vec<WorkerMessage>) -> Result<(), TrySendError<()>> {
        self.inbox.try_send(Input::Messages(self.session, messages)).map_err(|error| match error {
            TrySendError::Full(_) => TrySendError::Full(()),
            TrySendError::Disconnected(_) => TrySendError::Disconnected(()),
        })
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        // An error means that the leader has stopped, and with it the session.
        let _ = self.inbox.send(Input::Disconnect(self.session));
    }
}

#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub inbox: SyncSender<Input>,
    pub thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    pub sessions: AtomicU64,
    pub failure: Arc<OnceLock<Error>>,
}

impl Handle {
    /// Begins a run. Runs that have not finished end first, as superseded. The same request id gives the same run.
    pub fn submit(&self, submission: Submission) -> Result<RunId, Error> {
        let request = submission.plan.request.clone();
        let unfinished = self.read(move |state| {
            let others = state.runs().filter(|run| !run.is_finished() && run.request != request);
            others.map(|run| run.id).collect::<Vec<_>>()
        })?;
        let cause = CancelCause::Superseded;
        let mut commands: Vec<Command> = unfinished.into_iter().map(|run| Command::CancelRun { run, cause }).collect();
        commands.push(Command::SubmitRun(Box::new(submission)));
        match self.propose(commands)? {
            Reply::Submitted { run, .. } => Ok(run),
            _ => Err(Error::WrongReply),
        }
    }

    /// Runs again what did not succeed in a finished run, under the same run id; returns how many tasks that is.
    pub fn retry(&self, run: RunId, manifest_digest: impl Into<String>) -> Result<u32, Error> {
        match self.propose(vec![Command::RetryRun { run, manifest_digest: manifest_digest.into() }])? {
            Reply::Retried { tasks } => Ok(tasks),
            _ => Err(Error::WrongReply),
        }
    }

    /// Asks a run to stop; its events tell when it has.
    pub fn cancel(&self, run: RunId) -> Result<(), Error> {
        self.propose(vec![Command::CancelRun { run, cause: CancelCause::Request }]).map(drop)
    }

    /// Opens a session without threads between: `deliver` is called on the leader's own thread, takes what a commit has for the
    /// worker and answers whether the worker still listens. It must not wait for the leader. The worker says `Hello` first. To hide
    /// the commit between two tasks, it says a slot or two more than it has threads and queues what is early.
    pub fn attach(&self, deliver: impl FnMut(Vec<LeaderMessage>) -> bool + Send + 'static) -> Result<Uplink, Error> {
        let session = SessionId(self.shared.sessions.fetch_add(1, Ordering::Relaxed));
        self.send(Input::Connect(session, Box::new(deliver)))?;
        Ok(Uplink { session, inbox: self.shared.inbox.clone() })
    }

    /// [`Handle::attach`] over bounded channels, as on a fleet. Dropping the sender ends the session.
    pub fn connect_worker(&self) -> Result<Session, Error> {
        let (to_worker, from_leader) = tokio::sync::mpsc::channel(OUTBOX_MAX);
        let (to_leader, mut from_worker) = tokio::sync::mpsc::channel(INTAKE_MAX);
        // A worker so far behind that its channel is full is as good as dead.
        let uplink =
            self.attach(move |messages| messages.into_iter().all(|message| to_worker.try_send(message).is_ok()))?;
        let forward = move || {
            while let Some(message) = from_worker.blocking_recv() {
                if uplink.send(message).is_err() {
                    return;
                }
            }
        };
        let spawned = std::thread::Builder::new().name("session".to_owned()).spawn(forward);
        spawned.map(|_| (to_leader, from_leader)).map_err(|_| Error::Stopped)
    }

    /// Everything that happens in a run from now on; ends after `RunFinished`. May be called before the run exists. The stream
    /// holds at most a few updates for each attempt, so a slow reader costs memory only up to the size of the run.
    pub fn subscribe(&self, run: RunId) -> Result<Receiver<Update>, Error> {
        let (sender, receiver) = channel();
        self.send(Input::Subscribe(run, sender))?;
        Ok(receiver)
    }

    pub fn run(&self, run: RunId) -> Result<Option<RunView>, Error> {
        self.read(move |state| state.run(&run).map(RunView::from))
    }

    /// The run submitted last.
    pub fn last_run(&self) -> Result<Option<RunView>, Error> {
        self.read(|state| state.runs().max_by_key(|run| run.sequence).map(RunView::from))
    }

    /// How long each node took when it last succeeded in a remembered run.
    pub fn durations(&self) -> Result<BTreeMap<NodeId, Duration>, Error> {
        self.read(|state| durations::of(state.runs()))
    }

    /// Stops leading after what was asked before. Unfinished runs stay in the log for `retry`.
    pub fn shutdown(&self) {
        // An error means that the leader has stopped already.
        let _ = self.shared.inbox.send(Input::Shutdown);
        let thread = self.shared.thread.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(thread) = thread {
            // The thread's panic was printed when it happened; there is nothing to add.
            let _ = thread.join();
        }
    }

    /// Commits the commands together; the reply is the last one's.
    fn propose(&self, commands: Vec<Command>) -> Result<Reply, Error> {
        let (sender, receiver) = sync_channel(1);
        self.send(Input::Propose(commands, sender))?;
        let replies = receiver.recv().map_err(|_| self.stopped())??;
        match replies.into_iter().next_back() {
            Some(Reply::Rejected(rejection)) => Err(rejection.into()),
            Some(reply) => Ok(reply),
            None => Err(Error::Stopped),
        }
    }

    /// Asks the state as of the last committed entry.
    pub fn read<T: Send + 'static>(&self, question: impl FnOnce(&State) -> T + Send + 'static) -> Result<T, Error> {
        let (sender, receiver) = sync_channel(1);
        let ask = move |state: &State| {
            // The asker waits below; it can only be gone with its whole thread.
            let _ = sender.send(question(state));
        };
        self.send(Input::Read(Box::new(ask)))?;
        receiver.recv().map_err(|_| self.stopped())
    }

    fn send(&self, input: Input) -> Result<(), Error> {
        self.shared.inbox.send(input).map_err(|_| self.stopped())
    }

    fn stopped(&self) -> Error {
        self.shared.failure.get().cloned().unwrap_or(Error::Stopped)
    }
}

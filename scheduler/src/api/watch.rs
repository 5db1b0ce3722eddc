//! The stream of a run's events to one client.
//!
//! Invariants: a client gets every event once and in order, numbered as in the run's journal; what a client has not read takes the memory
//! of [`BUFFERED_MAX`] events; one that reads nothing for [`PATIENCE`] is told so and given up, and can go on where it was.

use std::sync::Arc;
use std::time::Duration;

use common::Timestamp;
use futures::stream::{BoxStream, Stream, StreamExt};
use proto::run;
use proto::scalar::timestamp;
use proto::task::failure_kind;
use proto::v1::watch_run_response::{self as wire, Event as Wire};
use proto::v1::{self, WatchRunResponse};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{refusal, view};
use crate::replica::Error;
use crate::state::{Event, Recorded};

/// Clients that watch at once.
const WATCHERS_MAX: usize = 8_192;
/// Events that wait for one client.
const BUFFERED_MAX: usize = 64;
/// How long a client may read nothing while there is something to read.
const PATIENCE: Duration = Duration::from_secs(60);

pub type Events = BoxStream<'static, Result<WatchRunResponse, Status>>;

/// Room for those who watch.
pub struct Watchers {
    room: Arc<Semaphore>,
    patience: Duration,
}

impl Watchers {
    pub fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(WATCHERS_MAX)), patience: PATIENCE }
    }

    /// Sends a run's events to a client. `tasks` is how many the run has.
    pub fn stream(
        &self,
        tasks: u32,
        events: impl Stream<Item = Result<Recorded, Error>> + Send + Unpin + 'static,
    ) -> Result<Events, Status> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_| refusal::exhausted(format!("{WATCHERS_MAX} clients watch runs here already")))?;
        let (sender, receiver) = mpsc::channel(BUFFERED_MAX);
        let (end, ended) = oneshot::channel();
        let client = Client { sender, end, patience: self.patience, _room: room };
        tokio::spawn(client.relay(tasks, events));
        let last = futures::stream::once(ended).filter_map(|reason| async { reason.ok().map(Err) });
        Ok(ReceiverStream::new(receiver).map(Ok).chain(last).boxed())
    }
}

/// Our end of one client's stream.
struct Client {
    sender: mpsc::Sender<WatchRunResponse>,
    /// Takes the reason why there are no more events.
    end: oneshot::Sender<Status>,
    patience: Duration,
    _room: OwnedSemaphorePermit,
}

impl Client {
    /// Until the events end, the client is gone, or reads nothing for too long.
    async fn relay(self, tasks: u32, mut events: impl Stream<Item = Result<Recorded, Error>> + Unpin) {
        loop {
            let recorded = tokio::select! {
                recorded = events.next() => recorded,
                () = self.sender.closed() => return,
            };
            let status = match recorded {
                None => return,
                Some(Err(error)) => refusal::failed(&error),
                Some(Ok(recorded)) => match self.sender.send_timeout(response(tasks, recorded), self.patience).await {
                    Ok(()) => continue,
                    Err(SendTimeoutError::Closed(_)) => return,
                    Err(SendTimeoutError::Timeout(_)) => self.too_slow(),
                },
            };
            // Whoever listens no more needs no reason.
            let _ = self.end.send(status);
            return;
        }
    }

    fn too_slow(&self) -> Status {
        let seconds = self.patience.as_secs();
        refusal::exhausted(format!(
            "the client read nothing for {seconds} seconds; it may go on after the last event it has"
        ))
    }
}

fn response(tasks: u32, recorded: Recorded) -> WatchRunResponse {
    let Recorded { sequence, at, event } = recorded;
    WatchRunResponse { sequence, at: Some(timestamp(at)), event: wire(tasks, at, event) }
}

/// None for what is of no interest to those who watch runs; such events have no number.
fn wire(tasks: u32, at: Timestamp, event: Event) -> Option<Wire> {
    Some(match event {
        Event::RunSubmitted { .. } => Wire::Submitted(wire::Submitted { tasks }),
        Event::RunRetried { tasks, .. } => Wire::Retried(wire::Retried { tasks }),
        Event::RunStopping { cause, .. } => Wire::Stopping(wire::Stopping { cause: view::cause(cause).to_owned() }),
        Event::RunFinished { outcome, counts, .. } => Wire::Finished(wire::Finished {
            state: view::outcome_state(outcome).into(),
            counts: Some(view::final_counts(counts)),
        }),
        Event::TaskAssigned { task: index, worker, assignment } => {
            let common::task::Assignment { node, attempt, epoch, .. } = assignment;
            let state = common::task::TaskState::Running { worker, attempt, epoch, started_at: at };
            changed(index, run::task(&node, &state))
        }
        Event::TaskUpForRetry { task: index, node, attempt, kind, due_at, ending, .. } => {
            let state = common::task::TaskState::UpForRetry { attempt, due_at };
            let mut task = view::ended(&node, &state, attempt, Some(&ending));
            let kind = failure_kind(kind).into();
            task.failure.get_or_insert_with(|| v1::Failure { kind, ..v1::Failure::default() });
            changed(index, task)
        }
        Event::TaskFinished { task: index, node, attempt, state, ending, .. } => {
            changed(index, view::ended(&node, &state, attempt, ending.as_deref()))
        }
        Event::WorkerRegistered { .. }
        | Event::WorkerDraining { .. }
        | Event::WorkerLost { .. }
        | Event::TaskCancelRequested { .. }
        | Event::RunRemoved { .. }
        | Event::BlobsCollected { .. }
        | Event::TickDecided { .. }
        | Event::TranscriptsForgotten { .. }
        | Event::TranscriptKept { .. } => return None,
    })
}

fn changed(index: u32, task: v1::Task) -> Wire {
    Wire::Task(wire::TaskChanged { index, task: Some(task) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::RunId;
    use tonic::Code;

    use super::*;

    /// As many events as anybody reads.
    fn endless() -> impl Stream<Item = Result<Recorded, Error>> + Send + Unpin {
        let run = RunId(uuid::Uuid::nil());
        futures::stream::iter(1..).map(move |sequence| {
            Ok(Recorded { sequence, at: Timestamp::default(), event: Event::RunSubmitted { run } })
        })
    }

    #[tokio::test]
    async fn a_client_that_never_reads_is_given_up_and_told_why() {
        let watchers = Watchers { patience: Duration::from_millis(1), ..Watchers::new() };
        let mut events = watchers.stream(1, endless()).unwrap();
        // Its place is free once it has been given up.
        drop(watchers.room.acquire_many(WATCHERS_MAX as u32).await.unwrap());
        let mut expected = 1;
        let status = loop {
            match events.next().await.unwrap() {
                Ok(event) => assert_eq!(event.sequence, expected),
                Err(status) => break status,
            }
            expected += 1;
        };
        assert_eq!((status.code(), expected), (Code::ResourceExhausted, BUFFERED_MAX as u64 + 1));
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_left_is_forgotten() {
        let watchers = Watchers::new();
        let events = watchers.stream(1, futures::stream::pending().boxed()).unwrap();
        assert_eq!(watchers.room.available_permits(), WATCHERS_MAX - 1);
        drop(events);
        let all = watchers.room.acquire_many(WATCHERS_MAX as u32).await;
        assert!(all.is_ok());
    }
}

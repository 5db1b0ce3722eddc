//! Watches a run, from whichever replica answers.
//!
//! Invariant: the stream has every event once and in order: it goes on after the last one seen, at another replica where one went away.

use std::sync::Arc;
use std::time::Duration;

use common::diagnostic::Code;
use common::task::{FailureKind, TaskState};
use common::{Attempt, Epoch, RunId, WorkerId};
use proto::client::{Replicas, is_retryable};
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::watch_run_response::Event as Wire;
use proto::v1::{self, WatchRunRequest, WatchRunResponse};
use proto::{scalar, task};
use scheduler::leader::Update;
use scheduler::state::{Counts, Ending, Event, Failure, RunOutcome};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tonic::Status;

use super::connect::Connected;
use super::{runs, tasks};
use crate::exit::Exit;
use crate::project::Refused;

const BACKOFF: Duration = Duration::from_millis(100);
/// Events that may wait for whoever prints them.
const EVENTS_MAX: usize = 1_024;

/// What a watched run tells.
pub enum Watched {
    Event(Box<WatchRunResponse>),
    /// The stream is over before the run is: a replica refused.
    Refused(Status),
}

/// The events of a run after number `after`; ends after its last one.
pub fn events(cluster: &Connected<'_>, run: &str, after: u64) -> Receiver<Watched> {
    let (sender, receiver) = channel(EVENTS_MAX);
    let (replicas, run) = (cluster.replicas.clone(), run.to_owned());
    cluster.handle().spawn(async move {
        let mut after = after;
        loop {
            match once(&replicas, &run, &mut after, &sender).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(Broken::Stream(status)) if is_retryable(&status) => {}
                Err(Broken::Stream(status) | Broken::Call(status)) => {
                    // Nobody listens any more where this fails.
                    drop(sender.send(Watched::Refused(status)).await);
                    return;
                }
            }
            tokio::time::sleep(BACKOFF).await;
        }
    });
    receiver
}

/// How a stream came to nothing.
enum Broken {
    /// No replica opened one, in all the time that a call may take.
    Call(Status),
    /// One that was open broke off.
    Stream(Status),
}

/// One stream of one replica; whether the run is finished, or nobody listens.
async fn once(replicas: &Replicas, run: &str, after: &mut u64, sender: &Sender<Watched>) -> Result<bool, Broken> {
    let request = WatchRunRequest { run_id: run.to_owned(), after_sequence: *after };
    let mut stream = replicas
        .call(|channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).watch_run(request).await }
        })
        .await
        .map_err(Broken::Call)?
        .into_inner();
    while let Some(event) = stream.message().await.map_err(Broken::Stream)? {
        if event.sequence <= *after {
            continue;
        }
        if event.sequence != *after + 1 {
            return Err(Broken::Stream(Status::unavailable("the stream has a gap")));
        }
        *after = event.sequence;
        let is_last = matches!(event.event, Some(Wire::Finished(_)));
        if sender.send(Watched::Event(Box::new(event))).await.is_err() || is_last {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `kontiki runs watch`: a line for each event.
pub fn watch(cluster: &Connected<'_>, run: &str) -> Result<Exit, Refused> {
    let mut events = events(cluster, run, 0);
    while let Some(watched) = events.blocking_recv() {
        let event = match watched {
            Watched::Event(event) => event,
            Watched::Refused(status) => return Err(cluster.refuse(&status)),
        };
        let line = line(&event);
        cluster.call.console.output(&line);
        if let Some(Wire::Finished(finished)) = &event.event {
            let is_success = finished.state() == v1::RunState::Success;
            return Ok(if is_success { Exit::Success } else { Exit::NodeFailed });
        }
    }
    Err(cluster.call.refuse_with(Code::ClusterUnavailable, &"the stream of events broke off"))
}

fn line(event: &WatchRunResponse) -> String {
    let told = match &event.event {
        Some(Wire::Submitted(submitted)) => format!("submitted with {} tasks", submitted.tasks),
        Some(Wire::Task(changed)) => {
            let task = changed.task.clone().unwrap_or_default();
            let attempt = if task.attempt > 0 { format!(" (attempt {})", task.attempt) } else { String::new() };
            format!("{} {}{attempt}", task.node_id, tasks::state(task.state()))
        }
        Some(Wire::Finished(finished)) => format!("finished: {}", runs::state(finished.state())),
        Some(Wire::Retried(retried)) => format!("goes on with {} tasks", retried.tasks),
        Some(Wire::Stopping(stopping)) => format!("stops: {}", stopping.cause),
        None => "something that this version does not know".to_owned(),
    };
    format!("{}  {told}", super::time::moment(event.at.as_ref()))
}

/// What the lines of dbt's verbs are made from.
pub fn update(run: RunId, event: WatchRunResponse) -> Result<Option<Update>, proto::invalid::Invalid> {
    Ok(match event.event {
        Some(Wire::Task(changed)) => changed.task.map(|task| of_task(run, changed.index, task)).transpose()?.flatten(),
        Some(Wire::Finished(finished)) => {
            let outcome = match finished.state() {
                v1::RunState::Success => RunOutcome::Success,
                v1::RunState::Canceled => RunOutcome::Canceled(scheduler::state::CancelCause::Request),
                _ => RunOutcome::Failed,
            };
            Some(Update::Event(Event::RunFinished { run, outcome, counts: Counts::default() }))
        }
        _ => None,
    })
}

fn of_task(run: RunId, index: u32, wire: v1::Task) -> Result<Option<Update>, proto::invalid::Invalid> {
    let state = wire.state();
    let (node, attempt) = (wire.node_id.into(), Attempt(wire.attempt));
    let failure = wire.failure.map(task::to_failure).transpose()?;
    let failure = failure.map(|(kind, code, message)| Failure { kind, code, message });
    let kind = failure.as_ref().map_or(FailureKind::System, |failure| failure.kind);
    let result = wire.result.map(task::to_result).transpose()?;
    let ending = Arc::new(Ending { failure, result });
    let state = match state {
        v1::TaskState::Running => {
            let worker = WorkerId(wire.worker.into());
            return Ok(Some(Update::Started { worker, run, node, epoch: Epoch(wire.epoch) }));
        }
        v1::TaskState::UpForRetry => {
            let due_at = scalar::to_timestamp(wire.due_at);
            return Ok(Some(Update::Event(Event::TaskUpForRetry {
                run,
                task: index,
                node,
                attempt,
                kind,
                due_at,
                ending,
            })));
        }
        v1::TaskState::Success => TaskState::Success,
        v1::TaskState::Failed => TaskState::Failed(kind),
        v1::TaskState::UpstreamFailed => TaskState::UpstreamFailed,
        v1::TaskState::Skipped => TaskState::Skipped,
        v1::TaskState::Canceled => TaskState::Canceled,
        v1::TaskState::Unspecified | v1::TaskState::Pending | v1::TaskState::Ready => return Ok(None),
    };
    Ok(Some(Update::Event(Event::TaskFinished { run, task: index, node, attempt, state, ending: Some(ending) })))
}

//! The stream between a worker and the leader.

use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::task::{TaskOutcome, TaskReport};
use common::transcript::Packed;
use common::{Epoch, NodeId, RunId, WorkerId};

use crate::invalid::Invalid;
use crate::scalar::{duration, to_duration, to_run};
use crate::task;
use crate::v1::{self, session_request, session_response};

/// The leader's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub cluster: String,
    pub lease: std::time::Duration,
    /// Addresses of all replicas.
    pub replicas: Vec<String>,
}

/// What the leader says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromLeader {
    Welcome(Welcome),
    Message(LeaderMessage),
}

/// What a worker says, and, with its greeting, the cluster it believes to talk to.
#[derive(Clone, Debug, PartialEq)]
pub struct FromWorker {
    pub message: WorkerMessage,
    /// Empty where the worker does not know yet, and on every message but the first.
    pub cluster: String,
}

pub fn request(message: WorkerMessage, cluster: &str) -> v1::SessionRequest {
    use session_request::{Message, Started};
    let message = match message {
        WorkerMessage::Hello { worker, slots, running, description } => Message::Hello(session_request::Hello {
            worker_id: worker.to_string(),
            slots,
            running: running.iter().map(task::assignment).collect(),
            labels: description.labels.into_iter().collect(),
            host: description.host,
            version: description.version,
            cluster_id: cluster.to_owned(),
        }),
        WorkerMessage::Heartbeat => Message::Heartbeat(session_request::Heartbeat {}),
        WorkerMessage::Started { run, node, epoch } => {
            Message::Started(Started { run_id: run.to_string(), node_id: node.to_string(), epoch: epoch.0 })
        }
        WorkerMessage::Report(report) => Message::Report(of_report(&report)),
    };
    v1::SessionRequest { message: Some(message) }
}

pub fn to_request(request: v1::SessionRequest) -> Result<FromWorker, Invalid> {
    use session_request::Message;
    let mut cluster = String::new();
    let message = match request.message.ok_or_else(|| Invalid::missing("message"))? {
        Message::Hello(hello) => {
            cluster = hello.cluster_id;
            if hello.worker_id.is_empty() {
                return Err(Invalid::missing("hello.worker_id"));
            }
            WorkerMessage::Hello {
                worker: WorkerId(hello.worker_id.into()),
                slots: hello.slots,
                running: hello.running.into_iter().map(task::to_assignment).collect::<Result<_, _>>()?,
                description: WorkerDescription {
                    host: hello.host,
                    version: hello.version,
                    labels: hello.labels.into_iter().collect(),
                },
            }
        }
        Message::Heartbeat(_) => WorkerMessage::Heartbeat,
        Message::Started(started) => {
            let (run, node, epoch) = key(&started.run_id, started.node_id, started.epoch)?;
            WorkerMessage::Started { run, node, epoch }
        }
        Message::Report(report) => WorkerMessage::Report(Box::new(to_report(report)?)),
    };
    Ok(FromWorker { message, cluster })
}

fn of_report(report: &TaskReport) -> session_request::Report {
    use session_request::report::Outcome;
    let assignment = common::task::Assignment {
        run: report.run,
        node: report.node.clone(),
        attempt: report.attempt,
        epoch: report.epoch,
    };
    let outcome = match &report.outcome {
        TaskOutcome::Success => Outcome::Success(session_request::Success {}),
        TaskOutcome::Failure { kind, code, message } => Outcome::Failure(task::failure(*kind, *code, message)),
        TaskOutcome::Canceled => Outcome::Canceled(session_request::Canceled {}),
    };
    session_request::Report {
        assignment: Some(task::assignment(&assignment)),
        result: Some(task::result(&report.result)),
        transcript: report.transcript.0.clone().into(),
        outcome: Some(outcome),
    }
}

fn to_report(report: session_request::Report) -> Result<TaskReport, Invalid> {
    use session_request::report::Outcome;
    let assignment = task::to_assignment(report.assignment.ok_or_else(|| Invalid::missing("report.assignment"))?)?;
    let outcome = match report.outcome.ok_or_else(|| Invalid::missing("report.outcome"))? {
        Outcome::Success(_) => TaskOutcome::Success,
        Outcome::Canceled(_) => TaskOutcome::Canceled,
        Outcome::Failure(failure) => {
            let (kind, code, message) = task::to_failure(failure)?;
            TaskOutcome::Failure { kind, code, message }
        }
    };
    Ok(TaskReport {
        run: assignment.run,
        node: assignment.node,
        attempt: assignment.attempt,
        epoch: assignment.epoch,
        outcome,
        result: task::to_result(report.result.ok_or_else(|| Invalid::missing("report.result"))?)?,
        transcript: Packed(report.transcript.into()),
    })
}

pub fn welcome(welcome: Welcome) -> v1::SessionResponse {
    let Welcome { cluster, lease, replicas } = welcome;
    let welcome = session_response::Welcome { cluster_id: cluster, lease: Some(duration(lease)), replicas };
    v1::SessionResponse { message: Some(session_response::Message::Welcome(welcome)) }
}

pub fn response(message: LeaderMessage) -> v1::SessionResponse {
    use session_response::{Acknowledged, Cancel, Drain, Message};
    let message = match message {
        LeaderMessage::Assign(assignment) => Message::Assign(task::assignment(&assignment)),
        LeaderMessage::Acknowledged { run, node, epoch } => {
            Message::Acknowledged(Acknowledged { run_id: run.to_string(), node_id: node.to_string(), epoch: epoch.0 })
        }
        LeaderMessage::Cancel { run, node, epoch } => {
            Message::Cancel(Cancel { run_id: run.to_string(), node_id: node.to_string(), epoch: epoch.0 })
        }
        LeaderMessage::Drain => Message::Drain(Drain {}),
    };
    v1::SessionResponse { message: Some(message) }
}

pub fn to_response(response: v1::SessionResponse) -> Result<FromLeader, Invalid> {
    use session_response::Message;
    Ok(match response.message.ok_or_else(|| Invalid::missing("message"))? {
        Message::Welcome(welcome) => FromLeader::Welcome(Welcome {
            cluster: welcome.cluster_id,
            lease: to_duration("welcome.lease", welcome.lease.unwrap_or_default())?,
            replicas: welcome.replicas,
        }),
        Message::Assign(assignment) => FromLeader::Message(LeaderMessage::Assign(task::to_assignment(assignment)?)),
        Message::Acknowledged(named) => {
            let (run, node, epoch) = key(&named.run_id, named.node_id, named.epoch)?;
            FromLeader::Message(LeaderMessage::Acknowledged { run, node, epoch })
        }
        Message::Cancel(named) => {
            let (run, node, epoch) = key(&named.run_id, named.node_id, named.epoch)?;
            FromLeader::Message(LeaderMessage::Cancel { run, node, epoch })
        }
        Message::Drain(_) => FromLeader::Message(LeaderMessage::Drain),
    })
}

fn key(run: &str, node: String, epoch: u64) -> Result<(RunId, NodeId, Epoch), Invalid> {
    Ok((to_run("run_id", run)?, node.into(), Epoch(epoch)))
}

//! Proposals and reads that only the leader can decide, asked of it on behalf of this replica's callers.
//!
//! Invariant: an error says that nothing was done only where the leader itself said so; a call that broke off has an unknown
//! outcome.

use std::time::Duration;

use common::telemetry::rpc::Rpc;
use common::telemetry::{self, Context, Kind};
use proto::scalar::code_name;
use proto::v1;
use proto::v1::raft_service_client::RaftServiceClient;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::core::Answer;
use super::shell::Shell;
use super::{Error, Member};
use crate::entry::LogEntry;
use crate::leader::Proposal;
use crate::raft::network::codec::decode;
use crate::raft::network::{MESSAGE_BYTES_MAX, connect};

/// How long a caller waits for a leader, an election included.
pub(super) const LEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before asking again where nothing tells that it is worth it.
const RETRY_WAIT: Duration = Duration::from_millis(50);
/// Set by a replica that refused and did nothing.
const NOTHING_DONE: &str = "kontiki-nothing-done";

/// Of spans.
pub(super) const FORWARD: &str = "kontiki.v1.RaftService/Forward";

/// As another replica is told.
pub(super) fn status_of(error: &Error) -> Status {
    let code = match error {
        Error::NotLeader { .. } | Error::Unavailable { .. } | Error::Stopped(_) => Code::Unavailable,
        Error::Unknown { .. } => Code::Unknown,
        Error::Membership(_) | Error::WrongPeer(_) | Error::Config(_) => Code::FailedPrecondition,
        Error::Store(_) => Code::Internal,
    };
    let mut status = Status::new(code, error.to_string());
    if !matches!(error, Error::Unknown { .. }) {
        status.metadata_mut().insert(NOTHING_DONE, tonic::metadata::MetadataValue::from_static("1"));
    }
    status
}

/// As a caller here is told.
fn error_of(status: &Status) -> Error {
    let nothing_done = status.metadata().contains_key(NOTHING_DONE);
    match status.code() {
        Code::FailedPrecondition if nothing_done => Error::WrongPeer(status.message().to_owned()),
        _ if nothing_done => Error::Unavailable { reason: "the leader did not take it" },
        _ => Error::Unknown { reason: "the call to the leader broke off" },
    }
}

/// Tries one after another while there is no leader, or the one asked did nothing.
pub(super) struct Attempts<'a> {
    shell: &'a Shell,
    leader: Receiver<Option<Member>>,
    deadline: Instant,
}

/// Who decides now.
pub(super) enum Decider {
    Here,
    Other(Member),
}

impl<'a> Attempts<'a> {
    pub fn new(shell: &'a Shell) -> Self {
        Self { shell, leader: shell.leader(), deadline: Instant::now() + LEADER_TIMEOUT }
    }

    pub fn decider(&mut self) -> Result<Decider, Error> {
        let Some(leader) = self.leader.borrow_and_update().clone() else { return Err(self.shell.not_leader()) };
        let is_own = self.shell.identity().is_some_and(|identity| identity.replica == leader.id);
        Ok(if is_own { Decider::Here } else { Decider::Other(leader) })
    }

    /// Waits until it is worth asking again; gives a decided outcome back.
    pub async fn settle<T>(&mut self, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        let error = match outcome {
            Ok(decided) => return Ok(Some(decided)),
            Err(error @ (Error::NotLeader { .. } | Error::Unavailable { .. })) => error,
            Err(error) => return Err(error),
        };
        if Instant::now() >= self.deadline {
            return Err(error);
        }
        // A change of the leader is worth asking at once.
        let _ = tokio::time::timeout(RETRY_WAIT, self.leader.changed()).await;
        match &*self.shell.core.failure().borrow() {
            Some(failure) => Err(failure.clone()),
            None => Ok(None),
        }
    }
}

pub(super) async fn propose(shell: &Shell, leader: &Member, proposal: &Proposal) -> Result<Answer, Error> {
    let entry = LogEntry {
        at: common::Timestamp::default(),
        proposer: None,
        traceparent: None,
        command: proposal.command.clone(),
    };
    let request = v1::ForwardRequest {
        cluster_id: cluster(shell),
        command: entry.to_bytes().into(),
        traceparent: proposal.traceparent.clone().unwrap_or_default(),
    };
    let now = shell.core.now();
    let span = proposal.span.map(|parent| (parent, parent.span.child("forward", now.as_micros().unsigned_abs()), now));
    let mut request = tonic::Request::new(request);
    if let Some((parent, id, _)) = span
        && let Ok(context) = (Context { span: id, ..parent }).to_string().parse()
    {
        request.metadata_mut().insert("traceparent", context);
    }
    let answer = client(shell, leader)?.forward(request).await;
    if let Some((parent, id, started_at)) = span {
        let server = leader.address.rsplit_once(':').map(|(host, _)| host);
        let code = answer.as_ref().map_or_else(|status| code_name(status.code()), |_| "OK");
        let rpc = Rpc { method: FORWARD, code, started_at, ended_at: shell.core.now(), server };
        telemetry::record(rpc.span(Context { span: id, ..parent }, parent.span, Kind::Client));
    }
    let response = answer.map_err(|status| error_of(&status))?.into_inner();
    let reply = decode(&response.reply).map_err(|reason| Error::Unknown { reason })?;
    Ok((response.index, reply))
}

pub(super) async fn read_index(shell: &Shell, leader: &Member) -> Result<u64, Error> {
    let request = v1::ReadIndexRequest { cluster_id: cluster(shell) };
    let response = client(shell, leader)?.read_index(request).await;
    // A read changes nothing, so it may be asked again whatever happened.
    let unanswered = |_| Error::Unavailable { reason: "the leader did not answer" };
    Ok(response.map_err(unanswered)?.into_inner().index)
}

fn cluster(shell: &Shell) -> String {
    shell.identity().map(|identity| identity.cluster.clone()).unwrap_or_default()
}

fn client(shell: &Shell, leader: &Member) -> Result<RaftServiceClient<tonic::transport::Channel>, Error> {
    let mut channels = shell.channels.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let channel = match channels.get(&leader.address) {
        Some(channel) => channel.clone(),
        None => {
            let unknown = || Error::Config(format!("'{}' is not an address", leader.address));
            let channel = connect(&leader.address, shell.config.tls.as_ref()).ok_or_else(unknown)?;
            channels.insert(leader.address.clone(), channel.clone());
            channel
        }
    };
    let client = RaftServiceClient::new(channel);
    Ok(client.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX))
}

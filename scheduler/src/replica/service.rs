//! `kontiki.v1.RaftService`: what other replicas ask of this one.
//!
//! Invariant: a message for another cluster or another replica is refused before anything is done with it.

use std::sync::{Arc, Mutex, PoisonError};

use common::telemetry::rpc::Rpc;
use common::telemetry::{self, Context, Kind};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use proto::scalar::code_name;
use proto::v1;
use proto::v1::install_snapshot_request::Message;
use proto::v1::raft_service_server::{RaftService, RaftServiceServer};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::forward::{FORWARD, status_of};
use super::shell::Shell;
use super::{Handle, bootstrap, membership};
use crate::entry::LogEntry;
use crate::raft::Raft;
use crate::raft::machine::decode_meta;
use crate::raft::network::codec::{Append, SnapshotHeader, VoteMessage, decode, encode};
use crate::raft::network::{MESSAGE_BYTES_MAX, receive};

/// Pieces of a snapshot that may wait to be written.
const PIECES_MAX: usize = 4;

type Answer<T> = Result<Response<T>, Status>;

/// What must answer at the replica's advertised address, from before [`super::start`] can find others.
pub fn raft_service(handle: &Handle) -> RaftServiceServer<Service> {
    let service = Service { shell: handle.shell.clone(), handle: handle.clone() };
    RaftServiceServer::new(service)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

pub struct Service {
    shell: Arc<Shell>,
    handle: Handle,
}

impl Service {
    /// openraft, if the message is meant for it.
    fn meant(&self, request: &v1::RaftRequest) -> Result<&Raft, Status> {
        check(&self.shell, request)?;
        self.shell.raft().map_err(|error| status_of(&error))
    }
}

fn check(shell: &Shell, request: &v1::RaftRequest) -> Result<(), Status> {
    check_cluster(shell, &request.cluster_id)?;
    match shell.identity().map_or(0, |identity| identity.replica) {
        own if own == request.to => Ok(()),
        own => Err(Status::failed_precondition(format!("this is replica {own}, not {}", request.to))),
    }
}

fn check_cluster(shell: &Shell, cluster: &str) -> Result<(), Status> {
    match shell.identity() {
        Some(identity) if identity.cluster == cluster => Ok(()),
        Some(identity) => {
            tracing::warn!(cluster, "a replica of another cluster called");
            Err(Status::failed_precondition(format!(
                "this replica belongs to cluster {}, not {cluster}",
                identity.cluster
            )))
        }
        None => Err(Status::unavailable("this replica does not belong to a cluster yet")),
    }
}

#[tonic::async_trait]
impl RaftService for Service {
    type AppendEntriesStream = BoxStream<'static, Result<v1::RaftResponse, Status>>;

    async fn append_entries(&self, request: Request<Streaming<v1::RaftRequest>>) -> Answer<Self::AppendEntriesStream> {
        let raft = self.shell.raft().map_err(|error| status_of(&error))?.clone();
        let shell = self.shell.clone();
        // What ends the stream of requests ends that of the answers, after those that are due.
        let refusal = Arc::new(Mutex::new(None));
        let refused = refusal.clone();
        let refuse = move |status: Status| {
            *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            None
        };
        let requests = stream::unfold(request.into_inner(), move |mut incoming| {
            let (shell, refuse) = (shell.clone(), refuse.clone());
            async move {
                let request = match incoming.next().await? {
                    Ok(request) => request,
                    Err(status) => return refuse(status),
                };
                match accept(&shell, &request) {
                    Ok(append) => Some((append.request, incoming)),
                    Err(status) => refuse(status),
                }
            }
        });
        let answers = raft.stream_append(requests).map(|result| match result {
            Ok(result) => Ok(v1::RaftResponse { payload: encode(&result) }),
            Err(fatal) => Err(Status::unavailable(fatal.to_string())),
        });
        let last = stream::once(async move { refusal.lock().unwrap_or_else(PoisonError::into_inner).take().map(Err) });
        Ok(Response::new(Box::pin(answers.chain(last.filter_map(std::future::ready)))))
    }

    async fn vote(&self, request: Request<v1::RaftRequest>) -> Answer<v1::RaftResponse> {
        let request = request.into_inner();
        let raft = self.meant(&request)?;
        let VoteMessage { is_pre_vote, request } = decode(&request.payload).map_err(Status::invalid_argument)?;
        let voted = if is_pre_vote { raft.pre_vote(request).await } else { raft.vote(request).await };
        answer(voted)
    }

    async fn transfer_leader(&self, request: Request<v1::RaftRequest>) -> Answer<v1::RaftResponse> {
        let request = request.into_inner();
        let raft = self.meant(&request)?;
        let request = decode(&request.payload).map_err(Status::invalid_argument)?;
        answer(raft.handle_transfer_leader(request).await)
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<v1::InstallSnapshotRequest>>,
    ) -> Answer<v1::RaftResponse> {
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.and_then(|first| first.message);
        let Some(Message::Header(request)) = first else {
            return Err(Status::invalid_argument("a snapshot begins with its header"));
        };
        let raft = self.meant(&request)?;
        let header: SnapshotHeader = decode(&request.payload).map_err(Status::invalid_argument)?;
        let meta = decode_meta(&header.meta).map_err(|damage| Status::invalid_argument(damage.to_string()))?;
        let vote = header.vote;

        let directory = self.shell.config.directory.clone();
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let writing = tokio::task::spawn_blocking(move || receive::receive(&directory, header, pieces));
        while let Some(request) = incoming.message().await? {
            let Some(Message::Data(piece)) = request.message else {
                return Err(Status::invalid_argument("a snapshot has one header"));
            };
            // Nobody takes any more: writing failed and says below why.
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        let content = writing.await.map_err(|_| Status::internal("the snapshot could not be written"))?;
        let content = content.map_err(|error| Status::unavailable(error.to_string()))?;
        let snapshot = openraft::Snapshot { meta, snapshot: content };
        let installed = raft.install_full_snapshot(vote, snapshot).await;
        installed
            .map(|response| Response::new(v1::RaftResponse { payload: encode(&response) }))
            .map_err(|fatal| Status::unavailable(fatal.to_string()))
    }

    async fn identify(&self, request: Request<v1::IdentifyRequest>) -> Answer<v1::IdentifyResponse> {
        let cluster = request.into_inner().cluster_id;
        if !cluster.is_empty() {
            check_cluster(&self.shell, &cluster)?;
        }
        let identity = self.shell.identity();
        let leader = self.shell.leader().borrow().clone().unwrap_or_default();
        let is_initialized = match (identity, self.shell.raft()) {
            (Some(_), Ok(raft)) => raft.is_initialized().await.unwrap_or(true),
            (Some(_), Err(_)) => true,
            (None, _) => false,
        };
        Ok(Response::new(v1::IdentifyResponse {
            cluster_id: identity.map(|identity| identity.cluster.clone()).unwrap_or_default(),
            replica_id: identity.map_or(0, |identity| identity.replica),
            name: self.shell.config.name.clone(),
            is_initialized,
            leader_id: leader.id,
            leader_address: leader.address,
            address: self.shell.config.advertise.clone(),
        }))
    }

    async fn adopt(&self, request: Request<v1::AdoptRequest>) -> Answer<v1::AdoptResponse> {
        let v1::AdoptRequest { cluster_id, replica_id, name } = request.into_inner();
        if name != self.shell.config.name || cluster_id.is_empty() || replica_id == 0 {
            return Err(Status::failed_precondition(format!("this is {}, not {name}", self.shell.config.name)));
        }
        bootstrap::adopt(&self.shell, cluster_id, replica_id).await.map_err(|error| status_of(&error))?;
        Ok(Response::new(v1::AdoptResponse {}))
    }

    async fn join(&self, request: Request<v1::JoinRequest>) -> Answer<v1::JoinResponse> {
        let v1::JoinRequest { name, address } = request.into_inner();
        if name.is_empty() || !address.contains(':') {
            return Err(Status::invalid_argument("who joins has a name and an address"));
        }
        let id = membership::join(&self.shell, name, address).await.map_err(|error| status_of(&error))?;
        let cluster_id = self.shell.identity().map(|identity| identity.cluster.clone()).unwrap_or_default();
        Ok(Response::new(v1::JoinResponse { cluster_id, replica_id: id }))
    }

    async fn read_index(&self, request: Request<v1::ReadIndexRequest>) -> Answer<v1::ReadIndexResponse> {
        check_cluster(&self.shell, &request.into_inner().cluster_id)?;
        let index = self.handle.read_index_here().await.map_err(|error| status_of(&error))?;
        Ok(Response::new(v1::ReadIndexResponse { index }))
    }

    async fn forward(&self, request: Request<v1::ForwardRequest>) -> Answer<v1::ForwardResponse> {
        let context = request.metadata().get("traceparent").and_then(|context| Context::parse(context.to_str().ok()?));
        let call = context.filter(|_| telemetry::is_on()).map(|caller| (caller, self.shell.core.now()));
        let v1::ForwardRequest { cluster_id, command, traceparent } = request.into_inner();
        check_cluster(&self.shell, &cluster_id)?;
        let entry = LogEntry::from_bytes(&command).map_err(|damage| Status::invalid_argument(damage.to_string()))?;
        let traceparent = (!traceparent.is_empty()).then_some(traceparent);
        let place = call.map(|(caller, _)| Context { span: caller.span.child("forwarded", 0), ..caller });
        let proposal = super::Proposal { span: place, ..super::Proposal::new(entry.command, traceparent) };
        let answer = self.handle.propose_here(proposal).await.map_err(|error| status_of(&error));
        if let (Some((caller, started_at)), Some(place)) = (call, place) {
            let code = answer.as_ref().map_or_else(|status| code_name(status.code()), |_| "OK");
            let rpc = Rpc { method: FORWARD, code, started_at, ended_at: self.shell.core.now(), server: None };
            telemetry::record(rpc.span(place, caller.span, Kind::Server));
        }
        let (index, reply) = answer?;
        Ok(Response::new(v1::ForwardResponse { reply: encode(&reply), index }))
    }
}

/// The request for openraft, if it is meant for this replica and the states do not differ.
fn accept(shell: &Shell, request: &v1::RaftRequest) -> Result<Append, Status> {
    check(shell, request)?;
    let append: Append = decode(&request.payload).map_err(Status::invalid_argument)?;
    shell.core.compare(append.checkpoint);
    match &*shell.core.failure().borrow() {
        Some(error) => Err(status_of(error)),
        None => Ok(append),
    }
}

fn answer<T: serde::Serialize, E: std::fmt::Display>(result: Result<T, E>) -> Answer<v1::RaftResponse> {
    match result {
        Ok(message) => Ok(Response::new(v1::RaftResponse { payload: encode(&message) })),
        Err(error) => Err(Status::unavailable(error.to_string())),
    }
}

//! One other replica, as openraft talks to it.

use std::future::Future;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use proto::tls::Tls;
use proto::v1::install_snapshot_request::Message;
use proto::v1::raft_service_client::RaftServiceClient;
use proto::{dial, v1};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::Local;
use super::append::Appending;
use super::codec::{Append, SnapshotHeader, VoteMessage, decode, encode};
use crate::raft::machine::{Content, encode_meta};
use crate::raft::{Types, Vote};

const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// A connection that is silent for an interval and a timeout is dead.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait before a replica that could not be reached is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(100);
const WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Longest message: an entry can hold a plan of a million tasks.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
const SNAPSHOT_CHUNK: usize = 256 * 1024;
/// Chunks read ahead of the network.
const SNAPSHOT_CHUNKS_AHEAD: usize = 4;

pub(super) type Client = RaftServiceClient<Channel>;
pub(super) type RpcResult<T> = Result<T, RPCError<Types>>;

/// A connection that is made when it is needed, and again when it breaks. None for an address that cannot be one.
pub fn connect(address: &str, tls: Option<&Tls>) -> Option<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    Some(dial::lazily(endpoint, tls))
}

pub struct Peer {
    local: Arc<Local>,
    target: u64,
    address: String,
    client: Option<Client>,
    appending: Appending,
}

impl Peer {
    pub(super) fn new(local: Arc<Local>, target: u64, address: String, channel: Option<Channel>) -> Self {
        let client = channel.map(|channel| {
            Client::new(channel)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX)
        });
        Self { local, target, address, client, appending: Appending::Pipelined }
    }

    pub(super) fn one_by_one(mut self) -> Self {
        self.appending = Appending::OneByOne(None);
        self
    }

    fn client(&self) -> RpcResult<Client> {
        let unknown = || unreachable(format!("'{}' is not an address", self.address));
        self.client.clone().ok_or_else(unknown)
    }

    fn request(&self, payload: Bytes) -> v1::RaftRequest {
        v1::RaftRequest { cluster_id: self.local.cluster.clone(), to: self.target, payload }
    }

    async fn ask_to_vote(&self, message: VoteMessage, option: RPCOption) -> RpcResult<VoteResponse<Types>> {
        let mut client = self.client()?;
        let request = self.request(encode(&message));
        let response = within(option.soft_ttl(), client.vote(request)).await?;
        decode(&response.payload).map_err(malformed)
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: SnapshotOf,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let mut client = self.client()?;
        let SnapshotOf { meta, snapshot: mut content } = snapshot;
        // Those that were collected since: the log behind the snapshot says so.
        content.blobs.retain(|(digest, _)| self.local.blobs.path(digest).exists());
        let length = content.file.metadata().map_err(unreadable)?.len();
        let header = SnapshotHeader { vote, meta: encode_meta(&meta), length, blobs: content.blobs.clone() };
        let first = Message::Header(self.request(encode(&header)));
        let (sender, receiver) = mpsc::channel(SNAPSHOT_CHUNKS_AHEAD);
        let local = self.local.clone();
        let reading = tokio::task::spawn_blocking(move || read_snapshot(&local, &content, length, first, &sender));
        let sent = client.install_snapshot(ReceiverStream::new(receiver)).await.map_err(|status| failed(&status));
        // Reading ends with the call: its receiver is gone.
        if let Ok(Err(error)) = reading.await {
            tracing::warn!(%error, "a snapshot could not be read to the end");
        }
        Ok(decode(&sent?.into_inner().payload).map_err(malformed)?)
    }
}

type SnapshotOf = openraft::type_config::alias::SnapshotOf<Types, Content>;

/// Hands a snapshot and its blobs to the network in chunks. Ends early when nobody listens any more.
fn read_snapshot(
    local: &Local,
    content: &Content,
    length: u64,
    header: Message,
    sender: &mpsc::Sender<v1::InstallSnapshotRequest>,
) -> std::io::Result<()> {
    let send = |message| sender.blocking_send(v1::InstallSnapshotRequest { message: Some(message) }).is_ok();
    if !send(header) {
        return Ok(());
    }
    let mut file = &content.file;
    std::io::Seek::rewind(&mut file)?;
    if !send_file(&mut file, length, send)? {
        return Ok(());
    }
    for (digest, size) in &content.blobs {
        let mut file = std::fs::File::open(local.blobs.path(digest))?;
        if !send_file(&mut file, *size, send)? {
            return Ok(());
        }
    }
    Ok(())
}

fn send_file(file: &mut impl Read, length: u64, send: impl Fn(Message) -> bool) -> std::io::Result<bool> {
    let mut left = usize::try_from(length).map_err(std::io::Error::other)?;
    while left > 0 {
        let mut chunk = vec![0; left.min(SNAPSHOT_CHUNK)];
        file.read_exact(&mut chunk)?;
        left -= chunk.len();
        if !send(Message::Data(chunk.into())) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = Content;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<Types>> {
        let input = futures::stream::iter([request]);
        let mut output = self.stream_append(input, option).await?;
        match output.next().await {
            Some(result) => result.map(AppendEntriesResponse::from),
            None => Err(unreachable("the stream ended without an answer")),
        }
    }

    /// Answers come back in the order of the requests.
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, RpcResult<BoxStream<'s, RpcResult<StreamAppendResult<Types>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + Send + Unpin + 'static,
    {
        let (local, target) = (self.local.clone(), self.target);
        let outgoing = input.map(move |request| {
            let payload = encode(&Append { checkpoint: local.compare.checkpoint(), request });
            v1::RaftRequest { cluster_id: local.cluster.clone(), to: target, payload }
        });
        let client = self.client();
        let appending = &mut self.appending;
        Box::pin(async move { appending.send(client?, outgoing).await })
    }

    async fn vote(&mut self, request: VoteRequest<Types>, option: RPCOption) -> RpcResult<VoteResponse<Types>> {
        self.ask_to_vote(VoteMessage { is_pre_vote: false, request }, option).await
    }

    async fn pre_vote(&mut self, request: VoteRequest<Types>, option: RPCOption) -> RpcResult<VoteResponse<Types>> {
        self.ask_to_vote(VoteMessage { is_pre_vote: true, request }, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        tokio::select! {
            sent = self.send_snapshot(vote, snapshot) => sent,
            closed = cancel => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<Types>> {
        let mut client = self.client()?;
        let request = self.request(encode(&request));
        let response = within(option.soft_ttl(), client.transfer_leader(request)).await?;
        decode(&response.payload).map_err(malformed)
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(RETRY_WAIT)))
    }
}

pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> RpcResult<T> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(failed(&status)),
        Err(_) => Err(unreachable("it did not answer in time")),
    }
}

pub(super) fn failed(status: &Status) -> RPCError<Types> {
    unreachable(format!("{:?}: {}", status.code(), status.message()))
}

fn unreachable(reason: impl ToString) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

pub(super) fn malformed(reason: &'static str) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::from_string(reason))
}

fn unreadable(error: std::io::Error) -> StreamingError<Types> {
    StreamingError::Network(NetworkError::new(&error))
}

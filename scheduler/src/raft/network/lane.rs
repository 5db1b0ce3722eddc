//! A stream to another replica that stays open from one heartbeat to the next, so that each is one frame out and one back.
//!
//! Invariant: an answer belongs to the request before it. A lane whose answer did not come is never used again.

use futures::{FutureExt, StreamExt};
use proto::v1;
use proto::v1::raft_service_client::RaftServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

pub(super) struct Lane {
    requests: mpsc::Sender<v1::RaftRequest>,
    answers: Streaming<v1::RaftResponse>,
}

impl Lane {
    pub async fn open(client: &mut RaftServiceClient<Channel>) -> Result<Response<Self>, Status> {
        // A request leaves only after the answer to the one before.
        let (requests, outgoing) = mpsc::channel(1);
        let opened = client.append_entries(ReceiverStream::new(outgoing)).await?;
        Ok(opened.map(|answers| Self { requests, answers }))
    }

    /// None where the other end has closed it.
    pub fn still_open(mut self: Box<Self>) -> Option<Box<Self>> {
        let is_open = !self.requests.is_closed() && self.answers.next().now_or_never().is_none();
        is_open.then_some(self)
    }

    pub async fn ask(&mut self, request: v1::RaftRequest) -> Result<v1::RaftResponse, Status> {
        let ended = || Status::unavailable("the stream ended without an answer");
        self.requests.send(request).await.map_err(|_| ended())?;
        self.answers.message().await?.ok_or_else(ended)
    }
}

//! One worker's session over one bidirectional stream.
//!
//! Invariant: the worker greets before it hears anything, and what cannot be understood ends the session with the reason:
//! the worker opens another and resends what was not acknowledged.

use std::time::Duration;

use common::session::{LeaderMessage, WorkerMessage};
use futures::future::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use proto::session::Welcome;
use proto::v1::{SessionRequest, SessionResponse};
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::refusal;
use crate::replica::{Error, Handle, Session, Uplink};
use crate::state::worker;

/// A stream that has not greeted by then is closed.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

pub type Answers = BoxStream<'static, Result<SessionResponse, Status>>;

/// Waits for the greeting and begins the session.
pub async fn begin(
    handle: &Handle,
    mut requests: Streaming<SessionRequest>,
    lease: Duration,
) -> Result<Answers, Status> {
    let Session { uplink, messages } = handle.connect_worker().map_err(|error| refusal::failed(&error))?;
    let greeting = tokio::time::timeout(GREETING_TIMEOUT, requests.message()).await;
    let greeting = greeting.map_err(|_| Status::deadline_exceeded("the worker did not greet"))??;
    let greeting = greeting.ok_or_else(|| Status::invalid_argument("the session ended before the greeting"))?;
    let greeting = proto::session::to_request(greeting).map_err(|invalid| refusal::invalid(&invalid))?;
    let status = handle.status();
    if !greeting.cluster.is_empty() && greeting.cluster != status.cluster {
        let message = format!("this replica belongs to cluster {}, not {}", status.cluster, greeting.cluster);
        return Err(refusal::failed(&Error::WrongPeer(message)));
    }
    let WorkerMessage::Hello { worker: id, slots, description, .. } = &greeting.message else {
        return Err(Status::invalid_argument("a session begins with a hello"));
    };
    worker::check(id, *slots, description).map_err(|rejection| refusal::rejected(&rejection))?;
    uplink.send(greeting.message).await.map_err(|error| refusal::failed(&error))?;
    let replicas = status.members.into_iter().map(|(member, ..)| member.address).collect();
    let welcome = proto::session::welcome(Welcome { cluster: status.cluster, lease, replicas });
    Ok(stream::once(async { Ok(welcome) }).chain(answers(requests, uplink, messages)).boxed())
}

/// What the leader says, until either side ends the session.
fn answers(requests: Streaming<SessionRequest>, uplink: Uplink, messages: mpsc::Receiver<LeaderMessage>) -> Answers {
    let (end, ended) = oneshot::channel();
    tokio::spawn(async move {
        // Nobody to tell means that the worker is gone already.
        let _ = end.send(listen(requests, uplink).await);
    });
    let ended = ended.map(|ended| ended.unwrap_or(Ok(()))).shared();
    let messages = ReceiverStream::new(messages).map(|message| Ok(proto::session::response(message)));
    let reason = ended.clone();
    let last = stream::once(async move { reason.now_or_never().and_then(Result::err).map(Err) });
    messages.take_until(ended).chain(last.filter_map(std::future::ready)).boxed()
}

/// Hands on what the worker says. Ends with the stream, or with what is wrong with it.
async fn listen(mut requests: Streaming<SessionRequest>, uplink: Uplink) -> Result<(), Status> {
    while let Some(request) = requests.message().await? {
        let heard = proto::session::to_request(request).map_err(|invalid| refusal::invalid(&invalid))?;
        uplink.send(heard.message).await.map_err(|error| refusal::failed(&error))?;
    }
    Ok(())
}

//! How requests to append leave for a peer: entries pipelined, heartbeats one by one.
//!
//! Invariant: answers come back in the order of their requests.

use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use openraft::base::BoxStream;
use openraft::raft::StreamAppendResult;
use proto::v1;

use super::codec::decode;
use super::lane::Lane;
use super::peer::{Client, RpcResult, failed, malformed, within};
use crate::raft::Types;

/// How long a stream may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(1);

pub(super) enum Appending {
    /// As they come, over a stream of their own for each call; openraft keeps one call going.
    Pipelined,
    /// Each after the answer to the one before, over a stream that outlives the call: openraft makes a call for each heartbeat.
    OneByOne(Option<Box<Lane>>),
}

impl Appending {
    pub async fn send<'s>(
        &'s mut self,
        client: Client,
        requests: impl Stream<Item = v1::RaftRequest> + Send + Unpin + 'static,
    ) -> RpcResult<BoxStream<'s, RpcResult<StreamAppendResult<Types>>>> {
        Ok(match self {
            Self::Pipelined => Box::pin(pipeline(client, requests).await?),
            Self::OneByOne(lane) => Box::pin(one_by_one(client, lane, requests)),
        })
    }
}

async fn pipeline(
    mut client: Client,
    mut requests: impl Stream<Item = v1::RaftRequest> + Send + Unpin + 'static,
) -> RpcResult<impl Stream<Item = RpcResult<StreamAppendResult<Types>>> + Send> {
    // openraft waits in its requests after an error: without the first there is nothing to connect for, and a replica that is down
    // would be called again at once, for ever.
    let first = requests.next().await;
    let requests = stream::iter(first).chain(requests);
    let answers = within(OPEN_TIMEOUT, client.append_entries(requests)).await?;
    Ok(answers.map(|answer| decode(&answer.map_err(|status| failed(&status))?.payload).map_err(malformed)))
}

fn one_by_one<'s>(
    client: Client,
    lane: &'s mut Option<Box<Lane>>,
    requests: impl Stream<Item = v1::RaftRequest> + Send + Unpin + 's,
) -> impl Stream<Item = RpcResult<StreamAppendResult<Types>>> + Send + 's {
    stream::unfold((client, lane, requests), |(mut client, lane, mut requests)| async move {
        let request = requests.next().await?;
        let answer = ask(&mut client, lane, request).await;
        Some((answer, (client, lane, requests)))
    })
}

async fn ask(
    client: &mut Client,
    lane: &mut Option<Box<Lane>>,
    request: v1::RaftRequest,
) -> RpcResult<StreamAppendResult<Types>> {
    // Taken out: who stops waiting for the answer must not leave a lane behind on which it would still come.
    let mut open = match lane.take().and_then(Lane::still_open) {
        Some(open) => open,
        None => Box::new(within(OPEN_TIMEOUT, Lane::open(client)).await?),
    };
    let answer = open.ask(request).await.map_err(|status| failed(&status))?;
    *lane = Some(open);
    decode(&answer.payload).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::connect;
    use super::*;

    /// Of a replica that is down, on this machine.
    fn down() -> Client {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port is free").to_string();
        Client::new(connect(&address, None).expect("an address"))
    }

    #[tokio::test]
    async fn a_request_is_waited_for_before_a_replica_that_is_down_is_called() {
        let asked = Arc::new(AtomicBool::new(false));
        let noted = asked.clone();
        let requests = stream::once(async move {
            noted.store(true, Ordering::Relaxed);
            v1::RaftRequest::default()
        });
        let sent = Appending::Pipelined.send(down(), Box::pin(requests)).await.map(drop);
        sent.expect_err("nobody listens");
        assert!(asked.load(Ordering::Relaxed), "openraft's wait after an error is in its requests");
    }

    #[tokio::test]
    async fn who_cannot_be_reached_answers_each_request_with_an_error() {
        let mut appending = Appending::OneByOne(None);
        let requests = stream::iter([v1::RaftRequest::default(), v1::RaftRequest::default()]);
        let answers = appending.send(down(), requests).await.expect("it is called for each request");
        assert_eq!(answers.map(|answer| answer.is_err()).collect::<Vec<bool>>().await, [true, true]);
    }
}

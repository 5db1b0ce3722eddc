//! Connections that say nothing, and bytes that are no message.

use bytes::{Buf, BufMut};
use proto::v1;
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::watch_run_response::Event;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;

use crate::fixture::*;

#[tokio::test]
async fn a_run_finishes_while_a_thousand_connections_are_idle() {
    // Both ends of each connection are in this process.
    let most = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: most.maximum, ..most }).unwrap();
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut idle = Vec::new();
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        idle.push(Channel::from_shared(format!("http://{}", cluster.address)).unwrap().connect().await.unwrap());
        silent.push(TcpStream::connect(cluster.address).await.unwrap());
    }
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let run = cluster.submit(&request("r")).await.run_id;
    let last = cluster.watch(&run, 0).await.pop().unwrap().event;
    assert!(matches!(last, Some(Event::Finished(finished)) if finished.state() == v1::RunState::Success));
    // Each of them is still good.
    for channel in idle {
        let asked = v1::GetRunRequest { run_id: run.clone(), stale: true, ..Default::default() };
        RunServiceClient::new(channel).get_run(asked).await.unwrap();
    }
}

/// Messages as bytes, whatever they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = &'static [u8];
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = &'static [u8];
    type Error = tonic::Status;

    fn encode(&mut self, bytes: &'static [u8], into: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        into.put_slice(bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = tonic::Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<()>, tonic::Status> {
        from.advance(from.remaining());
        Ok(Some(()))
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_get_a_status() {
    let cluster = Cluster::start().await;
    // A field that ends too early, a number of no wire type, a length beyond everything, and text that is not UTF-8.
    let malformed: [&[u8]; 4] =
        [b"\x0a\x7f", b"\x0f", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0a\x02\xff\xfe"];
    let calls = [
        "RunService/SubmitRun",
        "RunService/WatchRun",
        "ProjectService/DeployProject",
        "ProjectService/UploadBlobs",
        "WorkerService/Session",
        "WorkerService/DrainWorker",
        "ClusterService/SetPool",
        "RaftService/Vote",
        "RaftService/AppendEntries",
        "RaftService/InstallSnapshot",
    ];
    for call in calls {
        for bytes in malformed {
            let mut client = tonic::client::Grpc::new(cluster.channel.clone());
            client.ready().await.unwrap();
            let path = format!("/kontiki.v1.{call}").parse().unwrap();
            let request = tonic::Request::new(futures::stream::iter([bytes]));
            let answered = async {
                let mut answers = client.streaming(request, path, Raw).await?.into_inner();
                answers.message().await
            };
            let refused = tokio::time::timeout(PATIENCE, answered).await.unwrap();
            assert!(refused.is_err(), "{call} took {bytes:?}");
        }
    }
    assert_eq!(cluster.runs().list_runs(v1::ListRunsRequest::default()).await.unwrap().into_inner().runs, []);
}

//! Clients of a cluster of one, over gRPC on loopback: good and bad input for each call about projects and runs.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BufMut};
use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::table::Response;
use common::task::{Assignment, FailureKind, NodeResult, NodeStatus, TaskOutcome, TaskReport};
use common::{Timestamp, WorkerId};
use proto::v1;
use proto::v1::cluster_service_client::ClusterServiceClient;
use proto::v1::project_service_client::ProjectServiceClient;
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::watch_run_response::Event;
use proto::v1::worker_service_client::WorkerServiceClient;
use scheduler::replica::{self, Consistency, Handle, Session};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::Code;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic_types::StatusExt;

const PIECE: usize = 256 << 10;
/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

struct Cluster {
    handle: Handle,
    channel: Channel,
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _folder: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let config = replica::Config::new(folder.path(), "kontiki-0", address.to_string());
        let handle = replica::start(config).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = async {
            // Dropped with the test.
            let _ = stopped.await;
        };
        tokio::spawn(scheduler::api::serve(handle.clone(), listener, scheduler::api::Config::default(), ended));
        let mut leader = handle.leader();
        tokio::time::timeout(PATIENCE, leader.wait_for(Option::is_some)).await.unwrap().unwrap();
        // It leads once it has committed something.
        handle.forward(scheduler::Command::PromoteRetries).await.unwrap();
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { handle, channel, address, _stop: stop, _folder: folder }
    }

    fn projects(&self) -> ProjectServiceClient<Channel> {
        ProjectServiceClient::new(self.channel.clone())
    }

    fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone())
    }

    /// Deploys a project of these files.
    async fn deploy(&self, files: &[(&str, &str)]) -> v1::DeployProjectResponse {
        let pieces: Vec<_> = files.iter().flat_map(|(_, text)| pieces(text.as_bytes())).collect();
        self.projects().upload_blobs(futures::stream::iter(pieces)).await.unwrap();
        let files = files.iter().map(|(path, text)| file(path, text)).collect();
        self.projects().deploy_project(deployment(files)).await.unwrap().into_inner()
    }

    async fn submit(&self, request: &v1::SubmitRunRequest) -> v1::SubmitRunResponse {
        self.runs().submit_run(request.clone()).await.unwrap().into_inner()
    }

    async fn watch(&self, run: &str, after: u64) -> Vec<v1::WatchRunResponse> {
        let request = v1::WatchRunRequest { run_id: run.to_owned(), after_sequence: after };
        let mut stream = self.runs().watch_run(request).await.unwrap().into_inner();
        let mut events = Vec::new();
        while let Some(event) = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
            events.push(event);
        }
        events
    }

    /// Waits until so many workers are registered. Only commits register workers, and each of ours is one.
    async fn workers(&self, count: usize) {
        let registered = async {
            while self.handle.read(Consistency::Linearizable, |state| state.workers().count()).await.unwrap() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, registered).await.unwrap();
    }

    async fn run(&self, run: &str) -> v1::GetRunResponse {
        let request = v1::GetRunRequest { run_id: run.to_owned(), with_tasks: true, ..Default::default() };
        self.runs().get_run(request).await.unwrap().into_inner()
    }
}

/// A worker that does what it is told, in no time; models named `fails…` always fail.
async fn work(session: Session, id: &str) {
    let Session { uplink, mut messages } = session;
    let hello = WorkerMessage::Hello {
        worker: WorkerId(id.into()),
        slots: 2,
        running: Vec::new(),
        description: WorkerDescription::default(),
    };
    uplink.send(hello).await.unwrap();
    while let Some(message) = messages.recv().await {
        let LeaderMessage::Assign(Assignment { run, node, attempt, epoch }) = message else { continue };
        let fails = node.as_str().contains(".fails");
        let outcome = if fails {
            let code = common::diagnostic::Code::Internal;
            TaskOutcome::Failure { kind: FailureKind::User, code, message: "it always does".to_owned() }
        } else {
            TaskOutcome::Success
        };
        let status = if fails { NodeStatus::Error } else { NodeStatus::Success };
        let report = TaskReport { run, node, attempt, epoch, outcome, result: result(status) };
        if uplink.send(WorkerMessage::Report(Box::new(report))).await.is_err() {
            return;
        }
    }
}

fn result(status: NodeStatus) -> NodeResult {
    NodeResult {
        status,
        thread: "Thread-1".to_owned(),
        compile_started_at: Timestamp::from_micros(1),
        compile_completed_at: Timestamp::from_micros(2),
        execute_started_at: Timestamp::from_micros(3),
        execute_completed_at: Timestamp::from_micros(4),
        message: None,
        failures: None,
        response: Response::default(),
        relation_name: None,
        compiled_code: None,
    }
}

fn digest(content: &[u8]) -> Vec<u8> {
    Sha256::digest(content).to_vec()
}

fn pieces(content: &[u8]) -> Vec<v1::UploadBlobsRequest> {
    let piece = |offset: usize, data: &[u8]| v1::UploadBlobsRequest {
        digest: digest(content).into(),
        size: content.len() as u64,
        offset: offset as u64,
        data: data.to_vec().into(),
    };
    if content.is_empty() {
        return vec![piece(0, &[])];
    }
    content.chunks(PIECE).enumerate().map(|(index, data)| piece(index * PIECE, data)).collect()
}

fn file(path: &str, text: &str) -> v1::BundleFile {
    v1::BundleFile { path: path.to_owned(), digest: digest(text.as_bytes()).into(), size: text.len() as u64 }
}

fn deployment(files: Vec<v1::BundleFile>) -> v1::DeployProjectRequest {
    v1::DeployProjectRequest { project: "shop".to_owned(), files, revision: "r1".to_owned() }
}

const PROJECT: (&str, &str) = ("dbt_project.yml", "name: shop\nversion: '1.0'\nprofile: shop\n");

/// Three models in a row.
const CHAIN: [(&str, &str); 4] = [
    PROJECT,
    ("models/a.sql", "select 1 as n\n"),
    ("models/b.sql", "select * from {{ ref('a') }}\n"),
    ("models/c.sql", "select * from {{ ref('b') }}\n"),
];

fn request(id: &str) -> v1::SubmitRunRequest {
    v1::SubmitRunRequest {
        request_id: id.to_owned(),
        project: "shop".to_owned(),
        verb: v1::Verb::Run.into(),
        target: Some(v1::Target {
            name: "prod".to_owned(),
            profile: "shop".to_owned(),
            adapter_type: "postgres".to_owned(),
            database: "db".to_owned(),
            schema: "public".to_owned(),
            threads: 4,
        }),
        ..v1::SubmitRunRequest::default()
    }
}

/// What a program reads of an error.
fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn files_are_uploaded_deployed_and_fetched() {
    let cluster = Cluster::start().await;
    let large: String = "x".repeat(2 * PIECE + 7);
    let files = [PROJECT, ("seeds/large.csv", large.as_str()), ("seeds/empty.csv", "")];
    let digests: Vec<_> = files.iter().map(|(_, text)| digest(text.as_bytes()).into()).collect();
    let ask = v1::FindMissingBlobsRequest { digests: digests.clone() };
    assert_eq!(cluster.projects().find_missing_blobs(ask.clone()).await.unwrap().into_inner().digests, digests);

    let unheld = files.iter().map(|(path, text)| file(path, text)).collect();
    let refused = cluster.projects().deploy_project(deployment(unheld)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "MISSING_BLOBS"));

    let first = cluster.deploy(&files).await;
    assert!(first.changed);
    assert!(cluster.projects().find_missing_blobs(ask).await.unwrap().into_inner().digests.is_empty());
    let again = cluster.deploy(&files).await;
    assert_eq!((again.changed, &again.bundle_digest), (false, &first.bundle_digest));

    let asked = v1::GetBundleRequest { bundle_digest: first.bundle_digest.clone() };
    let bundle = cluster.projects().get_bundle(asked).await.unwrap().into_inner();
    let paths: Vec<&str> = bundle.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        (bundle.project.as_str(), paths),
        ("shop", vec!["dbt_project.yml", "seeds/empty.csv", "seeds/large.csv"])
    );

    let asked = v1::DownloadBlobRequest { digest: digests[1].clone() };
    let mut stream = cluster.projects().download_blob(asked).await.unwrap().into_inner();
    let mut content = Vec::new();
    while let Some(piece) = stream.message().await.unwrap() {
        content.extend_from_slice(&piece.data);
    }
    assert_eq!(content, large.as_bytes());

    let asked = v1::GetProjectRequest { project: "shop".to_owned() };
    let project = cluster.projects().get_project(asked).await.unwrap().into_inner().project.unwrap();
    assert_eq!((project.revision.as_str(), project.files), ("r1", 3));
    let listed = cluster.projects().list_projects(v1::ListProjectsRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.projects, listed.next_page_token), (vec![project], String::new()));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let cluster = Cluster::start().await;
    let nothing: tonic::codegen::Bytes = vec![7; 32].into();
    let mut projects = cluster.projects();
    let blob = projects.download_blob(v1::DownloadBlobRequest { digest: nothing.clone() }).await.map(drop);
    let bundle = projects.get_bundle(v1::GetBundleRequest { bundle_digest: nothing }).await.map(drop);
    let project = projects.get_project(v1::GetProjectRequest { project: "shop".to_owned() }).await.map(drop);
    let mut runs = cluster.runs();
    let run_id = "0197a000-0000-7000-8000-000000000000".to_owned();
    let run = runs.get_run(v1::GetRunRequest { run_id: run_id.clone(), ..Default::default() }).await.map(drop);
    let watch = runs.watch_run(v1::WatchRunRequest { run_id: run_id.clone(), after_sequence: 0 }).await.map(drop);
    let cancel = runs.cancel_run(v1::CancelRunRequest { run_id: run_id.clone() }).await.map(drop);
    let retry = runs.retry_run(v1::RetryRunRequest { run_id: run_id.clone(), ..Default::default() }).await.map(drop);
    let task = runs.get_task(v1::GetTaskRequest { run_id, node_id: "model.shop.a".to_owned() }).await.map(drop);
    let submitted = runs.submit_run(request("r")).await.map(drop);
    for answer in [blob, bundle, project, run, watch, cancel, retry, task, submitted] {
        assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn uploads_that_are_not_what_they_say_leave_nothing_behind() {
    let cluster = Cluster::start().await;
    let content = vec![1; PIECE + 1];
    let whole = pieces(&content);
    let change = |change: fn(&mut v1::UploadBlobsRequest)| {
        let mut pieces = whole.clone();
        change(&mut pieces[1]);
        pieces
    };
    let cases = [
        ("other content", change(|piece| piece.data = vec![2].into()), Code::InvalidArgument),
        ("a gap", change(|piece| piece.offset += 1), Code::InvalidArgument),
        ("another size", change(|piece| piece.size += 1), Code::InvalidArgument),
        ("another file in between", change(|piece| piece.digest = vec![3; 32].into()), Code::InvalidArgument),
        ("no digest", change(|piece| piece.digest = vec![3; 31].into()), Code::InvalidArgument),
        ("an end before the end", whole[..1].to_vec(), Code::InvalidArgument),
        ("a beginning in the middle", whole[1..].to_vec(), Code::InvalidArgument),
        ("a piece too large", vec![piece_of(PIECE + 1)], Code::InvalidArgument),
        (
            "a file too large",
            vec![v1::UploadBlobsRequest { size: (32 << 20) + 1, ..piece_of(1) }],
            Code::ResourceExhausted,
        ),
    ];
    for (what, pieces, code) in cases {
        let refused = cluster.projects().upload_blobs(futures::stream::iter(pieces)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{what}: {refused}");
    }
    let ask = v1::FindMissingBlobsRequest { digests: vec![digest(&content).into()] };
    assert_eq!(cluster.projects().find_missing_blobs(ask).await.unwrap().into_inner().digests.len(), 1);
    // Whoever comes with the right bytes is not hindered by those before.
    let uploaded = cluster.projects().upload_blobs(futures::stream::iter(whole)).await.unwrap().into_inner();
    assert_eq!((uploaded.blobs, uploaded.bytes), (1, content.len() as u64));
}

fn piece_of(bytes: usize) -> v1::UploadBlobsRequest {
    v1::UploadBlobsRequest { digest: vec![9; 32].into(), size: 1 << 20, offset: 0, data: vec![0; bytes].into() }
}

#[tokio::test]
async fn a_blob_that_is_held_is_never_overwritten() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut other = pieces(CHAIN[1].1.as_bytes());
    other[0].data = "select 2 as n\n".as_bytes().to_vec().into();
    let uploaded = cluster.projects().upload_blobs(futures::stream::iter(other)).await.unwrap().into_inner();
    assert_eq!(uploaded.blobs, 0);
    let asked = v1::DownloadBlobRequest { digest: digest(CHAIN[1].1.as_bytes()).into() };
    let mut stream = cluster.projects().download_blob(asked).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().data, CHAIN[1].1.as_bytes());
}

#[tokio::test]
async fn bundles_that_climb_or_are_too_large_are_refused() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut projects = cluster.projects();
    for path in ["../a.sql", "/etc/passwd", "models/../../a.sql", "models\\..\\a.sql", "", "models//a.sql"] {
        let refused = projects.deploy_project(deployment(vec![file(path, CHAIN[1].1)])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{path}");
        let violation = refused.get_details_bad_request().unwrap().field_violations.remove(0);
        assert_eq!(violation.field, "files.path");
    }
    let twice = deployment(vec![file("a.sql", CHAIN[1].1), file("a.sql", CHAIN[2].1)]);
    assert_eq!(projects.deploy_project(twice).await.unwrap_err().code(), Code::InvalidArgument);
    let none = deployment(Vec::new());
    assert_eq!(projects.deploy_project(none).await.unwrap_err().code(), Code::InvalidArgument);
    let many = (0..20_001).map(|number| file(&number.to_string(), "x")).collect();
    assert_eq!(projects.deploy_project(deployment(many)).await.unwrap_err().code(), Code::ResourceExhausted);
    let huge = (0..17).map(|number| v1::BundleFile { size: 32 << 20, ..file(&number.to_string(), "x") }).collect();
    assert_eq!(projects.deploy_project(deployment(huge)).await.unwrap_err().code(), Code::ResourceExhausted);
    let name = v1::DeployProjectRequest { project: "../shop".to_owned(), ..deployment(vec![file("a", "x")]) };
    assert_eq!(projects.deploy_project(name).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_same_request_is_the_same_run() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let first = cluster.submit(&request("r")).await;
    assert_eq!((first.is_new, first.tasks), (true, 3));
    let again = cluster.submit(&request("r")).await;
    assert_eq!((again.is_new, again.tasks, &again.run_id), (false, 3, &first.run_id));
    let at_once = futures::future::join_all((0..8).map(|_| {
        let mut runs = cluster.runs();
        async move { runs.submit_run(request("s")).await.unwrap().into_inner() }
    }))
    .await;
    assert_eq!(at_once.iter().filter(|answer| answer.is_new).count(), 1);
    assert!(at_once.iter().all(|answer| answer.run_id == at_once[0].run_id && answer.tasks == 3));
}

#[tokio::test]
async fn a_run_is_done_watched_and_listed() {
    let cluster = Cluster::start().await;
    let bundle = cluster.deploy(&CHAIN).await.bundle_digest;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let run = cluster.submit(&request("r")).await.run_id;
    let events = cluster.watch(&run, 0).await;
    // Submitted, then each task begins and ends, then the run.
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    assert_eq!(events[0].event, Some(Event::Submitted(v1::watch_run_response::Submitted { tasks: 3 })));
    let told: Vec<(String, v1::TaskState)> = events
        .iter()
        .filter_map(|event| match &event.event {
            Some(Event::Task(changed)) => changed.task.clone(),
            _ => None,
        })
        .map(|task| (task.node_id.clone(), task.state()))
        .collect();
    let expected: Vec<(String, v1::TaskState)> = ["a", "b", "c"]
        .iter()
        .flat_map(|name| {
            [v1::TaskState::Running, v1::TaskState::Success].map(|state| (format!("model.shop.{name}"), state))
        })
        .collect();
    assert_eq!(told, expected);
    let Some(Event::Finished(finished)) = &events[7].event else { panic!("{:?}", events[7]) };
    assert_eq!((finished.state(), finished.counts.unwrap().success), (v1::RunState::Success, 3));

    // Going on anywhere gives the rest.
    for after in 0..=8 {
        assert_eq!(cluster.watch(&run, after).await, events[after as usize..]);
    }

    let answer = cluster.run(&run).await;
    let (summary, tasks) = (answer.run.unwrap(), answer.tasks);
    assert_eq!((summary.state(), summary.sequence, &summary.bundle_digest), (v1::RunState::Success, 8, &bundle));
    assert_eq!(tasks.iter().map(|task| task.upstreams.clone()).collect::<Vec<_>>(), [vec![], vec![0], vec![1]]);

    let asked = v1::GetTaskRequest { run_id: run.clone(), node_id: "model.shop.b".to_owned() };
    let task = cluster.runs().get_task(asked).await.unwrap().into_inner();
    assert_eq!((task.attempts.len(), task.attempts[0].worker.as_str()), (1, "w"));
    assert_eq!(task.attempts[0].epoch, task.task.unwrap().epoch);
    let asked = v1::GetTaskRequest { run_id: run, node_id: "model.shop.z".to_owned() };
    assert_eq!(cluster.runs().get_task(asked).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn runs_are_listed_newest_first_in_pages() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut runs = Vec::new();
    for id in ["1", "2", "3"] {
        runs.push(cluster.submit(&request(id)).await.run_id);
    }
    cluster.runs().cancel_run(v1::CancelRunRequest { run_id: runs[1].clone() }).await.unwrap();
    let list = |request: v1::ListRunsRequest| {
        let mut client = cluster.runs();
        async move {
            let answer = client.list_runs(request).await.unwrap().into_inner();
            let ids: Vec<String> = answer.runs.into_iter().map(|run| run.run_id).collect();
            (ids, answer.next_page_token)
        }
    };
    let first = list(v1::ListRunsRequest { page_size: 2, ..Default::default() }).await;
    assert_eq!(first.0, [runs[2].clone(), runs[1].clone()]);
    let second = v1::ListRunsRequest { page_size: 2, page_token: first.1, ..Default::default() };
    assert_eq!(list(second).await, (vec![runs[0].clone()], String::new()));
    let canceled = v1::ListRunsRequest { states: vec![v1::RunState::Canceled.into()], ..Default::default() };
    assert_eq!(list(canceled).await.0, [runs[1].clone()]);
    let other = v1::ListRunsRequest { project: "other".to_owned(), ..Default::default() };
    assert_eq!(list(other).await, (Vec::new(), String::new()));
    let wrong = v1::ListRunsRequest { page_token: "x".to_owned(), ..Default::default() };
    assert_eq!(cluster.runs().list_runs(wrong).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_failed_is_done_again() {
    let cluster = Cluster::start().await;
    let failing = ("models/fails.sql", "select * from {{ ref('a') }}\n");
    let after = ("models/z.sql", "select * from {{ ref('fails') }}\n");
    cluster.deploy(&[PROJECT, CHAIN[1], failing, after]).await;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let run = cluster.submit(&request("r")).await.run_id;
    let events = cluster.watch(&run, 0).await;
    let counts = cluster.run(&run).await.run.unwrap().counts.unwrap();
    assert_eq!((counts.success, counts.failed, counts.upstream_failed), (1, 1, 1));
    let cancel = v1::CancelRunRequest { run_id: run.clone() };
    let refused = cluster.runs().cancel_run(cancel).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "RUN_FINISHED"));

    let last = events.last().unwrap().sequence;
    let retry = v1::RetryRunRequest { run_id: run.clone(), after_sequence: last, ..Default::default() };
    let answer = cluster.runs().retry_run(retry.clone()).await.unwrap().into_inner();
    assert_eq!((answer.tasks, &answer.run_id), (2, &run));
    let more = cluster.watch(&run, last).await;
    // Sent again, it is answered as before and does nothing.
    assert_eq!(cluster.runs().retry_run(retry).await.unwrap().into_inner(), answer);
    assert_eq!(cluster.watch(&run, last).await, more);
    assert_eq!(more[0].event, Some(Event::Retried(v1::watch_run_response::Retried { tasks: 2 })));
    assert_eq!(more[0].sequence, last + 1);

    let asked = v1::GetTaskRequest { run_id: run.clone(), node_id: "model.shop.fails".to_owned() };
    let attempts = cluster.runs().get_task(asked).await.unwrap().into_inner().attempts;
    let failures: Vec<(u32, String)> =
        attempts.into_iter().map(|attempt| (attempt.attempt, attempt.failure.unwrap().message)).collect();
    assert_eq!(failures, [(1, "it always does".to_owned()), (2, "it always does".to_owned())]);

    let from = |node: &str, request: &str| v1::RetryRunRequest {
        run_id: run.clone(),
        from_nodes: vec![node.to_owned()],
        request_id: request.to_owned(),
        ..Default::default()
    };
    let further = cluster.runs().retry_run(from("model.shop.a", "again")).await.unwrap().into_inner();
    assert_eq!(further.tasks, 3);
    assert_ne!(further.run_id, run);
    let repeated = cluster.runs().retry_run(from("model.shop.a", "again")).await.unwrap().into_inner();
    assert_eq!(repeated, further);
    let another = cluster.runs().retry_run(from("model.shop.a", "")).await.unwrap().into_inner();
    assert_ne!(another.run_id, further.run_id);
    let unknown = from("model.shop.q", "unknown");
    assert_eq!(cluster.runs().retry_run(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn what_is_wrong_with_a_project_is_told_with_its_place() {
    let cluster = Cluster::start().await;
    cluster.deploy(&[PROJECT, ("models/a.sql", "select * from {{ ref('nobody') }}\n")]).await;
    let refused = cluster.runs().submit_run(request("r")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "FINDINGS"));
    let violations = refused.get_details_precondition_failure().unwrap().violations;
    assert!(violations[0].subject.starts_with("models/a.sql"), "{violations:?}");
    assert!(refused.message().contains("nobody"), "{refused}");

    cluster.deploy(&CHAIN).await;
    let selector = v1::SubmitRunRequest { select: vec!["nonsense:x".to_owned()], ..request("s") };
    assert_eq!(cluster.runs().submit_run(selector).await.unwrap_err().code(), Code::FailedPrecondition);
    let indirect = v1::SubmitRunRequest { indirect_selection: "greedy".to_owned(), ..request("s") };
    assert_eq!(cluster.runs().submit_run(indirect).await.unwrap_err().code(), Code::FailedPrecondition);
    let missing = v1::SubmitRunRequest { target: None, ..request("s") };
    assert_eq!(cluster.runs().submit_run(missing).await.unwrap_err().code(), Code::InvalidArgument);
    // The request id of a refused run is still free.
    assert!(cluster.submit(&request("s")).await.is_new);
}

#[tokio::test]
async fn a_project_cannot_read_the_replicas_disk() {
    let cluster = Cluster::start().await;
    let climbing = "name: shop\nversion: '1.0'\nprofile: shop\nmodel-paths: ['/etc']\n";
    cluster.deploy(&[("dbt_project.yml", climbing)]).await;
    let refused = cluster.runs().submit_run(request("r")).await.unwrap_err();
    assert!(refused.message().contains("the folder '/etc' is outside of the project"), "{refused}");
}

#[tokio::test]
async fn a_duckdb_file_goes_to_one_worker() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut duckdb = request("r");
    duckdb.target.as_mut().unwrap().adapter_type = "duckdb".to_owned();
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "v"));
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.workers(2).await;
    let refused = cluster.runs().submit_run(duckdb.clone()).await.unwrap_err();
    assert!(refused.message().contains("2 workers could get tasks"), "{refused}");
    duckdb.worker_labels.insert("disk".to_owned(), "w".to_owned());
    assert_eq!(cluster.submit(&duckdb).await.tasks, 3);
}

#[tokio::test]
async fn operators_limit_pools() {
    let cluster = Cluster::start().await;
    let mut client = ClusterServiceClient::new(cluster.channel.clone());
    let set = |pool: &str, places| v1::SetPoolRequest { pool: pool.to_owned(), places };
    client.set_pool(set("tag:heavy", Some(2))).await.unwrap();
    client.set_pool(set("target:shop.prod", Some(0))).await.unwrap();
    let listed = client.list_pools(v1::ListPoolsRequest {}).await.unwrap().into_inner().pools;
    let pool = |pool: &str, places| v1::Pool { pool: pool.to_owned(), places, running: 0 };
    assert_eq!(listed, [pool("tag:heavy", 2), pool("target:shop.prod", 0)]);

    // Without places nothing starts; given back, the run goes on.
    cluster.deploy(&CHAIN).await;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.workers(1).await;
    let run = cluster.submit(&request("r")).await.run_id;
    assert_eq!(cluster.run(&run).await.run.unwrap().counts.unwrap().running, 0);
    client.set_pool(set("target:shop.prod", None)).await.unwrap();
    let last = cluster.watch(&run, 0).await.pop().unwrap().event;
    assert!(matches!(last, Some(Event::Finished(finished)) if finished.state() == v1::RunState::Success));

    let refused = client.set_pool(set("", Some(1))).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "NAME_TOO_LONG"));
}

#[tokio::test]
async fn the_leader_says_when_it_heard_a_worker_and_refuses_one_that_says_too_much() {
    let cluster = Cluster::start().await;
    let mut client = WorkerServiceClient::new(cluster.channel.clone());
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.workers(1).await;
    let listed = client.list_workers(v1::ListWorkersRequest {}).await.unwrap().into_inner().workers;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].heard_at.is_some());
    let asked = v1::GetWorkerRequest { worker_id: "w".to_owned() };
    let worker = client.get_worker(asked).await.unwrap().into_inner().worker.unwrap();
    assert_eq!(worker.heard_at, listed[0].heard_at);

    let labels = (0..65).map(|label| (label.to_string(), String::new())).collect();
    let hello = v1::session_request::Hello { worker_id: "v".to_owned(), slots: 1, labels, ..Default::default() };
    let hello = v1::SessionRequest { message: Some(v1::session_request::Message::Hello(hello)) };
    let refused = client.session(futures::stream::iter([hello])).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "TOO_MANY_LABELS"));
}

#[tokio::test]
async fn a_run_finishes_while_a_thousand_connections_are_idle() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(Channel::from_shared(format!("http://{}", cluster.address)).unwrap().connect().await.unwrap());
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

#[tokio::test]
async fn only_what_is_selected_is_planned_and_earlier_bundles_stay() {
    let cluster = Cluster::start().await;
    let before = cluster.deploy(&CHAIN).await.bundle_digest;
    cluster.deploy(&CHAIN[..2]).await;
    let selected = v1::SubmitRunRequest { select: vec!["b+".to_owned()], bundle_digest: before, ..request("r") };
    assert_eq!(cluster.submit(&selected).await.tasks, 2);
    assert_eq!(cluster.submit(&request("s")).await.tasks, 1);
    let ephemeral = ("models/e.sql", "{{ config(materialized='ephemeral') }} select 1 as n\n");
    cluster.deploy(&[PROJECT, ephemeral]).await;
    assert_eq!(cluster.submit(&request("t")).await.tasks, 0);
}

#[tokio::test]
#[ignore = "needs Python with grpcio-tools, named by KONTIKI_CLIENT_PYTHON: cargo xtask test"]
async fn a_client_made_from_the_proto_files_alone_deploys_submits_and_watches() {
    let cluster = Cluster::start().await;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let python = std::env::var("KONTIKI_CLIENT_PYTHON").unwrap();
    let project = tempfile::tempdir().unwrap();
    for (path, text) in CHAIN {
        let path = project.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let target = r#"{"name": "prod", "profile": "shop", "adapter_type": "postgres", "schema": "public", "threads": 4}"#;
    let mut client = std::process::Command::new(python);
    client.arg(format!("{root}/conformance/client/client.py")).arg(format!("{root}/proto/proto"));
    client.arg(cluster.address.to_string()).arg(project.path()).arg(target);
    let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
    let (told, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{told}{wrong}");
    let last = ["6 model.shop.c TASK_STATE_RUNNING", "7 model.shop.c TASK_STATE_SUCCESS", "8 finished"];
    assert_eq!(told.lines().skip(5).collect::<Vec<_>>(), last, "{told}");
}

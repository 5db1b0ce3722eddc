//! A cluster of one, a worker that does what it is told, and a project of three models.

use common::session::{LeaderMessage, WorkerDescription, WorkerMessage};
use common::table::Response;
use common::task::{Assignment, FailureKind, NodeResult, NodeStatus, TaskOutcome, TaskReport};
use common::transcript::Packed;
use common::{Timestamp, WorkerId};
use proto::v1;
use proto::v1::project_service_client::ProjectServiceClient;
use proto::v1::run_service_client::RunServiceClient;
use scheduler::replica::{self, Consistency, Handle, Session};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Channel;
use tonic_types::StatusExt;

pub const PIECE: usize = 256 << 10;
/// No test waits longer for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Cluster {
    pub handle: Handle,
    pub channel: Channel,
    pub address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _folder: TempDir,
}

impl Cluster {
    pub async fn start() -> Self {
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

    pub fn projects(&self) -> ProjectServiceClient<Channel> {
        ProjectServiceClient::new(self.channel.clone())
    }

    pub fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone())
    }

    /// Deploys a project of these files.
    pub async fn deploy(&self, files: &[(&str, &str)]) -> v1::DeployProjectResponse {
        let pieces: Vec<_> = files.iter().flat_map(|(_, text)| pieces(text.as_bytes())).collect();
        self.projects().upload_blobs(futures::stream::iter(pieces)).await.unwrap();
        let files = files.iter().map(|(path, text)| file(path, text)).collect();
        self.projects().deploy_project(deployment(files)).await.unwrap().into_inner()
    }

    pub async fn submit(&self, request: &v1::SubmitRunRequest) -> v1::SubmitRunResponse {
        self.runs().submit_run(request.clone()).await.unwrap().into_inner()
    }

    pub async fn watch(&self, run: &str, after: u64) -> Vec<v1::WatchRunResponse> {
        let request = v1::WatchRunRequest { run_id: run.to_owned(), after_sequence: after };
        let mut stream = self.runs().watch_run(request).await.unwrap().into_inner();
        let mut events = Vec::new();
        while let Some(event) = tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap() {
            events.push(event);
        }
        events
    }

    /// Waits until so many workers are registered. Only commits register workers, and each of ours is one.
    pub async fn workers(&self, count: usize) {
        let registered = async {
            while self.handle.read(Consistency::Linearizable, |state| state.workers().count()).await.unwrap() < count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, registered).await.unwrap();
    }

    pub async fn run(&self, run: &str) -> v1::GetRunResponse {
        let request = v1::GetRunRequest { run_id: run.to_owned(), with_tasks: true, ..Default::default() };
        self.runs().get_run(request).await.unwrap().into_inner()
    }
}

/// A worker that does what it is told, in no time; models named `fails…` always fail.
pub async fn work(session: Session, id: &str) {
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
        let report =
            TaskReport { run, node, attempt, epoch, outcome, result: result(status), transcript: Packed::default() };
        if uplink.send(WorkerMessage::Report(Box::new(report))).await.is_err() {
            return;
        }
    }
}

pub fn result(status: NodeStatus) -> NodeResult {
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
        batches: None,
    }
}

pub fn digest(content: &[u8]) -> Vec<u8> {
    Sha256::digest(content).to_vec()
}

pub fn pieces(content: &[u8]) -> Vec<v1::UploadBlobsRequest> {
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

pub fn file(path: &str, text: &str) -> v1::BundleFile {
    v1::BundleFile { path: path.to_owned(), digest: digest(text.as_bytes()).into(), size: text.len() as u64 }
}

pub fn deployment(files: Vec<v1::BundleFile>) -> v1::DeployProjectRequest {
    v1::DeployProjectRequest { project: "shop".to_owned(), files, revision: "r1".to_owned() }
}

pub const PROJECT: (&str, &str) = ("dbt_project.yml", "name: shop\nversion: '1.0'\nprofile: shop\n");

/// Three models in a row.
pub const CHAIN: [(&str, &str); 4] = [
    PROJECT,
    ("models/a.sql", "select 1 as n\n"),
    ("models/b.sql", "select * from {{ ref('a') }}\n"),
    ("models/c.sql", "select * from {{ ref('b') }}\n"),
];

pub fn request(id: &str) -> v1::SubmitRunRequest {
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
pub fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

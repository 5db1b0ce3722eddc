//! Two replicas in the test's process: one that leads and says what the test wants, one that knows who leads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::bundle::BundleFile;
use common::run::{RunOptions, Verb};
use common::session::{LeaderMessage, WorkerMessage};
use common::target::{AdapterType, Connection, Target};
use common::task::{Assignment, NodeResult, TaskReport};
use common::{Attempt, ContentDigest, Epoch, JsonMap, NodeId, RunId, Timestamp};
use dbt::context::Invocation;
use futures::{Stream, StreamExt, stream};
use proto::description::{self, Described};
use proto::session::{self, Welcome};
use proto::v1::project_service_server::{ProjectService, ProjectServiceServer};
use proto::v1::worker_service_server::{WorkerService, WorkerServiceServer};
use proto::v1::*;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};
use worker::remote::{self, Cache, Config, Description, Ended, Remote, Search, Source, Stop};
use worker::warehouse::Error;

const LONG_SQL: &str = "select sum(a.range * b.range) as n from range(10000000) a, range(10000000) b";

/// Folders of a project, of a warehouse and of a worker's cache.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for (path, text) in [
            ("project/dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\n"),
            ("project/seeds/s.csv", "id\n1\n2\n"),
            ("project/models/a.sql", "{{ config(materialized='table') }} select id * 10 as n from {{ ref('s') }}"),
            ("project/models/long.sql", &format!("{{{{ config(materialized='table') }}}} {LONG_SQL}")),
        ] {
            let path = place.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let profile = format!(
            "p:\n  outputs:\n    dev:\n      type: duckdb\n      path: {}\n      library: {}\n",
            place.path("db.duckdb").display(),
            testing::duckdb_library().display()
        );
        std::fs::write(place.path("profiles.yml"), profile).unwrap();
        place
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The runs of a worker that is told of them without a network.
    pub fn remote(&self) -> Remote {
        let cache = Cache::open(&self.path("cache"), 1 << 20).unwrap();
        let search = Search { profiles_dir: Some(self.folder.path().to_owned()), env: Arc::default() };
        Remote::new(Arc::new(Told { root: self.path("project") }), cache, search)
    }

    /// Rows of a query of one column.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let settings = serde_json::json!({ "path": self.path("db.duckdb"), "library": testing::duckdb_library() });
        let settings = settings.as_object().unwrap().clone();
        let connection = Connection { adapter_type: AdapterType::Duckdb, settings };
        let table = worker::warehouse::open(&connection, "test").unwrap().connect().unwrap().query(sql).unwrap().1;
        let cell = |row: &Vec<common::table::Datum>| match &row[0] {
            common::table::Datum::Int(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        table.rows.iter().map(cell).collect()
    }
}

/// What the replicas are told.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Session(WorkerMessage),
    Drained(String),
}

/// The replicas, as the test holds them.
pub struct Cluster {
    pub leader: String,
    pub follower: String,
    run: RunId,
    /// The name of the worker that greeted.
    worker: OnceLock<String>,
    shared: Arc<Shared>,
    heard: mpsc::UnboundedReceiver<Heard>,
}

struct Shared {
    description: Mutex<Described>,
    files: Vec<BundleFile>,
    contents: Mutex<BTreeMap<ContentDigest, Vec<u8>>>,
    downloads: AtomicUsize,
    /// The way to the worker, while there is a session.
    session: Mutex<Option<mpsc::Sender<SessionResponse>>>,
    heard: mpsc::UnboundedSender<Heard>,
}

/// A worker under way.
pub struct Worker {
    pub stop: watch::Sender<Stop>,
    task: tokio::task::JoinHandle<Result<Ended, remote::Error>>,
}

impl Worker {
    pub async fn ended(self) -> Ended {
        self.task.await.unwrap().unwrap()
    }

    /// As the last greeting named it.
    pub fn id(&self, cluster: &Cluster) -> String {
        cluster.worker.get().unwrap().clone()
    }
}

impl Cluster {
    pub async fn start(place: &Place) -> Self {
        let root = place.path("project");
        let (files, contents) = files(&root);
        let (sender, heard) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            description: Mutex::new(describe(&root)),
            files,
            contents: Mutex::new(contents),
            downloads: AtomicUsize::new(0),
            session: Mutex::default(),
            heard: sender,
        });
        let leader = serve(Replica { shared: Arc::clone(&shared), leader: None }).await;
        let follower = serve(Replica { shared: Arc::clone(&shared), leader: Some(leader.clone()) }).await;
        Self { leader, follower, run: RunId(uuid::Uuid::now_v7()), worker: OnceLock::new(), shared, heard }
    }

    pub fn worker(&self, place: &Place, servers: &[&str]) -> Worker {
        let config = Config {
            servers: servers.iter().map(|server| (*server).to_owned()).collect(),
            slots: 2,
            labels: BTreeMap::new(),
            cache_dir: place.path("cache"),
            cache_bytes_max: 1 << 20,
            profiles: Search { profiles_dir: Some(place.folder.path().to_owned()), env: Arc::default() },
            heartbeat_interval: Duration::from_millis(50),
            resend_after: Duration::from_millis(200),
            grace: Duration::from_secs(600),
            tls: None,
            linked: watch::Sender::new(false),
            host: "here".to_owned(),
        };
        let (stop, stopped) = watch::channel(Stop::Run);
        Worker { stop, task: tokio::spawn(remote::run(config, stopped)) }
    }

    pub fn describe(&self, change: impl FnOnce(&mut Described)) {
        change(&mut self.shared.description.lock().unwrap());
    }

    /// Whoever asks for this file gets something else.
    pub fn spoil(&self, path: &str) {
        let file = self.shared.files.iter().find(|file| file.path == path).unwrap();
        self.shared.contents.lock().unwrap().insert(file.digest, b"id\n6\n6\n".to_vec());
    }

    pub fn downloads(&self) -> usize {
        self.shared.downloads.load(Ordering::SeqCst)
    }

    pub fn end_session(&self) {
        self.shared.session.lock().unwrap().take();
    }

    /// Everything but heartbeats.
    pub async fn next(&mut self) -> Heard {
        loop {
            let heard = tokio::time::timeout(Duration::from_secs(60), self.heard.recv()).await.unwrap().unwrap();
            match heard {
                Heard::Session(WorkerMessage::Heartbeat) => {}
                heard => return heard,
            }
        }
    }

    pub async fn hello(&mut self) -> WorkerMessage {
        loop {
            if let Heard::Session(hello @ WorkerMessage::Hello { .. }) = self.next().await {
                if let WorkerMessage::Hello { worker, .. } = &hello {
                    // The same process greets more than once, always by the same name.
                    assert_eq!(self.worker.get_or_init(|| worker.to_string()), &worker.to_string());
                }
                return hello;
            }
        }
    }

    pub async fn started(&mut self) {
        while !matches!(self.next().await, Heard::Session(WorkerMessage::Started { .. })) {}
    }

    pub async fn report(&mut self) -> TaskReport {
        loop {
            if let Heard::Session(WorkerMessage::Report(report)) = self.next().await {
                return *report;
            }
        }
    }

    pub async fn say(&self, message: LeaderMessage) {
        let session = self.shared.session.lock().unwrap().clone().unwrap();
        session.send(session::response(message)).await.unwrap();
    }

    pub async fn assign(&mut self, node: &str, epoch: u64) -> Assignment {
        let assignment = Assignment { run: self.run, node: node.into(), attempt: Attempt(1), epoch: Epoch(epoch) };
        self.say(LeaderMessage::Assign(assignment.clone())).await;
        assignment
    }

    pub async fn run(&mut self, node: &str, epoch: u64) -> TaskReport {
        self.assign(node, epoch).await;
        self.report().await
    }

    pub async fn acknowledge(&self, report: &TaskReport) {
        let (run, node, epoch) = (report.run, report.node.clone(), report.epoch);
        self.say(LeaderMessage::Acknowledged { run, node, epoch }).await;
    }
}

/// What a replica would tell of the project.
struct Told {
    root: PathBuf,
}

impl Source for Told {
    fn describe(&self, _: RunId) -> Result<Description, Error> {
        Ok(Description { cluster: "c".to_owned(), described: describe(&self.root) })
    }

    fn bundle(&self, _: ContentDigest) -> Result<Vec<BundleFile>, Error> {
        Ok(files(&self.root).0)
    }

    fn file(&self, entry: &BundleFile) -> Result<Vec<u8>, Error> {
        Ok(std::fs::read(self.root.join(&entry.path)).unwrap())
    }

    fn outcomes(&self, _: RunId) -> Result<Vec<(NodeId, NodeResult)>, Error> {
        Ok(Vec::new())
    }
}

/// The project's files, and what is in them.
fn files(root: &Path) -> (Vec<BundleFile>, BTreeMap<ContentDigest, Vec<u8>>) {
    let mut contents = BTreeMap::new();
    let mut files = Vec::new();
    for path in ["dbt_project.yml", "models/a.sql", "models/long.sql", "seeds/s.csv"] {
        let content = std::fs::read(root.join(path)).unwrap();
        let digest = ContentDigest(Sha256::digest(&content).into());
        files.push(BundleFile { path: path.to_owned(), digest, size: content.len() as u64 });
        contents.insert(digest, content);
    }
    (files, contents)
}

fn describe(root: &Path) -> Described {
    let target = Target {
        profile_name: "p".to_owned(),
        name: "dev".to_owned(),
        adapter_type: AdapterType::Duckdb,
        database: "db".to_owned(),
        schema: "main".to_owned(),
        threads: 1,
        extra: JsonMap::new(),
    };
    let manifest = dbt::bundle::parse(root, &target, &Invocation::default()).0.unwrap();
    Described {
        project: "p".to_owned(),
        bundle: ContentDigest([7; 32]),
        manifest_digest: dbt::artifacts::digest(&manifest),
        target,
        options: RunOptions::new(Verb::Build),
        selected: Vec::new(),
        submitted_at: Timestamp::from_micros(1_700_000_000_000_000),
    }
}

struct Replica {
    shared: Arc<Shared>,
    /// Where the leader is, unless this one leads.
    leader: Option<String>,
}

async fn serve(replica: Replica) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let replica = Arc::new(replica);
    let server = tonic::transport::Server::builder()
        .add_service(WorkerServiceServer::from_arc(Arc::clone(&replica)))
        .add_service(ProjectServiceServer::from_arc(replica))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    address
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl WorkerService for Replica {
    type SessionStream = Answers<SessionResponse>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        if let Some(leader) = &self.leader {
            return Err(proto::client::not_leader(leader));
        }
        let (sender, answers) = mpsc::channel(64);
        let welcome = Welcome { cluster: "c".to_owned(), lease: Duration::from_secs(10), replicas: Vec::new() };
        sender.send(session::welcome(welcome)).await.unwrap();
        *self.shared.session.lock().unwrap() = Some(sender);
        let heard = self.shared.heard.clone();
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let message = session::to_request(request).unwrap().message;
                drop(heard.send(Heard::Session(message)));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers).map(Ok))))
    }

    async fn describe_run(
        &self,
        request: Request<DescribeRunRequest>,
    ) -> Result<Response<DescribeRunResponse>, Status> {
        let described = self.shared.description.lock().unwrap().clone();
        Ok(Response::new(description::description(request.into_inner().run_id, described)))
    }

    async fn list_workers(&self, _: Request<ListWorkersRequest>) -> Result<Response<ListWorkersResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_worker(&self, _: Request<GetWorkerRequest>) -> Result<Response<GetWorkerResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn drain_worker(
        &self,
        request: Request<DrainWorkerRequest>,
    ) -> Result<Response<DrainWorkerResponse>, Status> {
        drop(self.shared.heard.send(Heard::Drained(request.into_inner().worker_id)));
        Ok(Response::new(DrainWorkerResponse {}))
    }
}

#[tonic::async_trait]
impl ProjectService for Replica {
    type DownloadBlobStream = Answers<DownloadBlobResponse>;

    async fn get_bundle(&self, _: Request<GetBundleRequest>) -> Result<Response<GetBundleResponse>, Status> {
        let wire = |file: &BundleFile| proto::v1::BundleFile {
            path: file.path.clone(),
            digest: file.digest.0.to_vec().into(),
            size: file.size,
        };
        let files = self.shared.files.iter().map(wire).collect();
        Ok(Response::new(GetBundleResponse { project: "p".to_owned(), files }))
    }

    async fn download_blob(
        &self,
        request: Request<DownloadBlobRequest>,
    ) -> Result<Response<Self::DownloadBlobStream>, Status> {
        self.shared.downloads.fetch_add(1, Ordering::SeqCst);
        let digest = ContentDigest::try_from(&request.into_inner().digest[..]).unwrap();
        let content = self.shared.contents.lock().unwrap().get(&digest).cloned();
        let content = content.ok_or_else(|| Status::not_found("no such file"))?;
        // In pieces, as from a real replica.
        let pieces: Vec<_> =
            content.chunks(4).map(|piece| Ok(DownloadBlobResponse { data: piece.to_vec().into() })).collect();
        Ok(Response::new(Box::pin(stream::iter(pieces))))
    }

    async fn find_missing_blobs(
        &self,
        _: Request<FindMissingBlobsRequest>,
    ) -> Result<Response<FindMissingBlobsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn upload_blobs(
        &self,
        _: Request<Streaming<UploadBlobsRequest>>,
    ) -> Result<Response<UploadBlobsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn deploy_project(
        &self,
        _: Request<DeployProjectRequest>,
    ) -> Result<Response<DeployProjectResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_project(&self, _: Request<GetProjectRequest>) -> Result<Response<GetProjectResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn list_projects(&self, _: Request<ListProjectsRequest>) -> Result<Response<ListProjectsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

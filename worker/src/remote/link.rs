//! The way to the leader: finds it, keeps a session with it, finds the next one.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use common::WorkerId;
use common::session::{LeaderMessage, WorkerMessage};
use futures::StreamExt;
use proto::client::{Replicas, leader_of};
use proto::session::FromLeader;
use proto::v1::DrainWorkerRequest;
use proto::v1::worker_service_client::WorkerServiceClient;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::session::{Handle, Outbox, Refusal};

/// Messages that may wait for the stream; what does not fit is offered again by the session.
const OUTBOX_MAX: usize = 1_024;
/// Messages of the leader that are handed over at once.
const BATCH_MAX: usize = 256;
/// How often a leader is looked for that was there a moment ago: an election takes a few hundred milliseconds.
const BACKOFF_MIN: Duration = Duration::from_millis(25);
/// How long it counts as a moment.
const ELECTION: Duration = Duration::from_secs(2);
const BACKOFF_MAX: Duration = Duration::from_millis(500);
/// How long a drained worker tries to tell the cluster so.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// Cheap to clone; all clones are one link.
#[derive(Clone)]
pub(super) struct Link {
    replicas: Replicas,
    session: Handle,
    /// The cluster this worker belongs to, from the first welcome on.
    cluster: Arc<OnceLock<String>>,
    /// Whether there is a session.
    linked: watch::Sender<bool>,
}

/// How a session ended.
#[derive(Debug)]
enum End {
    /// This replica does not lead; another does, where that is known.
    Elsewhere(Option<String>),
    /// The session was there, and is over.
    Closed,
    Failed(Status),
    /// A replica of another cluster.
    Stranger(String),
}

impl Link {
    pub fn new(
        replicas: Replicas,
        session: Handle,
        cluster: Arc<OnceLock<String>>,
        linked: watch::Sender<bool>,
    ) -> Self {
        Self { replicas, session, cluster, linked }
    }

    /// Looks for the leader and keeps the session with it, for ever.
    pub async fn keep(self) {
        let mut backoff = BACKOFF_MIN;
        let mut over_at = Instant::now();
        loop {
            let mut leader = None;
            for address in self.replicas.addresses() {
                let end = self.attend(&address).await;
                self.linked.send_if_modified(std::mem::take);
                match end {
                    End::Closed => {
                        tracing::info!(address, "the session with the leader is over");
                        (backoff, over_at) = (BACKOFF_MIN, Instant::now());
                    }
                    End::Elsewhere(Some(address)) if !address.is_empty() => {
                        leader = Some(address);
                        break;
                    }
                    End::Elsewhere(_) => {}
                    End::Failed(status) => tracing::debug!(address, %status, "no session with this replica"),
                    End::Stranger(cluster) => {
                        tracing::error!(address, cluster, "this replica belongs to another cluster");
                    }
                }
            }
            if let Some(leader) = leader {
                self.replicas.prefer(&leader);
            }
            tokio::time::sleep(backoff).await;
            if over_at.elapsed() > ELECTION {
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }

    /// One session with one replica, from greeting to end.
    async fn attend(&self, address: &str) -> End {
        let channel = match self.replicas.channel(address) {
            Ok(channel) => channel,
            Err(error) => return End::Failed(Status::invalid_argument(error.to_string())),
        };
        let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
        let cluster = self.cluster.get().cloned().unwrap_or_default();
        let requests = ReceiverStream::new(messages).map(move |message| proto::session::request(message, &cluster));
        self.session.connect(ToStream(outbox));
        let mut answers = match WorkerServiceClient::new(channel).session(requests).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return failed(status),
        };
        let welcome = match answers.message().await {
            Ok(Some(welcome)) => welcome,
            Ok(None) => return End::Closed,
            Err(status) => return failed(status),
        };
        let Ok(FromLeader::Welcome(welcome)) = proto::session::to_response(welcome) else {
            return End::Failed(Status::data_loss("the session did not begin with a welcome"));
        };
        if *self.cluster.get_or_init(|| welcome.cluster.clone()) != welcome.cluster {
            return End::Stranger(welcome.cluster);
        }
        tracing::info!(address, cluster = welcome.cluster, "the session with the leader begins");
        self.linked.send_replace(true);
        self.replicas.prefer(address);
        self.replicas.learn(welcome.replicas.iter().map(String::as_str));
        let mut batches = answers.map(parse).ready_chunks(BATCH_MAX);
        while let Some(batch) = batches.next().await {
            let heard = batch.into_iter().collect::<Result<Vec<LeaderMessage>, Status>>();
            match heard {
                // Waits only while the session's thread is behind by its whole inbox.
                Ok(messages) => tokio::task::block_in_place(|| self.session.deliver_all(messages)),
                Err(status) => {
                    tracing::debug!(%status, "the session broke");
                    return End::Closed;
                }
            }
        }
        End::Closed
    }

    /// No new attempts from now on: this worker refuses them, and the cluster does not send any once it knows.
    pub async fn drain(&self, worker: &WorkerId) {
        let request = DrainWorkerRequest { worker_id: worker.to_string() };
        let told = self.replicas.call(|channel| {
            let request = request.clone();
            async move { WorkerServiceClient::new(channel).drain_worker(request).await }
        });
        match tokio::time::timeout(DRAIN_PATIENCE, told).await {
            Ok(Ok(_)) => {}
            Ok(Err(status)) => tracing::warn!(%status, "the cluster does not know that this worker drains"),
            Err(_) => tracing::warn!("the cluster does not know that this worker drains: no replica answered"),
        }
        // Only now: an idle worker ends at once, and must not be given anything then.
        self.session.deliver(LeaderMessage::Drain);
    }

    /// Interrupts what runs; others will do it.
    pub fn abandon(&self) {
        self.session.abandon();
    }
}

fn failed(status: Status) -> End {
    match leader_of(&status) {
        Some(address) => End::Elsewhere(Some(address)),
        None => End::Failed(status),
    }
}

fn parse(answer: Result<proto::v1::SessionResponse, Status>) -> Result<LeaderMessage, Status> {
    match proto::session::to_response(answer?) {
        Ok(FromLeader::Message(message)) => Ok(message),
        Ok(FromLeader::Welcome(_)) => Err(Status::data_loss("a second welcome")),
        Err(error) => Err(Status::data_loss(error.to_string())),
    }
}

/// The session's outbox: the stream's queue.
struct ToStream(mpsc::Sender<WorkerMessage>);

impl Outbox for ToStream {
    fn offer(&mut self, message: WorkerMessage) -> Result<(), Refusal> {
        self.0.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refusal::Full,
            mpsc::error::TrySendError::Closed(_) => Refusal::Closed,
        })
    }
}

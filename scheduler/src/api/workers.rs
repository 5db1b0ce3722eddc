//! `kontiki.v1.WorkerService`: sessions of workers, and what operators do with workers.

use std::time::Duration;

use common::WorkerId;
use proto::description::{Described, description};
use proto::scalar::{timestamp, to_run};
use proto::v1;
use proto::v1::worker_service_server::WorkerService;
use tonic::{Request, Response, Status, Streaming};

use super::{refusal, session, trace};
use crate::leader::{Leader, Liveness};
use crate::replica::{Consistency, Handle};
use crate::state::{Command, Reply, Run, State, Worker};

pub struct Service {
    handle: Handle,
    lease: Duration,
}

impl Service {
    pub fn new(handle: Handle, lease: Duration) -> Self {
        Self { handle, lease }
    }

    async fn read<T>(&self, question: impl FnOnce(&State) -> T) -> Result<T, Status> {
        let answer = self.handle.read(Consistency::Linearizable, question).await;
        answer.map_err(|error| refusal::failed(&error))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl WorkerService for Service {
    type SessionStream = session::Answers;

    async fn session(&self, request: Request<Streaming<v1::SessionRequest>>) -> Answer<Self::SessionStream> {
        session::begin(&self.handle, request.into_inner(), self.lease).await.map(Response::new)
    }

    async fn describe_run(&self, request: Request<v1::DescribeRunRequest>) -> Answer<v1::DescribeRunResponse> {
        let id = to_run("run_id", &request.into_inner().run_id).map_err(|invalid| refusal::invalid(&invalid))?;
        let described = self.read(|state| state.run(&id).map(describe)).await?;
        match described {
            Some(Some(described)) => Ok(Response::new(description(id.to_string(), described))),
            Some(None) => Err(Status::failed_precondition(format!("run {id} is not of a deployed project"))),
            None => Err(refusal::not_found(format!("run {id} does not exist"))),
        }
    }

    async fn list_workers(&self, _: Request<v1::ListWorkersRequest>) -> Answer<v1::ListWorkersResponse> {
        let views = |state: &State, leader: Option<&Leader>| {
            state.workers().map(|found| view(found, leader.map(Leader::liveness))).collect()
        };
        let workers =
            self.handle.read_live(Consistency::Linearizable, views).await.map_err(|error| refusal::failed(&error))?;
        Ok(Response::new(v1::ListWorkersResponse { workers }))
    }

    async fn get_worker(&self, request: Request<v1::GetWorkerRequest>) -> Answer<v1::GetWorkerResponse> {
        let id = WorkerId(request.into_inner().worker_id.into());
        let found = self.handle.read_live(Consistency::Linearizable, |state, leader| {
            let worker = state.worker(&id)?;
            Some((view((&id, worker), leader.map(Leader::liveness)), state.assignments(&id)))
        });
        let found = found.await.map_err(|error| refusal::failed(&error))?;
        let (worker, running) = found.ok_or_else(|| refusal::not_found(format!("worker {id} is not registered")))?;
        let running = running.iter().map(proto::task::assignment).collect();
        Ok(Response::new(v1::GetWorkerResponse { worker: Some(worker), running }))
    }

    async fn drain_worker(&self, request: Request<v1::DrainWorkerRequest>) -> Answer<v1::DrainWorkerResponse> {
        let (metadata, _, request) = request.into_parts();
        let command = Command::DrainWorker { worker: WorkerId(request.worker_id.into()) };
        let reply = self.handle.forward(trace::proposal(&metadata, command)).await;
        match reply.map_err(|error| refusal::failed(&error))? {
            Reply::Rejected(rejection) => Err(refusal::rejected(&rejection)),
            _ => Ok(Response::new(v1::DrainWorkerResponse {})),
        }
    }
}

/// None for a run of a laptop's project, whose files no worker can fetch.
fn describe(run: &Run) -> Option<Described> {
    let deployed = run.deployed.as_ref()?;
    Some(Described {
        project: deployed.project.clone(),
        bundle: deployed.bundle,
        manifest_digest: run.manifest_digest.clone(),
        target: deployed.target.clone().into(),
        options: run.options.clone(),
        selected: run.selected().cloned().collect(),
        submitted_at: run.submitted_at,
    })
}

fn view((id, worker): (&WorkerId, &Worker), live: Option<&Liveness>) -> v1::Worker {
    v1::Worker {
        worker_id: id.to_string(),
        host: worker.description.host.clone(),
        version: worker.description.version.clone(),
        slots: worker.slots,
        running: worker.running() as u32,
        draining: worker.draining,
        labels: worker.description.labels.clone().into_iter().collect(),
        registered_at: Some(timestamp(worker.registered_at)),
        heard_at: live.and_then(|live| live.last(id)).map(timestamp),
    }
}

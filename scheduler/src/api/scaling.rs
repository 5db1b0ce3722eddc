//! How many workers there should be, as KEDA asks: one for as many tasks, waiting or running, as it has slots.
//!
//! Invariant: a task that no worker of the kind could take counts for nothing, so it keeps none of them up.

use std::time::Duration;

use common::session::WorkerDescription;
use common::task::TaskState;
use futures::stream::{BoxStream, StreamExt};
use proto::externalscaler as keda;
use proto::externalscaler::external_scaler_server::ExternalScaler;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::refusal;
use crate::replica::{Consistency, Error, Handle};
use crate::state::{Run, State};

const METRIC: &str = "kontiki_tasks";
/// Of a worker, where the trigger does not say.
const SLOTS: u32 = 4;
/// How often those are served who want to hear of changes.
const LOOK: Duration = Duration::from_secs(1);

type Answer<T> = Result<Response<T>, Status>;

pub struct Service {
    handle: Handle,
}

impl Service {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    async fn tasks(&self, workers: &Workers) -> Result<u32, Status> {
        tasks(&self.handle, workers).await.map_err(|error| refusal::failed(&error))
    }
}

/// Workers of one kind.
struct Workers {
    slots: u32,
    description: WorkerDescription,
}

impl Workers {
    fn parse(object: &keda::ScaledObjectRef) -> Result<Self, Status> {
        let given = |key: &str| object.scaler_metadata.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
        let slots = given("slots").map_or(Ok(SLOTS), str::parse);
        let slots = slots.ok().filter(|slots| *slots > 0);
        let slots = slots.ok_or_else(|| Status::invalid_argument("slots: it is not a number of slots"))?;
        let pairs = given("labels").into_iter().flat_map(|text| text.split(','));
        let labels = pairs.map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        });
        let labels = labels.collect::<Option<_>>();
        let labels = labels.ok_or_else(|| Status::invalid_argument("labels: they are not of the form name=value,…"))?;
        Ok(Self { slots, description: WorkerDescription { labels, ..WorkerDescription::default() } })
    }

    /// Tasks that wait or run, of runs that such a worker may serve.
    fn tasks(&self, state: &State) -> u32 {
        let serves = |run: &&Run| !run.is_finished() && self.description.carries(&run.worker_labels);
        let tasks = state.runs().filter(serves).flat_map(Run::tasks);
        let waits_or_runs = |state: &TaskState| {
            matches!(state, TaskState::Ready | TaskState::Running { .. } | TaskState::UpForRetry { .. })
        };
        tasks.filter(|task| waits_or_runs(&task.state)).count() as u32
    }
}

async fn tasks(handle: &Handle, workers: &Workers) -> Result<u32, Error> {
    handle.read(Consistency::Linearizable, |state| workers.tasks(state)).await
}

#[tonic::async_trait]
impl ExternalScaler for Service {
    type StreamIsActiveStream = BoxStream<'static, Result<keda::IsActiveResponse, Status>>;

    async fn is_active(&self, request: Request<keda::ScaledObjectRef>) -> Answer<keda::IsActiveResponse> {
        let workers = Workers::parse(request.get_ref())?;
        Ok(Response::new(keda::IsActiveResponse { result: self.tasks(&workers).await? > 0 }))
    }

    async fn stream_is_active(&self, request: Request<keda::ScaledObjectRef>) -> Answer<Self::StreamIsActiveStream> {
        let workers = Workers::parse(request.get_ref())?;
        let (sender, changes) = mpsc::channel(1);
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let mut told = None;
            let mut look = tokio::time::interval(LOOK);
            loop {
                tokio::select! {
                    () = sender.closed() => return,
                    _ = look.tick() => {}
                }
                // Without a leader there is nothing to tell; KEDA keeps what it heard last.
                let Ok(result) = tasks(&handle, &workers).await.map(|tasks| tasks > 0) else { continue };
                if told.replace(result) != Some(result) && sender.send(keda::IsActiveResponse { result }).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(changes).map(Ok).boxed()))
    }

    async fn get_metric_spec(&self, request: Request<keda::ScaledObjectRef>) -> Answer<keda::GetMetricSpecResponse> {
        let slots = Workers::parse(request.get_ref())?.slots;
        let target = keda::MetricSpec {
            metric_name: METRIC.to_owned(),
            target_size: i64::from(slots),
            target_size_float: f64::from(slots),
        };
        Ok(Response::new(keda::GetMetricSpecResponse { metric_specs: vec![target] }))
    }

    async fn get_metrics(&self, request: Request<keda::GetMetricsRequest>) -> Answer<keda::GetMetricsResponse> {
        let workers = Workers::parse(&request.into_inner().scaled_object_ref.unwrap_or_default())?;
        let tasks = self.tasks(&workers).await?;
        let value = keda::MetricValue {
            metric_name: METRIC.to_owned(),
            metric_value: i64::from(tasks),
            metric_value_float: f64::from(tasks),
        };
        Ok(Response::new(keda::GetMetricsResponse { metric_values: vec![value] }))
    }
}

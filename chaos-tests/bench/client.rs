//! Calls that the measurements make.

use anyhow::{Context, Result};
use common::Timestamp;
use proto::client::Replicas;
use proto::scalar::to_timestamp;
use proto::v1;
use proto::v1::cluster_service_client::ClusterServiceClient;
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::watch_run_response::Event;
use proto::v1::worker_service_client::WorkerServiceClient;

/// As one replica sees it.
pub async fn status(replicas: &Replicas, address: &str) -> Result<v1::GetStatusResponse> {
    let mut client = ClusterServiceClient::new(replicas.channel(address)?);
    let answer =
        tokio::time::timeout(std::time::Duration::from_millis(500), client.get_status(v1::GetStatusRequest {}));
    Ok(answer.await??.into_inner())
}

/// How many workers are registered.
pub async fn workers(replicas: &Replicas) -> Result<usize> {
    let list = |channel| async move {
        WorkerServiceClient::new(channel).list_workers(v1::ListWorkersRequest::default()).await
    };
    Ok(replicas.call(list).await?.into_inner().workers.len())
}

pub async fn transfer(replicas: &Replicas) -> Result<()> {
    let transfer = |channel| async move {
        ClusterServiceClient::new(channel).transfer_leadership(v1::TransferLeadershipRequest::default()).await
    };
    replicas.call(transfer).await?;
    Ok(())
}

pub async fn cancel(replicas: &Replicas, run: &str) -> Result<()> {
    let cancel = |channel| async move {
        RunServiceClient::new(channel).cancel_run(v1::CancelRunRequest { run_id: run.to_owned() }).await
    };
    replicas.call(cancel).await?;
    Ok(())
}

/// A run that has ended, with its tasks.
pub struct FinishedRun {
    /// The tick's nominal time.
    pub scheduled_at: Timestamp,
    pub tasks: Vec<v1::Task>,
}

/// The latest runs of a project, without those under way.
pub async fn finished_runs(replicas: &Replicas, project: &str) -> Result<Vec<FinishedRun>> {
    let states = [v1::RunState::Success, v1::RunState::Failed, v1::RunState::Canceled].map(Into::into);
    let request = v1::ListRunsRequest { project: project.to_owned(), states: states.into(), ..Default::default() };
    let list = |channel| {
        let request = request.clone();
        async move { RunServiceClient::new(channel).list_runs(request).await }
    };
    let mut finished = Vec::new();
    for run in replicas.call(list).await?.into_inner().runs {
        let request = v1::GetRunRequest { run_id: run.run_id, with_tasks: true, ..Default::default() };
        let get = |channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).get_run(request).await }
        };
        let tasks = replicas.call(get).await?.into_inner().tasks;
        finished.push(FinishedRun { scheduled_at: to_timestamp(run.scheduled_at), tasks });
    }
    Ok(finished)
}

/// Times of the leader's clock in the run's journal, in seconds: submission and end.
pub async fn follow(replicas: &Replicas, run: &str) -> Result<(f64, f64)> {
    let mut submitted = None;
    let mut after = 0;
    // A watch that broke goes on at another replica.
    loop {
        let request = v1::WatchRunRequest { run_id: run.to_owned(), after_sequence: after };
        let watch = |channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).watch_run(request).await }
        };
        let mut events = replicas.call(watch).await?.into_inner();
        while let Ok(Some(event)) = events.message().await {
            after = event.sequence;
            let at = event.at.map_or(0.0, |at| at.seconds as f64 + f64::from(at.nanos) / 1e9);
            match event.event {
                Some(Event::Submitted(_)) => submitted = Some(at),
                Some(Event::Finished(finished)) => {
                    let counts = finished.counts.unwrap_or_default();
                    anyhow::ensure!(counts.success == counts.total, "{counts:?}");
                    return Ok((submitted.context("the first event is the submission")?, at));
                }
                _ => {}
            }
        }
    }
}

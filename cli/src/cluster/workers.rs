//! `kontiki worker list|get|drain`

use proto::v1::worker_service_client::WorkerServiceClient;
use proto::v1::{Assignment, DrainWorkerRequest, GetWorkerRequest, ListWorkersRequest, Worker};
use serde_json::json;

use super::args::WorkerVerb;
use super::connect::Connected;
use super::show::{Column, Listing, Row, column, show, wide};
use super::time::moment;
use crate::exit::Exit;
use crate::project::{Call, Refused};

const COLUMNS: [Column; 8] = [
    column("WORKER"),
    column("HOST"),
    column("SLOTS"),
    column("RUNNING"),
    column("STATE"),
    column("LABELS"),
    wide("VERSION"),
    wide("HEARD"),
];
const RUNNING: [Column; 4] = [column("RUN"), column("NODE"), column("ATTEMPT"), wide("EPOCH")];

pub fn workers(call: &Call, verb: &WorkerVerb) -> Result<Exit, Refused> {
    let cluster = Connected::new(call)?;
    match verb {
        WorkerVerb::List(shown) => {
            show(call, *shown, || Ok(Listing::list(&COLUMNS, list(&cluster)?.iter().map(row).collect())))
        }
        WorkerVerb::Get { worker, shown } => show(call, *shown, || {
            let request = GetWorkerRequest { worker_id: worker.clone() };
            let answer = cluster.ask(|channel| {
                let request = request.clone();
                async move { WorkerServiceClient::new(channel).get_worker(request).await }
            })?;
            let mut row = row(&answer.worker.unwrap_or_default());
            let running: Vec<Row> = answer.running.iter().map(assignment).collect();
            row.json["running"] = json!(running.iter().map(|row| &row.json).collect::<Vec<_>>());
            let mut listing = Listing::one(&COLUMNS, row);
            listing.below.push(Listing::list(&RUNNING, running));
            Ok(listing)
        }),
        WorkerVerb::Drain { worker } => {
            let request = DrainWorkerRequest { worker_id: worker.clone() };
            cluster.ask(|channel| {
                let request = request.clone();
                async move { WorkerServiceClient::new(channel).drain_worker(request).await }
            })?;
            call.console.output(&format!("worker {worker} drains"));
            Ok(Exit::Success)
        }
    }
}

/// All workers of the cluster.
pub fn list(cluster: &Connected<'_>) -> Result<Vec<Worker>, Refused> {
    let answer = cluster
        .ask(|channel| async move { WorkerServiceClient::new(channel).list_workers(ListWorkersRequest {}).await })?;
    Ok(answer.workers)
}

fn row(worker: &Worker) -> Row {
    let mut labels: Vec<String> = worker.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.sort();
    let heard_at = moment(worker.heard_at.as_ref());
    let state = if worker.draining { "draining" } else { "active" };
    Row {
        name: worker.worker_id.clone(),
        cells: vec![
            worker.worker_id.clone(),
            worker.host.clone(),
            worker.slots.to_string(),
            worker.running.to_string(),
            state.to_owned(),
            labels.join(","),
            worker.version.clone(),
            heard_at.clone(),
        ],
        json: json!({
            "id": worker.worker_id,
            "host": worker.host,
            "slots": worker.slots,
            "running_tasks": worker.running,
            "state": state,
            "labels": worker.labels,
            "version": worker.version,
            "registered_at": moment(worker.registered_at.as_ref()),
            "heard_at": heard_at,
        }),
    }
}

fn assignment(assignment: &Assignment) -> Row {
    let Assignment { run_id, node_id, attempt, epoch, .. } = assignment;
    Row {
        name: node_id.clone(),
        cells: vec![run_id.clone(), node_id.clone(), attempt.to_string(), epoch.to_string()],
        json: json!({ "run": run_id, "node": node_id, "attempt": attempt, "epoch": epoch }),
    }
}

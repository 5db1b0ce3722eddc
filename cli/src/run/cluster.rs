//! A run on a cluster, with the lines, the artifacts and the exit code of one on this machine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use common::diagnostic::Code;
use common::{Manifest, NodeId, RunId};
use dbt::hooks::When;
use proto::v1::CancelRunRequest;
use proto::v1::run_service_client::RunServiceClient;
use scheduler::local::Update;
use scheduler::state::RunOutcome;

use super::events::Follower;
use super::{Outcomes, Request, exit, exposures, sql, sum_up, write_results};
use crate::cluster::Connected;
use crate::cluster::follow::{self, Watched};
use crate::console::{Ended, Event};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::project::{Opened, Refused};

/// Updates that may wait for the console.
const UPDATES_MAX: usize = 1_024;

/// A run that the cluster took.
pub struct Accepted {
    pub run: String,
    pub tasks: usize,
    /// Number of the last event before this one began.
    pub after: u64,
}

/// Has a run accepted and follows it to its end.
pub fn on_cluster(
    cluster: &Connected<'_>,
    opened: &Opened,
    manifest: &Arc<Manifest>,
    request: &Request,
    accept: impl FnOnce() -> Result<Accepted, Refused>,
) -> Result<Exit, Refused> {
    let call = cluster.call;
    if request.selected.is_empty() {
        call.console.emit(&Event::NothingToDo);
        write_results(call, (opened, manifest), &Outcomes::default(), &request.options, 0.0)?;
        return Ok(Exit::Success);
    }
    let began = Instant::now();
    call.console.emit(&Event::Blank);
    call.console.emit(&Event::Concurrency { threads: opened.target.threads, target: opened.target.name.clone() });
    call.console.emit(&Event::Blank);
    let interrupt = Interrupt::install().map_err(|error| call.refuse_with(Code::Internal, &error))?;
    let accepted = accept()?;
    let run: RunId = accepted.run.parse().map_err(|error| call.refuse_with(Code::Internal, &error))?;
    interrupt.on_first(cancel(cluster, run));

    let exposed: BTreeSet<NodeId> =
        request.selected.iter().filter(|id| manifest.exposures.contains_key(id.as_str())).cloned().collect();
    let hooks = [When::Start, When::End].map(|when| dbt::hooks::of(manifest, when).len());
    let nodes = accepted.tasks.saturating_sub(hooks.into_iter().sum());
    let mut outcomes = Outcomes::default();
    let console = Some(&call.console);
    let mut follower = Follower::new(console, manifest, &opened.target, (nodes, exposed), &mut outcomes);
    call.console.start_progress(follower.total as u64);
    let (updates, ended) = updates(cluster, run, accepted.after);
    let outcome = if accepted.tasks == 0 { Some(RunOutcome::Success) } else { follower.follow(&updates) };
    if outcome.is_some() {
        exposures::finish(&mut follower);
    }
    call.console.end_progress();
    let Some(outcome) = outcome else {
        return Err(match ended.try_recv() {
            Ok(status) => cluster.refuse(&status),
            Err(_) => call.refuse_with(Code::ClusterUnavailable, &"the stream of the run's events broke off"),
        });
    };
    let how = match outcome {
        _ if interrupt.happened() => Ended::Interrupted,
        RunOutcome::Canceled(_) => Ended::Canceled,
        RunOutcome::Success | RunOutcome::Failed => Ended::Complete,
    };
    let elapsed = began.elapsed().as_secs_f64();
    sql::fetch(cluster, opened, manifest, &accepted, &mut outcomes);
    call.console.emit(&Event::Blank);
    sum_up(call, (opened, manifest), request.options.verb, &outcomes, (elapsed, how));
    write_results(call, (opened, manifest), &outcomes, &request.options, elapsed)?;
    Ok(if outcome == RunOutcome::Success { exit(&outcomes, how) } else { Exit::NodeFailed })
}

/// Ctrl-C: the run stops everywhere, and its end is followed here.
fn cancel(cluster: &Connected<'_>, run: RunId) -> impl FnOnce() + Send + 'static {
    let (replicas, runtime) = (cluster.replicas.clone(), cluster.handle());
    move || {
        let request = CancelRunRequest { run_id: run.to_string() };
        // An error means that no replica could be told; a second Ctrl-C ends this process, the run goes on.
        let _ = runtime.block_on(replicas.call(|channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).cancel_run(request).await }
        }));
    }
}

/// The run's events as the local leader would tell them, and why they ended early if they did.
fn updates(cluster: &Connected<'_>, run: RunId, after: u64) -> (Receiver<Update>, Receiver<tonic::Status>) {
    let (sender, receiver) = sync_channel(UPDATES_MAX);
    let (refused, refusal) = sync_channel(1);
    let mut events = follow::events(cluster, &run.to_string(), after);
    std::thread::spawn(move || {
        while let Some(watched) = events.blocking_recv() {
            let update = match watched {
                Watched::Event(event) => follow::update(run, *event),
                Watched::Refused(status) => {
                    // Room for one, and only one is sent.
                    let _ = refused.send(status);
                    return;
                }
            };
            match update {
                Ok(Some(update)) => {
                    if sender.send(update).is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let _ = refused.send(tonic::Status::data_loss(error.to_string()));
                    return;
                }
            }
        }
    });
    (receiver, refusal)
}

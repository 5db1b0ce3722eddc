//! `kontiki.v1.RunService`: submitting, looking at, watching and steering runs.

use std::sync::Arc;

use common::diagnostic::Severity;
use common::{NodeId, RequestId, RunId};
use proto::access::Role;
use proto::run::{self, Submit, to_request, to_submit};
use proto::scalar::to_run;
use proto::v1;
use proto::v1::run_service_server::RunService;
use tonic::{Request, Response, Status};

use super::planner::{Planned, Planner};
use super::planning::Known;
use super::trace::Call;
use super::transcripts::Chosen;
use super::watch::{Events, Watchers};
use super::{commit, pages, refusal, transcripts, view};
use crate::access::Principal;
use crate::replica::{Consistency, Handle};
use crate::state::{CancelCause, Command, Event, Reply, Run, RunOutcome, RunState, State};

/// Most tasks of one answer.
const TASKS_MAX: usize = 2_000;
/// Most runs that one request looks at; a filter that matches fewer gets another page.
const LOOKED_AT_MAX: usize = 10_000;

pub struct Service {
    handle: Handle,
    planner: Arc<Planner>,
    watchers: Watchers,
}

impl Service {
    pub fn new(handle: Handle, planner: Arc<Planner>) -> Self {
        Self { planner, watchers: Watchers::new(), handle }
    }

    async fn read<T>(&self, stale: bool, question: impl FnOnce(&State) -> T) -> Result<T, Status> {
        let consistency = if stale { Consistency::Stale } else { Consistency::Linearizable };
        self.handle.read(consistency, question).await.map_err(|error| refusal::failed(&error))
    }

    /// Refuses whoever has not the role for the run's project.
    async fn permit(&self, caller: &Principal, role: Role, id: RunId) -> Result<(), Status> {
        if caller.is_unlimited() {
            return Ok(());
        }
        let project = |state: &State| state.run(&id).map(|run| project(run).map(str::to_owned));
        // Whose a run is never changes.
        let found = match self.read(true, project).await? {
            Some(found) => Some(found),
            None => self.read(false, project).await?,
        };
        caller.require(role, found.ok_or_else(|| unknown(id))?.as_deref())
    }

    async fn find<T>(&self, id: RunId, question: impl FnOnce(&Run) -> T) -> Result<T, Status> {
        let found = self.read(false, |state| state.run(&id).map(question)).await?;
        found.ok_or_else(|| unknown(id))
    }

    /// A further run, from the given nodes of an earlier one on.
    async fn again(
        &self,
        run: RunId,
        nodes: &[NodeId],
        request: Option<RequestId>,
        call: &Call,
    ) -> Result<v1::RetryRunResponse, Status> {
        let id = RunId(super::fresh::id());
        let request = request.unwrap_or_else(|| RequestId(id.to_string().into()));
        let further = |state: &State| state.run_of(&request).and_then(|id| state.run(&id)).map(further);
        if let Some(answer) = self.read(false, further).await? {
            return Ok(answer);
        }
        let again = self.find(run, |run| run.again_from(nodes, id, request.clone())).await?;
        let mut submission = again.map_err(|rejection| refusal::rejected(&rejection))?;
        submission.traceparent.clone_from(&call.traceparent);
        let tasks = submission.plan.tasks.len() as u32;
        let proposal = call.proposal(submission.plan.run, Command::SubmitRun(Box::new(submission)));
        match commit::repeatable(&self.handle, proposal).await? {
            Reply::Submitted { run, new: true } => Ok(v1::RetryRunResponse { tasks, run_id: run.to_string() }),
            // Somebody was faster with the same request.
            Reply::Submitted { run, new: false } => self.find(run, self::further).await,
            _ => Err(Status::internal("the state answered something else: a defect")),
        }
    }

    async fn submit(&self, submit: Submit, call: &Call) -> Result<v1::SubmitRunResponse, Status> {
        let request = submit.request.clone();
        let known = self.handle.read_live(Consistency::Linearizable, |state, leader| {
            match state.run_of(&request).and_then(|id| state.run(&id)) {
                Some(run) => Err(repeated(run)),
                None => Ok(Known::of(state, leader, &submit.run)),
            }
        });
        let known = match known.await.map_err(|error| refusal::failed(&error))? {
            Ok(known) => known,
            Err(answer) => return Ok(answer),
        };
        let Planned { mut submission, findings } = self.planner.plan(known, submit).await?;
        submission.traceparent.clone_from(&call.traceparent);
        let tasks = submission.plan.tasks.len() as u32;
        let proposal = call.proposal(submission.plan.run, Command::SubmitRun(Box::new(submission)));
        match commit::repeatable(&self.handle, proposal).await? {
            Reply::Submitted { run, new: true } => Ok(v1::SubmitRunResponse {
                run_id: run.to_string(),
                is_new: true,
                tasks,
                diagnostics: findings
                    .iter()
                    .filter(|finding| finding.severity == Severity::Warning)
                    .map(run::diagnostic)
                    .collect(),
            }),
            // Somebody was faster with the same request.
            Reply::Submitted { run, new: false } => self.find(run, repeated).await,
            _ => Err(Status::internal("the state answered something else: a defect")),
        }
    }
}

impl Service {
    async fn cancel(&self, run: RunId, call: &Call) -> Result<v1::CancelRunResponse, Status> {
        let command = Command::CancelRun { run, cause: CancelCause::Request };
        let canceled = commit::repeatable(&self.handle, call.proposal(run, command)).await;
        if let Err(status) = canceled {
            // A run that was canceled before is what was asked for; the request may have been sent twice.
            let is_canceled = |run: &Run| {
                matches!(run.state, RunState::Finished { outcome: RunOutcome::Canceled(CancelCause::Request), .. })
            };
            if !self.find(run, is_canceled).await? {
                return Err(status);
            }
        }
        Ok(v1::CancelRunResponse {})
    }

    async fn retry(&self, request: v1::RetryRunRequest, call: &Call) -> Result<v1::RetryRunResponse, Status> {
        let run = run_id(&request.run_id)?;
        if !request.from_nodes.is_empty() {
            let nodes = request.from_nodes.into_iter().map(NodeId::from).collect::<Vec<_>>();
            let id = Some(request.request_id).filter(|id| !id.is_empty());
            let id = id.map(to_request).transpose().map_err(|invalid| refusal::invalid(&invalid))?;
            return self.again(run, &nodes, id, call).await;
        }
        let after = request.after_sequence;
        let known = |run: &Run| (retried(run, after), run.manifest_digest.clone());
        let (answer, manifest_digest) = self.find(run, known).await?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        let command = Command::RetryRun { run, manifest_digest };
        match commit::once(&self.handle, call.proposal(run, command)).await {
            Ok(Reply::Retried { tasks }) => Ok(v1::RetryRunResponse { tasks, run_id: run.to_string() }),
            Ok(_) => Err(Status::internal("the state answered something else: a defect")),
            // The same request may have come before by another way.
            Err(status) => self.find(run, |run| retried(run, after)).await?.ok_or(status),
        }
    }
}

/// The answer to a request id that is known.
fn repeated(run: &Run) -> v1::SubmitRunResponse {
    let (run_id, tasks) = (run.id.to_string(), run.tasks().len() as u32);
    v1::SubmitRunResponse { run_id, is_new: false, tasks, diagnostics: Vec::new() }
}

/// The answer to the request that began a further run.
fn further(run: &Run) -> v1::RetryRunResponse {
    v1::RetryRunResponse { tasks: run.tasks().len() as u32, run_id: run.id.to_string() }
}

/// The answer to the first retry behind an event, where there was one.
fn retried(run: &Run, after: u64) -> Option<v1::RetryRunResponse> {
    if after == 0 {
        return None;
    }
    let tasks = run.events(after).find_map(|recorded| match recorded.event {
        Event::RunRetried { tasks, .. } => Some(tasks),
        _ => None,
    })?;
    Some(v1::RetryRunResponse { tasks, run_id: run.id.to_string() })
}

/// None of a laptop's run.
fn project(run: &Run) -> Option<&str> {
    run.deployed.as_ref().map(|deployed| deployed.project.as_str())
}

fn unknown(id: RunId) -> Status {
    refusal::not_found(format!("run {id} does not exist"))
}

fn no_task(id: RunId, node: &NodeId) -> Status {
    refusal::not_found(format!("run {id} has no task {node}"))
}

fn run_id(text: &str) -> Result<RunId, Status> {
    to_run("run_id", text).map_err(|invalid| refusal::invalid(&invalid))
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RunService for Service {
    type WatchRunStream = Events;
    type ReadTranscriptsStream = transcripts::Stream;

    async fn submit_run(&self, request: Request<v1::SubmitRunRequest>) -> Answer<v1::SubmitRunResponse> {
        let (metadata, extensions, request) = request.into_parts();
        let call = Call::begin(&metadata, "kontiki.v1.RunService/SubmitRun");
        Principal::of(&extensions).require(Role::Operator, Some(&request.project))?;
        let submit = to_submit(request).map_err(|invalid| refusal::invalid(&invalid))?;
        let answer = self.submit(submit, &call).await;
        // A request that comes again is part of the same story.
        call.end(answer.as_ref().ok().and_then(|answer| answer.run_id.parse().ok()), &answer);
        answer.map(Response::new)
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Answer<v1::GetRunResponse> {
        let (_, extensions, request) = request.into_parts();
        let id = run_id(&request.run_id)?;
        self.permit(&Principal::of(&extensions), Role::Viewer, id).await?;
        let from = pages::after::<u32>(&request.page_token).map_err(|invalid| refusal::invalid(&invalid))?;
        let from = from.map_or(0, |last| last.saturating_add(1));
        let found = self.read(request.stale, |state| {
            let run = state.run(&id)?;
            let total = run.tasks().len() as u32;
            let until = if request.with_tasks { total.min(from.saturating_add(TASKS_MAX as u32)) } else { from };
            let tasks = (from..until).filter_map(|index| view::task_at(run, index)).collect();
            let has_more = request.with_tasks && until < total;
            let next_page_token = if has_more { (until - 1).to_string() } else { String::new() };
            Some(v1::GetRunResponse { run: Some(view::in_full(state, run)), tasks, next_page_token })
        });
        found.await?.map(Response::new).ok_or_else(|| unknown(id))
    }

    async fn list_runs(&self, request: Request<v1::ListRunsRequest>) -> Answer<v1::ListRunsResponse> {
        let (_, extensions, request) = request.into_parts();
        let caller = Principal::of(&extensions);
        let size = pages::size(request.page_size);
        let after = pages::after::<RunId>(&request.page_token).map_err(|invalid| refusal::invalid(&invalid))?;
        let states: Vec<v1::RunState> = request.states().collect();
        let page = self.read(request.stale, |state| {
            let rest = state.runs().rev().filter(|run| after.is_none_or(|after| run.id < after));
            let of_project = |run: &&Run| {
                let project = project(run);
                (request.project.is_empty() || project == Some(&request.project)) && caller.may(Role::Viewer, project)
            };
            let seen = rest.take(LOOKED_AT_MAX).filter(of_project).map(|run| view::summary(state, run));
            seen.filter(|run| states.is_empty() || states.contains(&run.state())).take(size + 1).collect::<Vec<_>>()
        });
        let (runs, next_page_token) = pages::cut(page.await?, size, |run| run.run_id.clone());
        Ok(Response::new(v1::ListRunsResponse { runs, next_page_token }))
    }

    async fn watch_run(&self, request: Request<v1::WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        let (_, extensions, v1::WatchRunRequest { run_id: id, after_sequence }) = request.into_parts();
        let id = run_id(&id)?;
        self.permit(&Principal::of(&extensions), Role::Viewer, id).await?;
        let tasks = self.find(id, |run| run.tasks().len() as u32).await?;
        self.watchers.stream(tasks, self.handle.watch(id, after_sequence)).map(Response::new)
    }

    async fn cancel_run(&self, request: Request<v1::CancelRunRequest>) -> Answer<v1::CancelRunResponse> {
        let (metadata, extensions, request) = request.into_parts();
        let call = Call::begin(&metadata, "kontiki.v1.RunService/CancelRun");
        let run = run_id(&request.run_id)?;
        self.permit(&Principal::of(&extensions), Role::Operator, run).await?;
        let answer = self.cancel(run, &call).await;
        call.end(answer.is_ok().then_some(run), &answer);
        answer.map(Response::new)
    }

    async fn retry_run(&self, request: Request<v1::RetryRunRequest>) -> Answer<v1::RetryRunResponse> {
        let (metadata, extensions, request) = request.into_parts();
        let call = Call::begin(&metadata, "kontiki.v1.RunService/RetryRun");
        self.permit(&Principal::of(&extensions), Role::Operator, run_id(&request.run_id)?).await?;
        let answer = self.retry(request, &call).await;
        call.end(answer.as_ref().ok().and_then(|answer| answer.run_id.parse().ok()), &answer);
        answer.map(Response::new)
    }

    async fn get_task(&self, request: Request<v1::GetTaskRequest>) -> Answer<v1::GetTaskResponse> {
        let (_, extensions, v1::GetTaskRequest { run_id: id, node_id }) = request.into_parts();
        let id = run_id(&id)?;
        self.permit(&Principal::of(&extensions), Role::Viewer, id).await?;
        let node = NodeId::from(node_id);
        let found = self.read(false, |state| {
            let run = state.run(&id)?;
            let Some(index) = run.find(&node) else { return Some(None) };
            let attempts: Vec<_> = run.attempts(index).iter().map(view::attempt).collect();
            let chosen = transcripts::choose(state, run, std::slice::from_ref(&node), false).unwrap_or_default();
            Some(Some((view::task_at(run, index), attempts, chosen)))
        });
        let found = found.await?.ok_or_else(|| unknown(id))?;
        let (task, mut attempts, chosen) = found.ok_or_else(|| no_task(id, &node))?;
        let mut told = Chosen::new(&self.handle, id, chosen).by_attempt().await;
        let compiled = told.values().rev().find_map(|transcript| transcript.compiled_code.clone());
        for attempt in &mut attempts {
            attempt.transcript = told.remove(&attempt.attempt);
        }
        Ok(Response::new(v1::GetTaskResponse { task, attempts, compiled_code: compiled.unwrap_or_default() }))
    }

    async fn read_transcripts(
        &self,
        request: Request<v1::ReadTranscriptsRequest>,
    ) -> Answer<Self::ReadTranscriptsStream> {
        let (_, extensions, v1::ReadTranscriptsRequest { run_id: id, node_ids, last_only }) = request.into_parts();
        let id = run_id(&id)?;
        self.permit(&Principal::of(&extensions), Role::Viewer, id).await?;
        let nodes: Vec<NodeId> = node_ids.into_iter().map(NodeId::from).collect();
        let choose = |state: &State| state.run(&id).map(|run| transcripts::choose(state, run, &nodes, last_only));
        let chosen = self.read(false, choose).await?.ok_or_else(|| unknown(id))?;
        let chosen = chosen.map_err(|node| no_task(id, &node))?;
        Ok(Response::new(Chosen::new(&self.handle, id, chosen).stream()))
    }
}

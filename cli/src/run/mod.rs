//! The verbs that run nodes: select, plan, hand to the leader, follow, sum up.

mod cluster;
mod early;
mod events;
mod exposures;
mod hooks;
mod lines;
mod outcome;
mod sql;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use common::diagnostic::Code;
use common::microbatch::EventTime;
use common::run::{PlannedTask, RetryPolicy, RunOptions, RunPlan, Verb};
use common::table::Table;
use common::telemetry::{self, Span, SpanId};
use common::{Diagnostic, Manifest, NodeId, RequestId, RunId, Timestamp};
use dbt::compile::Compiler;
use dbt::graph::{Graph, PlanOptions};
use dbt::hooks::When;
use scheduler::local::{Handle, RunView, Submission};
use worker::adapter::Adapter;
use worker::{Artifacts, Run};

use crate::console::{Ended, Event};
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::local::{Closing, Local};
use crate::project::{Call, Opened, Refused};

pub use cluster::{Accepted, on_cluster};
pub use early::Early;
pub use lines::found;
pub use outcome::Outcomes;

use events::Follower;

/// The folder of the local state, in the project's root.
pub const STATE_DIR: &str = ".kontiki";

/// What is to be run.
pub struct Request {
    pub options: RunOptions,
    pub selected: Vec<NodeId>,
    /// Goes on with a run instead of beginning another.
    pub resume: Option<Resume>,
}

/// A run of the local state that did not succeed.
pub struct Resume {
    pub run: RunId,
}

/// How it went.
pub struct Finished {
    pub outcomes: Outcomes,
    pub exit: Exit,
}

/// Runs the selected nodes to their end, printing as dbt does, and writes the artifacts.
pub fn run(
    call: &Call,
    opened: &Opened,
    manifest: &Arc<Manifest>,
    graph: &Graph,
    request: Request,
    early: Option<Early>,
) -> Result<Exit, Refused> {
    let options = request.options.clone();
    if request.selected.is_empty() && request.resume.is_none() {
        call.console.emit(&Event::NothingToDo);
        write_results(call, (opened, manifest), &Outcomes::default(), &options, 0.0)?;
        return Ok(Exit::Success);
    }
    let began = Instant::now();
    let driver = Driver::begin(call, opened, manifest, graph, early, true)?;
    let driver = driver.drive(request)?;
    let elapsed = began.elapsed().as_secs_f64();
    sum_up(call, (opened, manifest), options.verb, &driver.outcomes, (elapsed, driver.ended()));
    write_results(call, (opened, manifest), &driver.outcomes, &options, elapsed)?;
    Ok(driver.exit())
}

/// Compiles the selected nodes through the same machinery, without a line for each.
pub fn compile(
    call: &Call,
    opened: &Opened,
    manifest: &Arc<Manifest>,
    graph: &Graph,
    request: Request,
) -> Result<Finished, Refused> {
    let options = request.options.clone();
    let began = Instant::now();
    if request.selected.is_empty() {
        call.console.emit(&Event::NothingToDo);
        return Ok(Finished { outcomes: Outcomes::default(), exit: Exit::Success });
    }
    let driver = Driver::begin(call, opened, manifest, graph, None, false)?.drive(request)?;
    write_results(call, (opened, manifest), &driver.outcomes, &options, began.elapsed().as_secs_f64())?;
    driver.outcomes.print_errors(&call.console, manifest);
    Ok(Finished { exit: driver.exit(), outcomes: driver.outcomes })
}

/// The run that this project's state remembers as the last one.
pub fn last_run(call: &Call, opened: &Opened) -> Result<Option<RunView>, Refused> {
    let state_dir = opened.root.join(STATE_DIR);
    if !state_dir.exists() {
        return Ok(None);
    }
    let ask = || -> anyhow::Result<Option<RunView>> {
        let leader = scheduler::local::start(scheduler::local::Config::new(&state_dir))?;
        let last = leader.last_run()?;
        leader.shutdown();
        Ok(last)
    };
    ask().map_err(|error| refuse_local(call, &error))
}

/// What is known of a run before it begins.
struct Planned {
    /// Of the manifest.
    digest: String,
    tasks: Vec<PlannedTask>,
    /// Selected too, and only told of.
    exposures: BTreeSet<NodeId>,
}

struct Driver<'a> {
    call: &'a Call,
    opened: &'a Opened,
    manifest: &'a Arc<Manifest>,
    graph: &'a Graph,
    early: Early,
    interrupt: Interrupt,
    outcomes: Outcomes,
    /// Whether each node has its lines, and hooks run.
    is_announced: bool,
    /// The worker and the leader, once they have nothing left to do. They end while the results are printed and written.
    closing: Option<Closing>,
}

impl<'a> Driver<'a> {
    fn begin(
        call: &'a Call,
        opened: &'a Opened,
        manifest: &'a Arc<Manifest>,
        graph: &'a Graph,
        early: Option<Early>,
        is_announced: bool,
    ) -> Result<Self, Refused> {
        call.console.emit(&Event::Blank);
        call.console.emit(&Event::Concurrency { threads: opened.target.threads, target: opened.target.name.clone() });
        call.console.emit(&Event::Blank);
        let interrupt = Interrupt::install().map_err(|error| call.refuse_with(Code::Internal, &error))?;
        let early = early.or_else(|| Early::begin(opened));
        let early = early.ok_or_else(|| call.refuse_with(Code::Internal, &"no thread could be started"))?;
        let outcomes = Outcomes::default();
        Ok(Self { call, opened, manifest, graph, early, interrupt, outcomes, is_announced, closing: None })
    }

    /// Brings the run to its end, whatever its outcome.
    fn drive(mut self, request: Request) -> Result<Self, Refused> {
        let call = self.call;
        // A warehouse takes longer to open than the local state; what is wrong with it is told first all the same.
        let led = self.early.leader().map(|leader| (self.plan(&leader, &request), leader));
        let (warehouse, connection) = self.early.warehouse(call, self.opened)?;
        let (planned, leader) = led.map_err(|error| refuse_local(call, &error))?;
        let planned = planned?;
        let adapter = Adapter::new(warehouse.adapter_type(), connection);
        let local = Local::start(leader, self.opened.target.threads, warehouse)
            .map_err(|error| call.refuse_with(Code::Io, &error))?;
        let id = request.resume.as_ref().map_or_else(|| RunId(uuid::Uuid::now_v7()), |resume| resume.run);
        let parsed_at = Timestamp::from_micros(chrono::Utc::now().timestamp_micros());
        let parse = SpanId::of_run(id).child("parse", call.started_at.as_micros().unsigned_abs());
        telemetry::record(Span::of_run(id, parse, "parse", call.started_at, parsed_at));
        // Hooks belong to no task: what they send is seen right below the run.
        let _scope = worker::trace::Scope::of_run(id);
        let run = local.register(id, worker_run(call, self.opened, self.manifest, &request, Some(&self.interrupt)));
        if self.is_announced && !dbt::hooks::of(self.manifest, When::Start).is_empty() {
            worker::execute::create_schemas(&run, &request.selected, &adapter)
                .map_err(|error| refuse_warehouse(call, self.opened, error))?;
        }
        let may_go_on = !self.is_announced
            || hooks::run(When::Start, self.manifest, &run, &adapter, &call.console, &mut self.outcomes);
        if may_go_on {
            let result = self.follow(&local, id, &request, planned, &run);
            call.console.end_progress();
            result?;
        } else {
            self.skip(&request);
        }
        if self.is_announced {
            hooks::run(When::End, self.manifest, &run, &adapter, &call.console, &mut self.outcomes);
        }
        // Templates' connection first, so that the slots' are the last.
        drop((run, adapter));
        self.closing = Some(local.close());
        Ok(self)
    }

    /// Tells that nothing is run, since a hook in front failed.
    fn skip(&mut self, request: &Request) {
        let (exposures, selected) = apart(self.manifest, &request.selected);
        let tasks =
            dbt::graph::plan(self.manifest, self.graph, &selected, &BTreeMap::default(), PlanOptions::default());
        let console = Some(&self.call.console);
        let told = (tasks.len(), exposures);
        let mut follower = Follower::new(console, self.manifest, &self.opened.target, told, &mut self.outcomes);
        for task in tasks {
            follower.skip(&task.node);
        }
        exposures::finish(&mut follower);
        self.call.console.emit(&Event::Blank);
    }

    /// What a new run does, in which order; a run that goes on has its tasks already.
    fn plan(&self, leader: &Handle, request: &Request) -> Result<Planned, Refused> {
        let digest = dbt::artifacts::digest(self.manifest);
        let (exposures, selected) = apart(self.manifest, &request.selected);
        let tasks = match &request.resume {
            Some(_) => Vec::new(),
            None => {
                let durations = leader.durations().map_err(|error| self.call.refuse_with(Code::Internal, &error))?;
                let options = PlanOptions::of(request.options.verb);
                dbt::graph::plan(self.manifest, self.graph, &selected, &durations, options)
            }
        };
        Ok(Planned { digest, tasks, exposures })
    }

    /// Hands the run to the leader and follows it.
    fn follow(
        &mut self,
        local: &Local,
        id: RunId,
        request: &Request,
        planned: Planned,
        run: &Run,
    ) -> Result<(), Refused> {
        let call = self.call;
        let refuse = |error: &dyn std::fmt::Display| call.refuse_with(Code::Internal, error);
        let Planned { digest, tasks, exposures } = planned;
        self.interrupt.on_first({
            let leader = local.leader.clone();
            // An error means that the leader has stopped, and the run with it.
            move || drop(leader.cancel(id))
        });
        let updates = local.leader.subscribe(id).map_err(|error| refuse(&error))?;
        let tasks = match &request.resume {
            Some(_) => local.leader.retry(id, digest).map_err(|error| refuse(&error))? as usize,
            None => {
                let count = tasks.len();
                run.set_ranks(tasks.iter().map(|task| (task.node.clone(), task.priority)).collect());
                let plan = RunPlan {
                    fail_fast: request.options.fail_fast,
                    retry: retry_policy(&self.opened.connection),
                    ..RunPlan::new(id, RequestId(id.to_string().into()), tasks)
                };
                let mut submission = Submission::new(plan, request.options.clone(), digest);
                submission.traceparent = call.caller();
                local.leader.submit(submission).map_err(|error| refuse(&error))?;
                count
            }
        };
        local.join().map_err(|error| refuse(&error))?;
        let console = self.is_announced.then_some(&call.console);
        let told = (tasks, exposures);
        let mut follower = Follower::new(console, self.manifest, &self.opened.target, told, &mut self.outcomes);
        if let Some(console) = console {
            console.start_progress(follower.total as u64);
        }
        // A run with nothing to do is finished before anybody could tell.
        if tasks > 0 && follower.follow(&updates).is_none() {
            return Err(refuse(&"the leader stopped before the run was finished"));
        }
        exposures::finish(&mut follower);
        call.console.end_progress();
        if self.is_announced {
            call.console.emit(&Event::Blank);
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        exit(&self.outcomes, self.ended())
    }

    fn ended(&self) -> Ended {
        if self.interrupt.happened() { Ended::Interrupted } else { Ended::Complete }
    }
}

/// Exposures, which are only told of, and what is run.
fn apart(manifest: &Manifest, selected: &[NodeId]) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    selected.iter().cloned().partition(|id| manifest.exposures.contains_key(id))
}

fn exit(outcomes: &Outcomes, ended: Ended) -> Exit {
    if ended == Ended::Complete { outcomes.exit() } else { Exit::NodeFailed }
}

/// The lines below a run that took `elapsed` seconds.
fn sum_up(
    call: &Call,
    (opened, manifest): (&Opened, &Manifest),
    verb: Verb,
    outcomes: &Outcomes,
    (elapsed, ended): (f64, Ended),
) {
    let is_hook = |id: &NodeId| id.resource_type() == "operation";
    let hooks = outcomes.all.iter().filter(|outcome| is_hook(&outcome.node)).count();
    let nodes = outcomes.all.iter().map(|outcome| &outcome.node).filter(|id| !is_hook(id));
    let counts = lines::counts(manifest, nodes, hooks);
    call.console.emit(&Event::FinishedRunning { counts, seconds: elapsed });
    if verb == Verb::Freshness && ended == Ended::Complete {
        outcomes.print_freshness(&call.console, manifest);
        return;
    }
    outcomes.print_summary(&call.console, manifest, &compiled_dir(call, opened), ended);
}

/// Looks at single nodes without running them: `show`, `compile --inline`.
pub struct Probe {
    run: Arc<Run>,
    adapter: Adapter,
}

impl Probe {
    pub fn new(call: &Call, opened: &Opened, manifest: &Arc<Manifest>, verb: Verb) -> Result<Self, Refused> {
        call.console.emit(&Event::Blank);
        call.console.emit(&Event::Concurrency { threads: opened.target.threads, target: opened.target.name.clone() });
        call.console.emit(&Event::Blank);
        let warehouse = early::open(call, opened)?;
        let adapter = Adapter::new(warehouse.0.adapter_type(), warehouse.1);
        let request = Request { options: options(verb, call, false, false, false), selected: Vec::new(), resume: None };
        let run = Arc::new(worker_run(call, opened, manifest, &request, None));
        Ok(Self { run, adapter })
    }

    /// The compiled SQL of a node and its first rows; all of them without a limit.
    pub fn preview(&self, node: &NodeId, limit: Option<u64>) -> worker::failure::Result<(String, Table)> {
        worker::execute::preview(&self.run, node, &self.adapter, limit)
    }

    pub fn compile(&self, node: &NodeId) -> worker::failure::Result<String> {
        let adapter: std::rc::Rc<dyn dbt::adapter::Adapter> = std::rc::Rc::new(self.adapter.clone());
        Ok(self.run.compiler.compile(node, adapter)?.compiled_code)
    }
}

/// The profile's `retries` say how often to try; they are a number on PostgreSQL, `query_attempts` on DuckDB.
pub fn retry_policy(connection: &common::target::Connection) -> RetryPolicy {
    let default = RetryPolicy::default();
    let retries = connection.get("retries");
    let attempts = match retries {
        Some(common::Json::Object(retries)) => retries.get("query_attempts").and_then(common::Json::as_u64),
        // PostgreSQL's default of 1 retry of the connection is less than we do anyway.
        Some(number) => number.as_u64().map(|retries| retries.saturating_add(1).max(default.attempts_max.into())),
        None => None,
    };
    let attempts_max = attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(default.attempts_max);
    RetryPolicy { attempts_max, ..default }
}

fn refuse_warehouse(call: &Call, opened: &Opened, error: worker::warehouse::Error) -> Refused {
    let diagnostic = Diagnostic::error(error.code, error.message);
    let setting =
        |key: &str| opened.connection.get(key).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
    call.refuse(match setting("host").filter(|_| error.code == Code::WarehouseUnavailable) {
        Some(host) => {
            let port = setting("port").map(|port| format!(", port {port}")).unwrap_or_default();
            let target = &opened.target.name;
            diagnostic.hint(format!("target '{target}' of the profile names the host {host}{port}"))
        }
        None => diagnostic,
    })
}

fn worker_run(
    call: &Call,
    opened: &Opened,
    manifest: &Arc<Manifest>,
    request: &Request,
    interrupt: Option<&Interrupt>,
) -> Run {
    let mut invocation = call.invocation();
    invocation.full_refresh = request.options.full_refresh;
    invocation.empty = request.options.empty;
    invocation.store_failures = request.options.store_failures;
    invocation.selected_resources = Arc::new(request.selected.clone());
    invocation.cancel = interrupt.map(Interrupt::flag);
    let compiler = Compiler::new(Arc::clone(manifest), opened.target.clone(), invocation);
    let artifacts = Artifacts::Write { target_path: call.target_path(opened) };
    Run::new(compiler, request.options.clone(), opened.target.clone(), opened.root.clone(), artifacts)
}

fn refuse_local(call: &Call, error: &anyhow::Error) -> Refused {
    let code = match error.downcast_ref::<scheduler::local::Error>() {
        Some(error) if error.is_locked() => Code::StateLocked,
        Some(error) if error.is_corrupt() => return call.refuse(state_corrupt(format!("{error:#}"))),
        Some(_) => Code::Io,
        None => Code::Internal,
    };
    call.refuse_with(code, &format!("{error:#}"))
}

fn state_corrupt(message: String) -> Diagnostic {
    Diagnostic::error(Code::StateCorrupt, message)
        .hint(format!("move the folder {STATE_DIR} away to begin anew; what the warehouse holds stays as it is"))
}

/// As the console names it: relative to the project where it lies inside.
fn compiled_dir(call: &Call, opened: &Opened) -> PathBuf {
    let dir = call.target_path(opened).join("compiled");
    dir.strip_prefix(&opened.root).map(PathBuf::from).unwrap_or(dir)
}

fn write_results(
    call: &Call,
    (opened, manifest): (&Opened, &Manifest),
    outcomes: &Outcomes,
    options: &RunOptions,
    elapsed: f64,
) -> Result<(), Refused> {
    if !call.global.write_json() {
        return Ok(());
    }
    if options.verb == Verb::Freshness {
        return crate::artifacts::write_sources(call, opened, manifest, outcomes, elapsed);
    }
    crate::artifacts::write_run_results(call, opened, outcomes, options, elapsed)
}

/// Which verb a command line stands for.
pub fn options(verb: Verb, call: &Call, full_refresh: bool, store_failures: bool, empty: bool) -> RunOptions {
    RunOptions {
        verb,
        full_refresh,
        fail_fast: call.global.fail_fast && !call.global.no_fail_fast,
        store_failures,
        empty,
        vars: (*call.vars).clone(),
        event_time: EventTime::default(),
    }
}

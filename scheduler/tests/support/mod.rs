//! Plans, reports and a state with an index and a clock of its own, for tests of the core.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::time::Duration;

use common::diagnostic::Code;
use common::run::{PlannedTask, RetryPolicy, RunOptions, RunPlan, RunTarget, Verb};
use common::session::{WorkerDescription, WorkerMessage};
use common::table::Response;
use common::target::AdapterType;
use common::task::{Assignment, FailureKind, NodeResult, NodeStatus, TaskOutcome, TaskReport, TaskState};
use common::transcript::Packed;
use common::{Attempt, Epoch, NodeId, RequestId, RunId, Timestamp, WorkerId};
use scheduler::state::invariants::{self, Watch};
use scheduler::state::{Applied, CancelCause, Command, Event, Reply, State, Submission};

pub fn run_id(number: u64) -> RunId {
    RunId(uuid::Uuid::from_u64_pair(0, number))
}

pub fn worker(name: &str) -> WorkerId {
    WorkerId(name.into())
}

pub fn node(name: &str) -> NodeId {
    NodeId::new(format!("model.shop.{name}"))
}

/// A plan of `(name, upstreams)`; every task has priority 1.
pub fn plan(run: u64, tasks: &[(&str, &[u32])]) -> RunPlan {
    let task = |(name, upstreams): &(&str, &[u32])| PlannedTask {
        priority: 1,
        relation: Some(format!("shop.main.{name}")),
        ..PlannedTask::new(node(name), upstreams.to_vec())
    };
    let retry =
        RetryPolicy { attempts_max: 3, backoff_initial_ms: 100, backoff_max_ms: 1_000, kinds: RetryPolicy::KINDS };
    let request = RequestId(format!("request-{run}").into());
    RunPlan { retry, ..RunPlan::new(run_id(run), request, tasks.iter().map(task).collect()) }
}

pub fn options() -> RunOptions {
    let vars = serde_json::json!({ "start_date": "2024-05-01", "limits": [1, 2.5, null] });
    RunOptions { vars: vars.as_object().unwrap().clone(), ..RunOptions::new(Verb::Build) }
}

/// What a run of project `shop` builds into.
pub fn target() -> RunTarget {
    RunTarget {
        profile: "shop".to_owned(),
        name: "dev".to_owned(),
        adapter_type: AdapterType::Duckdb,
        database: "shop".to_owned(),
        schema: "main".to_owned(),
        threads: 1,
    }
}

pub fn submit(plan: RunPlan) -> Command {
    Command::SubmitRun(Box::new(Submission::new(plan, options(), "m1")))
}

pub fn register(name: &str, slots: u32, running: Vec<Assignment>) -> Command {
    let description = WorkerDescription::default();
    Command::RegisterWorker { worker: worker(name), slots, running, description }
}

pub fn hello(name: &str, slots: u32, running: Vec<Assignment>) -> WorkerMessage {
    let description = WorkerDescription::default();
    WorkerMessage::Hello { worker: worker(name), slots, running, description }
}

pub fn result(status: NodeStatus) -> NodeResult {
    NodeResult {
        status,
        thread: "Thread-1".to_owned(),
        compile_started_at: Timestamp(1_000),
        compile_completed_at: Timestamp(2_000),
        execute_started_at: Timestamp(2_000),
        execute_completed_at: Timestamp(251_000),
        message: Some("SELECT 3".to_owned()),
        failures: None,
        response: Response { message: "SELECT 3".to_owned(), code: Some("SELECT".to_owned()), rows_affected: Some(3) },
        relation_name: Some("\"shop\".\"main\".\"orders\"".to_owned()),
        compiled_code: None,
        batches: None,
    }
}

pub fn success(of: &Assignment) -> TaskReport {
    report(of, TaskOutcome::Success, NodeStatus::Success)
}

pub fn failure(of: &Assignment, kind: FailureKind) -> TaskReport {
    let outcome = TaskOutcome::Failure { kind, code: Code::SqlError, message: "no such column".to_owned() };
    report(of, outcome, NodeStatus::Error)
}

pub fn canceled(of: &Assignment) -> TaskReport {
    report(of, TaskOutcome::Canceled, NodeStatus::Skipped)
}

fn report(of: &Assignment, outcome: TaskOutcome, status: NodeStatus) -> TaskReport {
    let Assignment { run, node, attempt, epoch } = of.clone();
    TaskReport { run, node, attempt, epoch, outcome, result: result(status), transcript: Packed::default() }
}

/// Every run's journal says what was told when it happened.
pub fn check_journals(state: &State, told: &BTreeMap<RunId, Vec<Event>>) {
    for (run, told) in told {
        let run = state.run(run).unwrap();
        let recorded: Vec<Event> = run.events(0).map(|recorded| recorded.event).collect();
        assert_eq!(&recorded, told);
    }
}

/// A state machine that checks every invariant after every command.
#[derive(Default)]
pub struct Machine {
    pub state: State,
    pub watch: Watch,
    pub now: Timestamp,
    /// What was told of each run that is remembered.
    pub told: BTreeMap<RunId, Vec<Event>>,
}

impl Machine {
    pub fn apply(&mut self, command: Command) -> Applied {
        let applied = self.state.apply(self.state.applied() + 1, self.now, command);
        for event in &applied.events {
            if let Event::TaskAssigned { assignment, .. } = event {
                self.watch.assigned(assignment.run, &assignment.node, assignment.epoch).unwrap();
            }
        }
        self.hear(&applied);
        self.watch.observe(&self.state).unwrap();
        invariants::check(&self.state).unwrap();
        applied
    }

    /// Whoever watches later is told the same.
    fn hear(&mut self, applied: &Applied) {
        for event in &applied.events {
            let is_kept = !matches!(event, Event::TaskCancelRequested { .. } | Event::RunRemoved { .. });
            if let Some(run) = event.run().filter(|_| is_kept) {
                self.told.entry(run).or_default().push(event.clone());
            }
        }
        self.told.retain(|run, _| self.state.run(run).is_some());
        check_journals(&self.state, &self.told);
    }

    pub fn advance(&mut self, by: Duration) {
        self.now = self.now.plus(by);
    }

    pub fn register(&mut self, name: &str, slots: u32) -> Vec<Assignment> {
        assigned(&self.apply(register(name, slots, vec![])))
    }

    pub fn submit(&mut self, plan: RunPlan) -> Vec<Assignment> {
        assigned(&self.apply(submit(plan)))
    }

    pub fn report(&mut self, report: TaskReport) -> Applied {
        self.apply(Command::ReportTasks { reports: vec![report] })
    }

    pub fn succeed(&mut self, of: &Assignment) -> Vec<Assignment> {
        assigned(&self.report(success(of)))
    }

    pub fn cancel(&mut self, run: u64) -> Applied {
        self.apply(Command::CancelRun { run: run_id(run), cause: CancelCause::Request })
    }

    pub fn retry(&mut self, run: u64) -> Applied {
        self.apply(Command::RetryRun { run: run_id(run), manifest_digest: "m2".to_owned() })
    }

    pub fn task(&self, run: u64, name: &str) -> TaskState {
        self.state.run(&run_id(run)).unwrap().task(&node(name)).unwrap().state.clone()
    }
}

/// What an apply handed out.
pub fn assigned(applied: &Applied) -> Vec<Assignment> {
    let assigned = applied.events.iter().filter_map(|event| match event {
        Event::TaskAssigned { assignment, .. } => Some(assignment.clone()),
        _ => None,
    });
    assigned.collect()
}

pub fn names(assignments: &[Assignment]) -> Vec<&str> {
    assignments.iter().map(|assignment| assignment.node.as_str().rsplit('.').next().unwrap()).collect()
}

pub fn assignment(run: u64, name: &str, attempt: u32, epoch: u64) -> Assignment {
    Assignment { run: run_id(run), node: node(name), attempt: Attempt(attempt), epoch: Epoch(epoch) }
}

pub fn rejected(applied: &Applied) -> String {
    match &applied.reply {
        Reply::Rejected(rejection) => rejection.to_string(),
        reply => panic!("not rejected: {reply:?}"),
    }
}

//! Measures the scheduler alone: `cargo run --release -p kontiki-scheduler --example throughput [TASKS]`.
//!
//! 1. The state machine: one plan of TASKS (100,000 by default) in layers, submitted and then drained through reports in
//!    batches, with nothing behind it. Tasks a second, and bytes of memory a finished task.
//! 2. The in-process leader over a real folder: a chain (one commit a hop) and a wide plan (reports share commits), with a
//!    worker that answers at once.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measurement talks and reads clocks"
)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use common::run::{PlannedTask, RunOptions, RunPlan, Verb};
use common::session::{LeaderMessage, WorkerMessage};
use common::table::Response;
use common::task::{Assignment, NodeResult, NodeStatus, TaskOutcome, TaskReport};
use common::transcript::Packed;
use common::{NodeId, RequestId, RunId, Timestamp, WorkerId};
use scheduler::local::{self, Config, Submission, Update};
use scheduler::state::{Applied, Command, Event, State};

const LAYER: usize = 1_000;
const WORKERS: usize = 100;
const SLOTS: u32 = 8;
const BATCH: usize = 100;

fn main() {
    let tasks = std::env::args().nth(1).map_or(100_000, |tasks| tasks.parse().unwrap());
    state_machine(tasks);
    for (name, tasks, width) in [("chain", 1_000, 1), ("wide", 10_000, 10_000)] {
        in_process(name, tasks, width);
    }
}

fn state_machine(tasks: usize) {
    let mut state = State::default();
    let mut index = 0;
    let mut apply = |state: &mut State, command| {
        index += 1;
        state.apply(index, Timestamp(index as i64), command)
    };
    for worker in 0..WORKERS {
        let worker = WorkerId(format!("worker-{worker}").into());
        apply(
            &mut state,
            Command::RegisterWorker { worker, slots: SLOTS, running: vec![], description: Default::default() },
        );
    }
    let before = resident_bytes();
    let submission = submission(1, tasks, LAYER);
    let started = Instant::now();
    let mut running: VecDeque<Assignment> =
        assigned(apply(&mut state, Command::SubmitRun(Box::new(submission)))).collect();
    println!("submit {tasks} tasks: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    println!("  {} bytes a pending task", (resident_bytes() - before) / tasks as u64);
    let started = Instant::now();
    let mut done = 0;
    while !running.is_empty() {
        let batch = running.len().min(BATCH);
        let reports: Vec<TaskReport> = running.drain(..batch).map(|assignment| report(&assignment)).collect();
        done += reports.len();
        running.extend(assigned(apply(&mut state, Command::ReportTasks { reports })));
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("apply {done} reports in batches of {BATCH}: {:.0} tasks/s", done as f64 / seconds);
    println!("  {} bytes a finished task", (resident_bytes() - before) / tasks as u64);
}

fn in_process(name: &str, tasks: usize, width: usize) {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let handle = local::start(Config::new(folder.path())).unwrap();
    println!("{name}: open a new log: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let (inbox, messages) = std::sync::mpsc::sync_channel(10_000);
    let uplink = handle.attach(move |messages| inbox.send(messages).is_ok()).unwrap();
    let hello = WorkerMessage::Hello {
        worker: WorkerId("worker".into()),
        slots: SLOTS,
        running: vec![],
        description: Default::default(),
    };
    uplink.send(hello).unwrap();
    let worker = std::thread::spawn(move || {
        for message in messages.into_iter().flatten() {
            if let LeaderMessage::Assign(assignment) = message
                && uplink.send(WorkerMessage::Report(Box::new(report(&assignment)))).is_err()
            {
                return;
            }
        }
    });
    let submission = submission(2, tasks, width);
    let updates = handle.subscribe(submission.plan.run).unwrap();
    let started = Instant::now();
    handle.submit(submission).unwrap();
    updates.into_iter().find(|update| matches!(update, Update::Event(Event::RunFinished { .. }))).unwrap();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: {tasks} tasks, {:.0} µs a task, {:.0} tasks/s",
        seconds / tasks as f64 * 1e6,
        tasks as f64 / seconds
    );
    handle.shutdown();
    worker.join().unwrap();
    let started = Instant::now();
    let handle = local::start(Config::new(folder.path())).unwrap();
    println!("{name}: open again: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    handle.shutdown();
}

/// Layers of `width`; each task waits for two of the layer before.
fn submission(run: u64, tasks: usize, width: usize) -> Submission {
    let task = |index: usize| {
        let above = index.checked_sub(width);
        let next = above.map(|above| above - above % width + (above + 1) % width).filter(|next| Some(*next) != above);
        let node = NodeId::new(format!("model.smartpizza.fct_orders_daily_{index:06}"));
        PlannedTask {
            priority: (tasks - index) as u64,
            pools: vec!["warehouse".to_owned()],
            relation: Some(format!("smartpizza.main.fct_orders_daily_{index:06}")),
            ..PlannedTask::new(node, above.into_iter().chain(next).map(|upstream| upstream as u32).collect())
        }
    };
    let run = RunId(uuid::Uuid::from_u64_pair(0, run));
    let plan = RunPlan {
        pools: BTreeMap::from([("warehouse".to_owned(), 10_000)]),
        ..RunPlan::new(run, RequestId("request".into()), (0..tasks).map(task).collect())
    };
    Submission::new(plan, RunOptions::new(Verb::Build), "")
}

fn assigned(applied: Applied) -> impl Iterator<Item = Assignment> {
    applied.events.into_iter().filter_map(|event| match event {
        Event::TaskAssigned { assignment, .. } => Some(assignment),
        _ => None,
    })
}

fn report(of: &Assignment) -> TaskReport {
    let Assignment { run, node, attempt, epoch } = of.clone();
    let result = NodeResult {
        status: NodeStatus::Success,
        thread: "Thread-1".to_owned(),
        compile_started_at: Timestamp(1),
        compile_completed_at: Timestamp(2),
        execute_started_at: Timestamp(2),
        execute_completed_at: Timestamp(3),
        message: Some("CREATE VIEW".to_owned()),
        failures: None,
        response: Response {
            message: "CREATE VIEW".to_owned(),
            code: Some("CREATE VIEW".to_owned()),
            rows_affected: None,
        },
        relation_name: Some("\"smartpizza\".\"main\".\"fct_orders_daily\"".to_owned()),
        compiled_code: None,
        batches: None,
    };
    TaskReport { run, node, attempt, epoch, outcome: TaskOutcome::Success, result, transcript: Packed::default() }
}

/// As the kernel counts it; 0 where it does not say.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * 4096)
}

//! Slots: threads that execute one attempt after another, each over a connection that is opened when it is first needed and kept
//! warm.
//!
//! Invariant: a job handed to a slot always ends in `Event::Finished` with a report for each of its attempts, even where executing
//! one of them panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use common::diagnostic::Code;
use common::task::{Assignment, FailureKind, TaskOutcome, TaskReport};
use common::telemetry::TraceId;

use crate::adapter::Adapter;
use crate::cancellation::Cancellation;
use crate::execute::{self, refused};
use crate::lineage;
use crate::metrics;
use crate::patience;
use crate::run::{Opened, Runs};
use crate::session::{Config, Input};
use crate::warehouse::{Error, Warehouse};

/// What a slot is given at once: one attempt, or several light ones of one run.
pub(crate) struct Job {
    pub attempts: Vec<(Assignment, Cancellation)>,
}

/// What a slot tells the session.
pub(crate) enum Event {
    Started(Vec<Assignment>),
    Finished { slot: usize, reports: Vec<TaskReport> },
}

/// The connection of a slot's last task, and the warehouse it leads to.
type Warm = (Arc<dyn Warehouse>, Adapter);

/// All slots, and which of them are free.
pub(crate) struct Slots {
    threads: Vec<(SyncSender<Job>, JoinHandle<()>)>,
    free: Vec<usize>,
}

/// What a slot's thread is given.
struct Slot {
    index: usize,
    name: String,
    runs: Arc<dyn Runs>,
    session: SyncSender<Input>,
}

impl Slots {
    pub fn start(config: &Config, session: &SyncSender<Input>) -> std::io::Result<Self> {
        let mut threads = Vec::new();
        for index in 0..config.slots as usize {
            // Thread names are dbt's, since run results show them.
            let name = format!("Thread-{}", index + 1);
            let slot = Slot { index, name: name.clone(), runs: Arc::clone(&config.runs), session: session.clone() };
            let (sender, jobs) = sync_channel(1);
            let thread = std::thread::Builder::new()
                .name(name)
                // Templates recurse on the native stack, within their own budget of depth.
                .stack_size(16 << 20)
                .spawn(move || slot.run(&jobs))?;
            threads.push((sender, thread));
        }
        if let Some(metrics) = metrics::get() {
            metrics.has_slots(threads.len());
        }
        let free = (0..threads.len()).rev().collect();
        Ok(Self { threads, free })
    }

    pub fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    pub fn free(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// Gives the job to a free slot; there must be one.
    pub fn hand(&mut self, job: Job) {
        let slot = self.free.pop().expect("the session hands out jobs only while a slot is free");
        // A free slot waits for its next job and has room for it; its thread ends only after `stop`.
        drop(self.threads[slot].0.send(job));
    }

    /// Ends the threads; all slots must be free.
    pub fn stop(self) {
        for (jobs, thread) in self.threads {
            drop(jobs);
            drop(thread.join());
        }
    }
}

impl Slot {
    fn run(self, jobs: &Receiver<Job>) {
        let mut warm = None;
        while let Ok(job) = jobs.recv() {
            self.tell(Event::Started(job.attempts.iter().map(|(assignment, _)| assignment.clone()).collect()));
            let mut reports = Vec::with_capacity(job.attempts.len());
            if let Some(metrics) = metrics::get() {
                metrics.attempts_began(job.attempts.len());
            }
            if catch_unwind(AssertUnwindSafe(|| self.execute(&job, &mut warm, &mut reports))).is_err() {
                // Nobody knows what state the connection is in.
                warm = None;
                refuse_rest(&job, &mut reports, FailureKind::System, Code::Internal, "the task panicked");
            }
            for (_, cancellation) in &job.attempts {
                cancellation.disarm();
            }
            if let Some(metrics) = metrics::get() {
                metrics.attempts_ended(job.attempts.len());
            }
            reports.iter().for_each(say);
            self.tell(Event::Finished { slot: self.index, reports });
        }
    }

    fn execute(&self, job: &Job, warm: &mut Option<Warm>, reports: &mut Vec<TaskReport>) {
        let Some((first, _)) = job.attempts.first() else { return };
        let mut refuse = |error: Error| refuse_rest(job, reports, error.kind, error.code, &error.message);
        let Opened { run, warehouse } = match self.runs.get(first.run) {
            Ok(opened) => opened,
            Err(error) => return refuse(error),
        };
        let cancellations: Vec<&Cancellation> = job.attempts.iter().map(|(_, cancellation)| cancellation).collect();
        let adapter = match warm.take().filter(|(of, _)| Arc::ptr_eq(of, &warehouse)) {
            Some((_, adapter)) => adapter,
            None => match patience::connect(warehouse.as_ref(), &cancellations) {
                Ok(connection) => Adapter::new(warehouse.adapter_type(), connection),
                Err(error) => return refuse(error),
            },
        };
        job.attempts.iter().for_each(|(assignment, _)| lineage::began(assignment, &run));
        execute::together(&job.attempts, &run, &adapter, &self.name, reports);
        reports.iter().for_each(|report| lineage::ended(report, &run));
        // After anything but the user's own errors the connection may be broken: the next task opens a new one.
        let is_broken = |report: &TaskReport| {
            let TaskOutcome::Failure { kind, .. } = &report.outcome else { return false };
            matches!(kind, FailureKind::Transient | FailureKind::System | FailureKind::Timeout)
        };
        // A request to cancel may still be on its way to the server, and must not hit the next task's statement.
        let is_interrupted = cancellations.iter().any(|cancellation| cancellation.is_canceled());
        if !is_interrupted && !reports.iter().any(is_broken) {
            *warm = Some((warehouse, adapter));
        }
    }

    fn tell(&self, event: Event) {
        // The session outlives its slots, except when the process ends.
        drop(self.session.send(Input::Slot(event)));
    }
}

/// Reports the attempts of a job that have no report yet.
fn refuse_rest(job: &Job, reports: &mut Vec<TaskReport>, kind: FailureKind, code: Code, message: &str) {
    for (assignment, _) in &job.attempts {
        if !reports.iter().any(|report| report.node == assignment.node && report.epoch == assignment.epoch) {
            reports.push(refused(assignment, kind, code, message));
        }
    }
}

/// A line in the worker's own log, with the ids under which traces and transcripts know the attempt.
fn say(report: &TaskReport) {
    let (run, task, attempt) = (report.run, &report.node, report.attempt.0);
    let trace = TraceId::of_run(run);
    match &report.outcome {
        TaskOutcome::Failure { kind, code, .. } => {
            let (kind, code) = (kind.as_str(), code.as_str());
            tracing::warn!(%run, %task, attempt, %trace, kind, code, "an attempt failed");
        }
        TaskOutcome::Success => tracing::debug!(%run, %task, attempt, %trace, "an attempt succeeded"),
        TaskOutcome::Canceled => tracing::info!(%run, %task, attempt, %trace, "an attempt was canceled"),
    }
}

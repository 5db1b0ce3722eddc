//! Slots: threads that execute one attempt after another, each over a connection that is opened when it is first needed and kept
//! warm.
//!
//! Invariant: a job handed to a slot always ends in `Event::Finished`, even where executing it panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use common::diagnostic::Code;
use common::task::{Assignment, FailureKind, TaskOutcome, TaskReport};

use crate::adapter::Adapter;
use crate::cancellation::Cancellation;
use crate::execute::{self, refused};
use crate::run::{Opened, Runs};
use crate::session::{Config, Input};
use crate::warehouse::{Error, Warehouse};

/// One attempt for one slot.
pub(crate) struct Job {
    pub assignment: Assignment,
    pub cancellation: Cancellation,
}

/// What a slot tells the session.
pub(crate) enum Event {
    Started(Assignment),
    Finished { slot: usize, report: Box<TaskReport> },
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
            self.tell(Event::Started(job.assignment.clone()));
            let report = match catch_unwind(AssertUnwindSafe(|| self.execute(&job, &mut warm))) {
                Ok(report) => report,
                Err(_) => {
                    // Nobody knows what state the connection is in.
                    warm = None;
                    refused(&job.assignment, FailureKind::System, Code::Internal, "the task panicked")
                }
            };
            job.cancellation.disarm();
            self.tell(Event::Finished { slot: self.index, report: Box::new(report) });
        }
    }

    fn execute(&self, job: &Job, warm: &mut Option<Warm>) -> TaskReport {
        let Job { assignment, cancellation } = job;
        let refuse = |error: Error| refused(assignment, error.kind, error.code, &error.message);
        let Opened { run, warehouse } = match self.runs.get(assignment.run) {
            Ok(opened) => opened,
            Err(error) => return refuse(error),
        };
        let adapter = match warm.take().filter(|(of, _)| Arc::ptr_eq(of, &warehouse)) {
            Some((_, adapter)) => adapter,
            None => match warehouse.connect() {
                Ok(connection) => Adapter::new(warehouse.adapter_type(), connection),
                Err(error) => return refuse(error),
            },
        };
        cancellation.arm(adapter.canceller());
        let report = execute::execute(assignment, &run, &adapter.for_attempt(cancellation.clone()), &self.name);
        // After anything but the user's own errors the connection may be broken: the next task opens a new one.
        let broken = matches!(
            report.outcome,
            TaskOutcome::Failure { kind: FailureKind::Transient | FailureKind::System | FailureKind::Timeout, .. }
        );
        if !broken {
            *warm = Some((warehouse, adapter));
        }
        report
    }

    fn tell(&self, event: Event) {
        // The session outlives its slots, except when the process ends.
        drop(self.session.send(Input::Slot(event)));
    }
}

//! What a replica measures: of itself, and while it leads of the cluster.
//!
//! Names and units are OpenTelemetry's way of writing them; Prometheus reads `kontiki.task.duration` in `s` as
//! `kontiki_task_duration_seconds`. `docs/reference/metrics.md` lists them all.
//!
//! Invariant: what is counted of runs, tasks and ticks is counted by the leader, when it applies the entry. So sums over all replicas
//! count each once; a count that a leader took with it is in what was scraped before.

use std::sync::OnceLock;
use std::time::Duration;

use common::Timestamp;
use common::run::Verb;
use common::schedule::Decision;
use common::task::{FailureKind, TaskState};
use common::telemetry::{Span, attribute};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use crate::replica::Handle;
use crate::state::alerts::Sent;
use crate::state::{Event, RunState, State};

/// Of waits and commits, in seconds.
const SHORT: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// Of tasks and runs, in seconds.
const LONG: [f64; 14] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];

static METRICS: OnceLock<Metrics> = OnceLock::new();

pub(crate) struct Metrics {
    ticks: Counter<u64>,
    tick_lateness: Histogram<f64>,
    runs: Counter<u64>,
    run_duration: Histogram<f64>,
    task_queue: Histogram<f64>,
    task_duration: Histogram<f64>,
    retries: Counter<u64>,
    fenced: Counter<u64>,
    workers_lost: Counter<u64>,
    alerts: Counter<u64>,
    commit: Histogram<f64>,
    sync: Histogram<f64>,
}

/// Measures from now on. Only the first call of a process counts.
pub fn install(meter: &Meter) {
    let counter = |name, description| meter.u64_counter(name).with_description(description).build();
    let histogram = |name, description, bounds: &[f64]| {
        let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
        histogram.with_boundaries(bounds.to_vec()).build()
    };
    let metrics = Metrics {
        ticks: counter("kontiki.ticks", "Ticks that were decided, by decision"),
        tick_lateness: histogram(
            "kontiki.tick.lateness",
            "From when a tick was due until its run was committed",
            &SHORT,
        ),
        runs: counter("kontiki.runs", "Runs that finished, by verb and outcome"),
        run_duration: histogram("kontiki.run.duration", "From the submission of a run to its end", &LONG),
        task_queue: histogram(
            "kontiki.task.queue.duration",
            "From when an attempt could start until it was assigned",
            &SHORT,
        ),
        task_duration: histogram("kontiki.task.duration", "From an attempt's assignment to its end", &LONG),
        retries: counter(
            "kontiki.task.retries",
            "Attempts that failed and are followed by another, by kind of failure",
        ),
        fenced: counter("kontiki.task.fenced", "Attempts that the warehouse kept from publishing"),
        workers_lost: counter("kontiki.workers.lost", "Workers whose lease ran out"),
        alerts: counter("kontiki.alerts", "Attempts at sending an alert, by result"),
        commit: histogram(
            "kontiki.raft.commit.duration",
            "From proposing an entry until the leader applied it",
            &SHORT,
        ),
        sync: histogram("kontiki.raft.sync.duration", "Writing a batch of the log and syncing it to disk", &SHORT),
    };
    metrics.begin();
    // The first one measures.
    drop(METRICS.set(metrics));
}

/// None where nobody wants metrics.
pub(crate) fn get() -> Option<&'static Metrics> {
    METRICS.get()
}

impl Metrics {
    /// What has not happened yet is 0, not absent: else its first time would look like nothing new.
    fn begin(&self) {
        self.fenced.add(0, &[]);
        self.workers_lost.add(0, &[]);
        for kind in FailureKind::ALL {
            self.retries.add(0, &[KeyValue::new(attribute::ERROR_TYPE, kind.as_str())]);
        }
        for (verb, result) in Verb::ALL.into_iter().flat_map(|verb| ["success", "failure"].map(|result| (verb, result)))
        {
            let of_run = [KeyValue::new(attribute::VERB, verb.as_str()), KeyValue::new(attribute::RESULT, result)];
            self.runs.add(0, &of_run);
        }
        for result in ["arrived", "failed", "given_up"] {
            self.alerts.add(0, &[KeyValue::new("result", result)]);
        }
        for decision in Decision::NAMES {
            self.ticks.add(0, &[KeyValue::new("decision", decision)]);
        }
    }

    /// An entry was applied on the leader, which proposed it at the first time and applied it at the second.
    pub fn committed(&self, (proposed_at, applied_at): (Timestamp, Timestamp)) {
        self.commit.record(applied_at.since(proposed_at).as_secs_f64(), &[]);
    }

    /// Something became true. `state` is as of then.
    pub fn event(&self, state: &State, at: Timestamp, event: &Event) {
        match event {
            Event::TickDecided { tick, .. } => {
                self.ticks.add(tick.count.max(1), &[KeyValue::new("decision", tick.decision.as_str())]);
            }
            Event::TaskUpForRetry { kind, .. } => {
                self.retries.add(1, &[KeyValue::new(attribute::ERROR_TYPE, kind.as_str())]);
                self.fenced(*kind);
            }
            Event::TaskFinished { state: TaskState::Failed(kind), .. } => self.fenced(*kind),
            Event::WorkerLost { .. } => self.workers_lost.add(1, &[]),
            Event::RunFinished { run, outcome, .. } => {
                let Some(run) = state.run(run) else { return };
                let of_run = [
                    KeyValue::new(attribute::VERB, run.options.verb.as_str()),
                    KeyValue::new(attribute::RESULT, outcome.as_str()),
                ];
                self.runs.add(1, &of_run);
                self.run_duration.record(at.since(run.submitted_at).as_secs_f64(), &of_run);
            }
            _ => {}
        }
    }

    fn fenced(&self, kind: FailureKind) {
        if kind == FailureKind::Fenced {
            self.fenced.add(1, &[]);
        }
    }

    /// An attempt ended: `spans` are those of [`crate::trace::Spans::observe`].
    pub fn spans(&self, spans: &[Span]) {
        let queue = spans.iter().find(|span| span.name == "queue");
        let attempt = spans.iter().find(|span| span.attribute(attribute::TASK_RUN).is_some());
        let (Some(queue), Some(attempt)) = (queue, attempt) else { return };
        self.task_queue.record(queue.duration().as_secs_f64(), &[]);
        let text = |key| attempt.attribute(key).and_then(|value| value.as_text()).map(str::to_owned);
        let of_task = [attribute::TASK_TYPE, attribute::TASK_RESULT];
        let of_task: Vec<KeyValue> =
            of_task.into_iter().filter_map(|key| Some(KeyValue::new(key, text(key)?))).collect();
        let ran = attempt.ended_at.since(queue.ended_at);
        self.task_duration.record(ran.as_secs_f64(), &of_task);
    }

    pub fn tick_started(&self, lateness: Duration) {
        self.tick_lateness.record(lateness.as_secs_f64(), &[]);
    }

    /// An alert was sent.
    pub fn alerted(&self, sent: &Sent) {
        let result = match sent {
            Sent::Arrived => "arrived",
            Sent::Failed { .. } => "failed",
            Sent::GivenUp { .. } => "given_up",
        };
        self.alerts.add(1, &[KeyValue::new("result", result)]);
    }

    pub fn synced(&self, took: Duration) {
        self.sync.record(took.as_secs_f64(), &[]);
    }
}

/// Reads this of the replica whenever somebody asks for metrics.
pub fn observe(meter: &Meter, handle: &Handle) {
    of_raft(meter, handle);
    of_state(meter, handle);
}

/// What each replica tells of itself.
fn of_raft(meter: &Meter, handle: &Handle) {
    let gauge = |name: &'static str, description: &'static str, read: fn(&Handle) -> u64| {
        let handle = handle.clone();
        let gauge = meter.u64_observable_gauge(name).with_description(description);
        gauge.with_callback(move |observer| observer.observe(read(&handle), &[])).build();
    };
    gauge("kontiki.raft.is_leader", "1 on the replica that leads", |handle| u64::from(handle.is_leading()));
    gauge("kontiki.raft.has_leader", "1 on replicas that know a leader", |handle| u64::from(handle.is_ready()));
    gauge("kontiki.raft.term", "The term of this replica", |handle| handle.status().term);
    gauge("kontiki.raft.last_index", "Index of the last entry in this replica's log", |handle| {
        handle.status().last_log
    });
    gauge(
        "kontiki.raft.committed_index",
        "Index of the last entry that this replica knows to be committed",
        |handle| handle.status().committed,
    );
    gauge("kontiki.raft.applied_index", "Index of the last entry that this replica applied", |handle| {
        handle.status().applied
    });
    gauge("kontiki.raft.commit.lag", "Entries in this replica's log that it does not know to be committed", |handle| {
        let status = handle.status();
        status.last_log.saturating_sub(status.committed)
    });
    gauge("kontiki.raft.apply.lag", "Committed entries that this replica has not applied", |handle| {
        let status = handle.status();
        status.committed.saturating_sub(status.applied)
    });
    gauge("kontiki.raft.replicas", "Voters and learners that this replica knows of", |handle| {
        handle.status().members.len() as u64
    });
}

/// What the leader tells of the cluster; others would only repeat it, and late.
fn of_state(meter: &Meter, handle: &Handle) {
    let gauge = |name: &'static str, description: &'static str, key: &'static str, read: fn(&State) -> Counted| {
        let handle = handle.clone();
        let gauge = meter.u64_observable_gauge(name).with_description(description);
        let observed = gauge.with_callback(move |observer| {
            let Some(counted) = handle.read_leading(read) else { return };
            for (value, count) in counted {
                let labels = value.map(|value| KeyValue::new(key, value));
                observer.observe(count, labels.as_slice());
            }
        });
        observed.build();
    };
    gauge("kontiki.tasks", "Tasks of runs that have not finished, by state", "state", tasks);
    gauge("kontiki.runs.active", "Runs that have not finished", "", |state| {
        vec![(None, state.runs().filter(|run| is_active(run.state)).count() as u64)]
    });
    gauge("kontiki.runs.kept", "Runs that are remembered", "", |state| vec![(None, state.runs().count() as u64)]);
    gauge("kontiki.workers", "Registered workers, by whether they take tasks", "state", |state| {
        let draining = state.workers().filter(|(_, worker)| worker.draining).count() as u64;
        let all = state.workers().count() as u64;
        vec![(Some("active"), all - draining), (Some("draining"), draining)]
    });
    gauge("kontiki.slots", "Slots of workers that take tasks, by whether they are taken", "state", |state| {
        let active = state.workers().map(|(_, worker)| worker).filter(|worker| !worker.draining);
        let (all, free) = active
            .fold((0u64, 0u64), |(all, free), worker| (all + u64::from(worker.slots), free + u64::from(worker.free())));
        vec![(Some("busy"), all.saturating_sub(free)), (Some("free"), free)]
    });
    gauge("kontiki.alerts.pending", "Alerts on their way, over all channels", "", |state| {
        vec![(None, state.alerts().notices().len() as u64)]
    });
    gauge("kontiki.schedules", "Schedules, by whether they are paused", "state", |state| {
        let all = state.schedules().len() as u64;
        let paused = state.schedules().filter(|(_, scheduled)| scheduled.is_paused()).count() as u64;
        vec![(Some("active"), all - paused), (Some("paused"), paused)]
    });
}

/// Values of a label, where there is one, with counts.
type Counted = Vec<(Option<&'static str>, u64)>;

fn is_active(state: RunState) -> bool {
    !matches!(state, RunState::Finished { .. })
}

fn tasks(state: &State) -> Counted {
    let mut counted = [("pending", 0), ("ready", 0), ("running", 0), ("up_for_retry", 0)];
    for run in state.runs().filter(|run| is_active(run.state)) {
        for task in run.tasks() {
            let place = match task.state {
                TaskState::Pending => 0,
                TaskState::Ready => 1,
                TaskState::Running { .. } => 2,
                TaskState::UpForRetry { .. } => 3,
                _ => continue,
            };
            counted[place].1 += 1;
        }
    }
    counted.map(|(state, count)| (Some(state), count)).to_vec()
}

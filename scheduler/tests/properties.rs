//! Random sequences of commands, most of them wrong: nothing panics, every invariant holds after every one, and two replicas
//! that apply the same entries agree.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/commands.rs"]
mod commands;
mod support;

use std::time::Duration;

use common::bundle::BundleFile;
use common::run::{Deployed, PlannedTask, RunPlan};
use common::schedule::{MissReason, Overlap, Upcoming};
use common::session::WorkerDescription;
use common::task::{Assignment, FailureKind, TaskReport};
use common::transcript::{self, Packed};
use common::{Attempt, ContentDigest, Epoch, RequestId, ScheduleName, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use scheduler::State;
use scheduler::state::alerts::{NoticeId, Sent};
use scheduler::state::command::{BackfillRequest, PutSchedule, Slept, Steer, TickDecision, TickProposal};
use scheduler::state::invariants;
use scheduler::state::schedules::{Order, Series};
use scheduler::state::{CancelCause, Command, Submission};
use support::*;

/// Names are few, so that commands meet.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn any_plan() -> impl Strategy<Value = RunPlan> {
    // An upstream of 9 does not exist; equal names and pools without places are refused.
    let task = (0..NAMES.len(), vec(prop_oneof![20 => 0u32..4, 1 => Just(9)], 0..3), 0u64..3, 0usize..4);
    let places = prop_oneof![20 => 1u32..3, 1 => Just(0)];
    let limits = (proptest::option::of(0u64..400), proptest::option::of(0u64..200), -1i32..2, 0usize..4);
    (1u64..5, 1u64..5, vec(task, 0..5), places, any::<bool>(), 0u32..4, limits).prop_map(
        |(run, request, tasks, places, fail_fast, attempts_max, (timeout, task_timeout, priority, labels))| {
            let mut plan = plan(run, &[]);
            plan.request = support::plan(request, &[]).request;
            plan.tasks = tasks
                .into_iter()
                .enumerate()
                .map(|(index, (name, upstreams, priority, pools))| {
                    let ok = |upstream: &u32| *upstream == 9 || (*upstream as usize) < index;
                    let node = node(if name == 3 { "a" } else { NAMES[index % 4] });
                    let upstreams = upstreams.into_iter().filter(ok).collect();
                    PlannedTask {
                        priority,
                        pools: if pools == 0 { vec!["heavy".to_owned()] } else { vec![] },
                        relation: Some(node.to_string()),
                        ..PlannedTask::new(node, upstreams)
                    }
                })
                .collect();
            plan.pools.insert("heavy".to_owned(), places);
            plan.fail_fast = fail_fast;
            plan.retry.attempts_max = attempts_max;
            plan.timeout = timeout.map(Duration::from_millis);
            plan.task_timeout = task_timeout.map(Duration::from_millis);
            plan.priority = priority;
            if labels == 0 {
                plan.worker_labels.insert("zone".to_owned(), "a".to_owned());
            }
            plan
        },
    )
}

fn any_assignment() -> impl Strategy<Value = Assignment> {
    (1u64..5, 0..NAMES.len(), 0u32..4, 0u64..40)
        .prop_map(|(run, name, attempt, epoch)| assignment(run, NAMES[name], attempt, epoch))
}

/// An attempt that lives, chosen by number when it is known what lives; or any at all.
#[derive(Clone, Debug)]
enum Told {
    Live(usize),
    Made(Assignment),
}

#[derive(Clone, Debug)]
enum Action {
    Command(Command),
    Report(Vec<(Told, usize)>),
    Tell(Vec<(Told, usize)>),
    Hello {
        worker: &'static str,
        slots: u32,
        zone: Option<&'static str>,
        running: Vec<Told>,
    },
    Advance(u64),
    /// The tick that is next of a schedule is decided, so or so.
    Decide {
        schedule: usize,
        run: u64,
        how: usize,
    },
    Fill(usize),
}

fn any_told() -> impl Strategy<Value = Told> {
    prop_oneof![4 => (0usize..16).prop_map(Told::Live), 1 => any_assignment().prop_map(Told::Made)]
}

fn any_worker() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("v"), Just("w"), Just("x")]
}

fn any_action() -> impl Strategy<Value = Action> {
    let run = || (1u64..6).prop_map(run_id);
    let cause = prop_oneof![Just(CancelCause::Request), Just(CancelCause::Superseded), Just(CancelCause::Interrupted)];
    let zone = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
    let hello = (any_worker(), 0u32..4, zone, vec(any_told(), 0..3));
    let retry = |run| Action::Command(Command::RetryRun { run, manifest_digest: "m".to_owned() });
    prop_oneof![
        6 => (any_plan(), any::<bool>()).prop_map(|(plan, deployed)| Action::Command(submit_from(plan, deployed))),
        16 => vec((any_told(), 0usize..6), 1..4).prop_map(Action::Report),
        4 => vec((any_told(), 0usize..6), 1..4).prop_map(Action::Tell),
        4 => hello.prop_map(|(worker, slots, zone, running)| Action::Hello { worker, slots, zone, running }),
        2 => any_worker().prop_map(|name| Action::Command(Command::LoseWorker { worker: worker(name) })),
        1 => any_worker().prop_map(|name| Action::Command(Command::DrainWorker { worker: worker(name) })),
        3 => Just(Action::Command(Command::PromoteRetries)),
        3 => Just(Action::Command(Command::EnforceTimeouts)),
        2 => any_deployment().prop_map(Action::Command),
        1 => proptest::option::of(0u32..3).prop_map(|places| Action::Command(set_pool(places))),
        3 => (0u64..300).prop_map(Action::Advance),
        4 => any_schedule().prop_map(Action::Command),
        8 => (0usize..2, 10u64..30, 0usize..8).prop_map(|(schedule, run, how)| Action::Decide { schedule, run, how }),
        1 => (0usize..4).prop_map(Action::Fill),
        1 => (run(), cause).prop_map(|(run, cause)| Action::Command(Command::CancelRun { run, cause })),
        3 => run().prop_map(retry),
        1 => vec(run(), 0..3).prop_map(|runs| Action::Command(Command::RemoveRuns { runs })),
        1 => vec(run(), 0..3).prop_map(|runs| Action::Command(Command::ForgetTranscripts { runs })),
    ]
}

const SCHEDULES: [&str; 2] = ["nightly", "hourly"];

fn any_schedule() -> impl Strategy<Value = Command> {
    let name = || (0usize..2).prop_map(|index| ScheduleName::new(SCHEDULES[index]).unwrap());
    let next = || proptest::option::of((0i64..400).prop_map(|ms| upcoming(ms * 1_000)));
    let pinned = proptest::option::of((0u8..4).prop_map(|number| ContentDigest([number; 32])));
    let put = (name(), next(), proptest::option::of(any::<bool>()), 0usize..4, pinned, 0usize..4).prop_map(
        |(name, next, paused, overlap, pinned, cron)| {
            let mut put = commands::put();
            put.declared.name = name;
            put.declared.overlap = Overlap::ALL[overlap];
            put.declared.run.bundle = pinned;
            put.declared.calendar.cron =
                ["@daily", "@hourly", "@after nightly", "@after nightly, hourly"][cron].to_owned();
            let puts = vec![PutSchedule { next, paused, ..put }];
            let gates = if overlap == 0 { commands::gates() } else { Default::default() };
            if overlap < 2 { Command::DeclareSchedules { puts, gates } } else { Command::PutSchedules { puts } }
        },
    );
    let slept = proptest::option::of((0i64..200, 0i64..200).prop_map(|(from, length)| Slept {
        from: Timestamp(from * 1_000),
        until: Timestamp((from + length) * 1_000),
        count: 1,
    }));
    let backfill = (name(), 0u64..3, 0u64..60, 1u32..3).prop_map(|(schedule, total, version, parallel)| {
        let request = RequestId(format!("fill-{version}").into());
        let (from, until, first) = (Timestamp(0), Timestamp(10_000), Timestamp(0));
        let order = Order::OldestFirst;
        Command::StartBackfill(Box::new(BackfillRequest {
            schedule,
            version,
            request,
            from,
            until,
            total,
            first,
            order,
            parallel,
        }))
    });
    let channel = || (0usize..3).prop_map(|index| commands::channels()[index].name.clone());
    let settled = (0u64..80, 0u32..2, 0usize..3).prop_map(|(index, place, how)| {
        let error = "503".to_owned();
        let sent = match how {
            0 => Sent::Arrived,
            1 => Sent::Failed { error, again_at: Timestamp(index as i64) },
            _ => Sent::GivenUp { error },
        };
        (NoticeId { index, place }, sent)
    });
    prop_oneof![
        6 => put,
        2 => Just(Command::PutChannels { channels: commands::channels() }),
        1 => channel().prop_map(|name| Command::RemoveChannels { names: vec![name] }),
        1 => channel().prop_map(|name| Command::TestChannel { name }),
        2 => vec(settled, 0..3).prop_map(|settled| Command::SettleNotices { settled }),
        2 => Just(Command::TellDeadlines),
        1 => name().prop_map(|name| Command::RemoveSchedules { names: vec![name] }),
        1 => name().prop_map(|name| Command::PauseSchedule { name }),
        2 => (name(), next(), slept).prop_map(|(name, next, slept)| Command::ResumeSchedule { name, next, slept }),
        2 => backfill,
        1 => (0u64..400).prop_map(|before| Command::ForgetTicks { before: Timestamp(before as i64 * 1_000) }),
    ]
}

fn upcoming(micros: i64) -> Upcoming {
    Upcoming { scheduled_at: Timestamp(micros), due_at: Timestamp(micros) }
}

/// A decision about what is next: of the schedule itself, of a backfill of it, or by hand.
fn decide(machine: &Machine, schedule: usize, run: u64, how: usize) -> Option<Command> {
    let name = ScheduleName::new(SCHEDULES[schedule]).unwrap();
    let scheduled = machine.state.schedule(&name)?;
    let open = machine.state.backfills_of(&name).find_map(|(id, backfill)| Some((id, backfill.next?)));
    let (series, scheduled_at) = match (how, open) {
        (0, _) => (Series::Manual, machine.now),
        (1 | 2, Some((id, next))) => (Series::Backfill(id), next),
        _ => (Series::Calendar, scheduled.next.map_or(machine.now, |next| next.scheduled_at)),
    };
    let until = Timestamp(scheduled_at.0 + 2_000);
    let proposal = match how {
        3 => TickProposal::Missed { until, count: 3, reason: MissReason::TooLate },
        4 => TickProposal::Failed { reason: "no such variable".to_owned() },
        _ => {
            let Command::SubmitRun(submission) = submit_from(plan(run, &[("a", &[])]), how.is_multiple_of(2)) else {
                return None;
            };
            TickProposal::Run(submission)
        }
    };
    let next = (how != 5).then(|| upcoming(scheduled_at.0 + 5_000));
    let (version, decided_at) = (scheduled.version, machine.now.max(scheduled_at));
    let decision = TickDecision { schedule: name, version, series, scheduled_at, next, decided_at, proposal };
    Some(Command::DecideTick(Box::new(decision)))
}

/// Steers, or starts, a backfill.
fn fill(machine: &Machine, how: usize) -> Option<Command> {
    let (name, scheduled) = machine.state.schedules().next()?;
    let open = machine.state.open_backfills().next();
    Some(match (how, open) {
        (0, Some(id)) => Command::SteerBackfill { id, steer: Steer::Pause },
        (1, Some(id)) => Command::SteerBackfill { id, steer: Steer::Resume },
        (2, Some(id)) => Command::SteerBackfill { id, steer: Steer::Cancel },
        _ => Command::StartBackfill(Box::new(BackfillRequest {
            schedule: name.clone(),
            version: scheduled.version,
            request: RequestId(format!("{}", machine.state.applied()).into()),
            from: Timestamp(0),
            until: Timestamp(10_000),
            total: 3,
            first: Timestamp(0),
            order: Order::OldestFirst,
            parallel: 2,
        })),
    })
}

fn set_pool(places: Option<u32>) -> Command {
    Command::SetPool { pool: "heavy".to_owned(), places }
}

/// A run of a folder, or of a bundle that may be deployed.
fn submit_from(plan: RunPlan, deployed: bool) -> Command {
    let bundle = ContentDigest([(plan.tasks.len() % 4) as u8; 32]);
    let deployed = deployed.then(|| Deployed { project: "shop".to_owned(), bundle, target: target() });
    Command::SubmitRun(Box::new(Submission { deployed, ..Submission::new(plan, options(), "m1") }))
}

/// Files of one or more pieces, and bundles of some of them.
fn any_deployment() -> impl Strategy<Value = Command> {
    let digest = || (0u8..4).prop_map(|number| ContentDigest([number; 32]));
    let put = (digest(), 0u64..4, 0usize..4).prop_map(|(digest, offset, bytes)| Command::PutBlob {
        digest,
        size: 3,
        offset,
        bytes: vec![0; bytes],
    });
    let file = |(index, digest)| BundleFile { path: format!("{index}.sql"), digest, size: 3 };
    let deploy = (digest(), vec(digest(), 0..3)).prop_map(move |(bundle, files)| Command::DeployProject {
        project: "shop".to_owned(),
        bundle,
        files: files.into_iter().enumerate().map(file).collect(),
        revision: String::new(),
    });
    let collect = (0i64..1_000_000).prop_map(|before| Command::CollectBlobs { before: Timestamp(before) });
    prop_oneof![6 => put, 3 => deploy, 1 => collect]
}

fn resolve(state: &State, told: Told) -> Assignment {
    match told {
        Told::Made(assignment) => assignment,
        Told::Live(number) => {
            let live: Vec<Assignment> = state.workers().flat_map(|(worker, _)| state.assignments(worker)).collect();
            let nobody = assignment(9, "a", 1, 1);
            live.get(number % live.len().max(1)).cloned().unwrap_or(nobody)
        }
    }
}

fn ended(of: &Assignment, how: usize) -> TaskReport {
    match how {
        0 => failure(of, FailureKind::Transient),
        1 => failure(of, FailureKind::User),
        2 => canceled(of),
        3 => failure(of, FailureKind::Fenced),
        _ => success(of),
    }
}

fn play(machine: &mut Machine, action: Action) -> Option<Command> {
    let command = match action {
        Action::Advance(ms) => {
            machine.advance(Duration::from_millis(ms));
            return None;
        }
        Action::Command(command) => command,
        Action::Decide { schedule, run, how } => decide(machine, schedule, run, how)?,
        Action::Fill(how) => fill(machine, how)?,
        Action::Report(reports) => {
            let reports = reports.into_iter().map(|(told, how)| ended(&resolve(&machine.state, told), how));
            Command::ReportTasks { reports: reports.collect() }
        }
        Action::Tell(told) => {
            let transcripts = told.into_iter().map(|(told, bytes)| transcript::Told {
                assignment: resolve(&machine.state, told),
                packed: Packed(vec![0; bytes]),
            });
            Command::KeepTranscripts { transcripts: transcripts.collect() }
        }
        Action::Hello { worker: name, slots, zone, running } => {
            let running = running.into_iter().map(|told| resolve(&machine.state, told)).collect();
            let labels = zone.map(|zone| ("zone".to_owned(), zone.to_owned())).into_iter().collect();
            let description = WorkerDescription { labels, ..WorkerDescription::default() };
            Command::RegisterWorker { worker: worker(name), slots, running, description }
        }
    };
    machine.apply(command.clone());
    Some(command)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_commanded_the_invariants_hold(actions in vec(any_action(), 1..60)) {
        let mut machine = Machine::default();
        let mut replica = State::default();
        for action in actions {
            // `Machine::apply` checks every invariant.
            if let Some(command) = play(&mut machine, action) {
                replica.apply(replica.applied() + 1, machine.now, command);
                prop_assert_eq!(replica.digest(), machine.state.digest());
            }
        }
    }

    #[test]
    fn a_state_read_back_from_a_snapshot_goes_on_alike(
        before in vec(any_action(), 1..30),
        after in vec(any_action(), 1..15),
    ) {
        let mut machine = Machine::default();
        for action in before {
            play(&mut machine, action);
        }
        let mut restored = State::from_bytes(&machine.state.to_bytes()).unwrap();
        for action in after {
            let Some(command) = play(&mut machine, action) else { continue };
            restored.apply(restored.applied() + 1, machine.now, command);
            prop_assert_eq!(restored.digest(), machine.state.digest());
            invariants::check(&restored).unwrap();
            check_journals(&restored, &machine.told);
        }
    }

    #[test]
    fn when_workers_report_success_every_run_ends(plans in vec(any_plan(), 1..4)) {
        let mut machine = Machine::default();
        machine.register("w", 2);
        for mut plan in plans {
            plan.worker_labels.clear();
            machine.submit(plan);
        }
        for _ in 0..100 {
            let live = machine.state.assignments(&worker("w"));
            let Some(first) = live.first() else { break };
            machine.succeed(first);
        }
        prop_assert!(machine.state.runs().all(|run| run.is_finished() && run.counts().success == run.counts().total));
    }
}

#[test]
fn attempts_that_nobody_made_are_stale() {
    let mut machine = Machine::default();
    machine.register("w", 1);
    machine.submit(plan(1, &[("a", &[])]));
    for (attempt, epoch) in [(0, 0), (u32::MAX, u64::MAX), (1, 1), (2, 2)] {
        let told = Assignment { attempt: Attempt(attempt), epoch: Epoch(epoch), ..assignment(1, "a", 0, 0) };
        assert!(machine.report(success(&told)).events.is_empty());
    }
}

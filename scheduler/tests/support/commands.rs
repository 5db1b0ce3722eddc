//! One of every command, and schedules.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::time::Duration;

use common::alert::{AlertKind, Channel, Email, MailSecurity, Receiver, Reference, Slack, Webhook};
use common::bundle::BundleFile;
use common::run::{Deployed, RunRequest, RunTarget};
use common::schedule::{Calendar, CatchUp, CatchUpPolicy, Overlap, Schedule, SourceGate, Upcoming};
use common::session::WorkerDescription;
use common::target::AdapterType;
use common::task::{FailureKind, FailureKinds};
use common::transcript::{Packed, Told};
use common::{ContentDigest, NodeId, RequestId, ScheduleName, Timestamp};
use scheduler::state::alerts::{NoticeId, Sent};
use scheduler::state::command::{BackfillRequest, PutSchedule, Slept, Steer, TickDecision, TickProposal};
use scheduler::state::schedules::{Order, Series};
use scheduler::state::{BackfillId, CancelCause, Command, Submission};

use crate::support::{assignment, canceled, failure, options, plan, run_id, success, target, worker};

/// By name.
pub fn all() -> BTreeMap<&'static str, Command> {
    let held = assignment(1, "a", 1, 2);
    let reports = vec![success(&held), failure(&held, FailureKind::Transient), canceled(&held)];
    let description = WorkerDescription {
        host: "node-7".to_owned(),
        version: "0.1.0".to_owned(),
        labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
    };
    let running = vec![held.clone()];
    let commands = [
        Command::RegisterWorker { worker: worker("w"), slots: 4, running, description },
        Command::DrainWorker { worker: worker("w") },
        Command::LoseWorker { worker: worker("w") },
        Command::SubmitRun(Box::new(submission())),
        Command::ReportTasks { reports },
        Command::PromoteRetries,
        Command::CancelRun { run: run_id(1), cause: CancelCause::Timeout },
        Command::RetryRun { run: run_id(1), manifest_digest: "m2".to_owned() },
        Command::RemoveRuns { runs: vec![run_id(1), run_id(2)] },
        Command::EnforceTimeouts,
        Command::SetPool { pool: "heavy".to_owned(), places: Some(3) },
        Command::PutBlob { digest: ContentDigest([7; 32]), size: 10, offset: 4, bytes: vec![1, 2, 3] },
        Command::DeployProject {
            project: "shop".to_owned(),
            bundle: ContentDigest([8; 32]),
            files: vec![BundleFile { path: "models/a.sql".to_owned(), digest: ContentDigest([7; 32]), size: 10 }],
            revision: "a1b2c3".to_owned(),
        },
        Command::CollectBlobs { before: Timestamp(5) },
        Command::KeepTranscripts { transcripts: vec![Told { assignment: held, packed: Packed(vec![1, 2, 3]) }] },
        Command::PutSchedules { puts: vec![put()] },
        Command::RemoveSchedules { names: vec![ScheduleName::new("hourly").unwrap()] },
        Command::PauseSchedule { name: ScheduleName::new("nightly").unwrap() },
        Command::ResumeSchedule {
            name: ScheduleName::new("nightly").unwrap(),
            next: Some(Upcoming { scheduled_at: Timestamp(20), due_at: Timestamp(21) }),
            slept: Some(Slept { from: Timestamp(10), until: Timestamp(15), count: 6 }),
        },
        Command::DecideTick(Box::new(decide(7, 10))),
        Command::StartBackfill(Box::new(BackfillRequest {
            schedule: ScheduleName::new("nightly").unwrap(),
            version: 7,
            request: RequestId("fill".into()),
            from: Timestamp(1),
            until: Timestamp(9),
            total: 3,
            first: Timestamp(9),
            order: Order::NewestFirst,
            parallel: 2,
        })),
        Command::SteerBackfill { id: BackfillId(9), steer: Steer::Pause },
        Command::ForgetTicks { before: Timestamp(6) },
        Command::PutChannels { channels: channels() },
        Command::RemoveChannels { names: vec![ScheduleName::new("chat").unwrap()] },
        Command::TestChannel { name: ScheduleName::new("hook").unwrap() },
        Command::SettleNotices {
            settled: vec![
                (NoticeId { index: 7, place: 1 }, Sent::Arrived),
                (NoticeId { index: 8, place: 0 }, Sent::Failed { error: "503".to_owned(), again_at: Timestamp(9) }),
                (NoticeId { index: 9, place: 0 }, Sent::GivenUp { error: "404".to_owned() }),
            ],
        },
        Command::TellDeadlines,
        Command::DeclareSchedules { puts: vec![put()], gates: gates() },
        Command::ForgetTranscripts { runs: vec![run_id(1)] },
    ];
    commands.into_iter().map(|command| (listed(&command), command)).collect()
}

/// What the schedule waits for.
pub fn gates() -> BTreeMap<ScheduleName, SourceGate> {
    let gate = SourceGate { select: vec!["source:raw.*".to_owned()], every: Duration::from_secs(60) };
    BTreeMap::from([(put().declared.name, gate)])
}

/// One channel of each kind, with everything that it may say.
pub fn channels() -> Vec<Channel> {
    let env = |name: &str| Reference::Env(name.to_owned());
    let webhook = Receiver::Webhook(Webhook {
        url: Reference::Plain("https://hooks.example".to_owned()),
        secret: Some(env("SECRET")),
        headers: BTreeMap::from([("authorization".to_owned(), Reference::File("/run/token".to_owned()))]),
        body: Some("{{ alert.summary }}".to_owned()),
    });
    let slack = Receiver::Slack(Slack { url: env("SLACK"), text: None });
    let email = Receiver::Email(Email {
        server: "mail.example:587".to_owned(),
        security: MailSecurity::StartTls,
        login: Some((env("USER"), env("PASSWORD"))),
        from: "kontiki@example.org".to_owned(),
        to: vec!["data@example.org".to_owned()],
        subject: Some("{{ alert.kind }}".to_owned()),
        body: None,
    });
    let channel = |name: &str, receiver: Receiver| Channel {
        name: ScheduleName::new(name).unwrap(),
        receiver,
        on: AlertKind::ALL.to_vec(),
        schedules: vec!["night*".to_owned()],
        all_runs: false,
    };
    vec![channel("hook", webhook), channel("chat", slack), channel("mail", email)]
}

/// A schedule with everything that it may say, first due at 10.
pub fn put() -> PutSchedule {
    let declared = Schedule {
        name: ScheduleName::new("nightly").unwrap(),
        calendar: Calendar {
            cron: "0 3 * * *".to_owned(),
            time_zone: "Europe/London".to_owned(),
            start_at: Some(Timestamp(5)),
            end_at: Some(Timestamp(1_000)),
            jitter: Duration::from_micros(1),
        },
        run: RunRequest {
            project: "shop".to_owned(),
            bundle: None,
            target: target(),
            options: options(),
            select: vec!["tag:nightly".to_owned()],
            exclude: vec!["slow".to_owned()],
            selector: None,
            resource_types: Vec::new(),
            exclude_resource_types: vec!["test".to_owned()],
            indirect_selection: "cautious".to_owned(),
            priority: 2,
            timeout: Some(Duration::from_secs(60)),
            task_timeout: None,
            retry: plan(1, &[]).retry,
            worker_labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
        },
        overlap: Overlap::BufferOne,
        catch_up: CatchUp { window: Duration::from_secs(9), policy: CatchUpPolicy::All, ticks_max: 4 },
        deadline: Some(Duration::from_secs(30)),
    };
    let next = Some(Upcoming { scheduled_at: Timestamp(10), due_at: Timestamp(11) });
    PutSchedule { declared, next, paused: Some(false) }
}

/// The decision that the tick of `scheduled_at` has a run.
pub fn decide(version: u64, scheduled_at: i64) -> TickDecision {
    let following = Timestamp(scheduled_at + 10);
    TickDecision {
        schedule: ScheduleName::new("nightly").unwrap(),
        version,
        series: Series::Calendar,
        scheduled_at: Timestamp(scheduled_at),
        next: Some(Upcoming { scheduled_at: following, due_at: Timestamp(following.0 + 1) }),
        decided_at: Timestamp(scheduled_at + 2),
        proposal: TickProposal::Run(Box::new(Submission::new(
            plan(100 + scheduled_at as u64, &[("a", &[])]),
            options(),
            "m1",
        ))),
    }
}

/// Everything that a submission may carry.
fn submission() -> Submission {
    let mut plan = plan(1, &[("a", &[]), ("b", &[0])]);
    plan.pools.insert("heavy".to_owned(), 2);
    plan.tasks[1].pools = vec!["heavy".to_owned()];
    plan.tasks[1].relation = None;
    plan.retry.kinds = [FailureKind::Transient, FailureKind::Timeout].into_iter().collect::<FailureKinds>();
    plan.priority = -1;
    plan.timeout = Some(Duration::from_secs(3_600));
    plan.task_timeout = Some(Duration::from_millis(1_500));
    plan.worker_labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
    let target = RunTarget { name: "prod".to_owned(), adapter_type: AdapterType::Postgres, threads: 4, ..target() };
    Submission {
        deployed: Some(Deployed { project: "shop".to_owned(), bundle: ContentDigest([8; 32]), target }),
        selected_besides: vec![NodeId::new("model.shop.ephemeral")],
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..Submission::new(plan, options(), "m1")
    }
}

/// A new variant does not compile until it is here; then it must be above.
fn listed(command: &Command) -> &'static str {
    match command {
        Command::RegisterWorker { .. }
        | Command::DrainWorker { .. }
        | Command::LoseWorker { .. }
        | Command::SubmitRun(_)
        | Command::ReportTasks { .. }
        | Command::PromoteRetries
        | Command::CancelRun { .. }
        | Command::RetryRun { .. }
        | Command::RemoveRuns { .. }
        | Command::EnforceTimeouts
        | Command::SetPool { .. }
        | Command::PutBlob { .. }
        | Command::DeployProject { .. }
        | Command::CollectBlobs { .. }
        | Command::KeepTranscripts { .. }
        | Command::PutSchedules { .. }
        | Command::RemoveSchedules { .. }
        | Command::PauseSchedule { .. }
        | Command::ResumeSchedule { .. }
        | Command::DecideTick(_)
        | Command::StartBackfill(_)
        | Command::SteerBackfill { .. }
        | Command::ForgetTicks { .. }
        | Command::PutChannels { .. }
        | Command::RemoveChannels { .. }
        | Command::TestChannel { .. }
        | Command::SettleNotices { .. }
        | Command::TellDeadlines
        | Command::DeclareSchedules { .. }
        | Command::ForgetTranscripts { .. } => command.name(),
    }
}

//! One of every command.

use std::collections::BTreeMap;
use std::time::Duration;

use common::bundle::BundleFile;
use common::run::{Deployed, RunTarget};
use common::session::WorkerDescription;
use common::target::AdapterType;
use common::task::{FailureKind, FailureKinds};
use common::transcript::{Packed, Told};
use common::{ContentDigest, NodeId, Timestamp};
use scheduler::state::{CancelCause, Command, Submission};

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
    ];
    commands.into_iter().map(|command| (listed(&command), command)).collect()
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
        | Command::KeepTranscripts { .. } => command.name(),
    }
}

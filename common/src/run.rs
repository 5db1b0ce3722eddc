//! One execution of a plan: what was asked, and the nodes and edges chosen for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::encoding::EncodedOptions;
use crate::microbatch::EventTime;
use crate::target::{AdapterType, Target};
use crate::task::FailureKinds;
use crate::{ContentDigest, JsonMap, NodeId, RequestId, RunId};

/// dbt's verbs that run nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    Build,
    Run,
    Test,
    Seed,
    Snapshot,
    Compile,
    Show,
    /// Looks at how old sources are.
    Freshness,
}

impl Verb {
    pub const ALL: [Self; 8] =
        [Self::Build, Self::Run, Self::Test, Self::Seed, Self::Snapshot, Self::Compile, Self::Show, Self::Freshness];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Run => "run",
            Self::Test => "test",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Compile => "compile",
            Self::Show => "show",
            Self::Freshness => "freshness",
        }
    }
}

/// What every task of a run is told besides its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "EncodedOptions", into = "EncodedOptions")]
pub struct RunOptions {
    pub verb: Verb,
    pub full_refresh: bool,
    pub fail_fast: bool,
    /// `test --store-failures`
    pub store_failures: bool,
    /// `--empty`: refs are limited to zero rows.
    pub empty: bool,
    pub vars: JsonMap,
    /// Which batches of microbatch models are built.
    pub event_time: EventTime,
}

impl RunOptions {
    /// The verb alone: every flag off, no variables.
    pub fn new(verb: Verb) -> Self {
        Self {
            verb,
            full_refresh: false,
            fail_fast: false,
            store_failures: false,
            empty: false,
            vars: JsonMap::new(),
            event_time: EventTime::default(),
        }
    }
}

/// A run as it is asked for, before anybody knows its nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRequest {
    pub project: String,
    /// None stands for the bundle that is deployed last when the run is planned.
    pub bundle: Option<ContentDigest>,
    pub target: RunTarget,
    pub options: RunOptions,
    pub select: Vec<String>,
    pub exclude: Vec<String>,
    pub selector: Option<String>,
    pub resource_types: Vec<String>,
    pub exclude_resource_types: Vec<String>,
    /// Empty for dbt's default.
    pub indirect_selection: String,
    pub priority: i32,
    pub timeout: Option<Duration>,
    pub task_timeout: Option<Duration>,
    pub retry: RetryPolicy,
    pub worker_labels: BTreeMap<String, String>,
}

/// One task of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTask {
    pub node: NodeId,
    /// Indexes into `RunPlan::tasks` of the tasks that must succeed first.
    pub upstreams: Vec<u32>,
    /// Higher runs first among ready tasks: the length of the critical path from here to the end, in milliseconds, with
    /// durations of earlier runs.
    pub priority: u64,
    /// The pools this task takes a place in.
    pub pools: Vec<String>,
    /// Names what the task writes, the same in every run and every project that writes it: two tasks with the same name never
    /// run at once. `None` for what writes nothing, such as a test.
    pub relation: Option<String>,
}

impl PlannedTask {
    /// A task that takes no place in a pool and writes nothing.
    pub fn new(node: NodeId, upstreams: Vec<u32>) -> Self {
        Self { node, upstreams, priority: 0, pools: Vec::new(), relation: None }
    }
}

/// The nodes and edges chosen for a run, decided at submission. Tasks are in topological order: an upstream's index is smaller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    pub run: RunId,
    pub request: RequestId,
    pub tasks: Vec<PlannedTask>,
    /// Names of pools and how many tasks may run in each at once, over all runs. What operators configured goes before this.
    pub pools: BTreeMap<String, u32>,
    pub fail_fast: bool,
    pub retry: RetryPolicy,
    /// Runs of a higher priority go first; 0 is normal.
    pub priority: i32,
    /// From submission, or from the last retry, to the moment at which the run is canceled.
    pub timeout: Option<Duration>,
    /// An attempt that takes longer has failed.
    pub task_timeout: Option<Duration>,
    /// Only workers that carry all of these get tasks of the run.
    pub worker_labels: BTreeMap<String, String>,
}

impl RunPlan {
    /// A plan without limits.
    pub fn new(run: RunId, request: RequestId, tasks: Vec<PlannedTask>) -> Self {
        Self {
            run,
            request,
            tasks,
            pools: BTreeMap::new(),
            fail_fast: false,
            retry: RetryPolicy::default(),
            priority: 0,
            timeout: None,
            task_timeout: None,
            worker_labels: BTreeMap::new(),
        }
    }
}

/// Attempts at a task that may be lost with their workers before the task has failed: it may be what kills them.
pub const ATTEMPTS_LOST_MAX: u32 = 8;

/// How often, and how soon, an attempt that failed for a reason worth retrying is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1. Those that were lost with their workers are counted apart, up to
    /// [`ATTEMPTS_LOST_MAX`].
    pub attempts_max: u32,
    pub backoff_initial_ms: u64,
    pub backoff_max_ms: u64,
    /// Failures worth another attempt. Attempts that were fenced, or canceled by a worker that stops, always are: nothing is
    /// wrong with the task.
    pub kinds: FailureKinds,
}

impl RetryPolicy {
    pub const KINDS: FailureKinds = FailureKinds::TRANSIENT.and(FailureKinds::WORKER_LOST);
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 4, backoff_initial_ms: 100, backoff_max_ms: 10_000, kinds: Self::KINDS }
    }
}

/// The deployed project that a run executes, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    pub project: String,
    pub bundle: ContentDigest,
    pub target: RunTarget,
}

/// What of a target names relations. Credentials are not here: they live on workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTarget {
    /// Of the profile.
    pub profile: String,
    /// Of the profile's output.
    pub name: String,
    pub adapter_type: AdapterType,
    pub database: String,
    pub schema: String,
    pub threads: u32,
}

impl From<&Target> for RunTarget {
    fn from(target: &Target) -> Self {
        Self {
            profile: target.profile_name.clone(),
            name: target.name.clone(),
            adapter_type: target.adapter_type,
            database: target.database.clone(),
            schema: target.schema.clone(),
            threads: target.threads,
        }
    }
}

impl From<RunTarget> for Target {
    /// A target without what only those know who have the credentials.
    fn from(target: RunTarget) -> Self {
        Self {
            profile_name: target.profile,
            name: target.name,
            adapter_type: target.adapter_type,
            database: target.database,
            schema: target.schema,
            threads: target.threads,
            extra: crate::JsonMap::new(),
        }
    }
}

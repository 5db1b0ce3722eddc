//! One execution of a plan: what was asked, and the nodes and edges chosen for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{JsonMap, NodeId, RequestId, RunId};

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
}

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Run => "run",
            Self::Test => "test",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Compile => "compile",
            Self::Show => "show",
        }
    }
}

/// What every task of a run is told besides its node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunOptions {
    pub verb: Verb,
    pub full_refresh: bool,
    pub fail_fast: bool,
    /// `test --store-failures`
    pub store_failures: bool,
    /// `--empty`: refs are limited to zero rows.
    pub empty: bool,
    #[serde(with = "crate::json_codec::map")]
    pub vars: JsonMap,
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
}

/// The nodes and edges chosen for a run, decided at submission. Tasks are in topological order: an upstream's index is smaller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    pub run: RunId,
    pub request: RequestId,
    pub tasks: Vec<PlannedTask>,
    /// Names of pools and how many tasks may run in each at once.
    pub pools: BTreeMap<String, u32>,
    pub fail_fast: bool,
    pub retry: RetryPolicy,
}

/// How often, and how soon, an attempt that failed for a reason worth retrying is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub attempts_max: u32,
    pub backoff_initial_ms: u64,
    pub backoff_max_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts_max: 4, backoff_initial_ms: 100, backoff_max_ms: 10_000 }
    }
}

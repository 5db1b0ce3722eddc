//! How long nodes took in earlier runs: what critical paths are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use common::NodeId;
use common::run::Verb;

use crate::state::Run;

/// What each node took when it last succeeded in one of the runs.
pub fn of<'r>(runs: impl IntoIterator<Item = &'r Run>) -> BTreeMap<NodeId, Duration> {
    let mut runs: Vec<&Run> = runs.into_iter().filter(|run| is_telling(run)).collect();
    runs.sort_by_key(|run| run.sequence);
    let mut durations = BTreeMap::new();
    for task in runs.iter().flat_map(|run| run.tasks()) {
        let ending = task.ending().filter(|ending| ending.failure.is_none());
        if let Some(result) = ending.and_then(|ending| ending.result) {
            let took = result.execute_completed_at.since(result.compile_started_at);
            durations.insert(task.node.clone(), took);
        }
    }
    durations
}

/// Whether the run executed its nodes.
pub fn is_telling(run: &Run) -> bool {
    !matches!(run.options.verb, Verb::Compile | Verb::Show)
}

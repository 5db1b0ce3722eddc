//! Priorities of a plan's tasks: the length of the critical path from each to the end.

use std::collections::BTreeMap;
use std::time::Duration;

use common::NodeId;
use common::run::RunPlan;

/// What a node is assumed to take before it ever ran.
const UNKNOWN: Duration = Duration::from_millis(100);

/// Sets each task's priority to the milliseconds from its start to the end of the longest chain below it, by the durations of
/// earlier runs. Never 0, so that depth counts even among nodes that take no time.
pub fn by_critical_path(plan: &mut RunPlan, durations: &BTreeMap<NodeId, Duration>) {
    let mut below = vec![0u64; plan.tasks.len()];
    for index in (0..plan.tasks.len()).rev() {
        let task = &mut plan.tasks[index];
        let own = durations.get(&task.node).copied().unwrap_or(UNKNOWN);
        let own_ms = u64::try_from(own.as_millis()).unwrap_or(u64::MAX).max(1);
        task.priority = below[index].saturating_add(own_ms);
        for &upstream in &task.upstreams {
            // Upstreams come first in a plan; anything else is refused at submission.
            if let Some(longest) = below.get_mut(upstream as usize) {
                *longest = (*longest).max(task.priority);
            }
        }
    }
}

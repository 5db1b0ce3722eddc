//! Hooks as tasks of a run.
//!
//! ```text
//! start ─▶ start ─▶ every node ─▶ end ─▶ end
//! ```

use common::Manifest;
use common::manifest::Node;
use common::run::PlannedTask;

use super::{When, of};

/// The tasks of a run with the project's hooks in front and behind. Hooks follow one another; each node waits for the last in front,
/// the first behind waits for every node.
pub fn around(manifest: &Manifest, nodes: Vec<PlannedTask>) -> Vec<PlannedTask> {
    let mut tasks = Vec::with_capacity(nodes.len());
    chain(&mut tasks, &of(manifest, When::Start), Vec::new());
    let in_front = position(&tasks);
    for mut task in nodes {
        for upstream in &mut task.upstreams {
            *upstream += in_front;
        }
        task.upstreams.extend(in_front.checked_sub(1));
        tasks.push(task);
    }
    let behind = position(&tasks);
    let first = if behind > in_front { in_front } else { in_front.saturating_sub(1) };
    chain(&mut tasks, &of(manifest, When::End), (first..behind).collect());
    tasks
}

/// Appends hooks, the first behind `upstreams`.
fn chain(tasks: &mut Vec<PlannedTask>, hooks: &[&Node], mut upstreams: Vec<u32>) {
    for hook in hooks {
        let own = vec![position(tasks)];
        tasks.push(PlannedTask::new(hook.unique_id.clone(), std::mem::replace(&mut upstreams, own)));
    }
}

/// Of the next task.
fn position(tasks: &[PlannedTask]) -> u32 {
    u32::try_from(tasks.len()).expect("a manifest has fewer than 2^32 nodes")
}

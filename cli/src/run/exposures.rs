//! Exposures in `build`: nothing is run, but a line tells whether what they depend on was built.

use std::collections::BTreeSet;

use common::NodeId;
use common::task::{NodeStatus, TaskState};

use super::events::{Follower, result_of};
use super::lines::exposure_line;
use crate::console::Event;

/// Prints and records the exposures of a finished run.
pub fn finish(follower: &mut Follower<'_>, exposures: &BTreeSet<NodeId>) {
    for id in exposures {
        let Some(exposure) = follower.manifest.exposures.get(id) else { continue };
        let is_blocked = follower.outcomes.all.iter().any(|outcome| {
            matches!(outcome.result.status, NodeStatus::Error | NodeStatus::Skipped)
                && exposure.depends_on.nodes.contains(&outcome.node)
        });
        let mut line = exposure_line(exposure, follower.total);
        line.index = follower.next_index();
        let mut result = result_of(&TaskState::Skipped, None);
        if is_blocked {
            follower.emit(&Event::Skipped(line));
        } else {
            result.status = NodeStatus::NoOp;
            result.message = Some("NO-OP".to_owned());
            result.failures = Some(0);
            follower.emit(&Event::Finished {
                node: line,
                status: NodeStatus::NoOp,
                message: "NO-OP".to_owned(),
                failures: None,
                seconds: 0.0,
            });
        }
        follower.outcomes.push(id.clone(), result);
    }
}

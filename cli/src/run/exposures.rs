//! Exposures in `build`: nothing is run, but a line tells whether what they depend on was built.

use common::task::NodeStatus;
use dbt::artifacts::NodeOutcome;

use super::events::Follower;
use super::lines::exposure_line;
use crate::console::Event;

/// Prints and records the run's exposures once all nodes have ended; only the first time.
pub fn finish(follower: &mut Follower<'_>) {
    for id in std::mem::take(&mut follower.exposures) {
        let Some(exposure) = follower.manifest.exposures.get(&id) else { continue };
        let result = NodeOutcome::of_exposure(exposure, follower.outcomes.told());
        let mut line = exposure_line(exposure, follower.total);
        line.index = follower.next_index();
        if result.status == NodeStatus::Skipped {
            follower.emit(&Event::Skipped(line));
        } else {
            follower.emit(&Event::Finished {
                node: line,
                status: result.status,
                message: result.message.clone().unwrap_or_default(),
                failures: None,
                seconds: 0.0,
            });
        }
        follower.outcomes.push(id, result);
    }
}

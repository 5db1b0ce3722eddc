//! `on-run-start` and `on-run-end` among the tasks of a run: they are its operations, planned like any other task.
//!
//! Invariants: a hook that stands behind nodes waits until these have ended, however they ended; every other edge asks for success. A
//! hook publishes nothing, so a retry does it again even where it succeeded.

use common::NodeId;
use common::task::TaskState;

use super::{Run, RunState, StopCause};

pub(super) fn is_hook(node: &NodeId) -> bool {
    node.resource_type() == "operation"
}

impl Run {
    pub(super) fn is_hook(&self, index: u32) -> bool {
        self.tasks.get(index as usize).is_some_and(|task| is_hook(&task.node))
    }

    pub(super) fn has_hooks_left(&self) -> bool {
        self.tasks.iter().any(|task| is_hook(&task.node) && !task.state.is_final())
    }

    /// Whether the run is stopping, and the task with it: only cancellation stops hooks.
    pub(crate) fn stops(&self, node: &NodeId) -> bool {
        match self.state {
            RunState::Stopping(StopCause::FailFast) => !is_hook(node),
            RunState::Stopping(StopCause::Canceled(_)) => true,
            RunState::Active | RunState::Finished { .. } => false,
        }
    }

    /// Whether `downstream` needs `upstream` to succeed, not only to end.
    pub(super) fn needs(&self, upstream: u32, downstream: u32) -> bool {
        self.is_hook(upstream) || !self.is_hook(downstream)
    }

    /// Whether `downstream` still waits for `upstream`.
    pub(super) fn awaits(&self, upstream: u32, downstream: u32) -> bool {
        let state = &self.tasks[upstream as usize].state;
        *state != TaskState::Success && (!state.is_final() || self.needs(upstream, downstream))
    }

    /// Counts anew what each task waits for.
    pub(super) fn count_waiting(&mut self) {
        for index in 0..self.tasks.len() as u32 {
            let waiting = self.upstreams.of(index).iter().filter(|&&upstream| self.awaits(upstream, index)).count();
            self.tasks[index as usize].waiting = waiting as u32;
        }
    }
}

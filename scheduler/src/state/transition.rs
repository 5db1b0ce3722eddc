//! The legal steps of a task.
//!
//! ```text
//!              upstreams succeeded      assigned              succeeded
//!   Pending ───────────────────▶ Ready ─────────▶ Running ───────────────▶ Success
//!      │                         ▲  ▲ ◀──lost───────┤ │
//!      │ upstream failed         │  └──due── UpForRetry ◀─ failed for now
//!      ▼                         │                  │
//!   UpstreamFailed               │                  └─ failed ──▶ Failed
//!
//!   Pending, Ready, UpForRetry ── skipped ──▶ Skipped        anything not final ── canceled ──▶ Canceled
//!   Failed, UpstreamFailed, Skipped, Canceled ── reset (by a retry of the run) ──▶ Pending
//!   Success of a hook ── repeated (by a retry of the run) ──▶ Pending
//! ```
//!
//! Invariant: Success is never left but by a hook.

use common::task::{FailureKind, TaskState};
use common::{Attempt, Epoch, Timestamp, WorkerId};

/// What happens to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    UpstreamsSucceeded,
    Assigned {
        worker: WorkerId,
        attempt: Attempt,
        epoch: Epoch,
        at: Timestamp,
    },
    Succeeded,
    /// For good: no attempt follows.
    Failed(FailureKind),
    /// Another attempt follows after `due_at`.
    FailedForNow {
        due_at: Timestamp,
    },
    /// The attempt ended with its worker; another may start at once.
    Lost,
    RetryDue,
    UpstreamFailed,
    Skipped,
    Canceled,
    Reset,
    /// A hook goes around the next part of its run as well.
    Repeated,
}

/// A step that the table does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {state:?} cannot take the step {step:?}")]
pub struct Illegal {
    pub state: TaskState,
    pub step: Step,
}

pub fn transition(state: &TaskState, step: Step) -> Result<TaskState, Illegal> {
    use TaskState as S;
    match (state, step) {
        (S::Pending, Step::UpstreamsSucceeded) => Ok(S::Ready),
        (S::Ready, Step::Assigned { worker, attempt, epoch, at }) => {
            Ok(S::Running { worker, attempt, epoch, started_at: at })
        }
        (S::Running { .. }, Step::Succeeded) => Ok(S::Success),
        (S::Running { .. }, Step::Failed(kind)) => Ok(S::Failed(kind)),
        (S::Running { attempt, .. }, Step::FailedForNow { due_at }) => Ok(S::UpForRetry { attempt: *attempt, due_at }),
        (S::Running { .. }, Step::Lost) => Ok(S::Ready),
        (S::UpForRetry { .. }, Step::RetryDue) => Ok(S::Ready),
        (S::Pending, Step::UpstreamFailed) => Ok(S::UpstreamFailed),
        (S::Pending | S::Ready | S::UpForRetry { .. }, Step::Skipped) => Ok(S::Skipped),
        (S::Pending | S::Ready | S::UpForRetry { .. } | S::Running { .. }, Step::Canceled) => Ok(S::Canceled),
        (S::Failed(_) | S::UpstreamFailed | S::Skipped | S::Canceled, Step::Reset) => Ok(S::Pending),
        (S::Success, Step::Repeated) => Ok(S::Pending),
        (state, step) => Err(Illegal { state: state.clone(), step }),
    }
}

//! Commands of clients: committed here or through the leader, and what the state answered.
//!
//! Invariant: a command is sent again after an unknown outcome only where the state takes its repetition for what it is.

use std::time::Duration;

use tonic::Status;

use super::refusal;
use crate::leader::Proposal;
use crate::replica::{Error, Handle};
use crate::state::Reply;

/// How often a command is sent whose outcome stays unknown.
const TRIES: u32 = 5;
const BACKOFF: Duration = Duration::from_millis(50);

/// Commits a command that must not be repeated, since the state could not tell.
pub async fn once(handle: &Handle, proposal: Proposal) -> Result<Reply, Status> {
    accepted(handle.forward(proposal).await)
}

/// Commits a command that the state recognizes when it comes again.
pub async fn repeatable(handle: &Handle, proposal: Proposal) -> Result<Reply, Status> {
    for _ in 1..TRIES {
        match handle.forward(proposal.clone()).await {
            Err(Error::Unknown { .. }) => tokio::time::sleep(BACKOFF).await,
            outcome => return accepted(outcome),
        }
    }
    accepted(handle.forward(proposal).await)
}

fn accepted(outcome: Result<Reply, Error>) -> Result<Reply, Status> {
    match outcome.map_err(|error| refusal::failed(&error))? {
        Reply::Rejected(rejection) => Err(refusal::rejected(&rejection)),
        reply => Ok(reply),
    }
}

//! Has openraft append what is pending.

use std::sync::Arc;

use openraft::raft::ClientWriteResult;

use super::{Batch, Core};
use crate::raft::data::Outcome;
use crate::raft::{Data, Raft};

/// Proposes what is pending, again and again, until openraft stops.
pub(in crate::replica) async fn propose_until_stopped(core: Arc<Core>, raft: Raft) {
    loop {
        let (batch, wait) = core.take_batch();
        let Some(Batch { term, entries }) = batch else {
            // Running out of time is the clock's turn.
            let _ = tokio::time::timeout(wait, core.pending.notified()).await;
            continue;
        };
        for entry in entries {
            let told = core.clone();
            let outcome = Outcome::new(move |result: ClientWriteResult<_>| {
                if result.is_err() {
                    told.refused(term);
                }
            });
            let data = Data(entry.to_bytes().into());
            if raft.write(data).with_leader(term).responder(outcome).await.is_err() {
                return core.fail("openraft has stopped");
            }
        }
    }
}

//! Files that no bundle names any more, and that nobody goes on uploading, are forgotten.

use common::Timestamp;

use crate::state::{Entry, Event, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, before: Timestamp) -> Result<Reply, Rejection> {
    let digests = state.projects.collect(before);
    let blobs = digests.len() as u32;
    if blobs > 0 {
        entry.events.push(Event::BlobsCollected { digests });
    }
    Ok(Reply::Collected { blobs })
}

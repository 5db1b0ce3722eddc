//! A piece of a file arrived.

use common::ContentDigest;

use crate::state::{Entry, Rejection, Reply, State};

/// `piece` is its offset and length.
pub(super) fn apply(
    state: &mut State,
    entry: &Entry,
    digest: ContentDigest,
    size: u64,
    piece: (u64, u64),
) -> Result<Reply, Rejection> {
    let bytes = state.projects.put(digest, size, piece, entry.at)?;
    Ok(Reply::Received { bytes })
}

//! One file's content, as far as it has arrived.

use common::Timestamp;
use serde::{Deserialize, Serialize};

use crate::state::Rejection;

/// Most bytes of a file.
pub const BYTES_MAX: u64 = 256 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// In bytes.
    pub size: u64,
    /// Bytes that are there, from the first on.
    pub received: u64,
    /// When a piece last arrived, or the last bundle that named it was forgotten.
    pub touched_at: Timestamp,
    /// How many bundles name it.
    #[serde(skip)]
    pub(super) bundles: u32,
}

impl Blob {
    pub fn is_complete(&self) -> bool {
        self.received == self.size
    }

    /// `piece` is its offset and length. Pieces come in order; one that came before may come again.
    pub(super) fn with_piece(mut self, size: u64, piece: (u64, u64), at: Timestamp) -> Result<Self, Rejection> {
        if size > BYTES_MAX {
            return Err(Rejection::BlobTooLarge { max: BYTES_MAX });
        }
        let (offset, length) = piece;
        let end = offset.saturating_add(length);
        if size != self.size || offset > self.received || end > size {
            return Err(Rejection::BlobOutOfPlace { received: self.received, size: self.size });
        }
        self.received = end.max(self.received);
        self.touched_at = at;
        Ok(self)
    }
}

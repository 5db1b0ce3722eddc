//! Where the transcripts of a run's attempts lie. Only the index; the bytes are beside the state, in one file for each run.
//!
//! ```text
//!   file of a run:  piece · piece · …            piece:  packed transcript · crc32 of it, u32 big-endian
//! ```
//!
//! Invariants: pieces follow one another without gaps, in the order in which they were committed; what was written once at a place is
//! never anything else. So a replica that applies an entry again writes the same bytes, and a file is good up to the length that its
//! state knows.

use std::ops::Range;

use common::Attempt;
use common::transcript::{PACKED_BYTES_MAX, Packed};
use serde::{Deserialize, Serialize};

/// Most bytes that one run keeps; what comes later is left out.
pub const RUN_BYTES_MAX: u64 = 64 << 20;
/// Most bytes that all runs keep together.
pub const STORED_BYTES_MAX: u64 = 8 << 30;
/// Most pieces of one run.
const PIECES_MAX: usize = 1_000_000;
const CHECKSUM_BYTES: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcripts {
    /// Of the file, in bytes.
    length: u64,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    task: u32,
    attempt: Attempt,
    bytes: u32,
}

/// Where one attempt's transcript is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the run's tasks.
    pub task: u32,
    pub attempt: Attempt,
    pub bytes: Range<u64>,
}

impl Transcripts {
    /// Of the file, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// In the order of their bytes. The same attempt may be there twice, where a report was sent again; both tell the same.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let mut offset = 0;
        self.pieces.iter().map(move |Piece { task, attempt, bytes }| {
            let from = offset;
            offset += u64::from(*bytes);
            Place { task: *task, attempt: *attempt, bytes: from..offset }
        })
    }

    /// Takes a transcript where there is room for it beside `stored` bytes of all runs. Gives its offset and its piece.
    pub(super) fn keep(&mut self, task: u32, attempt: Attempt, packed: Packed, stored: u64) -> Option<(u64, Vec<u8>)> {
        if packed.is_empty() || packed.0.len() > PACKED_BYTES_MAX || self.pieces.len() >= PIECES_MAX {
            return None;
        }
        let bytes = (packed.0.len() + CHECKSUM_BYTES) as u32;
        let has_room = |stored: u64, max: u64| stored.saturating_add(bytes.into()) <= max;
        if !has_room(self.length, RUN_BYTES_MAX) || !has_room(stored, STORED_BYTES_MAX) {
            return None;
        }
        let offset = self.length;
        self.pieces.push(Piece { task, attempt, bytes });
        self.length += u64::from(bytes);
        Some((offset, seal(packed.0)))
    }
}

fn seal(mut packed: Vec<u8>) -> Vec<u8> {
    packed.extend(crc32fast::hash(&packed).to_be_bytes());
    packed
}

/// The packed transcript of a piece; none where the bytes are not what was written.
pub fn open(mut piece: Vec<u8>) -> Option<Packed> {
    let (packed, checksum) = piece.split_last_chunk::<CHECKSUM_BYTES>()?;
    if crc32fast::hash(packed) != u32::from_be_bytes(*checksum) {
        return None;
    }
    piece.truncate(packed.len());
    Some(Packed(piece))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn pieces_follow_one_another() {
        let mut transcripts = Transcripts::default();
        let mut file = Vec::new();
        for (task, attempt, bytes) in [(1, 1, vec![7; 10]), (0, 1, vec![8; 3]), (1, 2, vec![9; 5])] {
            let (offset, piece) = transcripts.keep(task, Attempt(attempt), Packed(bytes), 0).unwrap();
            assert_eq!(offset, file.len() as u64);
            file.extend(piece);
        }
        assert_eq!(transcripts.length(), file.len() as u64);
        let read = |place: Place| {
            let piece = file[place.bytes.start as usize..place.bytes.end as usize].to_vec();
            (place.task, place.attempt.0, open(piece).unwrap().0)
        };
        let read: Vec<_> = transcripts.places().map(read).collect();
        assert_eq!(read, [(1, 1, vec![7; 10]), (0, 1, vec![8; 3]), (1, 2, vec![9; 5])]);
    }

    #[test]
    fn a_damaged_piece_is_not_opened() {
        let mut piece = seal(vec![1, 2, 3]);
        assert_eq!(open(piece.clone()), Some(Packed(vec![1, 2, 3])));
        piece[1] ^= 1;
        assert_eq!(open(piece), None);
        // What a hole in a file reads as: the checksum of nothing is 0, of zeros it is not.
        assert_eq!(open(vec![0; 20]), None);
        assert_eq!(open(vec![1, 2]), None);
    }

    #[test]
    fn what_has_no_room_is_left_out() {
        let mut transcripts = Transcripts::default();
        let full = || Packed(vec![0; PACKED_BYTES_MAX]);
        assert_eq!(transcripts.keep(0, Attempt(1), Packed(vec![0; PACKED_BYTES_MAX + 1]), 0), None);
        assert_eq!(transcripts.keep(0, Attempt(1), Packed::default(), 0), None);
        assert_eq!(transcripts.keep(0, Attempt(1), full(), STORED_BYTES_MAX - 1), None);
        let kept = (0..1_000).take_while(|task| transcripts.keep(*task, Attempt(1), full(), 0).is_some()).count();
        assert_eq!(kept as u64, RUN_BYTES_MAX / (PACKED_BYTES_MAX + CHECKSUM_BYTES) as u64);
        assert!(transcripts.keep(0, Attempt(1), Packed(vec![1]), 0).is_some(), "a small one still fits");
    }
}

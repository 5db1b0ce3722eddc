//! What replicas say to each other.

use super::disk::{Base, Logged};

#[derive(Clone, Debug)]
pub struct Message {
    /// The sender's.
    pub term: u64,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    /// Wants to lead; names the term and index of its last entry.
    Vote {
        last: (u64, u64),
    },
    Voted {
        granted: bool,
    },
    /// Entries that follow `previous`, an index and its term. `round` comes back with the answer.
    Append {
        previous: (u64, u64),
        entries: Vec<Logged>,
        commit: u64,
        round: u64,
    },
    Snapshot {
        base: Base,
        round: u64,
    },
    /// The log agrees up to `matched`; or it does not, and the leader should go on after `hint`.
    Appended {
        matched: Result<u64, u64>,
        round: u64,
    },
}

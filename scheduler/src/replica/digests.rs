//! Compares this replica's state with the leader's, as of the same command.
//!
//! Invariant: two replicas that applied the same commands have the same hash; if they have not, one of them is wrong and
//! nobody can tell which.

use std::collections::VecDeque;

use crate::raft::network::Checkpoint;

/// Commands that are remembered: the leader's checkpoint is seldom farther behind.
const REMEMBERED: usize = 4_096;

/// The states differ after this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Divergence {
    pub index: u64,
    pub here: u64,
    pub there: u64,
}

#[derive(Default)]
pub(super) struct Digests {
    applied: VecDeque<Checkpoint>,
    /// The leader is ahead: compared once this replica has come as far.
    awaited: Option<Checkpoint>,
}

impl Digests {
    pub fn last(&self) -> Checkpoint {
        self.applied.back().copied().unwrap_or_default()
    }

    /// Starts over at a state that came as a whole.
    pub fn reset(&mut self, checkpoint: Checkpoint) {
        self.applied.clear();
        self.applied.push_back(checkpoint);
        self.awaited = None;
    }

    pub fn applied(&mut self, checkpoint: Checkpoint) -> Result<(), Divergence> {
        if self.applied.len() == REMEMBERED {
            self.applied.pop_front();
        }
        self.applied.push_back(checkpoint);
        match self.awaited.take_if(|awaited| awaited.index <= checkpoint.index) {
            Some(awaited) => self.compare(awaited),
            None => Ok(()),
        }
    }

    /// The leader's checkpoint. Those of the distant past, and those between two commands of this replica, say nothing.
    pub fn compare(&mut self, theirs: Checkpoint) -> Result<(), Divergence> {
        if theirs.index > self.last().index {
            self.awaited.get_or_insert(theirs);
            return Ok(());
        }
        match self.applied.binary_search_by_key(&theirs.index, |ours| ours.index) {
            Ok(place) if self.applied[place].digest != theirs.digest => {
                Err(Divergence { index: theirs.index, here: self.applied[place].digest, there: theirs.digest })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64, digest: u64) -> Checkpoint {
        Checkpoint { index, digest }
    }

    #[test]
    fn a_difference_is_found_whoever_is_ahead() {
        let mut digests = Digests::default();
        digests.applied(at(3, 30)).unwrap();
        digests.applied(at(5, 50)).unwrap();
        assert_eq!(digests.compare(at(3, 30)), Ok(()));
        assert_eq!(digests.compare(at(4, 1)), Ok(()), "a blank entry has no checkpoint");
        let divergence = Divergence { index: 5, here: 50, there: 51 };
        assert_eq!(digests.compare(at(5, 51)), Err(divergence));

        assert_eq!(digests.compare(at(9, 91)), Ok(()));
        assert_eq!(digests.compare(at(12, 120)), Ok(()), "the first that is awaited stays");
        assert_eq!(digests.applied(at(7, 70)), Ok(()));
        assert_eq!(digests.applied(at(9, 90)), Err(Divergence { index: 9, here: 90, there: 91 }));
        assert_eq!(digests.applied(at(12, 1)), Ok(()));
    }

    #[test]
    fn a_state_that_came_as_a_whole_starts_over() {
        let mut digests = Digests::default();
        digests.applied(at(3, 30)).unwrap();
        digests.compare(at(9, 91)).unwrap();
        digests.reset(at(20, 200));
        assert_eq!(digests.compare(at(3, 31)), Ok(()));
        assert_eq!(digests.last(), at(20, 200));
        assert!(digests.compare(at(20, 201)).is_err());
    }
}

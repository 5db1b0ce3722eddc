//! Attempts that wait for a slot, in the order in which they are taken.
//!
//! Invariant: attempts taken together are of one run, and every one of them is light; anything else is taken alone.

use std::collections::VecDeque;

use common::task::Assignment;

use crate::session::{Key, key};

/// Attempts that one slot takes at once. Committing ten views together costs half of committing each; beyond some thirty nothing is
/// gained, and what follows waits longer.
const TOGETHER_MAX: usize = 32;

#[derive(Default)]
pub(crate) struct Queue {
    /// Highest rank first; among equals, first come, first served.
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    assignment: Assignment,
    rank: u64,
    is_light: bool,
}

impl Queue {
    pub fn push(&mut self, assignment: Assignment, rank: u64, is_light: bool) {
        let place = self.waiting.partition_point(|waiting| waiting.rank >= rank);
        self.waiting.insert(place, Waiting { assignment, rank, is_light });
    }

    /// What a slot does next: the first attempt; where that is light, with it its share of the light ones of its run, so that each of
    /// `slots` finds some.
    pub fn take(&mut self, slots: usize) -> Vec<Assignment> {
        let Some(Waiting { assignment: first, is_light, .. }) = self.waiting.pop_front() else { return Vec::new() };
        if !is_light {
            return vec![first];
        }
        let fits = |waiting: &Waiting| waiting.is_light && waiting.assignment.run == first.run;
        let light = 1 + self.waiting.iter().filter(|waiting| fits(waiting)).count();
        let share = light.div_ceil(slots.max(1)).min(TOGETHER_MAX);
        let mut taken = Vec::with_capacity(share);
        let mut left = VecDeque::with_capacity(self.waiting.len());
        for waiting in std::mem::take(&mut self.waiting) {
            if taken.len() + 1 < share && fits(&waiting) {
                taken.push(waiting.assignment);
            } else {
                left.push_back(waiting);
            }
        }
        self.waiting = left;
        taken.insert(0, first);
        taken
    }

    pub fn remove(&mut self, key: &Key) -> Option<Assignment> {
        let place = self.iter().position(|waiting| self::key(waiting) == *key)?;
        self.waiting.remove(place).map(|waiting| waiting.assignment)
    }

    pub fn contains(&self, key: &Key) -> bool {
        self.iter().any(|waiting| self::key(waiting) == *key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Assignment> {
        self.waiting.iter().map(|waiting| &waiting.assignment)
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use common::{Attempt, Epoch, RunId};

    use super::*;

    fn assignment(run: u128, node: &str) -> Assignment {
        let run = RunId(uuid::Uuid::from_u128(run));
        Assignment { run, node: node.into(), attempt: Attempt(1), epoch: Epoch(1) }
    }

    fn names(taken: Vec<Assignment>) -> Vec<String> {
        taken.into_iter().map(|assignment| assignment.node.to_string()).collect()
    }

    #[test]
    fn light_attempts_of_a_run_are_shared_out() {
        let mut queue = Queue::default();
        for (run, node, is_light) in [
            (1, "a", true),
            (1, "heavy", false),
            (2, "other", true),
            (1, "b", true),
            (1, "c", true),
            (1, "d", true),
            (1, "e", true),
        ] {
            queue.push(assignment(run, node), 0, is_light);
        }
        assert_eq!(names(queue.take(2)), ["a", "b", "c"]);
        assert_eq!(names(queue.take(2)), ["heavy"]);
        assert_eq!(names(queue.take(2)), ["other"]);
        assert_eq!(names(queue.take(2)), ["d"]);
        assert_eq!(names(queue.take(2)), ["e"]);
        assert_eq!(names(queue.take(2)), Vec::<String>::new());
    }

    #[test]
    fn no_more_are_taken_together_than_pays() {
        let mut queue = Queue::default();
        for index in 0..100 {
            queue.push(assignment(1, &index.to_string()), 0, true);
        }
        assert_eq!(queue.take(1).len(), TOGETHER_MAX);
        assert_eq!(queue.len(), 100 - TOGETHER_MAX);
    }

    #[test]
    fn the_highest_rank_goes_first_and_equals_in_the_order_they_came() {
        let mut queue = Queue::default();
        for (node, rank) in [("a", 1), ("b", 5), ("c", 5), ("d", 9)] {
            queue.push(assignment(1, node), rank, false);
        }
        let order: Vec<String> = (0..4).flat_map(|_| names(queue.take(2))).collect();
        assert_eq!(order, ["d", "b", "c", "a"]);
    }

    #[test]
    fn what_waits_is_found_and_removed() {
        let mut queue = Queue::default();
        queue.push(assignment(1, "a"), 0, true);
        let wanted = key(&assignment(1, "a"));
        assert!(queue.contains(&wanted));
        assert_eq!(queue.remove(&wanted), Some(assignment(1, "a")));
        assert_eq!(queue.remove(&wanted), None);
        assert!(queue.is_empty());
    }
}

//! Tasks of one run that may be assigned now, best first: by critical path, then by plan order.
//!
//! They are kept apart by the set of pools they need, so that a full pool hides its tasks without anyone walking over them.

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Sorts as tasks are taken.
pub(super) type Rank = (Reverse<u64>, u32);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ready {
    by_pool_set: Vec<BTreeSet<Rank>>,
    len: usize,
}

impl Ready {
    pub fn new(pool_sets: usize) -> Self {
        Self { by_pool_set: vec![BTreeSet::new(); pool_sets], len: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn insert(&mut self, pool_set: u16, priority: u64, task: u32) {
        if self.by_pool_set[pool_set as usize].insert((Reverse(priority), task)) {
            self.len += 1;
        }
    }

    pub fn remove(&mut self, pool_set: u16, priority: u64, task: u32) -> bool {
        let removed = self.by_pool_set[pool_set as usize].remove(&(Reverse(priority), task));
        self.len -= usize::from(removed);
        removed
    }

    /// The best task among the pool sets that `has_room` lets through.
    pub fn best(&self, has_room: impl Fn(u16) -> bool) -> Option<u32> {
        let heads = self.by_pool_set.iter().enumerate().filter_map(|(set, ready)| Some((set, *ready.first()?)));
        heads.filter(|(set, _)| has_room(*set as u16)).map(|(_, rank)| rank).min().map(|(_, task)| task)
    }
}

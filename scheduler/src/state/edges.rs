//! Edges of a plan in two flat arrays, so that 100,000 tasks cost two allocations.
//!
//! Invariant: `starts` has one element more than there are tasks and never decreases.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edges {
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Edges {
    /// From one list for each task, in order.
    pub fn new<'a>(lists: impl ExactSizeIterator<Item = &'a [u32]>) -> Self {
        let mut starts = Vec::with_capacity(lists.len() + 1);
        let mut ends = Vec::new();
        starts.push(0);
        for list in lists {
            ends.extend_from_slice(list);
            starts.push(ends.len() as u32);
        }
        ends.shrink_to_fit();
        Self { starts, ends }
    }

    pub fn of(&self, task: u32) -> &[u32] {
        let task = task as usize;
        match (self.starts.get(task), self.starts.get(task + 1)) {
            (Some(&start), Some(&end)) => &self.ends[start as usize..end as usize],
            _ => &[],
        }
    }

    /// The same edges seen from their other end; lists come out ascending.
    pub fn reversed(&self) -> Self {
        let tasks = self.starts.len().saturating_sub(1);
        let mut starts = vec![0u32; tasks + 1];
        for &end in &self.ends {
            starts[end as usize + 1] += 1;
        }
        for task in 0..tasks {
            starts[task + 1] += starts[task];
        }
        let mut next = starts.clone();
        let mut ends = vec![0u32; self.ends.len()];
        for task in 0..tasks as u32 {
            for &upstream in self.of(task) {
                let place = &mut next[upstream as usize];
                ends[*place as usize] = task;
                *place += 1;
            }
        }
        Self { starts, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diamond_seen_from_both_ends() {
        let lists: [&[u32]; 4] = [&[], &[0], &[0], &[1, 2]];
        let edges = Edges::new(lists.into_iter());
        assert_eq!(edges.of(3), [1, 2]);
        let reversed = edges.reversed();
        assert_eq!(reversed.of(0), [1, 2]);
        assert_eq!(reversed.of(1), [3]);
        assert_eq!(reversed.of(3), [0u32; 0]);
        assert_eq!(reversed.reversed(), edges);
        assert_eq!(edges.of(9), [0u32; 0]);
    }
}

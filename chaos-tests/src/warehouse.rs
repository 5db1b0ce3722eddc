//! A warehouse with a fence and a publish log, as design section 5 wants them, and nothing else.

use std::collections::BTreeMap;

use common::{Epoch, NodeId, RunId};

use crate::planted::Planted;

#[derive(Debug, Default)]
pub struct Warehouse {
    fences: BTreeMap<NodeId, Epoch>,
    log: BTreeMap<(RunId, NodeId), Vec<Epoch>>,
}

/// A newer attempt has the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced;

impl Warehouse {
    pub fn claim(&mut self, node: &NodeId, epoch: Epoch, planted: Option<Planted>) -> Result<(), Fenced> {
        let fence = self.fences.entry(node.clone()).or_insert(epoch);
        if *fence > epoch && planted != Some(Planted::FenceOff) {
            return Err(Fenced);
        }
        *fence = epoch.max(*fence);
        Ok(())
    }

    /// One transaction: check the fence, swap, record.
    pub fn publish(&mut self, run: RunId, node: &NodeId, epoch: Epoch, planted: Option<Planted>) -> Result<(), Fenced> {
        if self.fences.get(node) != Some(&epoch) && planted != Some(Planted::FenceOff) {
            return Err(Fenced);
        }
        self.log.entry((run, node.clone())).or_default().push(epoch);
        Ok(())
    }

    /// Every epoch under which a result of (run, node) was published: one, if all is well.
    pub fn published(&self, run: RunId, node: &NodeId) -> &[Epoch] {
        self.log.get(&(run, node.clone())).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn publications(&self) -> impl Iterator<Item = (&(RunId, NodeId), &Vec<Epoch>)> {
        self.log.iter()
    }
}

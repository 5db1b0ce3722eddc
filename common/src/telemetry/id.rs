//! Ids of traces and spans, derived.

use std::fmt;

use crate::{Attempt, NodeId, RunId};

/// Names everything that happened for one run. Never zero: a run's id has its version among its bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// Names one span within its trace. Never zero, which would mean none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

impl TraceId {
    pub fn of_run(run: RunId) -> Self {
        Self(run.0.as_u128())
    }
}

impl SpanId {
    /// The root of a run's trace.
    pub fn of_run(run: RunId) -> Self {
        Self::derive(run.0.as_u128() as u64, "run", 0)
    }

    /// One attempt at a task.
    pub fn of_attempt(run: RunId, node: &NodeId, attempt: Attempt) -> Self {
        Self::derive(Self::of_run(run).0, node.as_str(), attempt.0.into())
    }

    /// The `number`th span of that name below this one.
    pub fn child(self, name: &str, number: u64) -> Self {
        Self::derive(self.0, name, number)
    }

    fn derive(parent: u64, name: &str, number: u64) -> Self {
        let bytes = parent.to_be_bytes().into_iter().chain(name.bytes()).chain(number.to_be_bytes());
        // FNV-1a, then the finalizer of SplitMix64: ids that differ in one bit must not look alike to a sampler.
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((hash ^ (hash >> 31)).max(1))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker of one release and a scheduler of the next must derive the same.
    #[test]
    fn ids_never_change() {
        let run = RunId(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(TraceId::of_run(run).to_string(), "01900000000070008000000000000001");
        let node = NodeId::from("model.p.m");
        let ids = [
            SpanId::of_run(run),
            SpanId::of_attempt(run, &node, Attempt(1)),
            SpanId::of_attempt(run, &node, Attempt(2)),
            SpanId::of_attempt(run, &node, Attempt(1)).child("execute", 0),
        ];
        assert_eq!(
            ids.map(|id| id.to_string()),
            ["ee61d25e1dd7e663", "3703487abfd93044", "32ca353ba6799cb2", "74ae9214948768e3"]
        );
    }
}

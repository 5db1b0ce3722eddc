//! The W3C trace context that a caller sent along.

use tonic::metadata::MetadataMap;

use crate::replica::Proposal;
use crate::state::Command;

/// A version, a trace id of 32 and a span id of 16 hexadecimal digits, and flags.
const TRACEPARENT_BYTES: usize = 55;

/// A command in the caller's trace.
pub fn proposal(metadata: &MetadataMap, command: Command) -> Proposal {
    Proposal { command, traceparent: parent(metadata) }
}

/// None where there is none, or what cannot be one.
pub fn parent(metadata: &MetadataMap) -> Option<String> {
    let parent = metadata.get("traceparent")?.to_str().ok()?;
    (parent.len() == TRACEPARENT_BYTES).then(|| parent.to_owned())
}

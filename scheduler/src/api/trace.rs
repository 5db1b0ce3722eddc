//! A call as a span of the trace of the run that it is about, and the W3C trace context that a caller sent along.

use common::telemetry::rpc::{Rpc, SPAN_HEADER, parse_span};
use common::telemetry::{self, Context, Kind, SpanId, TraceId};
use common::{RunId, Timestamp};
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::leader::Proposal;
use crate::local::clock::now;
use crate::state::Command;

/// A version, a trace id of 32 and a span id of 16 hexadecimal digits, and flags.
const TRACEPARENT_BYTES: usize = 55;

/// A call under way.
pub struct Call {
    /// The trace that the caller is in, which a run links to.
    pub traceparent: Option<String>,
    span: Option<Open>,
}

struct Open {
    method: &'static str,
    id: SpanId,
    /// The caller's own span of this call, where it records one.
    caller: Option<SpanId>,
    began_at: Timestamp,
}

impl Call {
    /// `method` is `kontiki.v1.<service>/<method>`.
    pub fn begin(metadata: &MetadataMap, method: &'static str) -> Self {
        let span = telemetry::is_on().then(|| Open {
            method,
            id: SpanId((super::fresh::id().as_u128() as u64).max(1)),
            caller: metadata.get(SPAN_HEADER).and_then(|id| parse_span(id.to_str().ok()?)),
            began_at: now(),
        });
        Self { traceparent: parent(metadata), span }
    }

    /// A command for a run, in the caller's trace and below this call.
    pub fn proposal(&self, run: RunId, command: Command) -> Proposal {
        let context = |open: &Open| Context { trace: TraceId::of_run(run), span: open.id };
        Proposal { span: self.span.as_ref().map(context), ..Proposal::new(command, self.traceparent.clone()) }
    }

    /// The call is answered. A call that came to no run is in no trace.
    pub fn end<T>(self, run: Option<RunId>, outcome: &Result<T, Status>) {
        let (Some(Open { method, id, caller, began_at }), Some(run)) = (self.span, run) else { return };
        let code = outcome.as_ref().map_or_else(|status| proto::scalar::code_name(status.code()), |_| "OK");
        let rpc = Rpc { method, code, started_at: began_at, ended_at: now(), server: None };
        let place = Context { trace: TraceId::of_run(run), span: id };
        telemetry::record(rpc.span(place, caller.unwrap_or(SpanId::of_run(run)), Kind::Server));
    }
}

/// A command in the caller's trace.
pub fn proposal(metadata: &MetadataMap, command: Command) -> Proposal {
    Proposal::new(command, parent(metadata))
}

/// None where there is none, or what cannot be one.
pub fn parent(metadata: &MetadataMap) -> Option<String> {
    let parent = metadata.get("traceparent")?.to_str().ok()?;
    (parent.len() == TRACEPARENT_BYTES).then(|| parent.to_owned())
}

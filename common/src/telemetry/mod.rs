//! Traces as plain data: what a span is, and where its ids come from.
//!
//! Invariant: ids follow from what they stand for. The trace is the run's id, a task's span follows from (run, node, attempt), and so
//! every process names the same parent without being told: neither a failover nor a retry breaks a trace. A span is recorded once,
//! when it has ended, by whoever saw its end.

mod context;
mod id;
pub mod rpc;
mod sink;
mod span;

pub use context::Context;
pub use id::{SpanId, TraceId};
pub use sink::{Sink, install, is_on, record};
pub use span::{Kind, Link, Span, Status, Value, attribute};

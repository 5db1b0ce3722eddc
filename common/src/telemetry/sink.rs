//! Where this process's spans go; nowhere until the program installs something.

use std::sync::OnceLock;

use super::Span;

/// Takes finished spans. Must neither block nor fail: what it cannot take it drops.
pub trait Sink: Send + Sync {
    fn record(&self, span: Span);
}

static SINK: OnceLock<Box<dyn Sink>> = OnceLock::new();

/// Sends spans to `sink` from now on. Only the first call counts.
pub fn install(sink: Box<dyn Sink>) {
    // A second sink would split traces; whoever came first keeps them whole.
    drop(SINK.set(sink));
}

/// Whether spans are wanted: ask before collecting what goes into one.
pub fn is_on() -> bool {
    SINK.get().is_some()
}

pub fn record(span: Span) {
    if let Some(sink) = SINK.get() {
        sink.record(span);
    }
}

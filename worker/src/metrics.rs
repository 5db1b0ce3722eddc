//! What a worker measures: attempts, and the time that the warehouse takes.
//!
//! Names follow OpenTelemetry's conventions where there are any: statements are `db.client.operation.duration`.

use std::sync::OnceLock;

use common::telemetry::{Span, attribute};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Gauge, Histogram, Meter, UpDownCounter};

/// In seconds: from a statement that answers from memory to one that runs for hours.
const BOUNDS: [f64; 15] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 14_400.0];

/// Statements that are told apart.
const OPERATIONS: [&str; 16] = [
    "ALTER", "ANALYZE", "BEGIN", "COMMENT", "COMMIT", "COPY", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "MERGE",
    "ROLLBACK", "SELECT", "UPDATE", "WITH",
];

static METRICS: OnceLock<Metrics> = OnceLock::new();

pub(crate) struct Metrics {
    statements: Histogram<f64>,
    attempts: Histogram<f64>,
    busy: UpDownCounter<i64>,
    slots: Gauge<u64>,
}

/// Measures from now on. Only the first call of a process counts.
pub fn install(meter: &Meter) {
    let histogram = |name, description| {
        let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
        histogram.with_boundaries(BOUNDS.to_vec()).build()
    };
    let busy = meter.i64_up_down_counter("kontiki.worker.attempts").with_description("Attempts under way in a slot");
    let metrics = Metrics {
        statements: histogram("db.client.operation.duration", "Calls of the warehouse"),
        attempts: histogram("kontiki.worker.attempt.duration", "Attempts in a slot of this worker, by error"),
        busy: busy.build(),
        slots: meter.u64_gauge("kontiki.worker.slots").with_description("Slots of this worker").build(),
    };
    // The first one measures.
    drop(METRICS.set(metrics));
}

/// None where nobody wants metrics.
pub(crate) fn get() -> Option<&'static Metrics> {
    METRICS.get()
}

impl Metrics {
    pub fn has_slots(&self, count: usize) {
        self.slots.record(count as u64, &[]);
    }

    pub fn attempts_began(&self, count: usize) {
        self.busy.add(i64::try_from(count).unwrap_or(i64::MAX), &[]);
    }

    pub fn attempts_ended(&self, count: usize) {
        self.busy.add(-i64::try_from(count).unwrap_or(i64::MAX), &[]);
    }

    /// Something has ended.
    pub fn span(&self, span: &Span) {
        let histogram = match span.attribute(attribute::DB_OPERATION) {
            Some(_) => &self.statements,
            None if span.attribute(attribute::TASK).is_some() => &self.attempts,
            None => return,
        };
        let text = |key| span.attribute(key).and_then(|value| value.as_text());
        let label = |key| Some(KeyValue::new(key, text(key)?.to_owned()));
        let operation = text(attribute::DB_OPERATION).map(|first| {
            // Whatever a project's SQL begins with must not become ever more series.
            let known = OPERATIONS.into_iter().find(|known| *known == first);
            KeyValue::new(attribute::DB_OPERATION, known.unwrap_or("OTHER"))
        });
        let labels = [label(attribute::DB_SYSTEM), operation, label(attribute::ERROR_TYPE)];
        let labels: Vec<KeyValue> = labels.into_iter().flatten().collect();
        histogram.record(span.duration().as_secs_f64(), &labels);
    }
}

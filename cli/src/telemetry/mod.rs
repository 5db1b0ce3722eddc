//! Sends spans to a collector, where the environment names one: OTLP over gRPC, with OpenTelemetry's own variables. Metrics are those of
//! [`metrics`].
//!
//! Invariant: nothing waits for the collector. Spans go into a queue of bounded length, and what does not fit is dropped; the end of
//! the program waits for the last of them, but not for long.

pub mod lineage;
pub mod metrics;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use common::Timestamp;
use common::telemetry::{self, Context, Kind, Sink, Span, Status, TraceId, Value, attribute};
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::ResourceBuilder;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor};
use tokio::runtime::Runtime;

/// How long the end of the program waits for a collector that is slow or gone.
const EXIT_MAX: Duration = Duration::from_secs(2);

/// The traces of this process, while it runs.
pub struct Telemetry(Option<Running>);

struct Running {
    processor: Arc<BatchSpanProcessor>,
    /// Moves the bytes; the processor's own thread waits for them.
    runtime: Runtime,
}

/// The variables of one kind of telemetry that the specification has besides those of all kinds.
struct Signal {
    endpoint: &'static str,
    exporter: &'static str,
    protocol: &'static str,
}

const TRACES: Signal = Signal {
    endpoint: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    exporter: "OTEL_TRACES_EXPORTER",
    protocol: "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
};

impl Signal {
    /// Whether the environment names a collector and does not say not to send.
    fn is_wanted(&self, env: impl Fn(&str) -> Option<String>) -> Result<bool, Error> {
        let has_endpoint = [self.endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().any(|name| env(name).is_some());
        let is_disabled = env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let is_other = env(self.exporter).is_some_and(|exporter| exporter != "otlp");
        if !has_endpoint || is_disabled || is_other {
            return Ok(false);
        }
        let protocols = [self.protocol, "OTEL_EXPORTER_OTLP_PROTOCOL"];
        let protocol = protocols.into_iter().find_map(|name| Some((name, env(name)?)));
        match protocol.filter(|(_, protocol)| protocol != "grpc") {
            Some((name, protocol)) => Err(Error::Protocol(name, protocol)),
            None => Ok(true),
        }
    }
}

/// What the telemetry of this process is from.
fn resource() -> ResourceBuilder {
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("kontiki");
    }
    resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
}

/// Why the environment's wishes cannot be met. The program works without.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("telemetry is sent over gRPC only; {0} is '{1}'")]
    Protocol(&'static str, String),
    #[error(
        "OTEL_TRACES_SAMPLER is '{0}'; it may be always_on, always_off, traceidratio, or one of these after 'parentbased_'"
    )]
    Sampler(String),
    #[error("OTEL_TRACES_SAMPLER_ARG is '{0}'; it must be a number from 0 to 1")]
    Ratio(String),
    #[error("cannot listen at {0} for those who read metrics: {1}")]
    Listen(String, #[source] std::io::Error),
    #[error("the exporter of telemetry cannot be made: {0}")]
    Exporter(String),
}

impl Telemetry {
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts sending, unless the environment names no collector or says not to.
    pub fn start(env: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let env = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        if !TRACES.is_wanted(env)? {
            return Ok(Self::off());
        }
        let sampler = Sampler::of(env("OTEL_TRACES_SAMPLER"), env("OTEL_TRACES_SAMPLER_ARG"))?;
        let running = Running::start()?;
        telemetry::install(Box::new(Queue { processor: running.processor.clone(), sampler }));
        Ok(Self(Some(running)))
    }

    /// Sends what is left, as far as the collector takes it in time.
    pub fn finish(self) {
        let Some(Running { processor, runtime }) = self.0 else { return };
        // Late or not at all: a trace is not worth more of the user's time, and nothing is lost but the trace.
        drop(processor.shutdown_with_timeout(EXIT_MAX));
        runtime.shutdown_background();
    }
}

impl Running {
    fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("telemetry")
            .enable_all()
            .build()
            .map_err(|error| Error::Exporter(error.to_string()))?;
        let exporter = {
            let _inside = runtime.enter();
            let builder = SpanExporter::builder().with_tonic().with_protocol(opentelemetry_otlp::Protocol::Grpc);
            builder.build().map_err(|error| Error::Exporter(error.to_string()))?
        };
        let resource = resource().build();
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource);
        Ok(Self { processor: Arc::new(processor), runtime })
    }
}

struct Queue {
    processor: Arc<BatchSpanProcessor>,
    sampler: Sampler,
}

impl Sink for Queue {
    fn record(&self, span: Span) {
        if self.sampler.takes(span.trace) {
            self.processor.on_end(data(span));
        }
    }
}

/// Which traces are kept; every process decides the same, by the trace's id.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sampler {
    /// From 0 to 1.
    ratio: f64,
}

impl Sampler {
    /// A run is the root of its own trace, so a sampler that looks at the parent decides as its root's.
    fn of(name: Option<String>, argument: Option<String>) -> Result<Self, Error> {
        let name = name.unwrap_or_else(|| "always_on".to_owned());
        let ratio = match name.strip_prefix("parentbased_").unwrap_or(&name) {
            "always_on" => 1.0,
            "always_off" => 0.0,
            "traceidratio" => match argument {
                None => 1.0,
                Some(text) => match text.parse() {
                    Ok(ratio) if (0.0..=1.0).contains(&ratio) => ratio,
                    _ => return Err(Error::Ratio(text)),
                },
            },
            _ => return Err(Error::Sampler(name)),
        };
        Ok(Self { ratio })
    }

    /// A run's id ends in random bits.
    fn takes(self, trace: TraceId) -> bool {
        let position = (trace.0 as u64 & ((1 << 62) - 1)) as f64 / (1u64 << 62) as f64;
        self.ratio >= 1.0 || position < self.ratio
    }
}

fn data(span: Span) -> SpanData {
    let context = |Context { trace, span }: Context| {
        let (trace, span) = (trace.0.into(), span.0.into());
        SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
    };
    let value = |value: Value| match value {
        Value::Text(text) => opentelemetry::Value::from(text),
        Value::Int(number) => number.into(),
        Value::Bool(truth) => truth.into(),
    };
    let links = span
        .links
        .into_iter()
        .map(|link| Link::new(context(link.to), vec![KeyValue::new(attribute::LINK, link.what)], 0));
    let mut all_links = SpanLinks::default();
    all_links.links = links.collect();
    SpanData {
        span_context: context(Context { trace: span.trace, span: span.id }),
        parent_span_id: span.parent.map_or(opentelemetry::SpanId::INVALID, |parent| parent.0.into()),
        parent_span_is_remote: false,
        span_kind: match span.kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
        },
        name: span.name,
        start_time: system_time(span.started_at),
        end_time: system_time(span.ended_at),
        attributes: span.attributes.into_iter().map(|(key, of)| KeyValue::new(key, value(of))).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: all_links,
        status: match span.status {
            Status::Unset => opentelemetry::trace::Status::Unset,
            Status::Error(text) => opentelemetry::trace::Status::error(text),
        },
        instrumentation_scope: InstrumentationScope::builder("kontiki").with_version(env!("CARGO_PKG_VERSION")).build(),
    }
}

fn system_time(at: Timestamp) -> std::time::SystemTime {
    UNIX_EPOCH + at.since(Timestamp::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(name: &str, argument: Option<&str>) -> Result<Sampler, Error> {
        Sampler::of(Some(name.to_owned()), argument.map(str::to_owned))
    }

    #[test]
    fn samplers_are_those_of_the_specification() {
        let ratio = |name, argument| sampler(name, argument).map(|sampler| sampler.ratio).ok();
        assert_eq!(ratio("always_on", None), Some(1.0));
        assert_eq!(ratio("parentbased_always_off", None), Some(0.0));
        assert_eq!(ratio("traceidratio", Some("0.25")), Some(0.25));
        assert_eq!(ratio("parentbased_traceidratio", None), Some(1.0));
        assert!(matches!(sampler("traceidratio", Some("2")), Err(Error::Ratio(_))));
        assert!(matches!(sampler("sometimes", None), Err(Error::Sampler(_))));
    }

    #[test]
    fn a_ratio_takes_whole_traces() {
        let half = Sampler { ratio: 0.5 };
        assert!(half.takes(TraceId(0x0190_0000_0000_7000_8000_0000_0000_0001)));
        assert!(!half.takes(TraceId(0x0190_0000_0000_7000_bfff_ffff_ffff_ffff)));
        assert!(!Sampler { ratio: 0.0 }.takes(TraceId(0x0190_0000_0000_7000_8000_0000_0000_0000)));
    }

    #[test]
    fn is_off_unless_a_collector_is_named() {
        let start = |settings: &[(&str, &str)]| {
            let find = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            Telemetry::start(find).map(|telemetry| telemetry.0.is_some())
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
        assert!(matches!(start(&[]), Ok(false)));
        assert!(matches!(start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(false)));
        assert!(matches!(start(&[endpoint, ("OTEL_SDK_DISABLED", "true")]), Ok(false)));
        assert!(matches!(start(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), Ok(false)));
        assert!(matches!(
            start(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]),
            Err(Error::Protocol("OTEL_EXPORTER_OTLP_PROTOCOL", _))
        ));
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json");
        assert!(matches!(start(&[endpoint, of_traces]), Err(Error::Protocol("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", _))));
    }
}

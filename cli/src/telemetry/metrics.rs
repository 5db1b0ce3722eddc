//! Metrics of a process of a cluster: Prometheus reads them over HTTP, or they are sent to a collector, or both.
//!
//! Invariant: nothing waits for whoever reads. Without an address and without a collector nothing is measured at all.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse as _;
use axum::routing::get;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use prometheus::{Encoder as _, Registry, TextEncoder};
use scheduler::replica::Handle;
use tokio::net::TcpListener;

use super::{EXIT_MAX, Error, Signal, resource};

const METRICS: Signal = Signal {
    endpoint: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    exporter: "OTEL_METRICS_EXPORTER",
    protocol: "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
};

/// The metrics of this process, while it runs.
pub struct Metrics(Option<Running>);

struct Running {
    provider: SdkMeterProvider,
    meter: Meter,
}

impl Metrics {
    pub fn off() -> Self {
        Self(None)
    }

    /// Starts measuring, unless the environment names no collector and nobody listens. `instance` tells this process from others of the
    /// cluster. Called within a runtime, which must live as long.
    pub async fn start(
        env: impl Fn(&str) -> Option<String>,
        instance: &str,
        listen: Option<&str>,
    ) -> Result<Self, Error> {
        let env = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let sends = METRICS.is_wanted(env)?;
        if !sends && listen.is_none() {
            return Ok(Self::off());
        }
        let instance = KeyValue::new("service.instance.id", instance.to_owned());
        let mut provider = SdkMeterProvider::builder().with_resource(resource().with_attribute(instance).build());
        if let Some(address) = listen {
            let registry = Registry::new();
            let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone());
            let exporter = exporter.scope_info_enabled(false).build().map_err(failed)?;
            provider = provider.with_reader(exporter);
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|source| Error::Listen(address.to_owned(), source))?;
            let address = listener.local_addr().map_err(|source| Error::Listen(address.to_owned(), source))?;
            tracing::info!(%address, "serves metrics");
            tokio::spawn(serve(listener, registry));
        }
        if sends {
            let exporter = MetricExporter::builder().with_tonic().with_protocol(opentelemetry_otlp::Protocol::Grpc);
            provider = provider.with_reader(PeriodicReader::builder(exporter.build().map_err(failed)?).build());
        }
        let provider = provider.build();
        let meter = provider.meter("kontiki");
        Ok(Self(Some(Running { provider, meter })))
    }

    pub fn measure_replica(&self, handle: &Handle) {
        if let Some(running) = &self.0 {
            scheduler::metrics::install(&running.meter);
            scheduler::metrics::observe(&running.meter, handle);
        }
    }

    pub fn measure_worker(&self) {
        if let Some(running) = &self.0 {
            worker::metrics::install(&running.meter);
        }
    }

    /// Sends what is left, as far as the collector takes it in time.
    pub async fn finish(self) {
        let Some(running) = self.0 else { return };
        // Late or not at all: the process ends, and what was measured last is lost. The runtime must go on to move the bytes.
        drop(tokio::task::spawn_blocking(move || running.provider.shutdown_with_timeout(EXIT_MAX)).await);
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Exporter(error.to_string())
}

async fn serve(listener: TcpListener, registry: Registry) {
    let page = move || {
        let registry = registry.clone();
        async move { render(&registry) }
    };
    let router = axum::Router::new().route("/metrics", get(page));
    if let Err(error) = axum::serve(listener, router).await {
        tracing::warn!(%error, "metrics are not served any more");
    }
}

fn render(registry: &Registry) -> axum::response::Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut text) {
        Ok(()) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

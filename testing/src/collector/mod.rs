//! A collector of spans and metrics, as OpenTelemetry's exporters know it.

mod trace;

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
pub use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

pub use trace::{Trace, text};

/// Keeps every span it is sent.
pub struct Collector {
    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` names it.
    pub address: String,
    spans: Kept<Span>,
    metrics: Kept<Metric>,
    _runtime: tokio::runtime::Runtime,
}

/// A metric as one process sent it.
#[derive(Clone, Debug)]
pub struct Metric {
    /// `service.instance.id` of the process.
    pub instance: String,
    pub name: String,
}

struct Kept<T>(Arc<Mutex<Vec<T>>>);

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Kept<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn extend(&self, arrived: impl Iterator<Item = T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(arrived);
    }

    fn all(&self) -> Vec<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[tonic::async_trait]
impl MetricsService for Kept<Metric> {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for sent in request.into_inner().resource_metrics {
            let attributes = sent.resource.unwrap_or_default().attributes;
            let instance = text(&attributes, "service.instance.id").unwrap_or_default();
            let metrics = sent.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.extend(metrics.map(|metric| Metric { instance: instance.clone(), name: metric.name }));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Kept<Span> {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        let scopes = resources.into_iter().flat_map(|resource| resource.scope_spans);
        self.extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a bound address"));
        let (spans, metrics) = (Kept::new(), Kept::new());
        let of_spans = TraceServiceServer::new(spans.clone()).accept_compressed(CompressionEncoding::Gzip);
        let of_metrics = MetricsServiceServer::new(metrics.clone()).accept_compressed(CompressionEncoding::Gzip);
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(of_spans).add_service(of_metrics);
        runtime.spawn(server.serve_with_incoming(incoming));
        Self { address, spans, metrics, _runtime: runtime }
    }

    /// Everything that was received, in the order of its arrival.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.all()
    }

    /// Likewise of metrics, each as often as it was sent.
    pub fn metrics(&self) -> Vec<Metric> {
        self.metrics.all()
    }
}

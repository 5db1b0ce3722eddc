//! Calls of this program as spans of the trace of the run that they are about.

use common::telemetry::rpc::{Rpc, SPAN_HEADER};
use common::telemetry::{self, Context, Kind, SpanId, TraceId};
use common::{RunId, Timestamp};
use tonic::Request;

use super::connect::Connected;

/// A call under way. Which trace it is in is known once the run is.
pub struct Call<'a> {
    cluster: &'a Connected<'a>,
    method: &'static str,
    span: Option<SpanId>,
    began_at: Timestamp,
}

impl<'a> Call<'a> {
    /// `method` is `kontiki.v1.<service>/<method>`.
    pub fn begin(cluster: &'a Connected<'a>, method: &'static str) -> Self {
        let span = telemetry::is_on().then(|| SpanId((uuid::Uuid::new_v4().as_u128() as u64).max(1)));
        Self { cluster, method, span, began_at: now() }
    }

    /// A request that tells who called this program, and which span it belongs to.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(caller) = self.cluster.call.caller().and_then(|caller| caller.parse().ok()) {
            request.metadata_mut().insert("traceparent", caller);
        }
        if let Some(span) = self.span.and_then(|span| span.to_string().parse().ok()) {
            request.metadata_mut().insert(SPAN_HEADER, span);
        }
        request
    }

    /// The call was answered, and is about this run.
    pub fn end(self, run: &str) {
        let (Some(span), Ok(run)) = (self.span, run.parse::<RunId>()) else { return };
        let address = self.cluster.replicas.addresses().into_iter().next().unwrap_or_default();
        let server = address.split("://").last().and_then(|address| address.rsplit_once(':')).map(|(host, _)| host);
        let rpc = Rpc { method: self.method, code: "OK", started_at: self.began_at, ended_at: now(), server };
        let place = Context { trace: TraceId::of_run(run), span };
        telemetry::record(rpc.span(place, SpanId::of_run(run), Kind::Client));
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}

//! Whether a process lives, and whether it can do its work, by gRPC's own protocol for health.
//!
//! Invariant: liveness never depends on others. A replica without a leader must not be restarted for it: that would take away the
//! majority that could elect one.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::health_reporter;

pub use tonic_health::pb::FILE_DESCRIPTOR_SET as DESCRIPTORS;
pub use tonic_health::pb::health_server::{Health, HealthServer};

/// The process answers.
pub const LIVENESS: &str = "liveness";
/// It can do its work: a replica belongs to a cluster and knows a leader, a worker has a session with the leader.
pub const READINESS: &str = "readiness";

/// A question and its answer take some dozen bytes.
const STREAMS_MAX: u32 = 16;
/// Who is silent for this long and does not answer is gone.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// What kubelets and load balancers ask. The unnamed service is readiness.
pub async fn service(mut ready: watch::Receiver<bool>) -> HealthServer<impl Health> {
    let (reporter, service) = health_reporter();
    reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
    tokio::spawn(async move {
        loop {
            let is_ready = *ready.borrow_and_update();
            let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status(READINESS, status).await;
            reporter.set_service_status("", status).await;
            // The sender is gone: the process ends.
            if ready.changed().await.is_err() {
                return;
            }
        }
    });
    service
}

/// Serves nothing but health, and without TLS: kubelets have no certificates. Ends with the runtime.
pub async fn serve(listener: TcpListener, ready: watch::Receiver<bool>) -> io::Result<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let router = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(service(ready).await);
    router.serve_with_incoming(incoming).await.map_err(io::Error::other)
}

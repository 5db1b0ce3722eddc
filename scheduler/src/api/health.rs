//! Whether the process lives, whether it can serve, and what it serves: gRPC's own protocols for health and reflection.
//!
//! Invariant: liveness never depends on a leader. A replica without one must not be restarted for it: that would take away the
//! majority that could elect one.

use proto::DESCRIPTORS;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::health_reporter;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::replica::Handle;

/// The process answers.
pub const LIVENESS: &str = "liveness";
/// The replica belongs to a cluster and knows a leader, so that it can answer clients.
pub const READINESS: &str = "readiness";

/// What kubelets and load balancers ask. The unnamed service is readiness.
pub async fn service(handle: &Handle) -> HealthServer<impl Health> {
    let (reporter, service) = health_reporter();
    reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
    let handle = handle.clone();
    tokio::spawn(async move {
        let mut leader = handle.leader();
        loop {
            leader.borrow_and_update();
            let status = if handle.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status(READINESS, status).await;
            reporter.set_service_status("", status).await;
            // The sender is gone: the replica has stopped.
            if leader.changed().await.is_err() {
                return;
            }
        }
    });
    service
}

/// Lets tools such as grpcurl list services and messages.
pub fn reflection() -> ServerReflectionServer<impl ServerReflection> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were made by this build")
}

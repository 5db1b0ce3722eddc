//! Whether this replica can serve, and what it serves: gRPC's own protocols for health and reflection.

use proto::DESCRIPTORS;
use tokio::sync::watch;
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::replica::Handle;

/// Whether the replica belongs to a cluster and knows a leader, so that it can answer clients.
pub fn readiness(handle: &Handle) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(handle.is_ready());
    let handle = handle.clone();
    tokio::spawn(async move {
        let mut leader = handle.leader();
        loop {
            leader.borrow_and_update();
            let is_ready = handle.is_ready();
            sender.send_if_modified(|was| std::mem::replace(was, is_ready) != is_ready);
            tokio::select! {
                () = sender.closed() => return,
                // The replica has stopped.
                changed = leader.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    });
    receiver
}

/// Lets tools such as grpcurl list services and messages.
pub fn reflection() -> ServerReflectionServer<impl ServerReflection> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(proto::health::DESCRIPTORS)
        .build_v1()
        .expect("the descriptors were made by this build")
}

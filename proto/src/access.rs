//! Who may call which method.
//!
//! Invariant: what the table does not know nobody may call.

use crate::tls::Role;

const REPLICA: &[Role] = &[Role::Replica];
const WORKER: &[Role] = &[Role::Worker];
const CLIENT: &[Role] = &[Role::Client];
const WORKER_OR_CLIENT: &[Role] = &[Role::Worker, Role::Client];

/// Who may call a method, by its path; none where nobody may.
pub fn allowed(path: &str) -> &'static [Role] {
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return &[] };
    match (service, method) {
        ("kontiki.v1.RaftService", _) => REPLICA,
        ("kontiki.v1.WorkerService", "Session" | "DescribeRun") => WORKER,
        // A worker leaves by draining itself, and fetches what it runs.
        ("kontiki.v1.WorkerService", "DrainWorker")
        | ("kontiki.v1.ProjectService", "GetBundle" | "DownloadBlob")
        | ("kontiki.v1.RunService", "GetRun")
        | ("kontiki.v1.ClusterService", "GetStatus") => WORKER_OR_CLIENT,
        // KEDA shows the certificate of a client.
        ("externalscaler.ExternalScaler", _) => CLIENT,
        (
            "kontiki.v1.AlertService"
            | "kontiki.v1.ClusterService"
            | "kontiki.v1.ProjectService"
            | "kontiki.v1.RunService"
            | "kontiki.v1.ScheduleService"
            | "kontiki.v1.WorkerService",
            _,
        ) => CLIENT,
        ("grpc.health.v1.Health" | "grpc.reflection.v1.ServerReflection", _) => &Role::ALL,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use prost_types::FileDescriptorSet;

    use super::*;

    /// Every method of every service, as reflection tells them.
    fn methods() -> Vec<String> {
        let set: FileDescriptorSet = prost::Message::decode(crate::DESCRIPTORS).unwrap();
        let services = set.file.into_iter().flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        });
        services
            .flat_map(|(package, service)| {
                let name = format!("/{package}.{}", service.name());
                service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
            })
            .collect()
    }

    #[test]
    fn every_method_is_for_somebody_and_none_is_for_all() {
        let methods = methods();
        assert!(methods.len() > 40, "{methods:?}");
        for method in methods {
            let roles = allowed(&method);
            assert!(!roles.is_empty() && roles.len() < Role::ALL.len(), "{method}: {roles:?}");
        }
    }

    #[test]
    fn what_is_not_known_nobody_may_call() {
        for path in ["/kontiki.v2.RunService/SubmitRun", "/", "", "/kontiki.v1.RunServices/X", "kontiki"] {
            assert_eq!(allowed(path), &[] as &[Role], "{path}");
        }
    }
}

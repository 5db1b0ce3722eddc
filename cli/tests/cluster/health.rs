//! What kubelets ask, who have no certificates.

use testing::{Process, ports};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::Project;
use crate::tls;

/// The status of a service of a process; `None` where nobody answers.
fn status(address: &str, service: &str) -> Option<ServingStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = HealthClient::new(endpoint.connect().await.ok()?);
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = client.check(request).await.unwrap().into_inner();
        Some(answer.status())
    })
}

#[test]
fn health_is_told_without_a_certificate() {
    let project = Project::small();
    let (folder, _) = tls::certificates(&project);
    let [server, server_health, worker_health] = ports::free(3)[..] else { unreachable!("three were asked for") };
    let [server, server_health, worker_health] =
        [server, server_health, worker_health].map(|port| format!("127.0.0.1:{port}"));
    let start = |name: &str, role: &str, arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.envs(tls::variables(&folder, role));
        Process::start(name, project.root(), command)
    };
    let cache = project.root().join("cache").display().to_string();
    let worker = ["worker", "--servers", &server, "--health-listen", &worker_health, "--cache-dir", &cache];
    let worker = start("worker", "worker", &worker);
    let until = |what: &str, address: &str, expected: ServingStatus, process: &Process| {
        let asked = || match status(address, "readiness") {
            Some(found) if found == expected => Ok(()),
            found => Err(format!("{found:?}")),
        };
        testing::obtain(what, asked, || process.lines());
    };
    // Without a leader there is nothing to do, and no reason to be restarted.
    until("a worker without a session", &worker_health, ServingStatus::NotServing, &worker);
    assert_eq!(status(&worker_health, "liveness"), Some(ServingStatus::Serving));

    let data = project.root().join("data").display().to_string();
    let arguments = ["server", "--listen", &server, "--data-dir", &data, "--health-listen", &server_health];
    let mut replica = start("replica", "replica", &arguments);
    until("a replica that leads", &server_health, ServingStatus::Serving, &replica);
    until("a worker with a session", &worker_health, ServingStatus::Serving, &worker);
    assert_eq!(status(&server_health, ""), Some(ServingStatus::Serving));

    replica.signal("KILL");
    replica.code();
    until("a worker whose leader is gone", &worker_health, ServingStatus::NotServing, &worker);
    assert_eq!(status(&worker_health, "liveness"), Some(ServingStatus::Serving));
}

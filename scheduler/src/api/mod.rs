//! `kontiki.v1` as a replica serves it: requests become commands and reads, replies and events become answers.
//!
//! ```text
//!   clients ──▶ ProjectService, RunService, … ───────────────┐
//!   workers ──▶ WorkerService                                ├──▶ replica::Handle
//!   replicas ─▶ RaftService                                  ┘
//! ```
//!
//! Invariants: any replica answers any client, what it cannot decide itself it asks the leader; nothing a client sends makes
//! this replica hold more than the limits in [`Config`]; a client that does not read slows nobody but itself.

mod alerting;
mod alerts;
mod callers;
mod cluster;
mod commit;
mod download;
mod findings;
mod fresh;
mod health;
mod manifests;
mod pages;
mod planner;
mod planning;
mod projects;
mod refusal;
mod runs;
mod scaling;
mod schedule_view;
mod schedules;
mod session;
mod ticking;
mod trace;
mod transcripts;
mod uploads;
mod view;
mod watch;
mod workers;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proto::externalscaler::external_scaler_server::ExternalScalerServer;
use proto::v1::alert_service_server::AlertServiceServer;
use proto::v1::cluster_service_server::ClusterServiceServer;
use proto::v1::project_service_server::ProjectServiceServer;
use proto::v1::run_service_server::RunServiceServer;
use proto::v1::schedule_service_server::ScheduleServiceServer;
use proto::v1::worker_service_server::WorkerServiceServer;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use self::callers::Guard;
pub use self::health::readiness;
use self::planner::Planner;
use crate::access::Access;
use crate::replica::{Handle, raft_service};
use proto::tls::Callers;

/// What a replica allows those who call it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of one message of a client or a worker.
    pub message_bytes_max: usize,
    /// Calls and streams at once on one connection.
    pub streams_max: u32,
    /// Workers are told how soon they are lost where they are not heard.
    pub lease: Duration,
    /// A peer whose connection is dead without having been closed is found out after this and the same again.
    pub keepalive: Duration,
    /// Bytes of the headers of one call.
    pub header_bytes_max: u32,
    /// Who may do what; without it clients with a certificate may do everything. It counts under TLS only.
    pub access: Option<Arc<Access>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            message_bytes_max: 16 << 20,
            streams_max: 1_024,
            lease: Duration::from_secs(10),
            keepalive: Duration::from_secs(10),
            header_bytes_max: 16 << 10,
            access: None,
        }
    }
}

/// Serves until `stop` resolves, and then until the calls under way are answered.
pub async fn serve(
    handle: Handle,
    listener: TcpListener,
    config: Config,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let (limit, tls) = (config.message_bytes_max, handle.tls());
    let projects = ProjectServiceServer::new(projects::Service::new(handle.clone()));
    let planner = Planner::new(handle.clone());
    let runs = RunServiceServer::new(runs::Service::new(handle.clone(), planner.clone()));
    let schedules = ScheduleServiceServer::new(schedules::Service::new(handle.clone(), planner.clone()));
    let alerts = AlertServiceServer::new(alerts::Service::new(handle.clone()));
    // These end with this future.
    let _ticking = ticking::spawn(handle.clone(), planner);
    let _alerting = alerting::spawn(handle.clone());
    let workers = WorkerServiceServer::new(workers::Service::new(handle.clone(), config.lease));
    let cluster = ClusterServiceServer::new(cluster::Service::new(handle.clone()));
    let router = Server::builder()
        .layer(Guard { is_secured: tls.is_some(), access: config.access.clone() })
        .http2_max_header_list_size(config.header_bytes_max)
        .max_concurrent_streams(config.streams_max)
        .http2_keepalive_interval(Some(config.keepalive))
        .http2_keepalive_timeout(Some(config.keepalive))
        .add_service(proto::health::service(health::readiness(&handle)).await)
        .add_service(health::reflection())
        .add_service(raft_service(&handle))
        .add_service(projects.max_decoding_message_size(limit))
        .add_service(runs.max_decoding_message_size(limit))
        .add_service(schedules.max_decoding_message_size(limit))
        .add_service(alerts.max_decoding_message_size(limit))
        .add_service(workers.max_decoding_message_size(limit))
        .add_service(cluster.max_decoding_message_size(limit))
        .add_service(ExternalScalerServer::new(scaling::Service::new(handle.clone())));
    match tls {
        Some(tls) => {
            let callers = if config.access.is_some() { Callers::Any } else { Callers::Certified };
            router.serve_with_incoming_shutdown(callers::accept(listener, tls, callers), stop).await
        }
        None => {
            // The builder's own setting is for listeners that it opens itself; without it an answer waits 40 ms for another.
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            router.serve_with_incoming_shutdown(incoming, stop).await
        }
    }
}

//! The settings themselves.

use std::path::PathBuf;
use std::time::Duration;

use super::section::section;
use super::value::{Bytes, Labels, LogFormat, LogLevel};

section! {
    /// A replica of the scheduler.
    Server = "server" {
        #[doc = "The replica's name among its peers; the host's name where this is empty"]
        "name" name: Option<String> = "",
        #[doc = "The folder of the replicated log, of Raft snapshots and of the replica's identity"]
        "data-dir" data_dir: PathBuf = ".kontiki/server",
        #[doc = "The address to listen on"]
        "listen" listen: String = "127.0.0.1:4728",
        #[doc = "Whether it may listen to other machines without TLS: anybody who reaches it can do anything with it"]
        "insecure" insecure: bool = "false",
        #[doc = "The file that says who may do what, read again when it changes; without it clients with a certificate may do everything"]
        "access-policy" access_policy: Option<PathBuf> = "",
        #[doc = "The address under which others reach this replica; where this is empty that of `listen`, with the host's name for `0.0.0.0` and `[::]`"]
        "advertise" advertise: Option<String> = "",
        #[doc = "Addresses at which other replicas may be found; each may stand for several, and for this one"]
        "peers" peers: Vec<String> = "",
        #[doc = "How many replicas make a fresh cluster; counts only while there is none"]
        "replicas" replicas: u32 = "1",
        #[doc = "A worker that was not heard for this long is lost"]
        "lease" lease: Duration = "10s",
        #[doc = "Finished runs that are remembered"]
        "runs-kept" runs_kept: u32 = "1000",
        #[doc = "Finished runs, and what was decided about ticks of schedules, are remembered for so long at most"]
        "history-kept" history_kept: Duration = "2160h",
        #[doc = "What the attempts of finished runs left, their SQL and logs, is kept for so long at most"]
        "transcripts-kept" transcripts_kept: Duration = "720h",
        #[doc = "How often the leader is heard by its followers"]
        "heartbeat-interval" heartbeat_interval: Duration = "100ms",
        #[doc = "The shorter end of the random time that a replica waits, beyond the longer one, before it stands for election"]
        "election-timeout-min" election_timeout_min: Duration = "150ms",
        #[doc = "How long the leader must be silent before a replica thinks of an election; also the longer end of that random time"]
        "election-timeout-max" election_timeout_max: Duration = "300ms",
        #[doc = "The address at which Prometheus finds this replica's metrics, under /metrics; nowhere where this is empty"]
        "metrics-listen" metrics_listen: Option<String> = "",
        #[doc = "The address at which anybody may ask for this replica's health, by gRPC without TLS; only at `listen`'s where this is empty"]
        "health-listen" health_listen: Option<String> = "",
        #[doc = "How long a replica that ends may take to hand over"]
        "grace" grace: Duration = "10s",
    }
}

section! {
    /// A worker.
    Worker = "worker" {
        #[doc = "Addresses of replicas; one that answers is enough"]
        "servers" servers: Vec<String> = "127.0.0.1:4728",
        #[doc = "Tasks at once; each has a connection to the warehouse"]
        "slots" slots: u32 = "4",
        #[doc = "Labels that runs may ask for, as name=value"]
        "labels" labels: Labels = "",
        #[doc = "The folder in which bundles are kept"]
        "cache-dir" cache_dir: PathBuf = ".kontiki/worker",
        #[doc = "The size to which unused files of bundles may grow"]
        "cache-size" cache_size: Bytes = "1GiB",
        #[doc = "The folder with profiles.yml, which has the credentials; searched for as dbt does where this is empty"]
        "profiles-dir" profiles_dir: Option<PathBuf> = "",
        #[doc = "How often the leader hears of this worker"]
        "heartbeat-interval" heartbeat_interval: Duration = "1s",
        #[doc = "A report that was not acknowledged is sent again after this"]
        "resend-after" resend_after: Duration = "2s",
        #[doc = "The address at which Prometheus finds this worker's metrics, under /metrics; nowhere where this is empty"]
        "metrics-listen" metrics_listen: Option<String> = "",
        #[doc = "The address at which anybody may ask for this worker's health, by gRPC without TLS; nowhere where this is empty"]
        "health-listen" health_listen: Option<String> = "",
        #[doc = "How long a worker that ends may go on with what it runs before its SQL is interrupted"]
        "grace" grace: Duration = "30s",
    }
}

section! {
    /// Mutual TLS between replicas, workers and clients; plain connections where none of these is given.
    Tls = "tls" {
        #[doc = "Certificates of those who sign, PEM: whoever shows another one is refused"]
        "ca" ca: Option<PathBuf> = "",
        #[doc = "This process's own certificate, its chain after it, PEM"]
        "cert" cert: Option<PathBuf> = "",
        #[doc = "The certificate's private key, PEM"]
        "key" key: Option<PathBuf> = "",
    }
}

section! {
    /// What the processes say of themselves on standard error.
    Log = "log" {
        #[doc = "The least severe lines: debug, info, warn or error"]
        "level" level: LogLevel = "info",
        #[doc = "How lines are written: text or json"]
        "format" format: LogFormat = "text",
    }
}

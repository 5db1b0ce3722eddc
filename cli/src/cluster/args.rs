//! The command line of a cluster's verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::config::{self, Flags};

/// `kontiki server`
#[derive(Args, Debug, Clone)]
pub struct Server {
    #[command(flatten)]
    pub source: config::Source,
    #[command(flatten)]
    pub flags: Flags<config::Server>,
    /// Begin a new cluster, in an empty data folder, with what `kontiki cluster snapshot save` saved
    #[arg(long, value_name = "FILE")]
    pub restore: Option<PathBuf>,
}

/// `kontiki worker`, with or without a verb
#[derive(Args, Debug, Clone)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Worker {
    #[command(flatten)]
    pub source: config::Source,
    #[command(flatten)]
    pub flags: Flags<config::Worker>,
    #[command(subcommand)]
    pub verb: Option<WorkerVerb>,
}

#[derive(Subcommand, Debug, Clone)]
pub enum WorkerVerb {
    /// List the workers of the cluster
    List(Shown),
    /// Show one worker and what it runs
    Get {
        worker: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Let a worker finish what it runs, take nothing new, and end
    Drain { worker: String },
}

/// `kontiki dev`
#[derive(Args, Debug, Clone)]
pub struct Dev {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:4728")]
    pub listen: String,
    /// Tasks at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub slots: u32,
    /// The address at which Prometheus finds metrics, under /metrics; nowhere where this is not given
    #[arg(long, value_name = "ADDRESS")]
    pub metrics_listen: Option<String>,
    /// The folder of everything that is remembered
    #[arg(long, default_value = ".kontiki/dev", value_name = "DIR")]
    pub data_dir: PathBuf,
}

#[derive(Subcommand, Debug, Clone)]
pub enum Access {
    /// Make a token: it is printed once, and what the access policy has to say of it
    Token {
        /// What the policy, and refused calls, name it
        name: String,
    },
    /// Check an access policy
    Check { file: PathBuf },
}

#[derive(Subcommand, Debug, Clone)]
pub enum Config {
    /// Print the settings in force, each with where it comes from
    Check(config::Source),
}

#[derive(Subcommand, Debug, Clone)]
pub enum Context {
    /// Remember a cluster under a name
    Set {
        name: String,
        /// Addresses of its replicas, separated by commas
        #[arg(value_delimiter = ',', required = true)]
        servers: Vec<String>,
        #[command(flatten)]
        certificate: Certificate,
        /// The file with the token that tells that cluster who calls; read at every call
        #[arg(long, value_name = "FILE", requires = "tls_ca")]
        token_file: Option<PathBuf>,
    },
    /// Send verbs to this cluster from now on; `local` for this machine
    Use { name: String },
    /// List the clusters that are remembered
    List,
}

/// Whom a client trusts, and the certificate that it shows.
#[derive(Args, Debug, Clone)]
pub struct Certificate {
    /// Certificates of those who sign for this cluster, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The certificate to show there, its chain after it, PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_key"])]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_cert"])]
    pub tls_key: Option<PathBuf>,
}

/// How a list or a thing is shown.
#[derive(Args, Debug, Clone, Copy)]
pub struct Shown {
    /// How it is shown
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
    /// Show it again whenever it has changed
    #[arg(short, long)]
    pub watch: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOutput {
    Text,
    Json,
    Yaml,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Table,
    Wide,
    Json,
    Yaml,
    Name,
}

#[derive(Subcommand, Debug, Clone)]
pub enum Project {
    /// List the projects of the cluster
    List(Shown),
    /// Show one project
    Get {
        project: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Upload the project of this folder; files that the cluster has are not sent again
    Deploy {
        /// Where the files came from, such as a Git commit
        #[arg(long, default_value = "")]
        revision: String,
    },
}

#[derive(Subcommand, Debug, Clone)]
pub enum Runs {
    /// List runs, the newest first
    List {
        /// Only those of this project
        #[arg(long)]
        project: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        shown: Shown,
    },
    /// Show one run and its tasks
    Get {
        run: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Print what happens in a run until it has finished
    Watch { run: String },
    /// Stop a run; its SQL is interrupted
    Cancel { run: String },
    /// Go on with a finished run: what did not succeed, or these nodes and everything downstream of them
    Retry {
        run: String,
        #[arg(long, value_name = "NODE")]
        from: Vec<String>,
    },
}

/// What a file declares becomes what the cluster has.
#[derive(Args, Debug, Clone)]
pub struct Declare {
    /// The file; `kontiki.yml` of the project where none is given
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Subcommand, Debug, Clone)]
pub enum Schedule {
    /// Declare the schedules of a file; what is the same stays as it is
    Apply(Declare),
    /// List the schedules of the cluster
    List(Shown),
    /// Show one schedule and its last ticks
    Get {
        name: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Forget schedules; runs that have begun go on
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Let nothing begin by itself; what runs goes on
    Pause { name: String },
    /// Let a paused schedule go on; ticks of the pause do not run
    Resume { name: String },
    /// Run it now, whatever runs already, and print the run's id
    Trigger { name: String },
    /// List the ticks to come
    Next {
        name: String,
        /// How many
        #[arg(short = 'n', long, default_value_t = 10)]
        count: u32,
        #[command(flatten)]
        shown: Shown,
    },
    /// List what was decided about ticks, the latest first
    History {
        name: String,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        shown: Shown,
    },
    /// Run it for ticks of the past
    Backfill(Backfill),
}

#[derive(Subcommand, Debug, Clone)]
pub enum Alert {
    /// Declare the channels of a file, under `alerts`; what is the same stays as it is
    Apply(Declare),
    /// List the channels of the cluster
    List(Shown),
    /// Forget channels, and what is on its way over them
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Send something over a channel and wait until it has arrived
    Test { name: String },
    /// List the alerts that are on their way and those that were, the latest first
    History {
        /// Of one channel
        name: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        shown: Shown,
    },
}

#[derive(Args, Debug, Clone)]
pub struct Backfill {
    pub name: String,
    /// The first moment, such as 2026-05-01 in the schedule's time zone, or 2026-05-01T12:00:00Z
    #[arg(long)]
    pub from: String,
    /// The end, itself excluded
    #[arg(long)]
    pub to: String,
    /// Most runs at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub parallel: u32,
    /// Which ticks come first
    #[arg(long, value_enum, default_value = "oldest-first")]
    pub order: Order,
    /// Say which ticks there are, and start nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

#[derive(Subcommand, Debug, Clone)]
pub enum Backfills {
    /// List backfills, the latest first
    List {
        /// Only those of this schedule
        #[arg(long)]
        schedule: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
    /// Show one backfill and its ticks
    Get {
        id: u64,
        #[command(flatten)]
        shown: Shown,
    },
    /// Begin nothing more until it is resumed
    Pause { id: u64 },
    /// Go on
    Resume { id: u64 },
    /// End it, and cancel what runs
    Cancel { id: u64 },
}

#[derive(Subcommand, Debug, Clone)]
pub enum Task {
    /// List the tasks of a run
    List {
        run: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Show one task with its attempts, their SQL and their logs
    Get {
        run: String,
        node: String,
        #[command(flatten)]
        shown: Shown,
    },
    /// Print what attempts logged
    Logs {
        run: String,
        /// All tasks of the run where none is given
        node: Option<String>,
        /// All attempts where none is given
        #[arg(long, requires = "node", value_parser = clap::value_parser!(u32).range(1..))]
        attempt: Option<u32>,
        /// How they are shown: as text, or with every field
        #[arg(short, long, value_enum, default_value = "text")]
        output: LogOutput,
    },
}

#[derive(Subcommand, Debug, Clone)]
pub enum Cluster {
    /// Show the replicas and how far each is
    Status(Shown),
    /// Let a replica join; it receives the log and does not vote
    Add {
        id: u64,
        /// Host and port
        address: String,
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Make a learner that has caught up a voter
    Promote { id: u64 },
    /// Let a replica leave for good
    Remove { id: u64 },
    /// Hand leadership over; to whichever follower is furthest where none is named
    Transfer { id: Option<u64> },
    /// Save everything that the cluster remembers in one file
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Limit how many tasks run at once that share a pool
    #[command(subcommand)]
    Pools(Pools),
}

#[derive(Subcommand, Debug, Clone)]
pub enum Snapshot {
    /// Save projects, runs and pools in a file, from which a new cluster can begin
    Save { file: PathBuf },
    /// Check a file that was saved, without a cluster
    Verify { file: PathBuf },
}

#[derive(Subcommand, Debug, Clone)]
pub enum Pools {
    /// List the pools that have a limit of the cluster's
    List(Shown),
    /// Let at most so many tasks of a pool, such as `tag:heavy`, run at once; with 0 nothing new starts
    Set { pool: String, places: u32 },
    /// Take the limit back
    Unset { pool: String },
}

/// What a run on a cluster may be told besides dbt's flags.
#[derive(Args, Debug, Clone, Default)]
#[command(next_help_heading = "On a cluster")]
pub struct Submit {
    /// Print the run's id and do not wait for its end
    #[arg(long)]
    pub detach: bool,
    /// Runs of a higher priority go first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// Cancel the run when it takes longer, such as 2h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub run_timeout: Option<std::time::Duration>,
    /// An attempt fails when it takes longer, such as 10m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub task_timeout: Option<std::time::Duration>,
    /// Only workers that carry this label; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub worker_label: Vec<(String, String)>,
}

impl Submit {
    /// A flag that was given.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--detach", self.detach),
            ("--priority", self.priority != 0),
            ("--run-timeout", self.run_timeout.is_some()),
            ("--task-timeout", self.task_timeout.is_some()),
            ("--worker-label", !self.worker_label.is_empty()),
        ];
        flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    config::parse(text)
}

fn label(text: &str) -> Result<(String, String), String> {
    let labels: config::Labels = config::parse(text)?;
    let mut labels = labels.0.into_iter();
    match (labels.next(), labels.next()) {
        (Some(label), None) => Ok(label),
        (None, _) => Err("it is not of the form name=value".to_owned()),
        (Some(_), Some(_)) => Err("it is more than one label; give the flag once for each".to_owned()),
    }
}

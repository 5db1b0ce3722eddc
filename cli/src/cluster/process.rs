//! What `server`, `worker` and `dev` have in common: their settings, what they log, and the signals that end them.
//!
//! Invariant: the first SIGTERM or Ctrl-C asks for an orderly end, the second for a quick one.

use common::Diagnostic;
use common::diagnostic::Code;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use worker::remote::Stop;

use super::replica;
use crate::config::{Layers, Log, LogFormat, LogLevel};
use crate::project::{Call, Refused};
use crate::telemetry::{self, metrics::Metrics};

/// Refuses settings with findings, and starts the log.
pub fn prepare(call: &Call, layers: &mut Layers) -> Result<(), Refused> {
    let log = layers.read::<Log>();
    let findings = layers.take_findings();
    call.report(&findings)?;
    start_log(call, &log).map_err(|diagnostic| call.refuse(diagnostic))
}

/// Lines on standard error.
fn start_log(call: &Call, log: &Log) -> Result<(), Diagnostic> {
    let level = match log.level {
        _ if call.global.debug => LevelFilter::DEBUG,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let is_json = log.format == LogFormat::Json || call.global.log_format == crate::args::LogFormat::Json;
    // What Raft tells of itself at the same level would drown the rest.
    let filter = EnvFilter::new(format!("{level},openraft=warn,sled=warn"));
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).with_env_filter(filter);
    let started = if is_json { lines.json().try_init() } else { lines.try_init() };
    started.map_err(|error| Diagnostic::error(Code::Internal, error.to_string()))
}

/// Starts measuring, where a collector or an address for Prometheus is named.
pub async fn metrics(call: &Call, name: Option<&str>, listen: Option<&str>) -> Result<Metrics, Refused> {
    // Several workers may be on one machine.
    let instance = name.map_or_else(|| format!("{}-{}", host(), std::process::id()), str::to_owned);
    match Metrics::start(|name| std::env::var(name).ok(), &instance, listen).await {
        Err(error @ telemetry::Error::Listen(..)) => Err(call.refuse_with(Code::TelemetrySetup, &error)),
        Err(error) => {
            // A collector that cannot be used is no reason not to work; of traces it was said already.
            tracing::warn!(%error, "metrics are not sent");
            Ok(Metrics::off())
        }
        Ok(metrics) => Ok(metrics),
    }
}

/// Answers those who ask for this process's health, where an address is named for them.
pub async fn health(call: &Call, listen: Option<&str>, ready: watch::Receiver<bool>) -> Result<(), Refused> {
    let Some(address) = listen else { return Ok(()) };
    let listener = replica::listen(address).await.map_err(|diagnostic| call.refuse(diagnostic))?;
    tracing::info!(address, "tells of its health");
    tokio::spawn(async move {
        if let Err(error) = proto::health::serve(listener, ready).await {
            tracing::warn!(%error, "health is not told any more");
        }
    });
    Ok(())
}

/// Hears the signals that end a process.
pub fn signals() -> std::io::Result<watch::Receiver<Stop>> {
    let (sender, receiver) = watch::channel(Stop::Run);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for stop in [Stop::Drain, Stop::Interrupt] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // An error means that nobody waits for an end any more: it has come.
            let _ = sender.send(stop);
        }
        // Kept until the process ends: without a sender, waiting for the second signal would end at once.
        std::future::pending::<()>().await;
    });
    Ok(receiver)
}

/// This machine's name.
pub fn host() -> String {
    let named = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let read = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    named.or_else(|| read().map(|name| name.trim().to_owned())).unwrap_or_else(|| "localhost".to_owned())
}

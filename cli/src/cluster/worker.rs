//! `kontiki worker`: a process that executes tasks for a cluster.

use common::diagnostic::Code;
use tokio::sync::watch;
use worker::remote::{Config, Ended, Search};

use super::{args, connect, process, tls};
use crate::config;
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub fn worker(call: &Call, worker: &args::Worker) -> Result<Exit, Refused> {
    let mut layers = worker.source.layers();
    // Variables for clients of a cluster do not overrule the worker's own.
    let given = call.global.given;
    if let Some(folder) = call.global.profiles_dir.as_ref().filter(|_| given.profiles_dir) {
        layers.flags::<config::Worker>([(&"profiles-dir", &folder.display().to_string())]);
    }
    if given.server {
        layers.flags::<config::Worker>([(&"servers", &call.global.server.join(","))]);
    }
    layers.flags::<config::Worker>(&worker.flags.values);
    let settings = layers.read::<config::Worker>();
    let tls = tls::read(&mut layers, false);
    process::prepare(call, &mut layers)?;
    let tls = tls.map_err(|diagnostic| call.refuse(diagnostic))?;
    let runtime = connect::runtime(2).map_err(|error| call.refuse_with(Code::Io, &error))?;
    let (linked, _) = watch::channel(false);
    let ended = runtime.block_on(async {
        let stop = process::signals().map_err(|error| call.refuse_with(Code::Io, &error))?;
        let metrics = process::metrics(call, None, settings.metrics_listen.as_deref()).await?;
        metrics.measure_worker();
        process::health(call, settings.health_listen.as_deref(), linked.subscribe()).await?;
        let ended = worker::remote::run(Config { tls, ..of_settings(call, settings, linked) }, stop).await;
        metrics.finish().await;
        ended.map_err(|error| call.refuse_with(Code::WorkerSetup, &error))
    })?;
    // Threads that wait for a warehouse must not keep the process from ending.
    runtime.shutdown_background();
    Ok(match ended {
        Ended::Drained => Exit::Success,
        Ended::Abandoned => Exit::NodeFailed,
    })
}

fn of_settings(call: &Call, settings: config::Worker, linked: watch::Sender<bool>) -> Config {
    // Where nothing of the worker's own names it, `DBT_PROFILES_DIR` does.
    let profiles_dir = settings.profiles_dir.or_else(|| call.global.profiles_dir.clone());
    Config {
        servers: settings.servers,
        slots: settings.slots,
        labels: settings.labels.0,
        cache_dir: settings.cache_dir,
        cache_bytes_max: settings.cache_size.0,
        profiles: Search { profiles_dir, env: call.env.clone() },
        heartbeat_interval: settings.heartbeat_interval,
        resend_after: settings.resend_after,
        grace: settings.grace,
        host: process::host(),
        tls: None,
        linked,
    }
}

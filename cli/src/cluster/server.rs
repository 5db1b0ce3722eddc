//! `kontiki server`: a replica of the scheduler.

use common::diagnostic::Code;
use scheduler::backup;
use scheduler::replica::{Config, Timings};
use worker::remote::Stop;

use super::replica::{Replica, listen};
use super::{access, args, connect, process, tls};
use crate::config;
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub fn server(call: &Call, server: &args::Server) -> Result<Exit, Refused> {
    let mut layers = server.source.layers();
    layers.flags::<config::Server>(&server.flags.values);
    let settings = layers.read::<config::Server>();
    let tls = tls::read(&mut layers, false);
    process::prepare(call, &mut layers)?;
    let tls = tls.map_err(|diagnostic| call.refuse(diagnostic))?;
    if tls.is_none() && !settings.insecure {
        let hint =
            "give a certificate in the section [tls]; or say --insecure true, where nobody else reaches that network";
        tls::refuse_strangers(&settings.listen, hint).map_err(|diagnostic| call.refuse(diagnostic))?;
    }
    let access = access::load(settings.access_policy.as_deref(), tls.is_some());
    let access = access.map_err(|diagnostic| call.refuse(diagnostic))?;
    let runtime = connect::runtime(2).map_err(|error| call.refuse_with(Code::Io, &error))?;
    let exit = runtime.block_on(async {
        let mut stop = process::signals().map_err(|error| call.refuse_with(Code::Io, &error))?;
        let listener = listen(&settings.listen).await.map_err(|diagnostic| call.refuse(diagnostic))?;
        let grace = settings.grace;
        let metrics = process::metrics(call, settings.name.as_deref(), settings.metrics_listen.as_deref()).await?;
        let health_listen = settings.health_listen.clone();
        // The port may have been left to the system.
        let port = listener.local_addr().map_err(|error| call.refuse_with(Code::Io, &error))?.port();
        let config = Config { tls, ..of_settings(settings, port) };
        if let Some(file) = &server.restore {
            let cluster = backup::restore(file, &config).map_err(|error| call.refuse_with(Code::Io, &error))?;
            tracing::info!(cluster, file = %file.display(), "begins a new cluster with what was saved");
        }
        let mut replica =
            Replica::start(config, access, listener).await.map_err(|diagnostic| call.refuse(diagnostic))?;
        metrics.measure_replica(&replica.handle);
        process::health(call, health_listen.as_deref(), scheduler::api::readiness(&replica.handle)).await?;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop >= Stop::Drain) => {}
            diagnostic = replica.failed() => return Err(call.refuse(diagnostic)),
        }
        tokio::select! {
            () = replica.end(grace) => {}
            _ = stop.wait_for(|stop| *stop >= Stop::Interrupt) => {}
        }
        metrics.finish().await;
        Ok(Exit::Success)
    });
    runtime.shutdown_background();
    exit
}

fn of_settings(settings: config::Server, port: u16) -> Config {
    let host = process::host();
    // Nobody reaches the address that stands for all of a machine's.
    let advertise = settings.advertise.unwrap_or_else(|| match settings.listen.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]", _)) => format!("{host}:{port}"),
        Some((name, _)) => format!("{name}:{port}"),
        None => settings.listen.clone(),
    });
    let mut config = Config::new(settings.data_dir, settings.name.unwrap_or(host), advertise);
    config.peers = settings.peers;
    config.replicas = settings.replicas as usize;
    config.timings = Timings {
        heartbeat: settings.heartbeat_interval,
        election_min: settings.election_timeout_min,
        election_max: settings.election_timeout_max,
    };
    config.policy.lease = settings.lease;
    config.policy.runs_kept = settings.runs_kept as usize;
    config.policy.history_kept = Some(settings.history_kept);
    config.policy.transcripts_kept = Some(settings.transcripts_kept);
    config
}

//! `kontiki dev`: a cluster of one replica and one worker in this process, to try what a cluster does.

use std::collections::BTreeMap;
use std::time::Duration;

use common::diagnostic::Code;
use tokio::sync::watch;
use worker::remote::{Search, Stop};

use super::replica::{Replica, listen};
use super::{args, connect, process, tls};
use crate::config::Layers;
use crate::exit::Exit;
use crate::project::{Call, Refused};

const CACHE_BYTES_MAX: u64 = 1 << 30;
const GRACE: Duration = Duration::from_secs(10);

pub fn dev(call: &Call, dev: &args::Dev) -> Result<Exit, Refused> {
    process::prepare(call, &mut Layers::default())?;
    let hint = "'kontiki server' and 'kontiki worker' make a cluster for others";
    tls::refuse_strangers(&dev.listen, hint).map_err(|diagnostic| call.refuse(diagnostic))?;
    let runtime = connect::runtime(2).map_err(|error| call.refuse_with(Code::Io, &error))?;
    let exit = runtime.block_on(async {
        let stop = process::signals().map_err(|error| call.refuse_with(Code::Io, &error))?;
        run(call, dev, stop).await
    });
    runtime.shutdown_background();
    exit
}

async fn run(call: &Call, dev: &args::Dev, mut stop: watch::Receiver<Stop>) -> Result<Exit, Refused> {
    let listener = listen(&dev.listen).await.map_err(|diagnostic| call.refuse(diagnostic))?;
    // The port may have been left to the system.
    let address = listener.local_addr().map_err(|error| call.refuse_with(Code::Io, &error))?.to_string();
    let config = scheduler::replica::Config::new(dev.data_dir.join("replica"), "dev", address.clone());
    let metrics = process::metrics(call, Some("dev"), dev.metrics_listen.as_deref()).await?;
    metrics.measure_worker();
    let mut replica = Replica::start(config, None, listener).await.map_err(|diagnostic| call.refuse(diagnostic))?;
    metrics.measure_replica(&replica.handle);
    call.console.output(&format!("a cluster of one listens at {address}"));
    call.console.output(&format!("build a project on it: kontiki build --server {address}"));
    let worker = tokio::spawn(worker::remote::run(worker(call, dev, &address), stop.clone()));
    let ended = tokio::select! {
        ended = worker => match ended {
            Ok(Ok(_)) => Ok(Exit::Success),
            Ok(Err(error)) => Err(call.refuse_with(Code::WorkerSetup, &error)),
            Err(error) => Err(call.refuse_with(Code::Internal, &error)),
        },
        diagnostic = replica.failed() => Err(call.refuse(diagnostic)),
    };
    tokio::select! {
        () = replica.end(GRACE) => {}
        _ = stop.wait_for(|stop| *stop >= Stop::Interrupt) => {}
    }
    metrics.finish().await;
    ended
}

fn worker(call: &Call, dev: &args::Dev, address: &str) -> worker::remote::Config {
    worker::remote::Config {
        servers: vec![address.to_owned()],
        slots: dev.slots,
        labels: BTreeMap::new(),
        cache_dir: dev.data_dir.join("worker"),
        cache_bytes_max: CACHE_BYTES_MAX,
        profiles: Search { profiles_dir: call.global.profiles_dir.clone(), env: call.env.clone() },
        heartbeat_interval: Duration::from_secs(1),
        resend_after: Duration::from_secs(2),
        grace: GRACE,
        host: process::host(),
        tls: None,
        linked: watch::Sender::new(false),
    }
}

//! Schedules: how late their ticks are, how many can be due at once, and what they cost while none is.
//!
//! Lateness is taken at a worker that does nothing, from the second at which a tick was due to its assignment; and, in `statements`, at
//! one that runs SQL.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::figures::{Samples, Target, say};
use crate::measurements::cpu;
use crate::noop::{Config, Noop};
use crate::{statements, workload};

/// Ticks, one a second, whose lateness is measured.
const SECONDS: u64 = 60;
/// Kills of the leader just before a tick is due.
const KILLS: usize = 10;
const AT_ONCE: usize = 10_000;
const IDLE: usize = 100_000;
const IDLE_FOR: Duration = Duration::from_secs(25);
const MODELS: usize = 100;

pub async fn measure(cluster: &mut Cluster) -> Result<()> {
    statements::measure(cluster).await?;
    let project = workload::wide(cluster, MODELS)?;
    kontiki(cluster, &project, &["project", "deploy"]).await?;
    let config = Config { name: "noop-ticks".to_owned(), slots: 1_024, pause: Duration::ZERO };
    let worker = Noop::start(&cluster.replicas, config);

    declare(cluster, &project, 1, |_| "* * * * * *".to_owned()).await?;
    lateness(&worker).await;
    lateness_of_kills(cluster, &worker).await?;
    kontiki(cluster, &project, &["schedule", "delete", "s0"]).await?;

    // In the minute after the next, so that all are declared before.
    let minute = now().as_secs() / 60 + 2;
    let cron = format!("{} {} * * *", minute % 60, minute / 60 % 24);
    declare(cluster, &project, AT_ONCE, |_| cron.clone()).await?;
    many_at_once(&worker, Duration::from_secs(minute * 60)).await?;
    drop(worker);

    declare(cluster, &project, IDLE, |_| "0 0 29 2 *".to_owned()).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let leader = cluster.process(cluster.leader().await?);
    let before = cpu(leader)?;
    tokio::time::sleep(IDLE_FOR).await;
    let share = (cpu(leader)? - before) / IDLE_FOR.as_secs_f64() * 100.0;
    say(&format!("{IDLE} idle schedules, share of a core of the leader"), share, "%", Some(Target::AtMost(2.0)));
    Ok(())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Schedules `s0`, `s1` and so on, each with a run of one model.
async fn declare(cluster: &Cluster, project: &Path, count: usize, cron: impl Fn(usize) -> String) -> Result<()> {
    let mut text = "schedules:\n".to_owned();
    for number in 0..count {
        let (cron, model) = (cron(number), number % MODELS);
        let _ = writeln!(
            text,
            "- {{name: s{number}, cron: '{cron}', verb: run, select: m{model}, overlap: allow_all, catch_up: {{policy: all}}}}"
        );
    }
    std::fs::write(project.join("kontiki.yml"), text)?;
    kontiki(cluster, project, &["schedule", "apply"]).await
}

pub async fn kontiki(cluster: &Cluster, project: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(&cluster.kontiki);
    command.args(["--quiet", "--server", &cluster.servers()]).args(arguments).arg("--project-dir").arg(project);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        bail!("{arguments:?}: {}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
    Ok(())
}

/// The wall clock's time of a moment.
fn wall(moment: Instant) -> Duration {
    now().saturating_sub(moment.elapsed())
}

async fn lateness(worker: &Noop) {
    tokio::time::sleep(Duration::from_secs(3)).await;
    worker.take();
    tokio::time::sleep(Duration::from_secs(SECONDS)).await;
    let mut late = Samples::default();
    for assigned in worker.take().assigned {
        // Each is later than its second and earlier than the next.
        late.push(Duration::from_nanos(u64::from(wall(assigned).subsec_nanos())));
    }
    say(&format!("lateness of a tick, p50 of {}", late.len()), late.p50_ms(), "ms", Some(Target::AtMost(10.0)));
    say("lateness of a tick, p99", late.p99_ms(), "ms", Some(Target::AtMost(50.0)));
}

/// From the second at which a tick is due, just after the leader was killed, to its assignment by the next leader.
async fn lateness_of_kills(cluster: &mut Cluster, worker: &Noop) -> Result<()> {
    let mut late = Samples::default();
    for _ in 0..KILLS {
        let leader = cluster.leader().await?;
        let due = Duration::from_secs(now().as_secs() + 2);
        tokio::time::sleep(due.saturating_sub(now()).saturating_sub(Duration::from_millis(20))).await;
        let killed = cluster.kill(leader)?;
        let mut assigned = worker.assigned();
        let first = loop {
            assigned.changed().await.context("the worker ended")?;
            if let Some(first) = worker.first_after(killed) {
                break first;
            }
        };
        late.push(wall(first).saturating_sub(due));
        cluster.restart(leader).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let p99 = late.p99_ms();
    say(
        &format!("lateness of a tick with kill -9 of the leader, worst of {}", late.len()),
        p99,
        "ms",
        Some(Target::AtMost(1_000.0)),
    );
    Ok(())
}

/// Until every one of the ticks of one minute has its run's task assigned.
async fn many_at_once(worker: &Noop, due: Duration) -> Result<()> {
    worker.take();
    tokio::time::sleep(due.saturating_sub(now())).await;
    let mut seen: Vec<Instant> = Vec::new();
    while seen.len() < AT_ONCE {
        if now() > due + Duration::from_secs(60) {
            bail!("only {} of {AT_ONCE} ticks had a run after a minute", seen.len());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        seen.extend(worker.take().assigned);
    }
    let last = seen.iter().max().map(|last| wall(*last)).unwrap_or_default();
    let took = last.saturating_sub(due).as_secs_f64();
    say(&format!("{AT_ONCE} schedules of one minute, all assigned"), took, "s", Some(Target::AtMost(5.0)));
    Ok(())
}

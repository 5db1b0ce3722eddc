//! What is measured, one function each.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::client;
use crate::cluster::Cluster;
use crate::figures::{Samples, Target, say, tell};
use crate::noop::{Config, Noop};
use crate::workload;

const WORKERS: u32 = 4;
const SLOTS: u32 = 256;
const IDLE: Duration = Duration::from_secs(25);
const RUNS_OF_MEMORY: usize = 3;
const CHAIN: usize = 100;
const CHAINS: usize = 5;
const HAND_OVERS: usize = 10;
const LEASE: Duration = Duration::from_secs(2);
/// Nothing measured here takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(60);

fn workers(cluster: &Cluster, slots: u32, pause: Duration) -> Vec<Noop> {
    let named =
        (0..WORKERS).map(|index| Config { name: format!("noop-{}-{index}", uuid::Uuid::now_v7()), slots, pause });
    named.map(|config| Noop::start(&cluster.replicas, config)).collect()
}

/// A replica that has nothing to do, one of the followers and the leader alike.
pub async fn idle(cluster: &Cluster) -> Result<()> {
    let leader = cluster.leader().await?;
    for (role, index) in [("leader", leader), ("follower", (leader + 1) % 3)] {
        let before = cpu(cluster.process(index))?;
        tokio::time::sleep(IDLE).await;
        let share = (cpu(cluster.process(index))? - before) / IDLE.as_secs_f64() * 100.0;
        say(&format!("idle {role}, share of a core"), share, "%", Some(Target::AtMost(1.0)));
        let resident = resident_mib(cluster.process(index))?;
        say(&format!("idle {role}, resident memory"), resident, "MiB", Some(Target::AtMost(60.0)));
    }
    Ok(())
}

/// Waits until nobody is left of the workers of the part before: what they would be given would have to be taken from them again.
pub async fn settle(cluster: &Cluster) -> Result<()> {
    while client::workers(&cluster.replicas).await? > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

pub async fn wide(cluster: &Cluster, tasks: usize) -> Result<()> {
    let project = workload::wide(cluster, tasks)?;
    let _workers = workers(cluster, SLOTS, Duration::ZERO);
    let run = workload::submit(cluster, &project, "run").await?;
    let (begin, end) = client::follow(&cluster.replicas, &run).await?;
    let rate = tasks as f64 / (end - begin);
    say(&format!("{tasks} independent tasks"), rate, "tasks/s", Some(Target::AtLeast(5_000.0)));
    Ok(())
}

/// The rate of one large run.
pub async fn large(cluster: &Cluster, tasks: usize) -> Result<()> {
    let project = workload::tested(cluster, tasks)?;
    let _workers = workers(cluster, SLOTS, Duration::ZERO);
    let run = workload::submit(cluster, &project, "build").await?;
    let (begin, end) = client::follow(&cluster.replicas, &run).await?;
    let rate = tasks as f64 / (end - begin);
    say(&format!("{tasks} tasks in one run"), rate, "tasks/s", Some(Target::AtLeast(10_000.0)));
    Ok(())
}

/// What finished tasks cost on a cluster that gives memory back at once. Buffers, caches and the parsed project are there after the first
/// run.
pub async fn memory(cluster: &Cluster, tasks: usize) -> Result<()> {
    let project = workload::tested(cluster, tasks)?;
    let _workers = workers(cluster, SLOTS, Duration::ZERO);
    let leader = cluster.leader().await?;
    let mut before = 0.0;
    for _ in 0..=RUNS_OF_MEMORY {
        let run = workload::submit(cluster, &project, "build").await?;
        client::follow(&cluster.replicas, &run).await?;
        if before == 0.0 {
            before = resident_mib(cluster.process(leader))?;
        }
    }
    let grown = resident_mib(cluster.process(leader))? - before;
    let bytes = grown * 1_048_576.0 / (RUNS_OF_MEMORY * tasks) as f64;
    say("leader's memory for a finished task", bytes, "bytes", Some(Target::AtMost(500.0)));
    Ok(())
}

/// From a report sent to the next assignment received, at the worker.
pub async fn chain(cluster: &Cluster, sync_ms: f64) -> Result<()> {
    let project = workload::chain(cluster, CHAIN)?;
    let config = Config { name: format!("noop-{}", uuid::Uuid::now_v7()), slots: 1, pause: Duration::ZERO };
    let worker = Noop::start(&cluster.replicas, config);
    let mut hops = Samples::default();
    for _ in 0..CHAINS {
        let run = workload::submit(cluster, &project, "run").await?;
        client::follow(&cluster.replicas, &run).await?;
        // The first assignment of a run follows the end of the run before.
        for hop in worker.take().hops.into_iter().rev().take(CHAIN - 1) {
            hops.push(hop);
        }
    }
    let p50 = hops.p50_ms();
    let what = format!("one hop of a {CHAIN}-task chain");
    say(&format!("{what}, p50 of {}", hops.len()), p50, "ms", Some(Target::AtMost(sync_ms + 1.0)));
    say(&format!("{what}, p99"), hops.p99_ms(), "ms", Some(Target::AtMost(5.0 * p50)));
    Ok(())
}

/// From the call to the first new assignment by the next leader.
pub async fn hand_over(cluster: &Cluster) -> Result<()> {
    let mut load = Load::start(cluster).await?;
    let mut samples = Samples::default();
    for _ in 0..HAND_OVERS {
        load.renew(cluster).await?;
        let began = Instant::now();
        client::transfer(&cluster.replicas).await?;
        let handed = Instant::now();
        samples.push(load.assignment_after(handed).await? - began);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    say("planned hand-over to the first new assignment, p50", samples.p50_ms(), "ms", Some(Target::AtMost(50.0)));
    say("planned hand-over to the first new assignment, p99", samples.p99_ms(), "ms", None);
    load.stop(cluster).await
}

/// From the loss of one of two workers to the first of its tasks elsewhere, of which the survivor has free slots for all.
pub async fn worker_loss(cluster: &Cluster) -> Result<()> {
    let project = workload::wide(cluster, 64)?;
    let config = |slots, pause| Config { name: format!("noop-{}", uuid::Uuid::now_v7()), slots, pause };
    let doomed = Noop::start(&cluster.replicas, config(64, PATIENCE));
    let run = workload::submit(cluster, &project, "run").await?;
    let mut begun = doomed.assigned();
    tokio::time::timeout(PATIENCE, begun.wait_for(Option::is_some)).await.context("the worker got no task")??;
    let survivor = Noop::start(&cluster.replicas, config(64, Duration::ZERO));
    drop(doomed);
    let lost = Instant::now();
    client::follow(&cluster.replicas, &run).await?;
    let again = survivor.first_after(lost).context("the tasks ran elsewhere")?;
    let limit = (LEASE + Duration::from_secs(1)).as_secs_f64() * 1_000.0;
    let took = (again - lost).as_secs_f64() * 1_000.0;
    say("loss of a worker to its tasks elsewhere", took, "ms", Some(Target::AtMost(limit)));
    Ok(())
}

/// From `kill -9` of the leader to the first new assignment by the next; as many as there is time for.
pub async fn kills(cluster: &mut Cluster, kills: usize, time: Duration) -> Result<()> {
    const TELL_EVERY: usize = 10;
    let deadline = Instant::now() + time;
    let mut samples = Samples::default();
    let mut load = Load::start(cluster).await?;
    while samples.len() < kills && Instant::now() < deadline {
        let leader = cluster.leader().await?;
        let killed = cluster.kill(leader)?;
        // What the old leader had sent before it died does not count.
        let dead = Instant::now();
        samples.push(load.assignment_after(dead).await? - killed);
        cluster.restart(leader).await?;
        load.renew(cluster).await?;
        if samples.len().is_multiple_of(TELL_EVERY) {
            tell(&format!("{} of {kills} kills, p50 {:.0} ms", samples.len(), samples.p50_ms()));
        }
    }
    let what = "kill -9 of the leader to the first new assignment";
    say(&format!("{what}, p50 of {}", samples.len()), samples.p50_ms(), "ms", Some(Target::AtMost(600.0)));
    say(&format!("{what}, p99"), samples.p99_ms(), "ms", Some(Target::AtMost(1_000.0)));
    load.stop(cluster).await
}

/// Runs of short tasks, one after another, so that there is always something to assign.
struct Load {
    workers: Vec<Noop>,
    run: String,
    project: std::path::PathBuf,
    since: Instant,
}

impl Load {
    const TASKS: usize = 10_000;
    const PAUSE: Duration = Duration::from_millis(50);
    /// Before the tasks of a run are used up: 16 slots do 320 tasks a second at most.
    const RENEW_AFTER: Duration = Duration::from_secs(25);

    async fn start(cluster: &Cluster) -> Result<Self> {
        let project = workload::wide(cluster, Self::TASKS)?;
        let workers = workers(cluster, 4, Self::PAUSE);
        let run = workload::submit(cluster, &project, "run").await?;
        let load = Self { workers, run, project, since: Instant::now() };
        load.assignment_after(load.since).await?;
        Ok(load)
    }

    async fn renew(&mut self, cluster: &Cluster) -> Result<()> {
        if self.since.elapsed() > Self::RENEW_AFTER {
            let old = std::mem::replace(&mut self.run, workload::submit(cluster, &self.project, "run").await?);
            // It may have finished by now.
            let _ = client::cancel(&cluster.replicas, &old).await;
            self.since = Instant::now();
            for worker in &self.workers {
                worker.take();
            }
        }
        Ok(())
    }

    async fn assignment_after(&self, moment: Instant) -> Result<Instant> {
        let waits = self.workers.iter().map(|worker| {
            let mut assigned = worker.assigned();
            Box::pin(async move { assigned.wait_for(|at| at.is_some_and(|at| at > moment)).await.map(drop) })
        });
        let any = tokio::time::timeout(PATIENCE, futures::future::select_all(waits)).await;
        any.with_context(|| format!("no task was assigned within {PATIENCE:?}"))?.0?;
        let first = self.workers.iter().filter_map(|worker| worker.first_after(moment)).min();
        first.context("a worker told of it")
    }

    async fn stop(self, cluster: &Cluster) -> Result<()> {
        // It may have finished by now.
        let _ = client::cancel(&cluster.replicas, &self.run).await;
        Ok(())
    }
}

/// Seconds of processor time that a process used so far.
pub fn cpu(process: u32) -> Result<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = text.rsplit_once(')').context("stat has a name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / TICKS_A_SECOND)
}

fn resident_mib(process: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("status has VmRSS")?;
    let kib: f64 = line.split_whitespace().next().context("a number")?.parse()?;
    Ok(kib / 1024.0)
}

//! How late the SQL of a tick is: a worker of its own, which builds a table in a DuckDB file.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use proto::scalar::to_timestamp;

use crate::client;
use crate::cluster::Cluster;
use crate::figures::{Samples, Target, say};
use crate::ticks::kontiki;

const PROJECT: &str = "statements";
/// Ticks, one a second.
const SECONDS: u64 = 60;

/// Ends with this value.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From the second at which a tick is due to the first statement of its model, by the worker's clock, which is this machine's.
pub async fn measure(cluster: &Cluster) -> Result<()> {
    let project = cluster.folder.join("projects").join(PROJECT);
    fs::create_dir_all(project.join("models"))?;
    fs::write(project.join("dbt_project.yml"), format!("name: {PROJECT}\nversion: '1.0'\nprofile: bench\n"))?;
    fs::write(
        project.join("models/m.sql"),
        "{{ config(materialized='table') }} select '{{ var('at', '') }}' as at_second\n",
    )?;
    let database = project.join("db.duckdb");
    let output = format!("{{type: duckdb, path: {}, threads: 4}}", database.display());
    fs::write(project.join("profiles.yml"), format!("bench: {{target: dev, outputs: {{dev: {output}}}}}\n"))?;
    let schedule = "schedules: [{name: secondly, cron: '* * * * * *', verb: run, vars: {at: '{{ scheduled_at }}'}}]\n";
    fs::write(project.join("kontiki.yml"), schedule)?;
    let log = fs::File::create(project.join("worker.txt"))?;
    let worker = Command::new(&cluster.kontiki)
        .args(["worker", "--servers", &cluster.servers()])
        .arg("--profiles-dir")
        .arg(&project)
        .arg("--cache-dir")
        .arg(project.join("cache"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start a worker")?;
    let _worker = Worker(worker);
    kontiki(cluster, &project, &["project", "deploy"]).await?;
    kontiki(cluster, &project, &["schedule", "apply"]).await?;
    tokio::time::sleep(Duration::from_secs(SECONDS + 2)).await;
    kontiki(cluster, &project, &["schedule", "delete", "secondly"]).await?;

    let mut late = Samples::default();
    for run in client::finished_runs(&cluster.replicas, PROJECT).await? {
        let result = run.tasks.first().and_then(|task| task.result.as_ref());
        let Some(result) = result else {
            bail!("a tick's task has no result; see {}", project.display());
        };
        late.push(to_timestamp(result.execute_started_at).since(run.scheduled_at));
    }
    say(
        &format!("a tick to its first SQL statement, p50 of {}", late.len()),
        late.p50_ms(),
        "ms",
        Some(Target::AtMost(10.0)),
    );
    say("a tick to its first SQL statement, p99", late.p99_ms(), "ms", Some(Target::AtMost(50.0)));
    Ok(())
}

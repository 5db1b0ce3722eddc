//! A cluster under the load of workers that do nothing; `chaos-tests/bench` measures, this builds it and writes the figures down.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use super::measure;
use super::report::{Report, Section};
use crate::duckdb;
use crate::run::{cargo, root, run, target};

#[derive(Args)]
pub struct Cluster {
    /// How often the leader is killed
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// Tasks of the largest run
    #[arg(long, default_value_t = 100_000)]
    tasks: usize,
    /// Measure these parts only, such as `chain,kills`, and leave docs/benchmarks.md as it is
    #[arg(long)]
    only: Option<String>,
    /// Print only; leave docs/benchmarks.md as it is
    #[arg(long)]
    dry_run: bool,
}

impl Cluster {
    pub fn run(&self) -> Result<()> {
        run(cargo().args(["build", "--release", "--quiet", "--package", "kontiki"]))?;
        run(cargo().args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "kontiki-chaos-tests",
            "--bin",
            "cluster-bench",
        ]))?;
        let mut report = Report::default();
        report.note(format!("command: `cargo xtask {}`", std::env::args().skip(1).collect::<Vec<_>>().join(" ")));
        let processors = std::thread::available_parallelism()?;
        report.note(format!("machine: {processors} processors, load before: {}", measure::load()));
        let release = target().join("release");
        let mut measuring = std::process::Command::new(release.join("cluster-bench"))
            .arg("--kontiki")
            .arg(release.join("kontiki"))
            .arg("--folder")
            .arg(target().join("bench/cluster"))
            .args(["--kills", &self.kills.to_string(), "--tasks", &self.tasks.to_string()])
            .args(self.only.iter().flat_map(|parts| ["--only", parts]))
            .env("KONTIKI_DUCKDB_LIBRARY", duckdb::library()?.canonicalize()?)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the measurement")?;
        // Told as they come.
        let figures = measuring.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines);
        for line in figures {
            let line = line?;
            let figure: Value = serde_json::from_str(&line).with_context(|| format!("not a figure: {line}"))?;
            let text = |key: &str| figure[key].as_str().unwrap_or_default().to_owned();
            let value = format!("{:.2} {}", figure["value"].as_f64().unwrap_or_default(), text("unit"));
            report.judged(&text("what"), value, figure["target"].as_str(), figure["met"].as_bool());
        }
        let status = measuring.wait()?;
        ensure!(status.success(), "the measurement broke off: {status}");
        report.note(format!("load after: {}", measure::load()));
        if !self.dry_run && self.only.is_none() {
            report.write(&root().join("docs/benchmarks.md"), &Section::Cluster)?;
        }
        Ok(())
    }
}

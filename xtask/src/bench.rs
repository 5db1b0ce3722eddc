//! Benchmarks that take every side in one run, since figures of different hours cannot be compared.
//!
//! Invariant: a ratio is only ever taken between figures of one run, and the load of the machine stands next to them.

mod cluster;
mod day;
mod engine;
mod floor;
mod measure;
mod parsing;
mod project;
mod report;
mod running;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::duckdb;
use crate::run::{cargo, root, run, target};
use engine::Engine;
use project::Project;
use report::{Report, Section};

#[derive(Subcommand)]
pub enum Bench {
    /// Parsing and running dbt projects: Kontiki, dbt-core, dbt 2.0 and the warehouses' floor
    Dbt(Dbt),
    /// Three replicas and workers that do nothing: throughput, hops, failover
    Cluster(cluster::Cluster),
}

#[derive(Args)]
pub struct Dbt {
    /// Models of the generated project; a second one is ten times as large
    #[arg(long, default_value_t = 1_000)]
    models: usize,
    /// How often Kontiki and the floor are measured; the median counts
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Share of a full SmartPizza day: 20,000 branches, 4 million customers, 5 million pizzas
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    #[arg(long)]
    skip_dbt: bool,
    #[arg(long)]
    skip_dbt2: bool,
    #[arg(long)]
    skip_postgres: bool,
    #[arg(long)]
    skip_day: bool,
    /// Print only; leave docs/benchmarks.md as it is
    #[arg(long)]
    dry_run: bool,
}

pub fn bench(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Dbt(dbt) => dbt.run(),
        Bench::Cluster(cluster) => cluster.run(),
    }
}

/// What every part needs.
struct Setup {
    library: PathBuf,
    /// Where projects are generated.
    folder: PathBuf,
    kontiki: Engine,
    dbt_core: Option<Engine>,
    dbt2: Option<Engine>,
    repeat: usize,
}

impl Dbt {
    fn run(&self) -> Result<()> {
        let library = duckdb::library()?.canonicalize()?;
        run(cargo().args(["build", "--release", "--quiet", "--package", "kontiki"]))?;
        floor::build()?;
        let setup = Setup {
            folder: target().join("bench"),
            kontiki: Engine::kontiki(&library),
            dbt_core: (!self.skip_dbt).then(Engine::dbt_core).transpose()?,
            dbt2: (!self.skip_dbt2).then(|| Engine::dbt2(&library)).transpose()?,
            repeat: self.repeat,
            library,
        };
        let mut report = Report::default();
        report.note(format!("command: `cargo xtask {}`", std::env::args().skip(1).collect::<Vec<_>>().join(" ")));
        let processors = std::thread::available_parallelism()?;
        report.note(format!("machine: {processors} processors, load before: {}", measure::load()));
        let measured = self.measure(&setup, &mut report);
        report.note(format!("load after: {}", measure::load()));
        // What was measured before something failed is kept.
        if !self.dry_run {
            report.write(&root().join("docs/benchmarks.md"), &Section::Dbt)?;
        }
        measured
    }

    fn measure(&self, setup: &Setup, report: &mut Report) -> Result<()> {
        let project = Project::generate(&setup.folder.join("models"), self.models)?;
        parsing::start(setup, &project, report)?;
        parsing::parse(setup, &project, report)?;
        running::duckdb(setup, &project, report)?;
        if !self.skip_postgres {
            running::postgres(setup, &project, report)?;
        }
        if !self.skip_day {
            day::day(setup, self.scale, report)?;
        }
        Ok(())
    }
}

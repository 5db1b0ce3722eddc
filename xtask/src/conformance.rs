//! The comparison with dbt-core: its environment, a PostgreSQL of its own, and the harness in `conformance/`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::duckdb;
use crate::run::{cargo, root, run, target};

#[derive(Args, Default)]
pub struct Conformance {
    /// Only these fixtures
    pub fixtures: Vec<String>,
    /// Keep both sides' projects in this folder
    #[arg(long)]
    pub work: Option<PathBuf>,
    /// Only this warehouse
    #[arg(long)]
    pub warehouse: Option<String>,
}

pub fn conformance(conformance: &Conformance) -> Result<()> {
    let library = duckdb::library()?;
    run(cargo().args(["build", "--package", "kontiki", "--quiet"]))?;
    let python = python()?;
    let mut harness = Command::new(&python);
    harness.env("KONTIKI_DUCKDB_LIBRARY", library).arg(root().join("conformance/run.py"));
    harness.arg("--kontiki").arg(target().join("debug/kontiki"));
    harness.arg("--xtask").arg(std::env::current_exe().context("cannot find this program")?);
    if let Some(work) = &conformance.work {
        harness.arg("--work").arg(work);
    }
    // Stops with this process.
    let server = testing::Postgres::start();
    harness.arg("--postgres").arg(format!("host={} port={} user={}", server.host(), server.port(), server.user()));
    for warehouse in conformance.warehouse.as_deref().map_or(vec!["duckdb", "postgres"], |only| vec![only]) {
        harness.args(["--warehouse", warehouse]);
    }
    run(harness.args(&conformance.fixtures))
}

/// The Python of an environment with dbt-core.
pub fn python() -> Result<PathBuf> {
    crate::python::environment("oracle", "conformance/requirements.txt")
}

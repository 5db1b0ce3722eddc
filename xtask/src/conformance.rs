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

/// The Python of an environment with dbt-core, made the first time and again when its requirements change.
pub fn python() -> Result<PathBuf> {
    let requirements = root().join("conformance/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).context("cannot read conformance/requirements.txt")?;
    let environment = target().join("oracle");
    let python = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        .context("Python 3 with its venv module is needed to run dbt-core; ./setup installs it")?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&requirements))?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}

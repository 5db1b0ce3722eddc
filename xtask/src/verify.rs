//! The checks that guard main. Checking never edits; `fix` does.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run::{cargo, run};
use crate::{chart, conformance, duckdb, python};

#[derive(Args)]
pub struct Test {
    /// Leave out what needs Python and its packages: the comparison with dbt-core, the client in another language
    #[arg(long)]
    pub no_conformance: bool,
}

/// Formatting, lints, documentation and all tests.
pub fn verify() -> Result<()> {
    test(&Test { no_conformance: false })
}

pub fn test(test: &Test) -> Result<()> {
    let library = duckdb::library()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    run(cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    run(cargo().args(["test", "--workspace", "--quiet"]).env("KONTIKI_DUCKDB_LIBRARY", library))?;
    if !test.no_conformance {
        foreign_calendar()?;
        foreign_receivers()?;
        foreign_client()?;
        foreign_collector()?;
        chart::chart(&chart::Chart::default())?;
        conformance::conformance(&conformance::Conformance::default())?;
    }
    Ok(())
}

/// Cron expressions as another implementation understands them.
fn foreign_calendar() -> Result<()> {
    let python = python::environment("cron", "conformance/cron/requirements.txt")?;
    let tests = ["test", "--workspace", "--test", "calendar", "--quiet", "--", "--ignored"];
    run(cargo().args(tests).env("KONTIKI_CRON_PYTHON", python))
}

/// Servers of others that receive webhooks and mails, and others' understanding of lineage.
fn foreign_receivers() -> Result<()> {
    let python = python::environment("receivers", "conformance/receivers/requirements.txt")?;
    let tests = ["test", "--workspace", "--test", "cluster", "--quiet", "--", "--ignored"];
    run(cargo()
        .args(tests)
        .env("KONTIKI_RECEIVERS_PYTHON", python)
        .env("KONTIKI_OPENLINEAGE_SCHEMAS", openlineage_schemas()?)
        .env("KONTIKI_DUCKDB_LIBRARY", duckdb::library()?))
}

/// OpenLineage's JSON schemas, in the source of a crate whose own tests use them: nobody publishes them by themselves.
fn openlineage_schemas() -> Result<PathBuf> {
    const CRATE: &str = "datafusion-openlineage";
    const VERSION: &str = "0.0.12";
    run(cargo().args(["info", &format!("{CRATE}@{VERSION}")]).stdout(Stdio::null()))?;
    let home = std::env::home_dir().context("there is no home directory")?;
    let sources =
        std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from).join("registry/src");
    for registry in sources.read_dir().with_context(|| format!("cannot list {}", sources.display()))? {
        let schemas = registry?.path().join(format!("{CRATE}-{VERSION}/tests/schemas/openlineage"));
        if schemas.join("OpenLineage.json").is_file() {
            return Ok(schemas);
        }
    }
    bail!("cargo did not unpack {CRATE} {VERSION} below {}", sources.display());
}

/// A client in another language, made from the proto files alone.
fn foreign_client() -> Result<()> {
    let python = python::environment("client", "conformance/client/requirements.txt")?;
    // The whole workspace: a package by itself has other features of its dependencies, which would all be built again.
    let tests = ["test", "--workspace", "--test", "api", "--quiet", "--", "--ignored"];
    run(cargo().args(tests).env("KONTIKI_CLIENT_PYTHON", python))
}

/// A collector of spans that others wrote. Its Python package is the wrapping of a program.
fn foreign_collector() -> Result<()> {
    let python = python::environment("collector", "conformance/collector/requirements.txt")?;
    let find = "import os, rotel; print(os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'))";
    let found = Command::new(&python).args(["-c", find]).output()?;
    let program = PathBuf::from(String::from_utf8(found.stdout)?.trim());
    std::fs::set_permissions(&program, Permissions::from_mode(0o755))
        .with_context(|| format!("the package rotel has no program {}", program.display()))?;
    let tests = ["test", "--workspace", "--test", "processes", "--quiet", "--", "--ignored"];
    run(cargo().args(tests).env("KONTIKI_ROTEL", program))
}

pub fn fix() -> Result<()> {
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"]))?;
    run(cargo().args(["fmt", "--all"]))
}

//! The checks that guard main. Checking never edits; `fix` does.

use anyhow::Result;
use clap::Args;

use crate::run::{cargo, run};
use crate::{conformance, duckdb, python};

#[derive(Args)]
pub struct Test {
    /// Leave out what needs Python and its packages: the comparison with dbt-core, the client in another language
    #[arg(long)]
    pub no_conformance: bool,
}

/// Formatting, lints, documentation and all tests.
pub fn verify() -> Result<()> {
    test(&Test { no_conformance: false })?;
    run(cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
}

pub fn test(test: &Test) -> Result<()> {
    let library = duckdb::library()?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    run(cargo().args(["test", "--workspace", "--quiet"]).env("KONTIKI_DUCKDB_LIBRARY", library))?;
    if !test.no_conformance {
        foreign_client()?;
        conformance::conformance(&conformance::Conformance::default())?;
    }
    Ok(())
}

/// A client in another language, made from the proto files alone.
fn foreign_client() -> Result<()> {
    let python = python::environment("client", "conformance/client/requirements.txt")?;
    // The whole workspace: a package by itself has other features of its dependencies, which would all be built again.
    let tests = ["test", "--workspace", "--test", "api", "--quiet", "--", "--ignored"];
    run(cargo().args(tests).env("KONTIKI_CLIENT_PYTHON", python))
}

pub fn fix() -> Result<()> {
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"]))?;
    run(cargo().args(["fmt", "--all"]))
}

//! The checks that guard main. Checking never edits; `fix` does.

use anyhow::Result;
use clap::Args;

use crate::run::{cargo, run};
use crate::{conformance, duckdb};

#[derive(Args)]
pub struct Test {
    /// Leave out the comparison with dbt-core, which needs Python and its packages
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
        conformance::conformance(&conformance::Conformance::default())?;
    }
    Ok(())
}

pub fn fix() -> Result<()> {
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"]))?;
    run(cargo().args(["fmt", "--all"]))
}

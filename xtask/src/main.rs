//! Developer commands. Each needs cargo and nothing else that is not named in its own help.
#![expect(clippy::print_stdout, reason = "a developer's tool talks on its standard output")]

mod bench;
mod chart;
mod cluster;
mod conformance;
mod demo;
mod duckdb;
mod python;
mod run;
mod smartpizza;
mod verify;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Kontiki's developer commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must pass before a change is merged: format, lints, tests, docs. Edits nothing.
    Verify,
    /// The test suite on its own: format, lints, documentation, unit, property, simulation and conformance tests
    Test(verify::Test),
    /// Apply the formatter and the lints that can mend themselves
    Fix,
    /// Build Kontiki and a small SmartPizza, and show the result
    Demo(demo::Demo),
    /// Write a day of raw data for examples/smartpizza
    Smartpizza(smartpizza::Generate),
    /// Build the fixture projects with dbt-core and with Kontiki, and compare
    Conformance(conformance::Conformance),
    /// Check the Helm chart without a cluster, and rehearse the loss of its pods, volumes and zones with processes
    Chart(chart::Chart),
    /// Measure, every side in one run
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run a cluster on this machine: three replicas, four workers and a PostgreSQL
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Fetch the DuckDB library (npm) into target/duckdb unless it is there
    Duckdb,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Verify => verify::verify(),
        Command::Test(test) => verify::test(&test),
        Command::Fix => verify::fix(),
        Command::Demo(demo) => demo::demo(&demo),
        Command::Smartpizza(generate) => smartpizza::generate(&generate),
        Command::Conformance(conformance) => conformance::conformance(&conformance),
        Command::Chart(chart) => chart::chart(&chart),
        Command::Bench(bench) => bench::bench(&bench),
        Command::Cluster(verb) => cluster::cluster(&verb),
        Command::Duckdb => {
            println!("{}", duckdb::library()?.display());
            Ok(())
        }
    }
}

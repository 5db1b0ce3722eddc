//! The first command of the README: from a fresh clone to tested marts.

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::run::{cargo, root, run, target};
use crate::{duckdb, smartpizza};

#[derive(Args)]
pub struct Demo {
    /// Share of a full SmartPizza day
    #[arg(long, default_value_t = 0.001)]
    pub scale: f64,
    /// Plant bad rows and watch the tests find them
    #[arg(long)]
    pub faults: bool,
}

pub fn demo(demo: &Demo) -> Result<()> {
    duckdb::library()?;
    run(cargo().args(["build", "--release", "--package", "kontiki", "--quiet"]))?;
    let kontiki = target().join("release/kontiki");
    let project = root().join("examples/smartpizza");
    smartpizza::generate(&smartpizza::Generate {
        scale: demo.scale,
        out: project.join("raw"),
        day: chrono::NaiveDate::from_ymd_opt(2024, 5, 1).expect("a date of the calendar"),
        seed: 1,
        faults: demo.faults,
        postgres: None,
    })?;
    let command = || {
        let mut command = Command::new(&kontiki);
        command.current_dir(&project);
        command
    };
    println!("$ kontiki build");
    let status = command().args(["build", "--full-refresh"]).status()?;
    match status.code() {
        Some(0) => {}
        Some(1) if demo.faults => println!("The tests above failed: they found the bad rows that --faults planted."),
        _ => bail!("`kontiki build` failed: {status}"),
    }
    println!("$ kontiki show --select top_pizzas");
    run(command().args(["show", "--quiet", "--select", "top_pizzas", "--limit", "10"]))
}

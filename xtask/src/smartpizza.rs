//! A day of raw data for `examples/smartpizza`, as files and in a database.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use testing::smartpizza::{self, Settings};

#[derive(Args)]
pub struct Generate {
    /// 1 is a full day: 20,000 branches, 4 million customers, 5 million pizzas
    #[arg(long, default_value_t = 0.001)]
    pub scale: f64,
    /// Where the files go
    #[arg(long, default_value = "examples/smartpizza/raw")]
    pub out: PathBuf,
    /// The day, as YYYY-MM-DD; generate the next day to see incremental models at work
    #[arg(long, default_value = "2024-05-01")]
    pub day: chrono::NaiveDate,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Plant bad rows: repeated and missing keys, unknown references, impossible amounts and times
    #[arg(long)]
    pub faults: bool,
    /// Also load the files into the schema `raw` of this database: "host=… port=… user=… dbname=…"
    #[arg(long)]
    pub postgres: Option<String>,
}

pub fn generate(generate: &Generate) -> Result<()> {
    let Generate { scale, day, seed, faults, .. } = *generate;
    let counts = smartpizza::write(&Settings { scale, day, seed, faults }, &generate.out)?;
    println!(
        "{}: {} branches, {} customers, {} orders, {} pizzas",
        generate.out.display(),
        counts.branches,
        counts.customers,
        counts.orders,
        counts.pizzas
    );
    if let Some(server) = &generate.postgres {
        let rows = smartpizza::load(server, &generate.out)?;
        println!("{rows} rows loaded into the schema raw");
    }
    Ok(())
}

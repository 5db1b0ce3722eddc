//! Measures a real cluster on this machine: three replicas as processes of their own, workers that do nothing.
//!
//! Prints one JSON object a line: what was measured, the figure, its unit, and the target where there is one. `cargo xtask bench
//! cluster` builds the program, runs this and writes the figures down.
//!
//! Invariant: everything is measured from outside, through the API that clients and workers use.

mod client;
mod cluster;
mod disk;
mod figures;
mod measurements;
mod noop;
mod workload;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use cluster::Cluster;
use figures::say;

#[derive(Parser)]
struct Args {
    /// The program to measure
    #[arg(long)]
    kontiki: PathBuf,
    /// Where replicas keep their data; emptied first
    #[arg(long)]
    folder: PathBuf,
    /// How often the leader is killed
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// Tasks of the largest run
    #[arg(long, default_value_t = 100_000)]
    tasks: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if args.folder.exists() {
        std::fs::remove_dir_all(&args.folder)?;
    }
    std::fs::create_dir_all(&args.folder)?;
    let sync = disk::sync(&args.folder)?;
    say("fdatasync of 1 KiB appended, p50", sync.p50_ms(), "ms", None);
    say("fdatasync of 1 KiB appended, p99", sync.p99_ms(), "ms", None);

    let mut cluster = Cluster::start(&args.kontiki, &args.folder).await?;
    measurements::idle(&cluster).await?;
    measurements::wide(&cluster, 1_000).await?;
    measurements::chain(&cluster, sync.p50_ms()).await?;
    measurements::large(&cluster, args.tasks).await?;
    measurements::hand_over(&cluster).await?;
    measurements::worker_loss(&cluster).await?;
    measurements::kills(&mut cluster, args.kills).await?;
    Ok(())
}

//! Measures a real cluster on this machine: three replicas as processes of their own, workers that do nothing.
//!
//! Prints one JSON object a line: what was measured, the figure, its unit, and the target where there is one; to the terminal it
//! tells where it is. `cargo xtask bench cluster` builds the program, runs this and writes the figures down.
//!
//! Invariants: everything is measured from outside, through the API that clients and workers use; a part that does not come to its
//! end in time ends the whole with an error that names it.

mod client;
mod cluster;
mod disk;
mod figures;
mod measurements;
mod noop;
mod statements;
mod ticks;
mod workload;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};

use cluster::Cluster;
use figures::{say, tell};

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
    /// Measure these parts; all where none is named
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
}

/// In the order in which they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Idle,
    Wide,
    Chain,
    Large,
    HandOver,
    WorkerLoss,
    Kills,
    Memory,
    Ticks,
}

impl Part {
    /// Many times what it needs on a machine that does nothing else; all together about ten minutes.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Idle | Self::Wide | Self::Chain | Self::HandOver | Self::WorkerLoss => 60,
            Self::Large => 120,
            Self::Memory => 180,
            Self::Kills => 240,
            Self::Ticks => 480,
        })
    }
}

/// What is freed leaves the process at once, so that its resident memory is what it holds.
const GIVES_BACK_AT_ONCE: [(&str, &str); 1] = [("MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")];

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

    let mut cluster = Cluster::start(&args.kontiki, &args.folder, &[]).await?;
    for part in Part::value_variants().iter().filter(|part| args.only.is_empty() || args.only.contains(part)) {
        tell(&format!("{part:?} begins"));
        let began = Instant::now();
        let limit = part.limit();
        let measured = async {
            measurements::settle(&cluster).await?;
            match part {
                Part::Idle => measurements::idle(&cluster).await,
                Part::Wide => measurements::wide(&cluster, 1_000).await,
                Part::Chain => measurements::chain(&cluster, sync.p50_ms()).await,
                Part::Large => measurements::large(&cluster, args.tasks).await,
                Part::HandOver => measurements::hand_over(&cluster).await,
                Part::WorkerLoss => measurements::worker_loss(&cluster).await,
                Part::Kills => measurements::kills(&mut cluster, args.kills, limit * 9 / 10).await,
                Part::Memory => {
                    let folder = args.folder.join("memory");
                    let sparing = Cluster::start(&args.kontiki, &folder, &GIVES_BACK_AT_ONCE).await?;
                    measurements::memory(&sparing, args.tasks).await
                }
                Part::Ticks => {
                    let folder = args.folder.join("ticks");
                    let mut own = Cluster::start(&args.kontiki, &folder, &[]).await?;
                    ticks::measure(&mut own).await
                }
            }
        };
        let ended = tokio::time::timeout(limit, measured).await;
        ended.with_context(|| format!("{part:?} did not end within {limit:?}"))??;
        tell(&format!("{part:?} took {:.1} s", began.elapsed().as_secs_f64()));
    }
    Ok(())
}

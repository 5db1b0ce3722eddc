//! A cluster on this machine, as a new user would try it: three replicas, four workers and a PostgreSQL, each with a folder of its own
//! below `target/cluster`.
//!
//! Invariant: `up` starts what does not run and leaves the rest alone, so it also brings back what `kill` took away; `down` leaves no
//! process behind.

mod process;
mod warehouse;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand, ValueEnum};

use crate::run::{cargo, root, run, target};
use process::Process;

const REPLICAS: u16 = 3;
const WORKERS: u16 = 4;
const START_SECONDS_MAX: u64 = 60;

#[derive(Subcommand)]
pub enum Cluster {
    /// Start whatever of the cluster does not run
    Up(Up),
    /// Stop everything; the data stays unless --wipe is given
    Down {
        /// Delete logs, state and databases as well
        #[arg(long)]
        wipe: bool,
    },
    /// End one process as a power failure would
    Kill { what: Victim },
    /// Print what a process said, such as replica-1, worker-2 or postgres
    Logs {
        name: Option<String>,
        /// Lines of each
        #[arg(long, default_value_t = 20)]
        lines: usize,
    },
}

#[derive(Args)]
pub struct Up {
    /// The first replica's port; the others follow
    #[arg(long, default_value_t = 4731)]
    pub port: u16,
    /// PostgreSQL's port
    #[arg(long, default_value_t = 4740)]
    pub postgres_port: u16,
    /// Use the optimised program
    #[arg(long)]
    pub release: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum Victim {
    Leader,
    Follower,
    Worker,
}

pub fn cluster(verb: &Cluster) -> Result<()> {
    match verb {
        Cluster::Up(settings) => up(settings),
        Cluster::Down { wipe } => down(*wipe),
        Cluster::Kill { what } => kill(*what),
        Cluster::Logs { name, lines } => process::logs(&folder(), name.as_deref(), *lines),
    }
}

fn folder() -> PathBuf {
    target().join("cluster")
}

fn program(release: bool) -> PathBuf {
    target().join(if release { "release" } else { "debug" }).join("kontiki")
}

fn up(settings: &Up) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--package", "kontiki", "--quiet"]);
    if settings.release {
        build.arg("--release");
    }
    run(&mut build)?;
    let folder = folder();
    std::fs::create_dir_all(&folder)?;
    warehouse::start(&folder, settings.postgres_port)?;
    let addresses: Vec<String> = (0..REPLICAS).map(|index| format!("127.0.0.1:{}", settings.port + index)).collect();
    let all = addresses.join(",");
    std::fs::write(folder.join("servers"), format!("{all}\n{}\n", program(settings.release).display()))?;
    for (index, address) in addresses.iter().enumerate() {
        let name = format!("replica-{}", index + 1);
        let mut command = Command::new(program(settings.release));
        command.args(["server", "--name", &name, "--listen", address, "--peers", &all]);
        command.args(["--replicas", &REPLICAS.to_string(), "--data-dir"]).arg(folder.join(&name).join("data"));
        Process::new(&folder, &name).start(&mut command)?;
    }
    for index in 1..=WORKERS {
        let name = format!("worker-{index}");
        let mut command = Command::new(program(settings.release));
        command.args(["worker", "--servers", &all, "--slots", "2", "--labels", &format!("name={name}")]);
        command.arg("--cache-dir").arg(folder.join(&name).join("cache"));
        command.arg("--profiles-dir").arg(root().join("examples/smartpizza"));
        command.envs(warehouse::environment(settings.postgres_port));
        Process::new(&folder, &name).start(&mut command)?;
    }
    await_ready()?;
    run(&mut kontiki(&["cluster", "status"])?)?;
    run(&mut kontiki(&["worker", "list"])?)?;
    explain(&all, settings);
    Ok(())
}

fn explain(all: &str, settings: &Up) {
    let variables = warehouse::environment(settings.postgres_port);
    let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    println!("\nTry it:\n");
    println!("  export PATH=\"{}:$PATH\"", program(settings.release).parent().unwrap_or(root()).display());
    println!("  export KONTIKI_SERVER={all} {}", variables.join(" "));
    let port = settings.postgres_port;
    println!(
        "  cargo xtask smartpizza --scale 0.001 --postgres 'host=127.0.0.1 port={port} user=postgres dbname=postgres'"
    );
    println!("  cd examples/smartpizza && kontiki build");
    println!("  cargo xtask cluster kill leader     # in another terminal, while it runs\n");
}

/// The program with the cluster that was last started.
fn kontiki(arguments: &[&str]) -> Result<Command> {
    let known = std::fs::read_to_string(folder().join("servers")).context("no cluster was started here")?;
    let mut lines = known.lines();
    let (Some(servers), Some(program)) = (lines.next(), lines.next()) else { bail!("no cluster was started here") };
    let mut command = Command::new(program);
    command.args(arguments).env("KONTIKI_SERVER", servers);
    Ok(command)
}

/// Waits until there is a leader and every worker has found it.
fn await_ready() -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
    loop {
        let listed = kontiki(&["worker", "list", "-o", "name"])?.output()?;
        let workers = String::from_utf8_lossy(&listed.stdout).lines().filter(|line| !line.is_empty()).count();
        if listed.status.success() && workers >= usize::from(WORKERS) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the cluster is not ready after {START_SECONDS_MAX} s: see `cargo xtask cluster logs`");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn down(wipe: bool) -> Result<()> {
    let folder = folder();
    for name in process::names(&folder)? {
        Process::new(&folder, &name).stop()?;
    }
    if wipe && folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
    }
    Ok(())
}

fn kill(what: Victim) -> Result<()> {
    let folder = folder();
    let name = match what {
        Victim::Leader => replica("leader")?,
        Victim::Follower => replica("follower")?,
        Victim::Worker => {
            let running = process::names(&folder)?.into_iter().filter(|name| name.starts_with("worker-"));
            let mut running = running.filter(|name| Process::new(&folder, name).is_running());
            running.next().context("no worker runs")?
        }
    };
    Process::new(&folder, &name).kill()?;
    println!("{name} was killed; `cargo xtask cluster up` brings it back");
    Ok(())
}

/// The name of a replica that runs and has this role.
fn replica(role: &str) -> Result<String> {
    let told = kontiki(&["cluster", "status", "-o", "json"])?.output()?;
    let status: serde_json::Value = serde_json::from_slice(&told.stdout).context("no replica tells who leads")?;
    let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
    let folder = folder();
    let names =
        replicas.iter().filter(|replica| replica["role"] == role).filter_map(|replica| replica["name"].as_str());
    let mut running = names.filter(|name| Process::new(&folder, name).is_running());
    running.next().map(str::to_owned).with_context(|| format!("no {role} runs"))
}

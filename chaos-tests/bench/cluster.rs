//! Three replicas as processes on loopback.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proto::client::Replicas;

use crate::client;

const REPLICAS: usize = 3;
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long callers look for a leader.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub kontiki: PathBuf,
    pub folder: PathBuf,
    pub replicas: Replicas,
    addresses: Vec<String>,
    /// Variables of the processes, besides the caller's.
    environment: Vec<(String, String)>,
    processes: Vec<Child>,
}

impl Cluster {
    /// Starts the replicas with these variables and waits for a leader.
    pub async fn start(kontiki: &Path, folder: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        // Held until all are chosen, so that they differ.
        let held = (0..REPLICAS).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let addresses = held.iter().map(|port| Ok(port.local_addr()?.to_string())).collect::<Result<Vec<_>>>()?;
        drop(held);
        let replicas = Replicas::new(addresses.iter().map(String::as_str), PATIENCE, None)?;
        let (kontiki, folder, processes) = (kontiki.to_owned(), folder.to_owned(), Vec::new());
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut cluster = Self { kontiki, folder, replicas, addresses, environment, processes };
        for index in 0..REPLICAS {
            let process = cluster.spawn(index)?;
            cluster.processes.push(process);
        }
        cluster.wait_for_leader().await?;
        Ok(cluster)
    }

    fn spawn(&self, index: usize) -> Result<Child> {
        let folder = self.folder.join(format!("replica-{index}"));
        std::fs::create_dir_all(&folder)?;
        let log = File::options().create(true).append(true).open(folder.join("log.txt"))?;
        Command::new(&self.kontiki)
            .arg("server")
            .envs(self.environment.iter().cloned())
            .args(["--name", &format!("replica-{index}")])
            .args(["--listen", &self.addresses[index]])
            .args(["--peers", &self.addresses.join(",")])
            .args(["--replicas", &REPLICAS.to_string()])
            .args(["--lease", "2s"])
            .arg("--data-dir")
            .arg(folder.join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.kontiki.display()))
    }

    async fn wait_for_leader(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while self.leader().await.is_err() {
            if Instant::now() > deadline {
                bail!("no leader after {START_TIMEOUT:?}; see {}", self.folder.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The index of the replica that leads, as the others see it.
    pub async fn leader(&self) -> Result<usize> {
        for address in &self.addresses {
            let Ok(status) = client::status(&self.replicas, address).await else { continue };
            let leader = status.replicas.iter().find(|replica| replica.replica_id == status.leader_id);
            let found = leader.and_then(|leader| self.addresses.iter().position(|known| *known == leader.address));
            // A replica may still name a leader that is gone.
            if let Some(index) = found
                && client::status(&self.replicas, &self.addresses[index])
                    .await
                    .is_ok_and(|its| its.replica_id == status.leader_id && its.leader_id == status.leader_id)
            {
                return Ok(index);
            }
        }
        bail!("nobody leads")
    }

    pub fn servers(&self) -> String {
        self.addresses.join(",")
    }

    pub fn process(&self, index: usize) -> u32 {
        self.processes[index].id()
    }

    /// As `kill -9`; returns when it was sent.
    pub fn kill(&mut self, index: usize) -> Result<Instant> {
        let at = Instant::now();
        self.processes[index].kill()?;
        self.processes[index].wait()?;
        Ok(at)
    }

    /// Starts a killed replica again and waits until the others have brought it up to date.
    pub async fn restart(&mut self, index: usize) -> Result<()> {
        self.processes[index] = self.spawn(index)?;
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let leader = self.leader().await;
            let own = client::status(&self.replicas, &self.addresses[index]).await;
            if let (Ok(leader), Ok(own)) = (leader, own)
                && let Ok(its) = client::status(&self.replicas, &self.addresses[leader]).await
                && own.applied_index > 0
                && own.applied_index + 100 >= its.applied_index
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("replica {index} did not catch up");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // It may be dead already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

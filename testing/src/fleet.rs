//! A cluster of real processes on loopback: replicas and workers, each with a folder of its own.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value as Json;

use crate::{Process, obtain, ports};

/// Makes a call of the program with these arguments, ready to be started.
pub type Program = Box<dyn Fn(&[&str]) -> Command>;

/// What a cluster is made of.
pub struct Shape {
    /// Where replicas and workers keep their data and their logs.
    pub folder: PathBuf,
    /// Where it finds the project and the profile.
    pub program: Program,
    pub replicas: usize,
    pub workers: usize,
    /// Flags of each replica, besides those that make it one of this cluster.
    pub replica_flags: &'static [&'static str],
    pub worker_flags: &'static [&'static str],
}

/// Every process of it ends with the value.
pub struct Fleet {
    pub replicas: Vec<Process>,
    pub workers: Vec<Process>,
    addresses: Vec<String>,
    shape: Shape,
}

impl Fleet {
    /// A cluster that is ready: it has a leader, and each worker has found it.
    pub fn start(shape: Shape) -> Self {
        let addresses = ports::free(shape.replicas).into_iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut fleet = Self { replicas: vec![], workers: vec![], addresses, shape };
        fleet.replicas = (0..fleet.shape.replicas).map(|index| fleet.replica(index)).collect();
        fleet.workers = (0..fleet.shape.workers).map(|index| fleet.worker(index)).collect();
        fleet.await_workers(fleet.shape.workers);
        fleet
    }

    /// Starts a replica that has ended again, with the data that it had.
    pub fn restart_replica(&mut self, index: usize) {
        self.replicas[index] = self.replica(index);
    }

    /// Starts a worker in the place of one that has ended.
    pub fn restart_worker(&mut self, index: usize) {
        self.workers[index] = self.worker(index);
    }

    fn replica(&self, index: usize) -> Process {
        let (name, count) = (format!("replica-{index}"), self.addresses.len().to_string());
        let data = self.shape.folder.join(&name).display().to_string();
        let servers = self.servers();
        let of_cluster = ["--replicas", &count, "--peers", &servers];
        let own = ["server", "--name", &name, "--listen", &self.addresses[index], "--data-dir", &data];
        let arguments = [&own[..], &of_cluster, self.shape.replica_flags].concat();
        Process::start(&name, &self.shape.folder, (self.shape.program)(&arguments))
    }

    fn worker(&self, index: usize) -> Process {
        let name = format!("worker-{index}");
        let cache = self.shape.folder.join(&name).display().to_string();
        let (label, servers) = (format!("name={name}"), self.servers());
        let own = ["worker", "--servers", &servers, "--cache-dir", &cache, "--slots", "2", "--labels", &label];
        let arguments = [&own[..], self.shape.worker_flags].concat();
        Process::start(&name, &self.shape.folder, (self.shape.program)(&arguments))
    }

    /// Host and port of each replica, by its index.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// All replicas, as `--server` takes them.
    pub fn servers(&self) -> String {
        self.addresses.join(",")
    }

    /// The program, told of the cluster.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = (self.shape.program)(arguments);
        command.env("KONTIKI_SERVER", self.servers());
        command
    }

    /// Starts one more worker, and waits until the cluster knows it.
    pub fn add_worker(&mut self) {
        self.workers.push(self.worker(self.workers.len()));
        self.await_active_workers(self.workers.len());
    }

    /// Waits until so many workers are in the list.
    pub fn await_workers(&self, count: usize) {
        let listed = || {
            let output = self.command(&["worker", "list", "-o", "name"]).output().expect("the program runs");
            let names = String::from_utf8_lossy(&output.stdout);
            output.status.success() && names.lines().filter(|line| !line.is_empty()).count() == count
        };
        self.until("the workers to be listed", listed);
    }

    /// Waits until so many workers are in the list and take tasks.
    pub fn await_active_workers(&self, count: usize) {
        let active = || {
            let output = self.command(&["worker", "list", "-o", "json"]).output().expect("the program runs");
            let workers: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let is_active = |worker: &&Json| worker["state"] == "active";
            workers.as_array().is_some_and(|workers| workers.iter().filter(is_active).count() == count)
        };
        self.until("the workers to take tasks", active);
    }

    /// The index of the replica that leads, where one does.
    pub fn leader(&self) -> Option<usize> {
        let output = self.command(&["cluster", "status", "-o", "json"]).output().expect("the program runs");
        let status: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let replicas = status["replicas"].as_array()?;
        let leader = replicas.iter().find(|replica| replica["role"] == "leader")?["address"].as_str()?;
        self.addresses.iter().position(|known| known == leader)
    }

    /// Waits until another replica than this one leads.
    pub fn await_leader_other_than(&self, old: usize) {
        self.until("another leader", || self.leader().is_some_and(|leader| leader != old));
    }

    /// Waits until it is so, which takes long only where something is wrong.
    #[track_caller]
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        self.obtain(what, || is_so().then_some(()).ok_or("not yet"));
    }

    /// Waits until there is something to be had; the last reason why there is not is told where it never comes.
    #[track_caller]
    pub fn obtain<T, E: Display>(&self, what: &str, ask: impl FnMut() -> Result<T, E>) -> T {
        obtain(what, ask, || self.logs())
    }

    /// What the processes said last, for messages.
    pub fn logs(&self) -> String {
        self.replicas.iter().chain(&self.workers).map(Process::lines).collect()
    }
}

//! Replicas and workers as processes of their own, with a project and a database.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use testing::Postgres;

use crate::support::{Ended, Project, Running};

const READY_SECONDS_MAX: u64 = 60;

/// A cluster for one test; every process of it ends with the value.
pub struct Fleet {
    pub project: Project,
    pub database: String,
    pub postgres: Arc<Postgres>,
    pub replicas: Vec<Process>,
    pub workers: Vec<Process>,
    addresses: Vec<String>,
}

/// A replica or a worker; killed when dropped.
pub struct Process {
    pub name: String,
    child: Child,
}

impl Process {
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Fleet {
    /// A cluster that is ready: it has a leader, and each worker has found it.
    pub fn start(project: Project, replicas: usize, workers: usize) -> Self {
        let postgres = Postgres::start();
        let database = postgres.database();
        let settings = format!(
            "      type: postgres\n      host: {}\n      port: {}\n      user: {}\n      password: ''\n      dbname: {database}\n      \
             schema: main\n      threads: 2\n",
            postgres.host(),
            postgres.port(),
            postgres.user(),
        );
        project.profile(&settings);
        let addresses = free_addresses(replicas);
        let mut fleet = Self { project, database, postgres, replicas: vec![], workers: vec![], addresses };
        for index in 0..replicas {
            let replica = fleet.replica(index);
            fleet.replicas.push(replica);
        }
        for index in 0..workers {
            let worker = fleet.worker(index);
            fleet.workers.push(worker);
        }
        fleet.await_workers(workers);
        fleet
    }

    fn replica(&self, index: usize) -> Process {
        let (name, count) = (format!("replica-{index}"), self.addresses.len().to_string());
        let data = self.project.path(&name).display().to_string();
        let arguments = ["server", "--name", &name, "--listen", &self.addresses[index], "--replicas", &count];
        self.process(&name, &[&arguments[..], &["--peers", &self.servers(), "--data-dir", &data]].concat())
    }

    pub fn worker(&self, index: usize) -> Process {
        let name = format!("worker-{index}");
        let cache = self.project.path(&name).display().to_string();
        let label = format!("name={name}");
        self.process(
            &name,
            &["worker", "--servers", &self.servers(), "--cache-dir", &cache, "--slots", "2", "--labels", &label],
        )
    }

    /// Its lines are in the project's folder, for whoever looks into a failure.
    fn process(&self, name: &str, arguments: &[&str]) -> Process {
        let log = File::create(self.project.path(&format!("{name}.log"))).unwrap();
        let mut command = self.project.command(arguments);
        command.stdout(Stdio::null()).stderr(log);
        Process { name: name.to_owned(), child: command.spawn().unwrap() }
    }

    /// All replicas, as `--server` takes them.
    pub fn servers(&self) -> String {
        self.addresses.join(",")
    }

    /// The program, told of the cluster.
    pub fn kontiki(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.command(arguments);
        command.env("KONTIKI_SERVER", self.servers());
        command
    }

    /// The program under way.
    pub fn begin(&self, arguments: &[&str]) -> Running {
        let servers = self.servers();
        self.project.start(&[arguments, &["--server", &servers]].concat())
    }

    pub fn json(&self, arguments: &[&str]) -> Json {
        let ended = self.kontiki(&[arguments, &["-o", "json"]].concat());
        ended.expect(0);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"))
    }

    /// Waits until so many workers are in the list.
    pub fn await_workers(&self, count: usize) {
        let listed = || {
            let ended = self.kontiki(&["worker", "list", "-o", "name"]);
            ended.code == Some(0) && ended.stdout.lines().filter(|line| !line.is_empty()).count() == count
        };
        self.until(listed, "the workers to be listed");
    }

    /// The index of the replica that leads.
    pub fn leader(&self) -> usize {
        let status = self.json(&["cluster", "status"]);
        let replicas = status["replicas"].as_array().unwrap();
        let leader = replicas.iter().find(|replica| replica["role"] == "leader");
        let address =
            leader.unwrap_or_else(|| panic!("nobody leads: {status}"))["address"].as_str().unwrap().to_owned();
        self.addresses.iter().position(|known| *known == address).unwrap()
    }

    /// Waits until another replica than this one leads.
    pub fn await_leader_other_than(&self, old: usize) {
        let elected = || {
            let ended = self.kontiki(&["cluster", "status", "-o", "json"]);
            let status: Json = serde_json::from_str(&ended.stdout).unwrap_or_default();
            let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
            replicas
                .iter()
                .any(|replica| replica["role"] == "leader" && replica["address"] != self.addresses[old].as_str())
        };
        self.until(elected, "another leader");
    }

    fn until(&self, is_so: impl Fn() -> bool, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        while !is_so() {
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.logs());
        }
    }

    /// What the processes said, for messages.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for process in self.replicas.iter().chain(&self.workers) {
            let log = self.project.read(&format!("{}.log", process.name));
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&format!("== {}\n{}\n", process.name, lines[lines.len().saturating_sub(15)..].join("\n")));
        }
        text
    }

    pub fn client(&self) -> Database {
        Database(self.postgres.client(&self.database))
    }
}

/// A connection to look at what was done.
pub struct Database(pub postgres::Client);

impl Database {
    /// Rows of a query of one column of text.
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        self.0.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Published nodes of the one run that there was, each as often as it was published.
    pub fn published(&mut self) -> Vec<String> {
        self.rows("select node::text from kontiki.publish_log order by 1")
    }
}

fn free_addresses(count: usize) -> Vec<String> {
    // All at once, so that no two are the same.
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

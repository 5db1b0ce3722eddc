//! A cluster with a project and a database.

use std::process::Command;
use std::sync::Arc;

use serde_json::Value as Json;
use testing::{Postgres, Process, Shape};

use crate::support::{Ended, Project, Running};

/// A cluster for one test; every process of it ends with the value.
pub struct Fleet {
    pub project: Arc<Project>,
    pub database: String,
    pub postgres: Arc<Postgres>,
    processes: testing::Fleet,
}

impl Fleet {
    /// A cluster that is ready: it has a leader, and each worker has found it.
    pub fn start(project: Project, replicas: usize, workers: usize) -> Self {
        Self::start_in(project, replicas, workers, &[])
    }

    /// A cluster whose processes have these variables besides.
    pub fn start_in(project: Project, replicas: usize, workers: usize, environment: &[(&str, &str)]) -> Self {
        let environment: Vec<(String, String)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::start_as(project, replicas, workers, move |_| environment.clone())
    }

    /// A cluster whose processes have the variables that follow from their arguments.
    pub fn start_as(
        project: Project,
        replicas: usize,
        workers: usize,
        environment: impl Fn(&[&str]) -> Vec<(String, String)> + 'static,
    ) -> Self {
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
        let project = Arc::new(project);
        let of_project = project.clone();
        let processes = testing::Fleet::start(Shape {
            folder: project.root().to_owned(),
            program: Box::new(move |arguments| {
                let mut command = of_project.command(arguments);
                command.envs(environment(arguments));
                command
            }),
            replicas,
            workers,
            replica_flags: &[],
            worker_flags: &[],
        });
        Self { project, database, postgres, processes }
    }

    pub fn replica(&mut self, index: usize) -> &mut Process {
        &mut self.processes.replicas[index]
    }

    pub fn worker(&mut self, index: usize) -> &mut Process {
        &mut self.processes.workers[index]
    }

    /// The program, told of the cluster.
    pub fn kontiki(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        self.processes.command(arguments)
    }

    /// The program under way.
    pub fn begin(&self, arguments: &[&str]) -> Running {
        let servers = self.processes.servers();
        self.project.start(&[arguments, &["--server", &servers]].concat())
    }

    pub fn json(&self, arguments: &[&str]) -> Json {
        let ended = self.kontiki(&[arguments, &["-o", "json"]].concat());
        ended.expect(0);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"))
    }

    pub fn until(&self, what: &str, is_so: impl FnMut() -> bool) {
        self.processes.until(what, is_so);
    }

    /// Starts a replica that has ended again, with the data that it had.
    pub fn restart_replica(&mut self, index: usize) {
        self.processes.restart_replica(index);
    }

    /// Starts a worker in the place of one that has ended.
    pub fn restart_worker(&mut self, index: usize) {
        self.processes.restart_worker(index);
        self.processes.await_active_workers(1);
    }

    /// Starts one more worker, and waits until the cluster knows it.
    pub fn add_worker(&mut self) {
        self.processes.add_worker();
    }

    /// Host and port of each replica, by its index.
    pub fn addresses(&self) -> Vec<String> {
        self.processes.addresses().to_vec()
    }

    /// The index of the replica that leads.
    pub fn leader(&self) -> usize {
        self.processes.leader().unwrap_or_else(|| panic!("nobody leads\n{}", self.logs()))
    }

    pub fn await_leader_other_than(&self, old: usize) {
        self.processes.await_leader_other_than(old);
    }

    /// What the processes said, for messages.
    pub fn logs(&self) -> String {
        self.processes.logs()
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

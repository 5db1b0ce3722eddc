//! Three replicas, some workers, and a client that asks any of them.

use std::future::Future;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chaos_tests::dice::Dice;
use proto::client::Channel;
use proto::client::Replicas;
use proto::v1;
use proto::v1::cluster_service_client::ClusterServiceClient;
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::worker_service_client::WorkerServiceClient;
use testing::{Fleet, Shape};
use tokio::runtime::Runtime;
use tonic::{Response, Status};

use crate::clock::Clocks;
use crate::fault::Fault;
use crate::project::Project;
use crate::warehouse::Warehouse;
use crate::watch::Watch;

pub const REPLICAS: usize = 3;
pub const WORKERS: usize = 3;
/// How long a call looks for a replica that can answer it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one replica may take to tell how it is; a paused one never does.
const STATUS_MAX: Duration = Duration::from_secs(2);

/// What a test wants of its cluster.
#[derive(Default)]
pub struct Wishes {
    pub replica_flags: &'static [&'static str],
    pub worker_flags: &'static [&'static str],
    /// More environment for each process.
    pub environment: Vec<(&'static str, String)>,
    /// Clocks for replicas.
    pub clocks: Option<Arc<Clocks>>,
}

pub struct Cluster {
    // Processes end before what they use is gone.
    pub fleet: Fleet,
    runtime: Runtime,
    replicas: Replicas,
    pub warehouse: Arc<Warehouse>,
    _project: Arc<Project>,
}

/// The program in a project's folder, with a warehouse.
pub fn program(project: &Project, warehouse: &Warehouse, arguments: &[&str]) -> Command {
    let mut command = Command::new(testing::program());
    command.args(arguments).current_dir(project.root()).env_clear().envs(warehouse.environment());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", project.root());
    command
}

impl Cluster {
    /// A cluster that is ready, and has the project.
    pub fn start(project: Project, warehouse: Warehouse, wishes: Wishes) -> Self {
        let (project, warehouse) = (Arc::new(project), Arc::new(warehouse));
        let (of_project, of_warehouse) = (project.clone(), warehouse.clone());
        let fleet = Fleet::start(Shape {
            folder: project.root().to_owned(),
            program: Box::new(move |arguments| {
                let mut command = program(&of_project, &of_warehouse, arguments);
                command.envs(wishes.environment.iter().map(|(name, value)| (name, value)));
                if let (Some(clocks), ["server", "--name", name, ..]) = (&wishes.clocks, arguments) {
                    clocks.attach(&mut command, name);
                }
                command
            }),
            replicas: REPLICAS,
            workers: WORKERS,
            replica_flags: wishes.replica_flags,
            worker_flags: wishes.worker_flags,
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let replicas = Replicas::new(fleet.addresses().iter().map(String::as_str), PATIENCE, None).unwrap();
        let deployed = fleet.command(&["project", "deploy"]).output().unwrap();
        assert!(deployed.status.success(), "{}\n{}", String::from_utf8_lossy(&deployed.stderr), fleet.logs());
        Self { fleet, runtime, replicas, warehouse, _project: project }
    }

    /// A call that may be repeated, of any replica.
    #[track_caller]
    fn ask<T, F, Answer>(&self, request: F) -> T
    where
        F: FnMut(Channel) -> Answer,
        Answer: Future<Output = Result<Response<T>, Status>>,
    {
        let answer = self.runtime.block_on(self.replicas.call(request));
        answer.unwrap_or_else(|status| panic!("{status}\n{}", self.fleet.logs())).into_inner()
    }

    /// Has a run accepted, by whichever replica the dice choose to ask first.
    pub fn submit(&self, dice: &mut Dice, request: v1::SubmitRunRequest) -> v1::SubmitRunResponse {
        if let Some(address) = dice.pick(self.fleet.addresses()) {
            self.replicas.prefer(address);
        }
        let request = v1::SubmitRunRequest {
            project: "smartpizza".to_owned(),
            target: Some(v1::Target {
                name: "postgres".to_owned(),
                profile: "smartpizza".to_owned(),
                adapter_type: "postgres".to_owned(),
                database: self.warehouse.database().to_owned(),
                schema: "smartpizza".to_owned(),
                threads: 4,
            }),
            ..request
        };
        self.ask(|channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).submit_run(request).await }
        })
    }

    /// Follows a run through all replicas.
    pub fn watch(&self, run: &str, dice: Dice) -> Watch {
        Watch::begin(&self.runtime, &self.replicas, self.fleet.addresses(), run, dice)
    }

    /// A run's history as one replica tells it.
    pub fn history(&self, replica: usize, run: &str) -> Vec<v1::WatchRunResponse> {
        let only = &self.fleet.addresses()[replica..=replica];
        let mut watch = Watch::begin(&self.runtime, &self.replicas, only, run, Dice::new(0));
        watch.finish();
        watch.seen
    }

    pub fn run(&self, run: &str) -> v1::GetRunResponse {
        let request = v1::GetRunRequest { run_id: run.to_owned(), with_tasks: true, ..v1::GetRunRequest::default() };
        self.ask(|channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).get_run(request).await }
        })
    }

    /// Reads a watch to the end of its run, which must be a good one.
    #[track_caller]
    pub fn expect_success(&self, watch: &mut Watch) {
        let state = watch.finish();
        if state != v1::RunState::Success {
            let mut tasks = self.run(&watch.run).tasks;
            tasks.retain(|task| task.state() == v1::TaskState::Failed);
            panic!("run {} ended as {state:?}: {tasks:#?}\n{}", watch.run, self.fleet.logs());
        }
    }

    pub fn runs(&self) -> Vec<v1::Run> {
        let request = v1::ListRunsRequest { page_size: 100, ..v1::ListRunsRequest::default() };
        let list = |channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).list_runs(request).await }
        };
        self.ask(list).runs
    }

    pub fn workers(&self) -> Vec<v1::Worker> {
        let list =
            |channel| async move { WorkerServiceClient::new(channel).list_workers(v1::ListWorkersRequest {}).await };
        self.ask(list).workers
    }

    /// How a replica sees the cluster, where it answers.
    pub fn status(&self, replica: usize) -> Option<v1::GetStatusResponse> {
        let asked = async {
            let channel = self.replicas.channel(&self.fleet.addresses()[replica]).unwrap();
            let mut client = ClusterServiceClient::new(channel);
            tokio::time::timeout(STATUS_MAX, client.get_status(v1::GetStatusRequest {})).await
        };
        Some(self.runtime.block_on(asked).ok()?.ok()?.into_inner())
    }

    /// The replica that says of itself that it leads.
    pub fn leader(&self) -> Option<usize> {
        (0..REPLICAS).find(|replica| self.status(*replica).is_some_and(|its| its.leader_id == its.replica_id))
    }

    pub fn await_leader(&self, is_wanted: impl Fn(usize) -> bool) -> usize {
        self.fleet.obtain("a leader", || self.leader().filter(|leader| is_wanted(*leader)).ok_or("nobody leads"))
    }

    /// Waits until the replica has applied what its leader has now.
    pub fn await_caught_up(&self, replica: usize) {
        let leader = self.await_leader(|_| true);
        self.fleet.until("a replica to catch up", || {
            let (Some(its), Some(own)) = (self.status(leader), self.status(replica)) else { return false };
            own.leader_id != 0 && own.applied_index > 0 && own.applied_index >= its.committed_index
        });
    }

    /// All replicas agree when they have applied the same entries.
    pub fn await_agreement(&self) {
        self.fleet.until("replicas to apply the same entries", || {
            let all: Vec<v1::GetStatusResponse> = (0..REPLICAS).filter_map(|replica| self.status(replica)).collect();
            let is_same = all.len() == REPLICAS && all.iter().all(|its| its.applied_index == all[0].applied_index);
            if is_same {
                let digests: Vec<u64> = all.iter().map(|its| its.state_digest).collect();
                assert!(digests.iter().all(|digest| *digest == digests[0]), "replicas differ: {all:?}");
            }
            is_same
        });
    }

    /// `busy` is the id of a worker that was at work a moment ago.
    pub fn strike(&mut self, fault: Fault, dice: &mut Dice, busy: &str) {
        match fault {
            Fault::KillLeader => {
                let leader = self.await_leader(|_| true);
                self.kill_replica(leader);
                if dice.percent(50) {
                    self.await_leader(|other| other != leader);
                }
                self.fleet.restart_replica(leader);
            }
            Fault::KillFollower => {
                let leader = self.await_leader(|_| true);
                let follower = (leader + 1 + dice.below(REPLICAS - 1)) % REPLICAS;
                self.kill_replica(follower);
                self.fleet.restart_replica(follower);
            }
            Fault::KillReplicas => {
                self.fleet.replicas.iter().for_each(|replica| replica.signal("KILL"));
                for replica in 0..REPLICAS {
                    self.fleet.replicas[replica].code();
                    self.fleet.restart_replica(replica);
                }
            }
            Fault::PauseLeader => {
                let leader = self.await_leader(|_| true);
                self.fleet.replicas[leader].signal("STOP");
                self.await_leader(|other| other != leader);
                self.fleet.replicas[leader].signal("CONT");
            }
            Fault::KillWorker => {
                let (worker, _) = self.worker(busy, dice);
                self.fleet.workers[worker].signal("KILL");
                self.fleet.workers[worker].code();
                self.fleet.restart_worker(worker);
            }
            Fault::PauseWorker => {
                let (worker, id) = self.worker(busy, dice);
                self.fleet.workers[worker].signal("STOP");
                let is_given_up = || self.workers().iter().all(|listed| listed.worker_id != id);
                self.fleet.until("a paused worker to be given up", is_given_up);
                self.fleet.workers[worker].signal("CONT");
            }
        }
        self.expect_all_run();
    }

    fn kill_replica(&mut self, replica: usize) {
        self.fleet.replicas[replica].signal("KILL");
        self.fleet.replicas[replica].code();
    }

    /// Index and id of the worker of this id, or of any where it is gone.
    fn worker(&self, id: &str, dice: &mut Dice) -> (usize, String) {
        let index_of = |worker: &v1::Worker| {
            let name = worker.labels.get("name")?;
            self.fleet.workers.iter().position(|process| process.name == *name)
        };
        self.fleet.obtain("a worker", || {
            let listed = self.workers();
            let wanted = listed.iter().find(|worker| worker.worker_id == id).or_else(|| dice.pick(&listed));
            wanted.and_then(|worker| Some((index_of(worker)?, worker.worker_id.clone()))).ok_or("none is listed")
        })
    }

    /// No process has ended that nobody killed.
    pub fn expect_all_run(&mut self) {
        let processes = self.fleet.replicas.iter_mut().chain(&mut self.fleet.workers);
        let ended: Vec<String> =
            processes.filter_map(|process| process.has_ended().then(|| process.name.clone())).collect();
        assert!(ended.is_empty(), "{ended:?} ended\n{}", self.fleet.logs());
    }
}

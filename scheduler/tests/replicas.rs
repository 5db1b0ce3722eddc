//! Three replicas in one process, each with a runtime of its own that can be killed, over real gRPC on loopback.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::session::{LeaderMessage, WorkerMessage};
use common::task::TaskReport;
use common::transcript::Packed;
use common::{ContentDigest, RunId};
use futures::StreamExt;
use proto::v1;
use proto::v1::raft_service_client::RaftServiceClient;
use scheduler::backup;
use scheduler::replica::{self, Config, Consistency, Durability, Error, Handle, Role, Status};
use scheduler::state::{Command, Event, Reply, State, transcripts};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

struct Node {
    config: Config,
    running: Option<(Runtime, Handle)>,
}

impl Node {
    fn new(config: Config) -> Self {
        Self { config, running: None }
    }

    fn start(&mut self) {
        let runtime = runtime();
        let config = self.config.clone();
        let handle = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(&config.advertise).await.unwrap();
            let handle = replica::start(config).await.unwrap();
            let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
            let server = tonic::transport::Server::builder().add_service(replica::raft_service(&handle));
            tokio::spawn(server.serve_with_incoming(incoming));
            handle
        });
        self.running = Some((runtime, handle));
    }

    /// As `kill -9` would: every task, timer and connection is gone at once.
    fn kill(&mut self) {
        let (runtime, handle) = self.running.take().unwrap();
        runtime.shutdown_timeout(PATIENCE);
        drop(handle);
    }

    fn handle(&self) -> &Handle {
        &self.running.as_ref().unwrap().1
    }

    /// Runs a future on this node's runtime.
    fn on<T>(&self, future: impl Future<Output = T>) -> T {
        let (runtime, _) = self.running.as_ref().unwrap();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.unwrap() })
    }

    fn submit(&self, run: u64) {
        let reply = self.forward(&support::submit(support::plan(run, &[("a", &[])])));
        assert!(matches!(reply, Reply::Submitted { .. }), "{reply:?}");
    }

    /// The commands of these tests may come twice, so an unknown outcome is asked again.
    fn forward(&self, command: &Command) -> Reply {
        loop {
            match self.on(self.handle().forward(command.clone())) {
                Err(error) if error.is_retryable() => {}
                decided => return decided.unwrap(),
            }
        }
    }

    fn runs(&self, consistency: Consistency) -> Vec<u64> {
        let read = self.handle().read(consistency, |state| {
            let mut runs: Vec<u64> = state.runs().map(|run| run.id.0.as_u64_pair().1).collect();
            runs.sort_unstable();
            runs
        });
        self.on(read).unwrap()
    }

    fn when(&self, is_as_asked: impl Fn(&Status) -> bool) -> Status {
        self.on(self.handle().status_when(is_as_asked)).unwrap()
    }

    /// Has applied everything that `other` has, and has the same state.
    fn catches_up_with(&self, other: &Node) {
        loop {
            let theirs = other.handle().status();
            let own = self.when(|status| status.applied >= theirs.applied);
            if own.applied == theirs.applied {
                return assert_eq!(own.digest, theirs.digest);
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

struct Cluster {
    nodes: Vec<Node>,
    folder: tempfile::TempDir,
}

impl Cluster {
    fn start(replicas: usize, adjust: impl Fn(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addresses: Vec<String> = addresses(replicas);
        let mut nodes = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            let name = format!("kontiki-{number}");
            let mut config = Config::new(folder.path().join(&name), name, address.clone());
            config.peers.clone_from(&addresses);
            config.replicas = replicas;
            adjust(&mut config);
            nodes.push(Node::new(config));
        }
        nodes.iter_mut().for_each(Node::start);
        Self { nodes, folder }
    }

    /// The place of the leader, as the first running node knows it.
    fn leader(&self) -> usize {
        let running: Vec<&str> =
            self.nodes.iter().filter(|node| node.running.is_some()).map(|node| node.config.name.as_str()).collect();
        let node = self.nodes.iter().find(|node| node.running.is_some()).unwrap();
        let mut leader = node.handle().leader();
        let known = node.on(async {
            let known = |leader: &Option<replica::Member>| {
                leader.as_ref().is_some_and(|leader| running.contains(&leader.name.as_str()))
            };
            leader.wait_for(known).await.unwrap().clone().unwrap()
        });
        self.nodes.iter().position(|node| node.config.name == known.name).unwrap()
    }

    fn followers(&self) -> Vec<usize> {
        let leader = self.leader();
        (0..self.nodes.len()).filter(|place| *place != leader).collect()
    }
}

/// Free at the time, and very likely still when they are bound.
fn addresses(count: usize) -> Vec<String> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect()
}

fn often(config: &mut Config) {
    config.snapshot_entries = 20;
}

#[test]
fn three_replicas_find_one_another_and_agree() {
    let cluster = Cluster::start(3, |_| {});
    for (run, node) in cluster.nodes.iter().enumerate() {
        node.submit(run as u64);
    }
    for node in &cluster.nodes {
        assert_eq!(node.runs(Consistency::Linearizable), [0, 1, 2]);
    }
    let first = cluster.nodes[0].handle().status();
    let mut ids = Vec::new();
    for node in &cluster.nodes {
        node.catches_up_with(&cluster.nodes[0]);
        let status = node.handle().status();
        assert_eq!(status.cluster, first.cluster);
        assert_eq!(status.members.len(), 3);
        ids.push(status.replica);
    }
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn only_the_leader_proposes_and_others_name_it() {
    let cluster = Cluster::start(3, |_| {});
    cluster.nodes[0].submit(0);
    let leader = cluster.leader();
    let follower = &cluster.nodes[cluster.followers()[0]];
    let refused = follower.on(follower.handle().propose(support::submit(support::plan(1, &[("a", &[])])))).unwrap_err();
    let Error::NotLeader { leader: Some(named) } = refused else { panic!("{refused}") };
    assert_eq!(named.name, cluster.nodes[leader].config.name);
    assert_eq!(named.address, cluster.nodes[leader].config.advertise);
    assert!(matches!(follower.handle().connect_worker().err().unwrap(), Error::NotLeader { .. }));
}

#[test]
fn what_was_acknowledged_survives_the_leader_and_it_comes_back() {
    let mut cluster = Cluster::start(3, |_| {});
    cluster.nodes[0].submit(0);
    let killed = cluster.leader();
    cluster.nodes[killed].submit(1);
    cluster.nodes[killed].kill();

    let follower = (killed + 1) % 3;
    cluster.nodes[follower].submit(2);
    assert_eq!(cluster.nodes[follower].runs(Consistency::Linearizable), [0, 1, 2]);
    assert_ne!(cluster.leader(), killed);

    cluster.nodes[killed].start();
    assert_eq!(cluster.nodes[killed].runs(Consistency::Linearizable), [0, 1, 2]);
    cluster.nodes[killed].catches_up_with(&cluster.nodes[follower]);
}

#[test]
fn all_replicas_killed_at_once_come_back_with_everything() {
    let mut cluster = Cluster::start(3, |_| {});
    (0..10).for_each(|run| cluster.nodes[run as usize % 3].submit(run));
    cluster.nodes.iter_mut().for_each(Node::kill);
    cluster.nodes.iter_mut().for_each(Node::start);
    for node in &cluster.nodes {
        assert_eq!(node.runs(Consistency::Linearizable), Vec::from_iter(0..10));
    }
}

/// What it had sent to others before it wrote it itself is in their logs: in the same term it would give the same places to other entries.
#[test]
fn a_leader_that_starts_again_leads_in_another_term_only() {
    let mut cluster = Cluster::start(1, |_| {});
    cluster.nodes[0].submit(0);
    let before = cluster.nodes[0].handle().status();
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    cluster.nodes[0].submit(1);
    let after = cluster.nodes[0].handle().status();
    assert!(after.term > before.term, "{before:?} {after:?}");
}

#[test]
fn a_follower_that_missed_a_purged_log_catches_up_by_a_snapshot() {
    let mut cluster = Cluster::start(3, often);
    cluster.nodes[0].submit(0);
    let late = cluster.followers()[0];
    cluster.nodes[late].kill();
    let last_seen = 10;
    let leader = cluster.leader();
    for run in 1..100 {
        cluster.nodes[leader].submit(run);
    }
    cluster.nodes[leader].when(|status| status.purged > last_seen);
    cluster.nodes[late].start();
    assert_eq!(cluster.nodes[late].runs(Consistency::Linearizable), Vec::from_iter(0..100));
    let status = cluster.nodes[late].handle().status();
    assert!(status.snapshot > last_seen, "{status:?}");
    cluster.nodes[late].catches_up_with(&cluster.nodes[leader]);

    // What came as a snapshot is on disk.
    cluster.nodes[late].kill();
    cluster.nodes[late].start();
    assert_eq!(cluster.nodes[late].runs(Consistency::Linearizable), Vec::from_iter(0..100));
}

#[test]
fn restarts_over_a_purged_log() {
    let mut cluster = Cluster::start(1, often);
    (0..100).for_each(|run| cluster.nodes[0].submit(run));
    let before = cluster.nodes[0].when(|status| status.purged > 0);
    cluster.nodes[0].kill();
    cluster.nodes[0].start();
    assert_eq!(cluster.nodes[0].runs(Consistency::Linearizable), Vec::from_iter(0..100));
    assert_eq!(cluster.nodes[0].handle().status().digest, before.digest);
    cluster.nodes[0].submit(100);
}

#[test]
fn leadership_is_handed_over_on_shutdown_and_on_request() {
    let mut cluster = Cluster::start(3, |_| {});
    cluster.nodes[0].submit(0);
    let first = cluster.leader();
    let target = cluster.followers()[1];
    let to = cluster.nodes[target].handle().status().replica;
    let now = cluster.nodes[first].on(cluster.nodes[first].handle().transfer(Some(to))).unwrap();
    assert_eq!(now.name, cluster.nodes[target].config.name);
    cluster.nodes[first].submit(1);
    assert_eq!(cluster.nodes[first].handle().status().leader.unwrap().id, to);

    cluster.nodes[target].on(cluster.nodes[target].handle().shutdown());
    cluster.nodes[target].kill();
    cluster.nodes[first].submit(2);
    assert_ne!(cluster.leader(), target);
}

#[test]
fn a_new_replica_joins_is_promoted_and_an_old_one_leaves() {
    let mut cluster = Cluster::start(3, often);
    (0..60).for_each(|run| cluster.nodes[0].submit(run));
    let name = "kontiki-3".to_owned();
    let mut config = Config::new(cluster.folder.path().join(&name), name.clone(), addresses(1).remove(0));
    config.peers = vec![cluster.nodes[0].config.advertise.clone(), cluster.nodes[2].config.advertise.clone()];
    config.replicas = 3;
    cluster.nodes.push(Node::new(config));
    cluster.nodes[3].start();
    let is_voter =
        |status: &Status| status.members.iter().any(|(member, role, _)| member.name == name && *role != Role::Learner);
    let status = cluster.nodes[3].when(is_voter);
    assert!(status.replica > 3, "{status:?}");
    assert_eq!(cluster.nodes[3].runs(Consistency::Linearizable), Vec::from_iter(0..60));

    let leader = cluster.leader();
    let gone = cluster.followers().into_iter().find(|place| *place != 3).unwrap();
    let id = cluster.nodes[gone].handle().status().replica;
    let own = cluster.nodes[leader].handle().status().replica;
    let handle = cluster.nodes[leader].handle();
    assert!(matches!(cluster.nodes[leader].on(handle.remove(own)).unwrap_err(), Error::Membership(_)));
    cluster.nodes[leader].on(handle.remove(id)).unwrap();
    assert_eq!(handle.status().members.len(), 3);
    cluster.nodes[gone].kill();
    cluster.nodes[3].submit(60);
}

#[test]
fn a_replica_that_lost_its_volume_comes_back_as_another() {
    let mut cluster = Cluster::start(3, |_| {});
    cluster.nodes[0].submit(0);
    let lost = cluster.followers()[0];
    let before = cluster.nodes[lost].handle().status().replica;
    cluster.nodes[lost].kill();
    std::fs::remove_dir_all(&cluster.nodes[lost].config.directory).unwrap();
    cluster.nodes[lost].start();
    let status = cluster.nodes[lost].when(|status| {
        let is_voter = |(member, role, _): &(replica::Member, Role, Option<u64>)| {
            member.id == status.replica && *role != Role::Learner
        };
        status.members.len() == 3 && status.members.iter().any(is_voter)
    });
    assert_ne!(status.replica, before);
    assert!(status.members.iter().all(|(member, ..)| member.id != before), "{status:?}");
    assert_eq!(cluster.nodes[lost].runs(Consistency::Linearizable), [0]);
}

#[test]
fn two_clusters_mixed_up_are_refused() {
    let (one, other) = (Cluster::start(1, |_| {}), Cluster::start(1, |_| {}));
    one.nodes[0].submit(0);
    other.nodes[0].submit(0);
    let before = other.nodes[0].handle().status();
    let cluster_id = one.nodes[0].handle().status().cluster;
    assert_ne!(cluster_id, before.cluster);
    let address = format!("http://{}", other.nodes[0].config.advertise);
    one.nodes[0].on(async {
        let mut client = RaftServiceClient::connect(address).await.unwrap();
        let foreign = v1::RaftRequest { cluster_id: cluster_id.clone(), to: 1, payload: vec![1, 2, 3].into() };
        let refused = client.vote(foreign.clone()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert_eq!(refused.message(), format!("this replica belongs to cluster {}, not {cluster_id}", before.cluster));
        let stream = tokio_stream::iter([foreign.clone()]);
        let refused = client.append_entries(stream).await.unwrap().into_inner().message().await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert_eq!(client.transfer_leader(foreign).await.unwrap_err().code(), tonic::Code::FailedPrecondition);
        let another = v1::RaftRequest { cluster_id: before.cluster.clone(), to: 2, payload: vec![1, 2, 3].into() };
        assert_eq!(client.vote(another).await.unwrap_err().message(), "this is replica 1, not 2");
        let adopt = v1::AdoptRequest { cluster_id, replica_id: 7, name: "kontiki-0".to_owned() };
        assert_eq!(client.adopt(adopt).await.unwrap_err().code(), tonic::Code::FailedPrecondition);
        let command = v1::ForwardRequest::default();
        assert_eq!(client.forward(command).await.unwrap_err().code(), tonic::Code::FailedPrecondition);
        let junk = v1::RaftRequest { cluster_id: before.cluster.clone(), to: 1, payload: vec![1, 2, 3].into() };
        assert_eq!(client.vote(junk).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    });
    let after = other.nodes[0].handle().status();
    assert_eq!((after.term, after.cluster), (before.term, before.cluster));
}

/// A disk that can be full.
fn filling(config: &mut Config) -> Arc<AtomicBool> {
    let full = Arc::new(AtomicBool::new(false));
    let is_full = full.clone();
    config.sync = Durability::new(move || {
        let is_full = is_full.clone();
        Box::new(move |file| match is_full.load(Ordering::SeqCst) {
            true => Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on device")),
            false => file.sync_data(),
        })
    });
    full
}

#[test]
fn a_full_disk_stops_one_replica_and_the_others_go_on() {
    for is_leader in [false, true] {
        let disks = std::cell::RefCell::new(Vec::new());
        let mut cluster = Cluster::start(3, |config| disks.borrow_mut().push(filling(config)));
        let disks = disks.into_inner();
        cluster.nodes[0].submit(0);
        let stopped = if is_leader { cluster.leader() } else { cluster.followers()[0] };
        disks[stopped].store(true, Ordering::SeqCst);
        let other = (stopped + 1) % 3;
        cluster.nodes[other].submit(1);
        let handle = cluster.nodes[stopped].handle();
        let why = cluster.nodes[stopped].on(handle.stopped());
        assert!(matches!(&why, Error::Stopped(reason) if reason.contains("no space left on device")), "{why}");
        let refused = cluster.nodes[stopped].on(handle.forward(support::submit(support::plan(9, &[("a", &[])]))));
        assert!(matches!(refused, Err(Error::Stopped(_))), "{refused:?}");
        cluster.nodes[other].submit(2);

        cluster.nodes[stopped].kill();
        disks[stopped].store(false, Ordering::SeqCst);
        cluster.nodes[stopped].start();
        assert_eq!(cluster.nodes[stopped].runs(Consistency::Linearizable), [0, 1, 2]);
    }
}

#[test]
fn a_session_gets_assignments_and_ends_with_the_leader() {
    let mut cluster = Cluster::start(3, |_| {});
    cluster.nodes[0].submit(0);
    let leader = cluster.leader();
    let node = &cluster.nodes[leader];
    let mut session = node.handle().connect_worker().unwrap();
    node.on(async {
        let hello = support::hello("w1", 1, vec![]);
        session.uplink.send(hello).await.unwrap();
        let LeaderMessage::Assign(assignment) = session.messages.recv().await.unwrap() else { panic!() };
        assert_eq!(assignment.run, support::run_id(0));
        let report = support::success(&assignment);
        session.uplink.send(WorkerMessage::Report(Box::new(report))).await.unwrap();
        let acknowledged = session.messages.recv().await.unwrap();
        let LeaderMessage::Acknowledged { epoch, .. } = acknowledged else { panic!("{acknowledged:?}") };
        assert_eq!(epoch, assignment.epoch);
    });
    node.on(node.handle().transfer(None)).unwrap();
    node.on(async {
        assert_eq!(session.messages.recv().await, None);
        assert!(matches!(session.uplink.send(WorkerMessage::Heartbeat).await, Err(Error::NotLeader { .. })));
    });
    cluster.nodes[leader].kill();
}

/// Sequences and kinds of everything that happens in a run, from one replica.
fn watched(node: &Node, run: u64, after: u64) -> Vec<(u64, Event)> {
    let stream = node.handle().watch(support::run_id(run), after);
    node.on(stream.map(|recorded| recorded.map(|recorded| (recorded.sequence, recorded.event)).unwrap()).collect())
}

#[test]
fn a_watch_goes_on_at_another_replica_without_gaps_or_repeats() {
    let mut cluster = Cluster::start(3, |_| {});
    cluster.nodes[0].submit(0);
    let leader = cluster.leader();
    let (before, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut stream = cluster.nodes[before].handle().watch(support::run_id(0), 0);
    let first = cluster.nodes[before].on(stream.next()).unwrap().unwrap();
    assert_eq!((first.sequence, first.event), (1, Event::RunSubmitted { run: support::run_id(0) }));

    cluster.nodes[leader].kill();
    cluster.nodes[other].submit(1);
    work_until(&cluster.nodes[cluster.leader()], "w1", 2);
    let rest: Vec<u64> = cluster.nodes[before].on(stream.map(|recorded| recorded.unwrap().sequence).collect());
    assert_eq!(rest, [2, 3, 4], "assigned, finished, and the run with it");
    let all = watched(&cluster.nodes[before], 0, 0);
    assert_eq!(all.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(matches!(all[3].1, Event::RunFinished { .. }));
    cluster.nodes[other].catches_up_with(&cluster.nodes[before]);
    assert_eq!(watched(&cluster.nodes[other], 0, 0), all);
    assert_eq!(watched(&cluster.nodes[other], 0, 2), all[2..]);
    assert_eq!(watched(&cluster.nodes[other], 77, 0), [], "there is no such run");
}

#[test]
fn files_reach_every_replica_through_log_and_snapshot() {
    let mut cluster = Cluster::start(3, often);
    cluster.nodes[0].submit(0);
    let late = cluster.followers()[0];
    cluster.nodes[late].kill();
    let leader = cluster.leader();
    let content: Vec<u8> = (0..600_000_u32).map(|byte| (byte % 251) as u8).collect();
    let digest = ContentDigest(Sha256::digest(&content).into());
    for (piece, bytes) in content.chunks(200_000).enumerate() {
        let offset = piece as u64 * 200_000;
        let command = Command::PutBlob { digest, size: content.len() as u64, offset, bytes: bytes.to_vec() };
        let reply = cluster.nodes[leader].forward(&command);
        assert_eq!(reply, Reply::Received { bytes: offset + 200_000 });
    }
    (1..60).for_each(|run| cluster.nodes[leader].submit(run));
    cluster.nodes[leader].when(|status| status.purged > 20);
    cluster.nodes[late].start();
    cluster.nodes[late].runs(Consistency::Linearizable);
    assert!(cluster.nodes[late].handle().status().snapshot > 20);
    for node in &cluster.nodes {
        node.runs(Consistency::Linearizable);
        assert_eq!(std::fs::read(node.handle().blob(&digest.to_string())).unwrap(), content, "{}", node.config.name);
    }
    let later = Command::CollectBlobs { before: common::Timestamp(i64::MAX) };
    assert_eq!(
        cluster.nodes[late].on(cluster.nodes[late].handle().forward(later)).unwrap(),
        Reply::Collected { blobs: 1 }
    );
    assert!(!cluster.nodes[late].handle().blob(&digest.to_string()).exists());
}

/// The first transcript of a run, as it is on this replica's disk.
fn transcript(node: &Node, run: RunId) -> String {
    let place = node.handle().read(Consistency::Linearizable, move |state| {
        state.transcripts_of(&run).and_then(|transcripts| transcripts.places().next())
    });
    let place = node.on(place).unwrap().unwrap();
    let file = std::fs::read(node.handle().transcripts(run)).unwrap();
    let piece = file[place.bytes.start as usize..place.bytes.end as usize].to_vec();
    String::from_utf8(transcripts::open(piece).unwrap().0).unwrap()
}

#[test]
fn transcripts_reach_every_replica_and_go_with_their_run() {
    let mut cluster = Cluster::start(3, |_| {});
    cluster.nodes[0].submit(1);
    let leader = cluster.leader();
    work_until(&cluster.nodes[leader], "w", 1);
    let run = support::run_id(1);
    let node = support::plan(1, &[("a", &[])]).tasks[0].node.to_string();
    for replica in &cluster.nodes {
        assert_eq!(transcript(replica, run), node);
    }
    // One that lacks it works on, and gets it from the log when it starts again.
    let follower = cluster.followers()[0];
    let file = cluster.nodes[follower].handle().transcripts(run);
    std::fs::remove_file(&file).unwrap();
    cluster.nodes[follower].kill();
    cluster.nodes[follower].start();
    cluster.nodes[follower].submit(2);
    assert_eq!(transcript(&cluster.nodes[follower], run), node);

    let leader = cluster.leader();
    cluster.nodes[leader].forward(&Command::RemoveRuns { runs: vec![run] });
    for replica in &cluster.nodes {
        assert!(!replica.runs(Consistency::Linearizable).contains(&1));
        assert!(!replica.handle().transcripts(run).exists());
    }
}

#[test]
fn old_transcripts_are_forgotten_and_their_runs_are_not() {
    let cluster = Cluster::start(3, |config| config.policy.transcripts_kept = Some(Duration::from_millis(1)));
    cluster.nodes[0].submit(1);
    let leader = cluster.leader();
    work_until(&cluster.nodes[leader], "w", 1);
    let run = support::run_id(1);
    for replica in &cluster.nodes {
        replica.on(async {
            let handle = replica.handle();
            let mut applied = handle.applied();
            let is_so = |state: &State| {
                state.run(&run).is_some_and(|run| run.is_finished()) && state.transcripts_of(&run).is_none()
            };
            while !handle.read(Consistency::Stale, is_so).await.unwrap() {
                applied.changed().await.unwrap();
            }
        });
        assert!(!replica.handle().transcripts(run).exists());
    }
}

/// Runs a worker until so many of its reports are acknowledged.
fn work_until(node: &Node, worker: &str, reports: usize) {
    node.on(async {
        let mut session = node.handle().connect_worker().unwrap();
        session.uplink.send(support::hello(worker, 8, vec![])).await.unwrap();
        let mut done = 0;
        while done < reports {
            match session.messages.recv().await.unwrap() {
                LeaderMessage::Assign(assignment) => {
                    let transcript = Packed(assignment.node.to_string().into());
                    let report = Box::new(TaskReport { transcript, ..support::success(&assignment) });
                    session.uplink.send(WorkerMessage::Report(report)).await.unwrap();
                }
                LeaderMessage::Acknowledged { .. } => done += 1,
                _ => {}
            }
        }
    });
}

#[test]
fn a_new_cluster_begins_with_what_was_saved_of_one_that_is_gone() {
    let mut cluster = Cluster::start(3, |_| {});
    let content = b"select 1 as n".to_vec();
    let digest = ContentDigest(Sha256::digest(&content).into());
    let size = content.len() as u64;
    let files = vec![common::bundle::BundleFile { path: "models/a.sql".to_owned(), digest, size }];
    let bundle = scheduler::state::projects::digest(&files);
    cluster.nodes[0].forward(&Command::PutBlob { digest, size, offset: 0, bytes: content.clone() });
    let deploy = Command::DeployProject { project: "shop".to_owned(), bundle, files, revision: "r1".to_owned() };
    cluster.nodes[0].forward(&deploy);
    (0..3).for_each(|run| cluster.nodes[0].submit(run));
    let leader = cluster.leader();
    work_until(&cluster.nodes[leader], "w1", 3);
    cluster.nodes[0].submit(3);

    // Any replica has it all.
    let saver = cluster.followers()[0];
    let saved = cluster.nodes[saver].on(async {
        let mut pieces = cluster.nodes[saver].handle().back_up().await.unwrap();
        let mut saved = Vec::new();
        while let Some(piece) = pieces.recv().await {
            saved.extend_from_slice(&piece.unwrap());
        }
        saved
    });
    let before = cluster.nodes[saver].handle().status();
    cluster.nodes.iter_mut().for_each(Node::kill);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    std::fs::write(&file, &saved).unwrap();
    let checked = backup::verify(&file).unwrap();
    assert_eq!((checked.cluster, checked.files, checked.state.runs().count()), (before.cluster.clone(), 4, 4));
    for config in cluster.nodes.iter().map(|node| &node.config) {
        let refused = backup::restore(&file, config).unwrap_err();
        assert!(matches!(refused, backup::Error::NotEmpty { .. }), "{refused}");
        std::fs::remove_dir_all(&config.directory).unwrap();
    }

    let id = backup::restore(&file, &cluster.nodes[0].config).unwrap();
    assert_ne!(id, before.cluster);
    cluster.nodes.iter_mut().for_each(Node::start);
    let voters = |status: &Status| status.members.iter().filter(|(_, role, _)| *role != Role::Learner).count();
    for node in &cluster.nodes {
        let status = node.when(|status| voters(status) == 3);
        assert_eq!(status.cluster, id);
        assert_eq!(node.runs(Consistency::Linearizable), [0, 1, 2, 3]);
        assert_eq!(std::fs::read(node.handle().blob(&digest.to_string())).unwrap(), content);
        assert_eq!(transcript(node, support::run_id(2)), "model.shop.a");
        let latest = node.handle().read(Consistency::Stale, |state| {
            state.projects().latest().map(|(name, latest)| (name.to_owned(), latest.bundle)).collect::<Vec<_>>()
        });
        assert_eq!(node.on(latest).unwrap(), [("shop".to_owned(), bundle)]);
    }
    // What was under way goes on, and what is new is done.
    cluster.nodes[1].submit(4);
    let unfinished = |state: &scheduler::State| state.runs().filter(|run| !run.is_finished()).count();
    let leader = cluster.leader();
    cluster.nodes[leader].forward(&Command::LoseWorker { worker: support::worker("w1") });
    work_until(&cluster.nodes[leader], "w2", 2);
    let left = cluster.nodes[leader].handle().read(Consistency::Linearizable, unfinished);
    assert_eq!(cluster.nodes[leader].on(left).unwrap(), 0);
}

#[test]
fn a_file_that_was_changed_anywhere_is_refused() {
    let cluster = Cluster::start(1, |_| {});
    let node = &cluster.nodes[0];
    let content = b"select 1 as n".to_vec();
    let digest = ContentDigest(Sha256::digest(&content).into());
    node.forward(&Command::PutBlob { digest, size: 13, offset: 0, bytes: content });
    node.submit(0);
    let saved = node.on(async {
        let mut pieces = node.handle().back_up().await.unwrap();
        let mut saved = Vec::new();
        while let Some(piece) = pieces.recv().await {
            saved.extend_from_slice(&piece.unwrap());
        }
        saved
    });
    let file = cluster.folder.path().join("saved");
    std::fs::write(&file, &saved).unwrap();
    assert_eq!(backup::verify(&file).unwrap().files, 1);
    for place in 0..saved.len() {
        let mut changed = saved.clone();
        changed[place] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        backup::verify(&file).unwrap_err();
    }
    for length in [0, 1, saved.len() / 2, saved.len() - 1] {
        std::fs::write(&file, &saved[..length]).unwrap();
        backup::verify(&file).unwrap_err();
    }
    std::fs::write(&file, [&saved[..], b"x"].concat()).unwrap();
    backup::verify(&file).unwrap_err();
}

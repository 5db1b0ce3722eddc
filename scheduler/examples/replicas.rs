//! Measures three replicas on one machine: `cargo run --release -p kontiki-scheduler --example replicas [TASKS]`.
//!
//! 1. The disk: how long one `fdatasync` takes.
//! 2. A chain of 200 tasks through report and assignment: one commit on a majority for each hop.
//! 3. TASKS (10,000 by default) independent tasks.
//! 4. The death of the leader: how long until a follower has committed the next run.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measurement talks and reads clocks"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use common::session::{LeaderMessage, WorkerMessage};
use scheduler::replica::{self, Config, Handle};
use scheduler::state::Command;
use tokio::runtime::Runtime;

const CHAIN: usize = 200;
const KILLS: usize = 10;

struct Node {
    config: Config,
    running: Option<(Runtime, Handle)>,
}

impl Node {
    fn start(&mut self) {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = threads.unwrap();
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

    fn kill(&mut self) {
        let (runtime, handle) = self.running.take().unwrap();
        runtime.shutdown_timeout(Duration::from_secs(10));
        drop(handle);
    }
}

fn main() {
    let tasks = std::env::args().nth(1).map_or(10_000, |tasks| tasks.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    println!("fdatasync: {}", summary(fdatasyncs(folder.path())));
    let listeners: Vec<_> = (0..3).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<String> = listeners.iter().map(|one| one.local_addr().unwrap().to_string()).collect();
    drop(listeners);
    let node = |(number, address): (usize, &String)| {
        let name = format!("kontiki-{number}");
        let mut config = Config::new(folder.path().join(&name), name, address.clone());
        (config.peers, config.replicas) = (addresses.clone(), 3);
        Node { config, running: None }
    };
    let mut nodes: Vec<Node> = addresses.iter().enumerate().map(node).collect();
    nodes.iter_mut().for_each(Node::start);

    let names: Vec<String> = (0..tasks.max(CHAIN)).map(|task| format!("fct_orders_daily_{task:06}")).collect();
    let ups: Vec<u32> = (0..CHAIN as u32).collect();
    let above = |task: usize| if task == 0 { &[][..] } else { &ups[task - 1..task] };
    let chain: Vec<(&str, &[u32])> = (0..CHAIN).map(|task| (names[task].as_str(), above(task))).collect();
    let wide: Vec<(&str, &[u32])> = (0..tasks).map(|task| (names[task].as_str(), &[][..])).collect();
    submit(&nodes[0], 0, &chain[..1]);
    let leader = leader(&nodes);
    println!("chain of {CHAIN}: a hop takes {}", summary(run(&nodes[leader], 1, &chain, 1)));
    let started = Instant::now();
    run(&nodes[leader], 2, &wide, 256);
    println!("{tasks} tasks: {:.0} tasks/s", tasks as f64 / started.elapsed().as_secs_f64());

    let mut waits = Vec::new();
    for kill in 0..KILLS {
        let killed = self::leader(&nodes);
        nodes[killed].kill();
        let started = Instant::now();
        submit(&nodes[(killed + 1) % 3], 10 + kill as u64, &chain[..1]);
        waits.push(started.elapsed());
        nodes[killed].start();
        submit(&nodes[killed], 1_000 + kill as u64, &chain[..1]);
    }
    println!("leader killed, next commit after {}", summary(waits));
}

/// Runs a plan through one worker on the leader; the time from each report to the next assignment.
fn run(node: &Node, run: u64, plan: &[(&str, &[u32])], slots: u32) -> Vec<Duration> {
    let (runtime, handle) = node.running.as_ref().unwrap();
    let handle = handle.clone();
    let tasks = plan.len();
    submit(node, run, plan);
    runtime
        .block_on(runtime.spawn(async move {
            let mut session = handle.connect_worker().unwrap();
            session.uplink.send(support::hello(&format!("w{run}"), slots, vec![])).await.unwrap();
            let (mut hops, mut done, mut last) = (Vec::new(), 0, Instant::now());
            while done < tasks {
                match session.messages.recv().await.unwrap() {
                    LeaderMessage::Assign(assignment) => {
                        hops.push(last.elapsed());
                        last = Instant::now();
                        let report = Box::new(support::success(&assignment));
                        session.uplink.send(WorkerMessage::Report(report)).await.unwrap();
                    }
                    LeaderMessage::Acknowledged { .. } => done += 1,
                    _ => {}
                }
            }
            // Else its slots would be waited for until its lease ends.
            handle.propose(Command::LoseWorker { worker: support::worker(&format!("w{run}")) }).await.unwrap();
            hops
        }))
        .unwrap()
}

fn submit(node: &Node, run: u64, plan: &[(&str, &[u32])]) {
    let (runtime, handle) = node.running.as_ref().unwrap();
    while let Err(error) = runtime.block_on(handle.forward(support::submit(support::plan(run, plan)))) {
        assert!(error.is_retryable(), "{error}");
    }
}

fn leader(nodes: &[Node]) -> usize {
    let (runtime, handle) = nodes[0].running.as_ref().unwrap();
    let mut leader = handle.leader();
    let name = runtime.block_on(async { leader.wait_for(Option::is_some).await.unwrap().clone().unwrap().name });
    nodes.iter().position(|node| node.config.name == name).unwrap()
}

fn fdatasyncs(folder: &std::path::Path) -> Vec<Duration> {
    let mut file = std::fs::File::create(folder.join("probe")).unwrap();
    let once = |_| {
        file.write_all(&[7; 4096]).unwrap();
        let started = Instant::now();
        file.sync_data().unwrap();
        started.elapsed()
    };
    (0..200).map(once).collect()
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms", at(0.5), at(0.99))
}

//! What processes of a cluster measure, read by a real Prometheus; and that rules and dashboard ask only for what there is.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use testing::collector::Collector;
use testing::{Process, ports, prometheus_tool};

use crate::fleet::Fleet;
use crate::support::Project;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The body of the answer to a GET, where it is one of success.
fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    // Of this version an answer is never in chunks.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).filter(|code| *code == "200").map(|_| body.to_owned())
}

/// Where the process said that it serves metrics.
fn address(process: &Process) -> String {
    let log = process.log();
    let line = log.lines().rev().find(|line| line.contains("serves metrics")).unwrap_or_else(|| panic!("{log}"));
    line.rsplit_once("address=").unwrap().1.trim().to_owned()
}

/// Names of series that a text asks for.
fn asked(text: &str) -> BTreeSet<String> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter: char| !is_of_name(letter));
    let is_series = |word: &&str| word.starts_with("kontiki_") || word.starts_with("db_client_");
    let labels = ["kontiki_verb"];
    words.filter(is_series).filter(|word| !labels.contains(word)).map(str::to_owned).collect()
}

#[test]
fn prometheus_reads_every_series_that_rules_and_dashboard_ask_for() {
    let listen = [("KONTIKI_SERVER_METRICS_LISTEN", "127.0.0.1:0"), ("KONTIKI_WORKER_METRICS_LISTEN", "127.0.0.1:0")];
    let mut fleet = Fleet::start_in(Project::small(), 3, 1, &listen);
    fleet.kontiki(&["build"]).expect(0);
    fleet.project.file("kontiki.yml", "schedules: [{name: secondly, cron: '* * * * * *', select: first}]");
    fleet.kontiki(&["schedule", "apply"]).expect(0);
    fleet.until("a tick that succeeded", || {
        let history = fleet.json(&["schedule", "history", "secondly"]);
        history.as_array().unwrap().iter().any(|tick| tick["result"] == "success")
    });
    let replicas: Vec<String> = (0..3).map(|index| address(fleet.replica(index))).collect();
    let worker = address(fleet.worker(0));
    let page = get(&replicas[fleet.leader()], "/metrics").unwrap();
    for line in [
        "kontiki_raft_is_leader 1",
        "kontiki_runs_total{cicd_pipeline_result=\"success\",kontiki_verb=\"build\"} ",
        "kontiki_slots{state=\"free\"} ",
        "kontiki_task_fenced_total 0",
        "kontiki_task_duration_seconds_bucket{cicd_pipeline_task_run_result=\"success\",cicd_pipeline_task_type=\"build\",le=",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }

    let prometheus = Prometheus::start(&fleet.project, replicas.iter().chain([&worker]));
    let mut wanted: BTreeSet<String> = asked(&std::fs::read_to_string(deploy().join("prometheus/rules.yml")).unwrap());
    wanted.extend(asked(&std::fs::read_to_string(deploy().join("grafana/kontiki.json")).unwrap()));
    assert!(wanted.len() > 20, "{wanted:?}");
    fleet.until("all series in Prometheus", || {
        let known = prometheus.series();
        wanted.iter().all(|name| known.contains(name))
    });
    let is = |expression: &str, expected: &str| prometheus.value(expression).as_deref() == Some(expected);
    fleet.until("the whole cluster in Prometheus", || {
        is("sum(kontiki_raft_is_leader)", "1")
            && is("count(kontiki_raft_term)", "3")
            && is("sum(kontiki_worker_slots)", "2")
    });

    let old = fleet.leader();
    fleet.replica(old).signal("KILL");
    fleet.await_leader_other_than(old);
    fleet.until("the two that are left, one of which leads", || {
        is("count(kontiki_raft_term)", "2") && is("sum(kontiki_raft_is_leader)", "1")
    });
}

#[test]
fn a_collector_gets_the_metrics_of_every_process() {
    let collector = Collector::start();
    let endpoint =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address.as_str()), ("OTEL_METRIC_EXPORT_INTERVAL", "200")];
    let fleet = Fleet::start_in(Project::small(), 2, 1, &endpoint);
    fleet.kontiki(&["build"]).expect(0);
    fleet.until("metrics of both replicas and of the worker", || {
        let metrics = collector.metrics();
        let senders = |name: &str| {
            let senders = metrics.iter().filter(|metric| metric.name == name);
            senders.map(|metric| metric.instance.as_str()).collect::<BTreeSet<_>>()
        };
        let of_replicas = ["replica-0", "replica-1"].into();
        senders("kontiki.raft.applied_index") == of_replicas
            && senders("kontiki.task.duration").len() == 1
            && senders("db.client.operation.duration").is_disjoint(&of_replicas)
            && senders("db.client.operation.duration").len() == 1
    });
}

#[test]
fn rules_fire_when_they_should() {
    let mut promtool = Command::new(prometheus_tool("promtool"));
    promtool.args(["test", "rules", "rules.test.yml"]).current_dir(deploy().join("prometheus"));
    let output = promtool.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let rules = std::fs::read_to_string(deploy().join("prometheus/rules.yml")).unwrap();
    let tests = std::fs::read_to_string(deploy().join("prometheus/rules.test.yml")).unwrap();
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(
            tests.contains(&format!("alertname: {name}\n        exp_alerts:\n          -")),
            "{name} is never seen to fire"
        );
    }
}

#[test]
fn an_address_that_is_taken_is_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let project = Project::small();
    let listen = ["server", "--listen", "127.0.0.1:0", "--metrics-listen", &address];
    let ended = project.kontiki(&listen);
    ended.expect(2);
    ended.says("K3011").says("cannot listen at");
}

/// A real Prometheus that reads these addresses; it ends with the value.
struct Prometheus {
    _process: Process,
    address: String,
}

impl Prometheus {
    fn start<'a>(project: &Project, targets: impl Iterator<Item = &'a String>) -> Self {
        let targets: Vec<String> = targets.map(|target| format!("'{target}'")).collect();
        let rules = deploy().join("prometheus/rules.yml").canonicalize().unwrap();
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nrule_files: ['{}']\nscrape_configs: [{{job_name: kontiki, \
             static_configs: [{{targets: [{}]}}]}}]\n",
            rules.display(),
            targets.join(", ")
        );
        project.file("prometheus.yml", &config);
        let address = format!("127.0.0.1:{}", ports::free(1)[0]);
        let mut command = Command::new(prometheus_tool("prometheus"));
        command.current_dir(project.root()).args(["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"]);
        command.arg(format!("--web.listen-address={address}"));
        Self { _process: Process::start("prometheus", project.root(), command), address }
    }

    fn ask(&self, path: &str) -> Option<Json> {
        serde_json::from_str(&get(&self.address, path)?).ok()
    }

    /// Names of all series.
    fn series(&self) -> BTreeSet<String> {
        let names = self.ask("/api/v1/label/__name__/values").unwrap_or_default();
        names["data"].as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
    }

    /// The one value of an expression.
    fn value(&self, expression: &str) -> Option<String> {
        let answer = self.ask(&format!("/api/v1/query?query={expression}"))?;
        Some(answer["data"]["result"][0]["value"][1].as_str()?.to_owned())
    }
}

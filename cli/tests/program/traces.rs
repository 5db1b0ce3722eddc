//! Traces, as a collector receives them.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use testing::collector::{Collector, Span, Trace, text};

use crate::support::{Ended, Postgres, Project};

fn run(collector: &Collector, project: &Project, arguments: &[&str]) -> Ended {
    let mut command = project.command(arguments);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address).output().unwrap().into()
}

/// Each span is recorded once.
fn trace(collector: &Collector) -> Trace {
    let spans = collector.spans();
    let count = spans.len();
    let trace = Trace::of(spans);
    assert_eq!(trace.spans.len(), count);
    trace
}

#[test]
fn one_run_is_one_tree_with_every_task_and_statement() {
    let collector = Collector::start();
    let project = Project::small();
    run(&collector, &project, &["build"]).expect(0);
    let trace = trace(&collector);

    let root = trace.root();
    assert_eq!(root.name, "build p");
    let of_root = |key| text(&root.attributes, key);
    assert_eq!(of_root("cicd.pipeline.name").as_deref(), Some("p"));
    assert_eq!(of_root("cicd.pipeline.result").as_deref(), Some("success"));
    assert_eq!(of_root("kontiki.tasks").as_deref(), Some("4"));
    let run = of_root("cicd.pipeline.run.id").unwrap().replace('-', "");
    let trace_id: String = root.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(trace_id, run, "whoever knows the run finds its trace");

    let tasks: BTreeSet<&str> = trace.names_below(root).into_iter().filter(|name| name.contains('.')).collect();
    let test = tasks.iter().find(|name| name.starts_with("test.")).unwrap();
    assert_eq!(tasks, BTreeSet::from(["seed.p.raw", "model.p.first", "model.p.second", test]));
    for task in &tasks {
        let [attempt] = trace.attempts(task)[..] else { panic!("{task} was tried more than once") };
        assert_eq!(text(&attempt.attributes, "cicd.pipeline.task.run.result").as_deref(), Some("success"));
        assert!(trace.names_below(attempt).is_superset(&BTreeSet::from(["queue", "execute"])), "{task}");
    }

    let [table] = trace.attempts("model.p.second")[..] else { panic!("one attempt") };
    let execute = trace.child(table, "execute");
    assert!(trace.names_below(execute).is_superset(&BTreeSet::from(["compile", "claim", "publish"])));
    let [view] = trace.attempts("model.p.first")[..] else { panic!("one attempt") };
    let [of_test] = trace.attempts(test)[..] else { panic!("one attempt") };
    let counted = trace.child(trace.child(of_test, "execute"), "SELECT");
    assert_eq!(text(&counted.attributes, "db.system.name").as_deref(), Some("duckdb"));
    assert_eq!(trace.links(view), BTreeSet::from([("upstream".to_owned(), "seed.p.raw")]));
    assert_eq!(trace.links(table), BTreeSet::from([("upstream".to_owned(), "model.p.first")]));
}

/// What stands in SQL, in errors and in the profile stays out of traces.
#[test]
fn traces_hold_names_and_codes_and_no_data() {
    let collector = Collector::start();
    let project = Project::empty();
    project.model("leaky", "table", "select 'hunter2' as password, cast('hunter2' as integer) as number");
    run(&collector, &project, &["run"]).expect(1).says("hunter2");
    let trace = trace(&collector);
    assert_eq!(text(&trace.root().attributes, "cicd.pipeline.result").as_deref(), Some("failure"));
    let [attempt] = trace.attempts("model.p.leaky")[..] else { panic!("one attempt") };
    let execute = trace.child(attempt, "execute");
    assert_eq!(text(&execute.attributes, "error.type").as_deref(), Some("K2001"));
    for span in trace.spans.values() {
        assert!(!format!("{span:?}").contains("hunter2"), "{span:?}");
    }
}

#[test]
fn another_attempt_stays_in_the_trace() {
    let collector = Collector::start();
    let postgres = Postgres::start();
    let project = Project::empty();
    project.profile(&postgres.profile());
    project.model("slow", "table", "select 1 as id from public.pace, pg_sleep(pace.seconds)");
    let mut client = postgres.client();
    client.batch_execute("create table public.pace as select 600 as seconds").unwrap();
    let mut command = project.command(&["run"]);
    let running = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address).spawn().unwrap();
    let asleep = "select pid from pg_stat_activity where wait_event = 'PgSleep'";
    let backend: i32 = loop {
        if let Some(row) = client.query_opt(asleep, &[]).unwrap() {
            break row.get(0);
        }
    };
    client.batch_execute("update public.pace set seconds = 0").unwrap();
    client.execute("select pg_terminate_backend($1)", &[&backend]).unwrap();
    assert_eq!(running.wait_with_output().unwrap().status.code(), Some(0));

    let trace = trace(&collector);
    let [first, second] = trace.attempts("model.p.slow")[..] else { panic!("two attempts") };
    let of = |span: &Span, key| text(&span.attributes, key);
    assert_eq!(of(first, "cicd.pipeline.task.run.result").as_deref(), Some("error"));
    assert_eq!(of(first, "error.type").as_deref(), Some("transient"));
    let build = trace.below(trace.child(first, "execute"));
    let build = build.iter().find(|span| span.name.starts_with("CREATE TABLE")).unwrap();
    // The server's last word may be lost with the connection.
    let code = of(build, "db.response.status_code");
    assert!(matches!(code.as_deref(), Some("57P01") | None), "{code:?}");
    assert_eq!(of(second, "cicd.pipeline.task.run.result").as_deref(), Some("success"));
    assert_eq!(of(second, "kontiki.attempt").as_deref(), Some("2"));
    assert_eq!(trace.links(second), BTreeSet::from([("previous attempt".to_owned(), "model.p.slow")]));
}

/// It takes the connection, and that is all it ever does.
#[test]
fn a_collector_that_never_answers_changes_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let project = Project::small();
    let mut command = project.command(&["build"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", silent.local_addr().unwrap()));
    let began = Instant::now();
    let ended = Ended::from(command.output().unwrap());
    assert!(began.elapsed() < Duration::from_secs(30));
    ended.expect(0).says("Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4");
}

#[test]
fn what_cannot_be_done_is_said_and_the_run_goes_on() {
    let project = Project::small();
    let mut command = project.command(&["build"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    let ended = Ended::from(command.output().unwrap());
    ended.expect(0).says("K3011").says("http/json").says("Done. PASS=4");
}

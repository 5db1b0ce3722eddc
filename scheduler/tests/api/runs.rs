//! Runs: submitted, watched, listed and done again.

use proto::v1;
use proto::v1::watch_run_response::Event;
use scheduler::replica::Consistency;
use tonic::Code;
use tonic_types::StatusExt;

use crate::fixture::*;

#[tokio::test]
async fn the_same_request_is_the_same_run() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let first = cluster.submit(&request("r")).await;
    assert_eq!((first.is_new, first.tasks), (true, 3));
    let again = cluster.submit(&request("r")).await;
    assert_eq!((again.is_new, again.tasks, &again.run_id), (false, 3, &first.run_id));
    let at_once = futures::future::join_all((0..8).map(|_| {
        let mut runs = cluster.runs();
        async move { runs.submit_run(request("s")).await.unwrap().into_inner() }
    }))
    .await;
    assert_eq!(at_once.iter().filter(|answer| answer.is_new).count(), 1);
    assert!(at_once.iter().all(|answer| answer.run_id == at_once[0].run_id && answer.tasks == 3));
}

#[tokio::test]
async fn a_run_is_done_watched_and_listed() {
    let cluster = Cluster::start().await;
    let bundle = cluster.deploy(&CHAIN).await.bundle_digest;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let run = cluster.submit(&request("r")).await.run_id;
    let events = cluster.watch(&run, 0).await;
    // Submitted, then each task begins and ends, then the run.
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    assert_eq!(events[0].event, Some(Event::Submitted(v1::watch_run_response::Submitted { tasks: 3 })));
    let told: Vec<(String, v1::TaskState)> = events
        .iter()
        .filter_map(|event| match &event.event {
            Some(Event::Task(changed)) => changed.task.clone(),
            _ => None,
        })
        .map(|task| (task.node_id.clone(), task.state()))
        .collect();
    let expected: Vec<(String, v1::TaskState)> = ["a", "b", "c"]
        .iter()
        .flat_map(|name| {
            [v1::TaskState::Running, v1::TaskState::Success].map(|state| (format!("model.shop.{name}"), state))
        })
        .collect();
    assert_eq!(told, expected);
    let Some(Event::Finished(finished)) = &events[7].event else { panic!("{:?}", events[7]) };
    assert_eq!((finished.state(), finished.counts.unwrap().success), (v1::RunState::Success, 3));

    // Going on anywhere gives the rest.
    for after in 0..=8 {
        assert_eq!(cluster.watch(&run, after).await, events[after as usize..]);
    }

    let answer = cluster.run(&run).await;
    let (summary, tasks) = (answer.run.unwrap(), answer.tasks);
    assert_eq!((summary.state(), summary.sequence, &summary.bundle_digest), (v1::RunState::Success, 8, &bundle));
    assert_eq!(tasks.iter().map(|task| task.upstreams.clone()).collect::<Vec<_>>(), [vec![], vec![0], vec![1]]);

    let asked = v1::GetTaskRequest { run_id: run.clone(), node_id: "model.shop.b".to_owned() };
    let task = cluster.runs().get_task(asked).await.unwrap().into_inner();
    assert_eq!((task.attempts.len(), task.attempts[0].worker.as_str()), (1, "w"));
    assert_eq!(task.attempts[0].epoch, task.task.unwrap().epoch);
    let asked = v1::GetTaskRequest { run_id: run, node_id: "model.shop.z".to_owned() };
    assert_eq!(cluster.runs().get_task(asked).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn runs_are_listed_newest_first_in_pages() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut runs = Vec::new();
    for id in ["1", "2", "3"] {
        runs.push(cluster.submit(&request(id)).await.run_id);
    }
    cluster.runs().cancel_run(v1::CancelRunRequest { run_id: runs[1].clone() }).await.unwrap();
    let list = |request: v1::ListRunsRequest| {
        let mut client = cluster.runs();
        async move {
            let answer = client.list_runs(request).await.unwrap().into_inner();
            let ids: Vec<String> = answer.runs.into_iter().map(|run| run.run_id).collect();
            (ids, answer.next_page_token)
        }
    };
    let first = list(v1::ListRunsRequest { page_size: 2, ..Default::default() }).await;
    assert_eq!(first.0, [runs[2].clone(), runs[1].clone()]);
    let second = v1::ListRunsRequest { page_size: 2, page_token: first.1, ..Default::default() };
    assert_eq!(list(second).await, (vec![runs[0].clone()], String::new()));
    let canceled = v1::ListRunsRequest { states: vec![v1::RunState::Canceled.into()], ..Default::default() };
    assert_eq!(list(canceled).await.0, [runs[1].clone()]);
    let other = v1::ListRunsRequest { project: "other".to_owned(), ..Default::default() };
    assert_eq!(list(other).await, (Vec::new(), String::new()));
    let wrong = v1::ListRunsRequest { page_token: "x".to_owned(), ..Default::default() };
    assert_eq!(cluster.runs().list_runs(wrong).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn what_failed_is_done_again() {
    let cluster = Cluster::start().await;
    let failing = ("models/fails.sql", "select * from {{ ref('a') }}\n");
    let after = ("models/z.sql", "select * from {{ ref('fails') }}\n");
    cluster.deploy(&[PROJECT, CHAIN[1], failing, after]).await;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let run = cluster.submit(&request("r")).await.run_id;
    let events = cluster.watch(&run, 0).await;
    let counts = cluster.run(&run).await.run.unwrap().counts.unwrap();
    assert_eq!((counts.success, counts.failed, counts.upstream_failed), (1, 1, 1));
    let cancel = v1::CancelRunRequest { run_id: run.clone() };
    let refused = cluster.runs().cancel_run(cancel).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "RUN_FINISHED"));

    let last = events.last().unwrap().sequence;
    let retry = v1::RetryRunRequest { run_id: run.clone(), after_sequence: last, ..Default::default() };
    let answer = cluster.runs().retry_run(retry.clone()).await.unwrap().into_inner();
    assert_eq!((answer.tasks, &answer.run_id), (2, &run));
    let more = cluster.watch(&run, last).await;
    // Sent again, it is answered as before and does nothing.
    assert_eq!(cluster.runs().retry_run(retry).await.unwrap().into_inner(), answer);
    assert_eq!(cluster.watch(&run, last).await, more);
    assert_eq!(more[0].event, Some(Event::Retried(v1::watch_run_response::Retried { tasks: 2 })));
    assert_eq!(more[0].sequence, last + 1);

    let asked = v1::GetTaskRequest { run_id: run.clone(), node_id: "model.shop.fails".to_owned() };
    let attempts = cluster.runs().get_task(asked).await.unwrap().into_inner().attempts;
    let failures: Vec<(u32, String)> =
        attempts.into_iter().map(|attempt| (attempt.attempt, attempt.failure.unwrap().message)).collect();
    assert_eq!(failures, [(1, "it always does".to_owned()), (2, "it always does".to_owned())]);

    let from = |node: &str, request: &str| v1::RetryRunRequest {
        run_id: run.clone(),
        from_nodes: vec![node.to_owned()],
        request_id: request.to_owned(),
        ..Default::default()
    };
    let further = cluster.runs().retry_run(from("model.shop.a", "again")).await.unwrap().into_inner();
    assert_eq!(further.tasks, 3);
    assert_ne!(further.run_id, run);
    let repeated = cluster.runs().retry_run(from("model.shop.a", "again")).await.unwrap().into_inner();
    assert_eq!(repeated, further);
    let another = cluster.runs().retry_run(from("model.shop.a", "")).await.unwrap().into_inner();
    assert_ne!(another.run_id, further.run_id);
    let unknown = from("model.shop.q", "unknown");
    assert_eq!(cluster.runs().retry_run(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn of_two_retries_at_once_one_goes_on_and_the_other_is_told() {
    let cluster = Cluster::start().await;
    cluster.deploy(&[PROJECT, ("models/fails.sql", "select 1 as n\n")]).await;
    let worker = tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let run = cluster.submit(&request("r")).await.run_id;
    cluster.watch(&run, 0).await;
    // Nobody finishes what goes on.
    worker.abort();
    let retry = v1::RetryRunRequest { run_id: run.clone(), ..Default::default() };
    let answers = futures::future::join_all((0..4).map(|_| {
        let (mut runs, retry) = (cluster.runs(), retry.clone());
        async move { runs.retry_run(retry).await.map(tonic::Response::into_inner) }
    }));
    let (done, refused): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(Result::is_ok);
    let done: Vec<v1::RetryRunResponse> = done.into_iter().map(Result::unwrap).collect();
    assert_eq!(done, [v1::RetryRunResponse { tasks: 1, run_id: run.clone() }]);
    assert_eq!(refused.len(), 3);
    for status in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "RUN_ACTIVE"));
        assert!(status.message().contains(&run), "{status}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_project_is_told_with_its_place() {
    let cluster = Cluster::start().await;
    cluster.deploy(&[PROJECT, ("models/a.sql", "select * from {{ ref('nobody') }}\n")]).await;
    let refused = cluster.runs().submit_run(request("r")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "FINDINGS"));
    let violations = refused.get_details_precondition_failure().unwrap().violations;
    assert!(violations[0].subject.starts_with("models/a.sql"), "{violations:?}");
    assert!(refused.message().contains("nobody"), "{refused}");

    cluster.deploy(&CHAIN).await;
    let selector = v1::SubmitRunRequest { select: vec!["nonsense:x".to_owned()], ..request("s") };
    assert_eq!(cluster.runs().submit_run(selector).await.unwrap_err().code(), Code::FailedPrecondition);
    let indirect = v1::SubmitRunRequest { indirect_selection: "greedy".to_owned(), ..request("s") };
    assert_eq!(cluster.runs().submit_run(indirect).await.unwrap_err().code(), Code::FailedPrecondition);
    let missing = v1::SubmitRunRequest { target: None, ..request("s") };
    assert_eq!(cluster.runs().submit_run(missing).await.unwrap_err().code(), Code::InvalidArgument);
    // The request id of a refused run is still free.
    assert!(cluster.submit(&request("s")).await.is_new);
}

#[tokio::test]
async fn a_project_cannot_read_the_replicas_disk() {
    let cluster = Cluster::start().await;
    let climbing = "name: shop\nversion: '1.0'\nprofile: shop\nmodel-paths: ['/etc']\n";
    cluster.deploy(&[("dbt_project.yml", climbing)]).await;
    let refused = cluster.runs().submit_run(request("r")).await.unwrap_err();
    assert!(refused.message().contains("the folder '/etc' is outside of the project"), "{refused}");
}

#[tokio::test]
async fn a_duckdb_file_goes_to_one_worker() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut duckdb = request("r");
    duckdb.target.as_mut().unwrap().adapter_type = "duckdb".to_owned();
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "v"));
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.workers(2).await;
    let refused = cluster.runs().submit_run(duckdb.clone()).await.unwrap_err();
    assert!(refused.message().contains("2 workers could get tasks"), "{refused}");
    duckdb.worker_labels.insert("disk".to_owned(), "w".to_owned());
    assert_eq!(cluster.submit(&duckdb).await.tasks, 3);
}

#[tokio::test]
async fn a_worker_that_has_died_is_not_a_second_writer() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut duckdb = request("r");
    duckdb.target.as_mut().unwrap().adapter_type = "duckdb".to_owned();
    let died = tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "v"));
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.workers(2).await;
    died.abort();
    let accepted = async {
        while let Err(refused) = cluster.runs().submit_run(duckdb.clone()).await {
            assert!(refused.message().contains("2 workers could get tasks"), "{refused}");
        }
    };
    tokio::time::timeout(PATIENCE, accepted).await.unwrap();
    // It is registered until its lease ends, and nobody waited for that.
    let known = cluster.handle.read(Consistency::Linearizable, |state| state.workers().count()).await.unwrap();
    assert_eq!(known, 2);
}

#[tokio::test]
async fn only_what_is_selected_is_planned_and_earlier_bundles_stay() {
    let cluster = Cluster::start().await;
    let before = cluster.deploy(&CHAIN).await.bundle_digest;
    cluster.deploy(&CHAIN[..2]).await;
    let selected = v1::SubmitRunRequest { select: vec!["b+".to_owned()], bundle_digest: before, ..request("r") };
    assert_eq!(cluster.submit(&selected).await.tasks, 2);
    assert_eq!(cluster.submit(&request("s")).await.tasks, 1);
    let ephemeral = ("models/e.sql", "{{ config(materialized='ephemeral') }} select 1 as n\n");
    cluster.deploy(&[PROJECT, ephemeral]).await;
    assert_eq!(cluster.submit(&request("t")).await.tasks, 0);
}

#[tokio::test]
#[ignore = "needs Python with grpcio-tools, named by KONTIKI_CLIENT_PYTHON: cargo xtask test"]
async fn a_client_made_from_the_proto_files_alone_deploys_submits_and_watches() {
    let cluster = Cluster::start().await;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    let python = std::env::var("KONTIKI_CLIENT_PYTHON").unwrap();
    let project = tempfile::tempdir().unwrap();
    for (path, text) in CHAIN {
        let path = project.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let target = r#"{"name": "prod", "profile": "shop", "adapter_type": "postgres", "schema": "public", "threads": 4}"#;
    let mut client = std::process::Command::new(python);
    client.arg(format!("{root}/conformance/client/client.py")).arg(format!("{root}/proto/proto"));
    client.arg(cluster.address.to_string()).arg(project.path()).arg(target);
    let output = tokio::task::spawn_blocking(move || client.output().unwrap()).await.unwrap();
    let (told, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{told}{wrong}");
    let last = ["6 model.shop.c TASK_STATE_RUNNING", "7 model.shop.c TASK_STATE_SUCCESS", "8 finished"];
    assert_eq!(told.lines().skip(5).collect::<Vec<_>>(), last, "{told}");
}

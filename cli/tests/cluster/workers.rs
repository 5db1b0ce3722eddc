//! Workers that leave, and what becomes of their tasks.

use crate::fleet::Fleet;
use crate::support::Project;

#[test]
fn a_worker_that_drains_ends_with_0_and_leaves_the_list() {
    let mut fleet = Fleet::start(Project::small(), 1, 2);
    fleet.worker(0).signal("TERM");
    let code = fleet.worker(0).code();
    assert_eq!(code, Some(0), "{}", fleet.logs());
    let left = fleet.json(&["worker", "list"]);
    let active = left.as_array().unwrap().iter().filter(|worker| worker["state"] == "active");
    assert_eq!(active.map(|worker| worker["labels"]["name"].clone()).collect::<Vec<_>>(), ["worker-1"]);
    fleet.kontiki(&["build"]).expect(0);
}

#[test]
fn a_worker_told_to_drain_by_an_operator_ends() {
    let mut fleet = Fleet::start(Project::small(), 1, 2);
    let workers = fleet.json(&["worker", "list"]);
    let first = workers.as_array().unwrap().iter().find(|worker| worker["labels"]["name"] == "worker-0").unwrap();
    fleet.kontiki(&["worker", "drain", first["id"].as_str().unwrap()]).expect(0);
    let code = fleet.worker(0).code();
    assert_eq!(code, Some(0), "{}", fleet.logs());
}

#[test]
fn a_run_goes_where_its_labels_point() {
    let fleet = Fleet::start(Project::small(), 1, 2);
    fleet.kontiki(&["build", "--worker-label", "name=worker-1"]).expect(0);
    let runs = fleet.json(&["runs", "list"]);
    let tasks = fleet.json(&["task", "list", runs[0]["id"].as_str().unwrap()]);
    let workers = fleet.json(&["worker", "list"]);
    let wanted = workers.as_array().unwrap().iter().find(|worker| worker["labels"]["name"] == "worker-1").unwrap();
    for task in tasks.as_array().unwrap() {
        assert!(task["worker"] == wanted["id"] || task["worker"] == "", "{task}");
    }
}

#[test]
fn a_duckdb_file_is_built_by_one_worker_though_another_joins() {
    let project = Project::small();
    // Twelve models in a row leave time for a worker to join.
    for number in 0..12 {
        let upstream = if number == 0 { "first".to_owned() } else { format!("step_{}", number - 1) };
        let slow = "select id, (select count(*) from range(4000000) t(x) where x % 7 = 1) as n";
        project.model(&format!("step_{number}"), "table", &format!("{slow} from {{{{ ref('{upstream}') }}}}"));
    }
    let mut fleet = Fleet::start(project, 1, 1);
    fleet.project.profile("      type: duckdb\n      path: db.duckdb\n      threads: 2\n");
    // Workers read the profile when they start.
    fleet.worker(0).signal("TERM");
    assert_eq!(fleet.worker(0).code(), Some(0), "{}", fleet.logs());
    fleet.restart_worker(0);
    let mut build = fleet.begin(&["build"]);
    build.await_line("START sql table model main.step_1");
    fleet.add_worker();
    let ended = build.finish();
    assert_eq!(ended.code, Some(0), "{ended}\n{}", fleet.logs());
    let run = fleet.json(&["runs", "list"])[0]["id"].as_str().unwrap().to_owned();
    let tasks = fleet.json(&["task", "list", &run]);
    let tasks = tasks.as_array().unwrap();
    let workers: std::collections::BTreeSet<String> = tasks
        .iter()
        .map(|task| fleet.json(&["task", "get", &run, task["node"].as_str().unwrap()]))
        .flat_map(|task| task["attempts"].as_array().unwrap().clone())
        .map(|attempt| attempt["worker"].to_string())
        .collect();
    assert_eq!(workers.len(), 1, "{workers:?}");
    assert_eq!(
        fleet.json(&["worker", "list"]).as_array().unwrap().iter().filter(|worker| worker["state"] == "active").count(),
        2
    );
    assert!(tasks.iter().all(|task| task["attempt"] == 1), "{tasks:?}");
}

#[test]
fn a_duckdb_file_with_several_workers_is_refused() {
    let fleet = Fleet::start(Project::small(), 1, 2);
    fleet.project.profile("      type: duckdb\n      path: db.duckdb\n      threads: 2\n");
    fleet.kontiki(&["build"]).expect(2).says("error[K4005]").says("2 workers could get tasks");
}

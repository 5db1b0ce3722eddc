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
fn a_duckdb_file_with_several_workers_is_refused() {
    let fleet = Fleet::start(Project::small(), 1, 2);
    fleet.project.profile("      type: duckdb\n      path: db.duckdb\n      threads: 2\n");
    fleet.kontiki(&["build"]).expect(2).says("error[K4005]").says("2 workers could get tasks");
}

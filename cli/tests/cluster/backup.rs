//! A cluster is saved, and a new one begins with what was saved.

use testing::{Process, ports};

use crate::fleet::Fleet;
use crate::support::Project;

#[test]
fn a_new_cluster_has_what_was_saved_and_no_folder_is_overwritten() {
    let mut fleet = Fleet::start(Project::small(), 1, 1);
    fleet.kontiki(&["build"]).expect(0);
    let run = fleet.json(&["runs", "list"])[0]["id"].as_str().unwrap().to_owned();
    let log = fleet.kontiki(&["task", "logs", &run]);
    log.expect(0).says("model.p.second, attempt 1");
    let project = fleet.project.clone();
    let saved = project.path("saved").display().to_string();
    fleet.kontiki(&["cluster", "snapshot", "save", &saved]).expect(0);
    project.kontiki(&["cluster", "snapshot", "verify", &saved]).expect(0).says("is whole").says("1 projects, 1 runs");
    fleet.replica(0).signal("KILL");
    fleet.replica(0).code();

    let address = format!("127.0.0.1:{}", ports::free(1)[0]);
    let data = project.path("anew").display().to_string();
    let server = |data: &str, file: &str| {
        let own = ["server", "--name", "anew", "--listen", &address, "--data-dir", data];
        project.command(&[&own[..], &["--replicas", "1", "--restore", file]].concat())
    };
    let refused = |data: &str, file: &str, says: &str| {
        let ended: crate::support::Ended = server(data, file).output().unwrap().into();
        ended.expect(2).says(says);
    };
    refused(&project.path("replica-0").display().to_string(), &saved, "is not empty");
    refused(&data, &project.path("dbt_project.yml").display().to_string(), "it is no backup");
    refused(&data, &project.path("nowhere").display().to_string(), "nowhere");

    let mut anew = Process::start("anew", project.root(), server(&data, &saved));
    let ask = |arguments: &[&str]| project.kontiki(&[arguments, &["--server", &address]].concat());
    fleet.until("the new cluster to lead", || ask(&["runs", "list", "-o", "name"]).stdout.trim() == run);
    ask(&["project", "list", "-o", "name"]).expect(0).says("p");
    assert_eq!(ask(&["task", "logs", &run]).stdout, log.stdout);
    // Started again, it is no longer new.
    anew.signal("TERM");
    assert_eq!(anew.code(), Some(0), "{}", anew.lines());
    refused(&data, &saved, "is not empty");
}

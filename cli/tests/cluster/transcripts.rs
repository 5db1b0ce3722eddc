//! What attempts on a cluster leave for people to read: SQL and logs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use crate::fleet::Fleet;
use crate::support::Project;

/// Every file below a folder, by its path.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// The SQL of each node in `run_results.json`.
fn compiled(project: &Project) -> BTreeMap<String, Json> {
    let results: Json = serde_json::from_str(&project.read("target/run_results.json")).unwrap();
    let sql = |result: &Json| (result["unique_id"].as_str().unwrap().to_owned(), result["compiled_code"].clone());
    results["results"].as_array().unwrap().iter().map(sql).collect()
}

/// A run and its epochs give staging relations their names.
fn without_staging(sql: &str) -> String {
    let name = |word: &str| word.split("__kontiki").next().unwrap_or_default().to_owned();
    sql.split(' ').map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn sql_is_left_where_a_run_on_this_machine_leaves_it() {
    let project = Project::small();
    project.model("counted", "incremental", "select count(*)::int as n from {{ ref('second') }}");
    project.model("broken", "table", "select 1 / 0 as id,\n  {{ 1 + 1 }} as two");
    project.file("models/hook.yml", "models:\n  - name: first\n    config:\n      post_hook: select 1\n");
    let fleet = Fleet::start(project, 1, 1);
    fleet.kontiki(&["build"]).expect(1).says("compiled code at target/compiled/p/models/broken.sql");
    let remote = (files(&fleet.project.path("target/compiled")), compiled(&fleet.project));
    let run: BTreeMap<String, String> = files(&fleet.project.path("target/run"));
    std::fs::remove_dir_all(fleet.project.path("target")).unwrap();

    // Else the incremental model would only be added to.
    fleet.project.kontiki(&["build", "--full-refresh"]).expect(1);
    assert_eq!(remote, (files(&fleet.project.path("target/compiled")), compiled(&fleet.project)));
    assert!(remote.0["p/models/broken.sql"].ends_with("select 1 / 0 as id,\n  2 as two"), "{remote:?}");
    assert_eq!(remote.1["seed.p.raw"], Json::Null);
    let local = files(&fleet.project.path("target/run"));
    let plain = |files: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        files.iter().map(|(path, sql)| (path.clone(), without_staging(sql))).collect()
    };
    assert_eq!(plain(&run), plain(&local));
    assert!(run["p/models/counted.sql"].contains("count(*)"), "{run:?}");
}

#[test]
fn every_replica_has_the_log_of_every_attempt() {
    let project = Project::small();
    project.model(
        "knob",
        "table",
        "{{ config(pre_hook='create table if not exists main.knob_is as select 0 as n') }} select 1 as id",
    );
    project.model(
        "turned",
        "table",
        "-- depends_on: {{ ref('knob') }}\n{{ log('told by a template', info=true) }}{{ log('whispered') }}select 1 / n as one from main.knob_is",
    );
    let mut fleet = Fleet::start(project, 3, 1);
    let failed = fleet.kontiki(&["run", "-s", "knob", "turned", "--detach", "--quiet"]);
    failed.expect(0);
    let run = failed.stdout.trim().to_owned();
    fleet.kontiki(&["runs", "watch", &run]).expect(1);
    fleet.client().0.batch_execute("update main.knob_is set n = 1").unwrap();
    fleet.kontiki(&["runs", "retry", &run]).expect(0);
    fleet.until("the run to succeed", || fleet.json(&["runs", "get", &run])["state"] == "success");

    for address in fleet.addresses() {
        let ask = |arguments: &[&str]| fleet.project.kontiki(&[arguments, &["--server", &address]].concat());
        let logs = ask(&["task", "logs", &run, "model.p.turned"]);
        logs.expect(0)
            .says("model.p.turned, attempt 1")
            .says("info  told by a template")
            .says("debug whispered")
            .says("error K2001 Database Error in model turned (models/turned.sql)")
            .says("  division by zero")
            .says("model.p.turned, attempt 2")
            .says("published in");
        let second = ask(&["task", "logs", &run, "model.p.turned", "--attempt", "2"]);
        second.expect(0).says("attempt 2").is_silent_about("attempt 1");
        let all = ask(&["task", "logs", &run]);
        all.expect(0).says("model.p.knob, attempt 1").says("model.p.turned, attempt 2");
        ask(&["task", "logs", &run, "model.p.turned", "--attempt", "3"])
            .expect(2)
            .says("K4003")
            .says(&format!("there is no log of attempt 3 at model.p.turned in run {run}"));
        ask(&["task", "logs", &run, "model.p.nothing"]).expect(2).says("K4003");
    }
    let told = fleet.json(&["task", "get", &run, "model.p.turned"]);
    let attempts = told["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 2);
    for attempt in attempts {
        let compiled = attempt["compiled_code"].as_str().unwrap();
        assert!(compiled.ends_with("select 1 / n as one from main.knob_is"), "{compiled}");
        assert!(attempt["run_code"].as_str().unwrap().contains("create"), "{attempt}");
        let messages: Vec<&str> =
            attempt["log"].as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert!(messages.contains(&"told by a template"), "{messages:?}");
    }
    assert_eq!(told["compiled_code"], attempts[1]["compiled_code"]);

    // What was told survives whoever heard it.
    let leader = fleet.leader();
    fleet.replica(leader).signal("KILL");
    fleet.replica(leader).code();
    fleet.await_leader_other_than(leader);
    fleet.restart_replica(leader);
    let address = fleet.addresses()[leader].clone();
    fleet.until("the replica that died to tell", || {
        let logs = fleet.project.kontiki(&["task", "logs", &run, "model.p.turned", "--server", &address]);
        logs.code == Some(0) && logs.stdout.contains("attempt 1") && logs.stdout.contains("attempt 2")
    });
}

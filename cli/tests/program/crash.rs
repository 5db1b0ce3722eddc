//! `kill -9` at many moments of a run: `retry` finishes what was left, and nothing runs twice.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::support::{Project, Running};

/// Moments that are tried.
const KILLS: u64 = 12;
const WIDTH: usize = 7;

/// Seeds, views, tables and appending incremental models. An append that ran twice shows in its rows.
fn project() -> Project {
    let project = Project::empty();
    project.profile("      type: duckdb\n      path: db.duckdb\n      threads: 3\n");
    let mut properties = "models:\n".to_owned();
    for index in 0..WIDTH {
        let mut rows = "id\n".to_owned();
        for row in 0..20 {
            writeln!(rows, "{}", index * 100 + row).unwrap();
        }
        project.file(&format!("seeds/raw_{index}.csv"), rows);
        project.model(&format!("view_{index}"), "view", &format!("select id from {{{{ ref('raw_{index}') }}}}"));
        project.model(
            &format!("append_{index}"),
            "incremental",
            &format!("select id from {{{{ ref('view_{index}') }}}}"),
        );
        let next = (index + 1) % WIDTH;
        project.model(
            &format!("table_{index}"),
            "table",
            &format!(
                "select id from {{{{ ref('append_{index}') }}}} a union all select id from {{{{ ref('append_{next}') }}}}"
            ),
        );
        writeln!(properties, "  - name: view_{index}\n    columns:\n      - name: id\n        data_tests: [not_null]")
            .unwrap();
    }
    project.file("models/schema.yml", properties);
    project
}

/// Every relation with all of its rows.
fn contents(project: &Project) -> Vec<(String, Vec<String>)> {
    let names: Vec<String> =
        (0..WIDTH).flat_map(|index| ["raw", "view", "append", "table"].map(|kind| format!("{kind}_{index}"))).collect();
    names
        .into_iter()
        .map(|name| {
            let rows = project.rows(&format!("select id from main.{name} order by id"));
            (name, rows)
        })
        .collect()
}

/// The name at the end of a node's line.
fn node_of(line: &str) -> Option<String> {
    let (head, _) = line.rsplit_once(" [")?;
    Some(head.rsplit_once(' ')?.1.trim_start_matches("main.").to_owned())
}

/// Reads lines up to number `moment` of those that tell of nodes; the nodes that succeeded by then.
fn watch(running: &mut Running, moment: u64) -> BTreeSet<String> {
    let mut succeeded = BTreeSet::new();
    let mut told = 0;
    while told < moment {
        let Some(line) = running.line() else { break };
        let is_end = line.contains(" OK ") || line.contains(" PASS ");
        if is_end && let Some(node) = node_of(&line) {
            succeeded.insert(node);
        }
        told += u64::from(is_end || line.contains(" START "));
    }
    succeeded
}

#[test]
fn a_killed_run_is_finished_by_retry_and_nothing_runs_twice() {
    let base = project();
    base.kontiki(&["build"]).expect(0);
    let undisturbed = base.copy();
    undisturbed.kontiki(&["build"]).expect(0);
    let expected = contents(&undisturbed);
    let published = "select count(*), count(distinct (run, node)) from kontiki.publish_log";
    let expected_log = undisturbed.rows(published);
    let nodes = 4 * WIDTH as u64;
    assert_eq!(expected_log, [format!("{}|{}", 2 * nodes, 2 * nodes)]);

    let lines = 2 * 5 * WIDTH as u64;
    for seed in 0..KILLS {
        // Spread over the run, and never at the same line of two stretches.
        let stretch = lines / KILLS;
        let moment = 1 + seed * stretch + (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % stretch;
        let project = base.copy();
        let mut running = project.start(&["build"]);
        let succeeded = watch(&mut running, moment);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        drop(running);

        let retry = project.kontiki(&["retry"]);
        retry.expect(0);
        let again: BTreeSet<String> =
            retry.lines().iter().filter(|line| line.contains(" START ")).filter_map(|line| node_of(line)).collect();
        let twice: Vec<&String> = succeeded.intersection(&again).collect();
        assert!(twice.is_empty(), "killed at line {moment}: {twice:?} succeeded before and ran again\n{retry}");
        assert_eq!(contents(&project), expected, "killed at line {moment}\n{retry}");
        assert_eq!(project.rows(published), expected_log, "killed at line {moment}");
    }
}

/// Views are published in groups: a kill between the commit of a group and the report of it must not publish any of it again.
#[test]
fn a_killed_run_of_many_views_publishes_each_once() {
    const VIEWS: usize = 150;
    let base = Project::empty();
    base.profile("      type: duckdb\n      path: db.duckdb\n      threads: 2\n");
    for index in 0..VIEWS {
        let sql = match index.checked_sub(50) {
            Some(below) => format!("select id + 1 as id from {{{{ ref('view_{below}') }}}}"),
            None => "select 0 as id".to_owned(),
        };
        base.model(&format!("view_{index}"), "view", &sql);
    }
    // From the first line of a group over the moments in which groups are committed to the last lines.
    for moment in [1, 20, 60, 101, 140, 199, 230, 290] {
        let project = base.copy();
        let mut running = project.start(&["run"]);
        watch(&mut running, moment);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        drop(running);
        project.kontiki(&["retry"]);
        // Where the kill came after the last commit there is nothing to retry.
        project.kontiki(&["retry"]);
        let log = project.rows("select count(*), count(distinct node) from kontiki.publish_log");
        assert_eq!(log, [format!("{VIEWS}|{VIEWS}")], "killed at line {moment}");
        let last = format!("select id from main.view_{}", VIEWS - 1);
        assert_eq!(project.rows(&last), ["2"], "killed at line {moment}");
    }
}

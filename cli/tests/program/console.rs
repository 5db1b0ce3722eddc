//! What the program prints, and how it exits.

use crate::support::Project;

#[test]
fn the_lines_of_a_build_are_those_of_dbt() {
    let ended = Project::small().kontiki(&["build", "--threads", "1"]);
    ended.expect(0);
    let lines = ended.lines();
    assert!(lines[0].starts_with("Running with kontiki="), "{ended}");
    let found = lines.iter().position(|line| line.starts_with("Found ")).expect("statistics");
    assert!(lines[found].starts_with("Found 2 models, 1 seed, 1 test, "), "{ended}");
    let finished = lines.iter().position(|line| line.starts_with("Finished running ")).expect("a summary");
    assert_eq!(
        lines[found + 1..finished],
        [
            "Concurrency: 1 threads (target='dev')",
            "1 of 4 START seed file main.raw [RUN]",
            "1 of 4 OK loaded seed file main.raw [INSERT 2]",
            "2 of 4 START sql view model main.first [RUN]",
            "2 of 4 OK created sql view model main.first [OK]",
            "3 of 4 START sql table model main.second [RUN]",
            "3 of 4 OK created sql table model main.second [OK]",
            "4 of 4 START test unique_second_id [RUN]",
            "4 of 4 PASS unique_second_id [PASS]",
        ]
    );
    assert!(lines[finished].starts_with("Finished running 1 seed, 1 table model, 1 test, 1 view model in "), "{ended}");
    assert_eq!(lines[finished + 1..], ["Completed successfully", "Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4"]);
}

#[test]
fn a_failed_node_gives_1_skips_what_is_below_and_retry_heals() {
    let project = Project::small();
    project.model("first", "view", "select id, name from {{ ref('raw') }} where nothing_like_it");
    let ended = project.kontiki(&["build"]);
    ended.expect(1);
    ended
        .says("ERROR creating sql view model main.first")
        .says("SKIP relation main.second")
        .says("models/first.sql")
        .says("nothing_like_it")
        .says("Done. PASS=1 WARN=0 ERROR=1 SKIP=2 NO-OP=0 TOTAL=4");
    project.model("first", "view", "select id, name from {{ ref('raw') }}");
    let retry = project.kontiki(&["retry"]);
    retry.expect(0).says("Done. PASS=3 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=3").is_silent_about("main.raw");
}

#[test]
fn a_failed_test_gives_1_and_a_warning_gives_0() {
    let project = Project::small();
    project.file("seeds/raw.csv", "id,name\n1,one\n1,again\n");
    project
        .kontiki(&["build"])
        .expect(1)
        .says("FAIL 1 unique_second_id")
        .says("Got 1 result, configured to fail if != 0");
    project.file("dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\ndata_tests:\n  +severity: warn\n");
    project.kontiki(&["build"]).expect(0).says("WARN 1 unique_second_id").says("Completed with 1 warning:");
}

#[test]
fn json_lines_carry_the_codes_of_dbt() {
    let ended = Project::small().kontiki(&["build", "--log-format", "json"]);
    ended.expect(0);
    let mut codes = Vec::new();
    for line in ended.stdout.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let info = &line["info"];
        assert!(line["data"].is_object() && info["msg"].is_string() && info["ts"].is_string(), "{line}");
        codes.push(info["code"].as_str().expect("a code").to_owned());
        if codes.last().is_some_and(|code| code == "Q012") {
            assert_eq!(line["data"]["node_info"]["resource_type"], "model", "{line}");
        }
    }
    for code in ["A001", "W006", "Q027", "Q011", "Q012", "Q016", "Q007", "E040", "Z023", "Z030"] {
        assert!(codes.iter().any(|found| found == code), "{code} is missing in {codes:?}");
    }
}

#[test]
fn what_fails_while_it_runs_has_a_code_behind_the_words_of_dbt() {
    let project = Project::small();
    project.file("seeds/raw.csv", "id,name\n1,one\n1,again\n");
    let failed = project.kontiki(&["build"]);
    failed.expect(1).says("  Got 1 result, configured to fail if != 0\n").says("  K2011: A data test found failures\n");
    project.model("first", "view", "select nothing_like_it");
    project.kontiki(&["run", "-s", "first"]).expect(1).says("  K2001: The warehouse refused the SQL\n");
    project.kontiki(&["show", "--inline", "select nothing_like_it"]).expect(1).says("  K2001: ");
    project.model("first", "view", "select {{ exceptions.raise_compiler_error('no') if execute }}");
    let ended = project.kontiki(&["run", "-s", "first", "--log-format", "json"]);
    ended.expect(1);
    let lines = ended.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let codes: Vec<_> = lines.filter(|line| line["info"]["name"] == "ResultCode").collect();
    assert_eq!(codes.len(), 1, "{ended}");
    assert_eq!((&codes[0]["info"]["code"], &codes[0]["data"]["code"]), (&"K1104".into(), &"K1104".into()));
    project.file("dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\non-run-start: ['select nothing_like_it']\n");
    project.kontiki(&["run", "-s", "first"]).expect(1).says("  K2001: The warehouse refused the SQL\n");
}

#[test]
fn quiet_prints_errors_only() {
    let project = Project::small();
    assert_eq!(project.kontiki(&["build", "--quiet"]).expect(0).stdout, "");
    project.model("first", "view", "select nothing_like_it");
    let ended = project.kontiki(&["--quiet", "build"]);
    ended.expect(1).says("nothing_like_it").is_silent_about("START").is_silent_about("PASS=");
}

#[test]
fn nothing_but_lines_is_written_into_a_pipe() {
    let project = Project::small();
    let plain = project.kontiki(&["build"]);
    plain.expect(0).is_silent_about("\u{1b}").is_silent_about("\r");
    assert_eq!(plain.stderr, "");
    let forced = project.kontiki(&["build", "--use-colors"]);
    forced.expect(0).says("\u{1b}[32m");
    let refused = project.command(&["build"]).env("NO_COLOR", "1").output().expect("the program starts");
    assert!(!refused.stdout.contains(&0x1b));
}

#[test]
fn the_environment_stands_in_for_flags() {
    let project = Project::small();
    project.file(
        "profiles.yml",
        "p:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: db.duckdb}\n    ci: {type: duckdb, path: ci.duckdb, threads: 3}\n",
    );
    let elsewhere = tempfile::tempdir().expect("a folder");
    let output = project
        .command(&["build"])
        .current_dir(elsewhere.path())
        .env("DBT_PROJECT_DIR", project.root())
        .env("DBT_PROFILES_DIR", project.root())
        .env("DBT_TARGET", "ci")
        .env("DBT_TARGET_PATH", "made")
        .env("DBT_LOG_FORMAT", "json")
        .output()
        .expect("the program starts");
    let ended = crate::support::Ended::from(output);
    ended.expect(0).says("Concurrency: 3 threads (target='ci')");
    assert!(ended.stdout.starts_with('{'), "{ended}");
    assert!(project.path("made/run_results.json").is_file());
    assert!(!project.path("target").exists());
    let refused = project.command(&["build"]).env("DBT_QUIET", "perhaps").output().expect("the program starts");
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn dbt_log_gets_every_line() {
    let project = Project::small();
    project.kontiki(&["build", "--quiet"]).expect(0);
    let log = project.read("logs/dbt.log");
    assert!(log.contains("[info ] [MainThread]: 1 of 4 START seed file main.raw ."), "{log}");
    assert!(log.contains("Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4"), "{log}");
    project.kontiki(&["parse", "--log-path", "elsewhere", "--use-colors"]).expect(0);
    assert!(project.read("elsewhere/dbt.log").contains("Running with kontiki="));
    assert_eq!(project.read("logs/dbt.log"), log);
    std::fs::remove_dir_all(project.path("logs")).expect("the log can be deleted");
    project.kontiki(&["parse", "--log-level-file", "none"]).expect(0);
    assert!(!project.path("logs").exists());
    project.file("logs", "in the way");
    project.kontiki(&["parse"]).expect(0);
}

#[test]
fn artifacts_are_left() {
    let project = Project::small();
    project.kontiki(&["build"]).expect(0);
    let results: serde_json::Value = serde_json::from_str(&project.read("target/run_results.json")).expect("JSON");
    let mut ids: Vec<&str> = results["results"]
        .as_array()
        .expect("results")
        .iter()
        .filter_map(|result| result["unique_id"].as_str())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids.len(), 4);
    assert_eq!(ids[..3], ["model.p.first", "model.p.second", "seed.p.raw"]);
    let manifest: serde_json::Value = serde_json::from_str(&project.read("target/manifest.json")).expect("JSON");
    assert_eq!(manifest["nodes"].as_object().expect("nodes").len(), 4);
    assert!(project.read("target/compiled/p/models/second.sql").contains("select id from"));
    assert!(project.read("target/run/p/models/second.sql").contains("create"));
}

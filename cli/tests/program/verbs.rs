//! The verbs beside `build`.

use crate::support::Project;

#[test]
fn ls_lists_in_every_form() {
    let project = Project::small();
    let ended = project.kontiki(&["ls", "--quiet"]);
    assert_eq!(ended.expect(0).stdout, "p.first\np.second\np.raw\np.unique_second_id\n");
    let names = project.kontiki(&["ls", "-q", "--output", "name", "-s", "first+", "--resource-type", "model"]);
    assert_eq!(names.expect(0).stdout, "first\nsecond\n");
    let paths = project.kontiki(&["list", "-q", "--output", "path", "-s", "raw"]);
    assert_eq!(paths.expect(0).stdout, "seeds/raw.csv\n");
    let json = project.kontiki(&["ls", "-q", "--output", "json", "--output-keys", "name resource_type", "-s", "raw"]);
    let row: serde_json::Value = serde_json::from_str(&json.expect(0).stdout).expect("one JSON line");
    assert_eq!(row, serde_json::json!({"name": "raw", "resource_type": "seed"}));
    assert!(!project.path("db.duckdb").exists(), "listing opens no warehouse");
}

#[test]
fn show_prints_rows() {
    let project = Project::small();
    project.kontiki(&["build", "-q"]).expect(0);
    let ended = project.kontiki(&["show", "-s", "first", "--limit", "1", "--output", "json"]);
    ended.expect(0).says("\"one\"").is_silent_about("\"two\"");
    let inline = project.kontiki(&["show", "-q", "--inline", "select count(*) as n from {{ ref('raw') }}"]);
    inline.expect(0).says("| n |").says("| 2 |");
}

#[test]
fn compile_prints_sql() {
    let project = Project::small();
    let ended = project.kontiki(&["compile", "-q", "--inline", "select * from {{ ref('first') }}"]);
    ended.expect(0).says("select * from \"db\".\"main\".\"first\"");
    project.kontiki(&["compile", "-s", "second"]).expect(0);
    assert!(project.read("target/compiled/p/models/second.sql").contains("select id from \"db\".\"main\".\"first\""));
}

#[test]
fn parse_writes_the_manifest_and_clean_deletes_it() {
    let project = Project::small();
    project.file("dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\nclean-targets: [target]\n");
    project.kontiki(&["parse"]).expect(0);
    assert!(project.path("target/manifest.json").is_file());
    project.kontiki(&["clean"]).expect(0).says("Cleaned");
    assert!(!project.path("target").exists());
    assert!(project.path("models/first.sql").is_file());
}

#[test]
fn clean_deletes_nothing_outside_and_no_sources() {
    let project = Project::small();
    for targets in ["[..]", "[models]", "['.']"] {
        project.file("dbt_project.yml", format!("name: p\nversion: '1.0'\nprofile: p\nclean-targets: {targets}\n"));
        project.kontiki(&["clean"]).expect(2);
        assert!(project.path("models/first.sql").is_file(), "{targets}");
    }
}

#[test]
fn debug_tells_of_the_connection_and_keeps_secrets() {
    let project = Project::small();
    project.kontiki(&["debug"]).expect(0).says("Connection test: [OK connection ok]").says("All checks passed!");
    project.profile(
        "      type: postgres\n      host: localhost\n      port: 1\n      user: u\n      password: hunter2\n      dbname: d\n      schema: s\n",
    );
    project.kontiki(&["debug"]).expect(1).says("K2002").is_silent_about("hunter2");
}

#[test]
fn init_makes_a_project_that_builds() {
    let project = Project::empty();
    project.kontiki(&["init", "fresh"]).expect(0);
    project.kontiki(&["build", "--project-dir", "fresh", "--profiles-dir", "fresh"]).expect(0).says("ERROR=0");
    project.kontiki(&["init", "fresh"]).expect(2).says("exists here already");
    project.kontiki(&["init", "no-name"]).expect(2).says("is not a project name");
}

#[test]
fn retry_without_a_run_is_refused() {
    Project::small().kontiki(&["retry"]).expect(2).says("K3003");
}

#[test]
fn postgres_is_built_alike() {
    let server = testing::Postgres::start();
    let database = server.database();
    let project = Project::small();
    project.profile(&format!(
        "      type: postgres\n      host: {}\n      port: {}\n      user: {}\n      password: ''\n      dbname: {database}\n      schema: main\n      threads: 2\n",
        server.host(),
        server.port(),
        server.user(),
    ));
    project.kontiki(&["build"]).expect(0).says("Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4");
    let rows = server.client(&database).query("select id from main.second order by id", &[]).expect("the table");
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2]);
}

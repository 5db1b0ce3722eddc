//! What users and machines do to a project: each gives one clear diagnostic and the documented exit code, and loses nothing.

use std::fmt::Write;

use testing::Mount;

use crate::support::{Postgres, Project, Running};

/// Runs long enough for a test to look at the process meanwhile.
const ENDLESS: &str = "select count(*) as n from range(3000000) a, range(3000000) b where (a.range + b.range) % 7 = 3";

fn refused(project: &Project, arguments: &[&str], expected: &[&str]) {
    let ended = project.kontiki(arguments);
    ended.expect(2);
    for text in expected {
        ended.says(text);
    }
}

#[test]
fn broken_yaml() {
    let project = Project::small();
    project.file("models/schema.yml", "models:\n  - name: first\n   columns: [\n");
    refused(&project, &["build"], &["error[K1002]", "--> models/schema.yml:3:4", "   columns: ["]);
}

#[test]
fn broken_templates_are_all_reported() {
    let project = Project::small();
    project.file("models/x.sql", "select {{ ref('first' }} from x");
    project.file("models/y.sql", "{% if x %} select 1");
    project.file("models/z.sql", "select * from {{ ref('frist') }}");
    refused(&project, &["build"], &["error[K1101]", "--> models/x.sql:1:23", "--> models/y.sql:1:20"]);
    project.file("models/x.sql", "select 1");
    project.file("models/y.sql", "select 1");
    refused(&project, &["build"], &["error[K1201]", "--> models/z.sql:1:18", "first"]);
}

#[test]
fn endless_templates_end() {
    let project = Project::small();
    let round = "{% for i in range(100000) %}";
    project.file("models/x.sql", format!("{round}{round}{{{{ 'x' * 10000 }}}}{{% endfor %}}{{% endfor %}}select 1"));
    refused(&project, &["build"], &["error[K1103]", "--> models/x.sql:1:"]);
}

#[test]
fn templates_that_only_count_end() {
    let project = Project::small();
    let round = "{% for i in range(100000) %}";
    project.file("models/x.sql", format!("{round}{round}{{% endfor %}}{{% endfor %}}select 1"));
    refused(&project, &["parse"], &["error[K1103]: the template took more than", "steps", "--> models/x.sql:1:29"]);
}

#[test]
fn recursion_ends() {
    let project = Project::small();
    project.file("macros/f.sql", "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}");
    project.file("models/x.sql", "select {{ f(1) }}");
    let ended = project.kontiki(&["build"]);
    ended.expect(2).says("error[K1103]").says("--> macros/f.sql:1:20").says("more");
    assert!(ended.stdout.len() < 2_000, "{ended}");
}

#[test]
fn nesting_without_end_is_refused_in_few_words() {
    let project = Project::small();
    project.file("models/x.sql", format!("select {{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)));
    let ended = project.kontiki(&["build"]);
    ended.expect(2).says("error[K1101]").says("--> models/x.sql:1:");
    assert!(ended.stdout.len() < 2_000, "{}", ended.stdout.len());
}

#[test]
fn missing_projects_profiles_and_targets() {
    let project = Project::small();
    refused(&project, &["build", "-t", "nope"], &["error[K1005]", "nope", "hint: the valid target names are: dev"]);
    refused(&project, &["build", "--profile", "nope"], &["error[K1005]", "nope", "hint: it has: p"]);
    std::fs::remove_file(project.path("profiles.yml")).unwrap();
    refused(&project, &["build"], &["error[K1005]", "profiles.yml", "hint: "]);
    std::fs::remove_file(project.path("dbt_project.yml")).unwrap();
    refused(&project, &["build"], &["error[K1001]"]);
}

#[test]
fn a_missing_duckdb_library() {
    let project = Project::small();
    let output = project.command(&["build"]).env("KONTIKI_DUCKDB_LIBRARY", "/nowhere/libduckdb.so").output().unwrap();
    crate::support::Ended::from(output).expect(2).says("error[K2010]").says("/nowhere/libduckdb.so");
}

#[test]
fn an_unreachable_database() {
    let project = Project::small();
    project.profile(
        "      type: postgres\n      host: localhost\n      port: 1\n      user: u\n      password: hunter2\n      dbname: d\n      schema: s\n",
    );
    refused(&project, &["build"], &["error[K2002]", "localhost", "refused"]);
    project.kontiki(&["build"]).is_silent_about("hunter2");
}

#[test]
fn a_database_that_dies_in_the_middle() {
    let server = testing::Postgres::start_own(&[]);
    let database = server.database();
    let project = Project::empty();
    project.profile(&format!(
        "      type: postgres\n      host: {}\n      port: {}\n      user: {}\n      password: ''\n      dbname: {database}\n      schema: main\n      threads: 1\n",
        server.host(),
        server.port(),
        server.user(),
    ));
    project.model("quick", "table", "select 1 as id");
    project.model(
        "slow",
        "table",
        "-- depends_on: {{ ref('quick') }}\nselect 2 as id {% if not var('short', false) %}from pg_sleep(600){% endif %}",
    );
    let mut running = project.start(&["run"]);
    running.await_line("START sql table model main.slow");
    let mut admin = server.client("postgres");
    let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    while admin.query_one(asleep, &[]).unwrap().get::<_, i64>(0) == 0 {}
    admin.batch_execute(&format!("alter database {database} with allow_connections false")).unwrap();
    admin
        .batch_execute(&format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"))
        .unwrap();
    let ended = running.finish();
    ended.expect(1).says("Done. PASS=1 WARN=0 ERROR=1 SKIP=0 NO-OP=0 TOTAL=2");
    admin.batch_execute(&format!("alter database {database} with allow_connections true")).unwrap();
    let retry = project.kontiki(&["retry", "--vars", "{short: true}"]);
    retry.expect(0).says("Done. PASS=1 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1");
}

/// The server is away for longer than all retries of an attempt would take by themselves.
#[test]
fn a_database_that_comes_back_is_waited_for() {
    let mut postgres = Postgres::start();
    let project = Project::empty();
    project.profile(&(postgres.profile() + "      sslmode: disable\n"));
    project.model(
        "slow",
        "table",
        "-- kept busy until the test says otherwise\nselect 1 as id from public.pace, pg_sleep(pace.seconds)",
    );
    let mut client = postgres.client();
    client.batch_execute("create table public.pace as select 600 as seconds").unwrap();
    let mut running = project.start(&["run"]);
    running.await_line("START sql table model main.slow");
    let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    while client.query_one(asleep, &[]).unwrap().get::<_, i64>(0) == 0 {}
    client.batch_execute("update public.pace set seconds = 0").unwrap();
    postgres.server.stop();
    let knocks = {
        let door = std::net::TcpListener::bind((postgres.server.host(), postgres.server.port())).unwrap();
        door.incoming().take(12).filter(Result::is_ok).count()
    };
    assert_eq!(knocks, 12);
    postgres.server.start_again();
    running.finish().expect(0).says("Done. PASS=1 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1");
}

#[test]
fn a_full_disk() {
    let project = Project::small();
    let folder = project.path("small_disk");
    let Some(mount) = Mount::new(&folder, "size=6m") else {
        eprintln!("not permitted to mount: a file in the way of the target folder stands in for a full disk");
        project.file("target", "in the way");
        refused(&project, &["build"], &["error[K3004]", "target"]);
        return;
    };
    project.profile("      type: duckdb\n      path: small_disk/db.duckdb\n      threads: 1\n");
    project.model(
        "big",
        "table",
        "select range as id, md5(range::varchar) as digest from range({{ var('rows', 3000000) }})",
    );
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let ended = project.kontiki(&["build"]);
    ended.expect(1).says("No space left on device").says("ERROR ");
    std::fs::remove_file(ballast).unwrap();
    project.kontiki(&["retry", "--vars", "{rows: 10}"]).expect(0).says("ERROR=0 ");
    assert_eq!(project.rows_of("small_disk/db.duckdb", "select count(*) from main.big"), ["10"]);

    project.profile("      type: duckdb\n      path: db.duckdb\n");
    mount.fill();
    refused(&project, &["build", "--target-path", "small_disk/target"], &["error[K3004]", "No space left on device"]);
    mount.empty();
    project.kontiki(&["build", "--vars", "{rows: 10}"]).expect(0);
}

#[test]
fn a_read_only_project() {
    let project = Project::small();
    let folder = project.path("fixed");
    let Some(mount) = Mount::new(&folder, "size=6m") else {
        eprintln!("not permitted to mount: a file in the way of the state's folder stands in for a read-only one");
        project.file(".kontiki", "in the way");
        refused(&project, &["build"], &["error[K3004]", ".kontiki"]);
        return;
    };
    for file in ["dbt_project.yml", "profiles.yml", "models/first.sql", "models/second.sql", "seeds/raw.csv"] {
        let to = folder.join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(project.path(file), to).unwrap();
    }
    mount.remount("ro");
    refused(&project, &["build", "--project-dir", "fixed"], &["error[K3004]", "Read-only file system"]);
    // Listing needs nothing that it writes.
    project.kontiki(&["ls", "-q", "--no-write-json", "--project-dir", "fixed"]).expect(0).says("p.first");
}

fn endless(project: &Project) -> Running {
    project.model("slow", "table", ENDLESS);
    let mut running = project.start(&["run", "-s", "slow"]);
    running.await_line("START sql table model main.slow");
    running
}

#[test]
fn a_duckdb_file_that_another_process_holds() {
    let project = Project::small();
    let running = endless(&project);
    let pid = format!("PID {}", running.child.id());
    refused(&project, &["build"], &["error[K2003]", &pid]);
}

#[test]
fn two_processes_in_one_project() {
    let project = Project::small();
    let running = endless(&project);
    let pid = format!("process {}", running.child.id());
    refused(&project, &["retry"], &["error[K3002]", &pid]);
    project.profile("      type: duckdb\n      path: other.duckdb\n");
    refused(&project, &["build"], &["error[K3002]", &pid]);
}

#[test]
fn a_damaged_duckdb_file_is_left_alone() {
    let project = Project::small();
    let noise: Vec<u8> = (0..20_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    project.file("db.duckdb", &noise);
    refused(&project, &["build"], &["error[K2002]", "db.duckdb"]);
    assert_eq!(std::fs::read(project.path("db.duckdb")).unwrap(), noise);
}

#[test]
fn a_damaged_state_is_told_and_a_new_one_can_begin() {
    let project = Project::small();
    project.kontiki(&["build"]).expect(0);
    for file in ["origin", "log/conf", "log/db"] {
        let damaged = project.copy();
        let path = format!(".kontiki/{file}");
        let length = std::fs::metadata(damaged.path(&path)).unwrap().len();
        let noise: Vec<u8> =
            (0..length).map(|index| (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8 | 0x80).collect();
        damaged.file(&path, &noise);
        refused(&damaged, &["build"], &["error[K3001]", ".kontiki", "hint: "]);
        // A second look says the same.
        refused(&damaged, &["build"], &["error[K3001]"]);
        std::fs::rename(damaged.path(".kontiki"), damaged.path("aside")).unwrap();
        damaged.kontiki(&["build"]).expect(0);
    }
}

#[test]
fn names_with_quotes_and_unicode() {
    let project = Project::small();
    project.file("models/größe.sql", "{{ config(alias='na\"me 🍕') }} select 1 as \"cö\"\"l\"");
    project.file("models/b's.sql", "{{ config(materialized='table') }} select * from {{ ref('größe') }}");
    project.file("dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\nmodels:\n  +schema: 'an \"odd\" one'\n");
    // The second time everything has to be found and replaced.
    for _ in 0..2 {
        project.kontiki(&["build"]).expect(0).says("ERROR=0");
    }
    assert_eq!(project.rows("select \"cö\"\"l\" from \"main_an \"\"odd\"\" one\".\"b's\""), ["1"]);
    assert_eq!(project.rows("select \"cö\"\"l\" from \"main_an \"\"odd\"\" one\".\"na\"\"me 🍕\""), ["1"]);
}

#[test]
fn a_seed_of_ten_megabytes() {
    let project = Project::empty();
    let mut rows = "id,name,price\n".to_owned();
    for index in 0..300_000 {
        writeln!(rows, "{index},some name number {index},{index}.5").unwrap();
    }
    assert!(rows.len() > 10 << 20);
    project.file("seeds/big.csv", rows);
    project.kontiki(&["seed"]).expect(0).says("INSERT 300000");
    assert_eq!(project.rows("select count(*), count(distinct name) from main.big"), ["300000|300000"]);
}

#[test]
fn a_damaged_seed_names_file_and_line() {
    let project = Project::small();
    project.file("seeds/raw.csv", "id,name\n1,one\n2,two,three\n");
    project.kontiki(&["seed"]).expect(1).says("seeds/raw.csv").says("3");
}

#[test]
fn empty_projects() {
    let project = Project::empty();
    let nothing = "Nothing to do. Try checking your model configs and model specification args";
    project.kontiki(&["build"]).expect(0).says(nothing);
    project.kontiki(&["ls"]).expect(0).says("No nodes selected!");
    project.file("models/empty.sql", "");
    project.kontiki(&["parse"]).expect(0);
    project.file("dbt_project.yml", "");
    refused(&project, &["build"], &["dbt_project.yml"]);
}

#[test]
fn files_from_windows() {
    let project = Project::empty();
    project.file("models/a.sql", "{{ config(materialized='table') }}\r\nselect\r\n  id\r\nfrom {{ ref('raw') }}\r\n");
    project.file(
        "models/schema.yml",
        "models:\r\n  - name: a\r\n    columns:\r\n      - name: id\r\n        data_tests: [unique]\r\n",
    );
    project.file("seeds/raw.csv", "\u{feff}id,name\r\n1,x\r\n2,y\r\n");
    project.kontiki(&["build"]).expect(0).says("Done. PASS=3 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=3");
    assert_eq!(project.rows("select id, name from main.raw order by id"), ["1|x", "2|y"]);
}

#[test]
fn malformed_command_lines() {
    let project = Project::small();
    for vars in ["{a: ", "[1]", "x", "a: b: c"] {
        refused(&project, &["build", "--vars", vars], &["error[K1009]", "--> --vars"]);
    }
    refused(&project, &["build", "--bogus"], &["error[K3005]: ", "--bogus"]);
    refused(&project, &["frob"], &["error[K3005]: ", "frob"]);
    refused(&project, &["build", "--threads", "0"], &["error[K3005]: ", "--threads"]);
    refused(&project, &["build", "-s", "foo:bar"], &["error[K1401]", "'foo' is not a valid method name"]);
    for selection in ["nothing_like_it", "tag:", "a,,b"] {
        project.kontiki(&["build", "-s", selection]).expect(0).says("does not match any enabled nodes");
    }
}

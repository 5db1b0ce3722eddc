//! Secrets of the profile stay in the profile: no line, no artifact and nothing else on the disk shows them.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

const SECRET: &str = "canary\"Sec'ret-77";
const ENCODINGS: [&str; 3] = [SECRET, "canary\\\"Sec'ret-77", "canary\"Sec''ret-77"];

const PROFILES: &str = r#"
canary:
  target: works
  outputs:
    works:
      type: duckdb
      path: canary.duckdb
      config_options: {custom_user_agent: "{{ env_var('DBT_ENV_SECRET_CANARY') }}"}
      settings: {http_proxy_password: "{{ env_var('DBT_ENV_SECRET_CANARY') }}"}
    setting: {type: duckdb, settings: {threads: "{{ env_var('DBT_ENV_SECRET_CANARY') }}"}}
    option: {type: duckdb, config_options: {threads: "{{ env_var('DBT_ENV_SECRET_CANARY') }}"}}
    attached:
      type: duckdb
      attach: [{path: "/nowhere/password={{ env_var('DBT_ENV_SECRET_CANARY') }}/a.db", alias: a}]
    kind: {type: "{{ env_var('DBT_ENV_SECRET_CANARY') }}"}
    unreachable: &unreachable
      type: postgres
      host: 127.0.0.1
      port: 1
      user: u
      dbname: d
      schema: s
      retries: 0
      pass: "{{ env_var('DBT_ENV_SECRET_CANARY') }}"
    mode:
      <<: *unreachable
      sslmode: "{{ env_var('DBT_ENV_SECRET_CANARY') }}"
"#;

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Exit code and everything printed.
fn kontiki(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kontiki"))
        .args(arguments)
        .args(["--log-level", "debug"])
        .current_dir(folder)
        .env("DBT_PROFILES_DIR", folder)
        .env("DBT_ENV_SECRET_CANARY", SECRET)
        .env("KONTIKI_DUCKDB_LIBRARY", testing::duckdb_library())
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8_lossy(&printed).into_owned())
}

/// The files below the folder that hold the secret, `profiles.yml` aside, which names the variable only.
fn leaks(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            leaks(&path, found);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            if ENCODINGS.iter().any(|text| holds(text)) {
                found.push(path.display().to_string());
            }
        }
    }
}

#[test]
fn secrets_reach_neither_lines_nor_files() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "dbt_project.yml", "name: canary\nversion: '1.0'\nprofile: canary\n");
    write(folder, "profiles.yml", PROFILES);
    let shown = "{{ target }} {{ target.items() | list }} {{ target.settings }} {{ target.password }}";
    write(folder, "models/shown.sql", &format!("select $$ {shown} $$ as shown"));
    write(folder, "models/failing.sql", "select nope from {{ ref('shown') }}");

    let secret_shown = |text: &str| ENCODINGS.iter().any(|secret| text.contains(secret));
    for (target, code, expected) in [
        ("works", 1, "Completed with 1 error"),
        ("setting", 2, "a setting of the DuckDB profile is refused"),
        ("option", 2, "the config option 'threads'"),
        ("attached", 2, "error[K2001]: IO Error: Cannot open file"),
        ("kind", 2, "the adapter type '*****' is not supported"),
        ("unreachable", 2, "cannot connect to PostgreSQL"),
        ("mode", 2, "'sslmode' must be one of"),
    ] {
        for format in ["text", "json"] {
            for verb in ["build", "debug", "compile"] {
                let (exit, printed) = kontiki(folder, &[verb, "--target", target, "--log-format", format]);
                assert!(!secret_shown(&printed), "{verb} of {target} as {format} shows the secret:\n{printed}");
                if verb == "build" {
                    assert_eq!(exit, code, "{target}: {printed}");
                    assert!(printed.contains(expected), "{target}: {printed}");
                }
            }
        }
    }
    let mut found = Vec::new();
    leaks(folder, &mut found);
    assert_eq!(found, Vec::<String>::new());
    assert!(folder.join("target/run_results.json").is_file() && folder.join(".kontiki").is_dir());
}

#[test]
fn templates_of_a_project_cannot_read_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(folder, "dbt_project.yml", "name: canary\nversion: '1.0'\nprofile: canary\n");
    write(folder, "profiles.yml", PROFILES);
    write(folder, "models/refused.sql", "select '{{ env_var('DBT_ENV_SECRET_CANARY') }}' as secret");
    let (exit, printed) = kontiki(folder, &["build"]);
    assert_eq!(exit, 2, "{printed}");
    assert!(printed.contains("'DBT_ENV_SECRET_CANARY'") && !printed.contains(SECRET), "{printed}");
}

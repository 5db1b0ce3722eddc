//! Profiles: the chosen output, defaults, refusals, and that no finding shows a password.

use std::path::Path;

use common::target::AdapterType;
use serde_json::json;

use super::*;

fn load_text(text: &str, choice: Choice) -> (Option<Profile>, Vec<String>) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join(FILE_NAME), text).expect("a file");
    let template = |text: &str| -> Result<Json, String> {
        match text {
            "{{ env_var('HOST') }}" => Ok(json!("db.example.com")),
            "{{ env_var('PORT') | as_number }}" => Ok(json!(5433)),
            "{{ env_var('PORT') }}" => Ok(json!("5433")),
            "{{ env_var('TARGET') }}" => Ok(json!("prod")),
            "{{ env_var('DBT_ENV_SECRET_PASSWORD') }}" => Ok(json!("hunter2")),
            other => Err(format!("unexpected template {other}")),
        }
    };
    let mut diagnostics = Vec::new();
    let choice =
        Choice { profiles_dir: dir.path().to_owned(), profile: choice.profile.or(Some("shop".to_owned())), ..choice };
    let profile = load(&choice, &template, &mut diagnostics);
    assert!(
        diagnostics.iter().all(|finding| finding.location.as_ref().is_none_or(|place| place.source_line.is_none()))
    );
    (
        profile,
        diagnostics.into_iter().map(|diagnostic| format!("{}: {}", diagnostic.code, diagnostic.message)).collect(),
    )
}

const POSTGRES: &str = r#"
shop:
  target: "{{ env_var('TARGET') }}"
  outputs:
    dev: {type: postgres, host: "{{ not rendered }}"}
    prod:
      type: postgres
      host: "{{ env_var('HOST') }}"
      port: "{{ env_var('PORT') | as_number }}"
      user: me
      pass: "{{ env_var('DBT_ENV_SECRET_PASSWORD') }}"
      dbname: warehouse
      schema: analytics
      threads: 8
      sslmode: require
"#;

#[test]
fn a_postgres_output_keeps_its_password_to_itself() {
    let (profile, messages) = load_text(POSTGRES, Choice::default());
    assert_eq!(messages, Vec::<String>::new());
    let profile = profile.expect("a profile");
    let target = &profile.target;
    assert_eq!(
        (target.name.as_str(), target.database.as_str(), target.schema.as_str()),
        ("prod", "warehouse", "analytics")
    );
    assert_eq!(target.threads, 8);
    assert_eq!(
        Json::from(target.extra.clone()),
        json!({"host": "db.example.com", "user": "me", "port": 5433, "connect_timeout": 10, "keepalives_idle": 0, "retries": 1,
            "sslmode": "require", "application_name": "dbt", "autocommit": false, "dbname": "warehouse"})
    );
    assert_eq!(profile.connection.get("password"), Some(&json!("hunter2")));
    assert_eq!(profile.connection.get("database"), Some(&json!("warehouse")));
}

#[test]
fn a_duckdb_output_derives_its_database() {
    let text = "shop:\n  outputs:\n    default:\n      type: duckdb\n      path: data/my.shop.duckdb\n      settings: {memory_limit: 1GB}\n      \
                attach: [{path: other.db, alias: other, read_only: true}]\n      extensions: [json]\n";
    let (profile, messages) = load_text(text, Choice { threads: Some(4), ..Choice::default() });
    assert_eq!(messages, Vec::<String>::new());
    let profile = profile.expect("a profile");
    assert_eq!(profile.target.adapter_type, AdapterType::Duckdb);
    assert_eq!(profile.target.name, "default");
    assert_eq!((profile.target.database.as_str(), profile.target.schema.as_str()), ("my", "main"));
    assert_eq!(profile.target.threads, 4);
    assert_eq!(profile.connection.get("settings"), Some(&json!({"memory_limit": "1GB"})));
    assert_eq!(
        profile.connection.get("attach"),
        Some(&json!([{"path": "other.db", "alias": "other", "read_only": true, "options": {}}]))
    );
    assert!(!profile.target.extra.contains_key("settings"));
    for (path, name) in [(":memory:", "memory"), ("/a/.hidden.db", "hidden"), ("x", "x"), ("a/b.c/d.duckdb?x=1", "d")] {
        assert_eq!(database_of_path(path), name);
    }
}

#[test]
fn what_is_wrong_is_said_at_once_and_by_name() {
    let (profile, messages) = load_text(
        "shop:\n  target: dev\n  outputs:\n    dev:\n      type: postgres\n      host: x\n      port: \"{{ env_var('PORT') }}\"\n      \
         password: \"{{ not a template\"\n      sslmode: maybe\n      threads: 0\n      nonsense: 1\n",
        Choice::default(),
    );
    assert!(profile.is_none());
    assert_eq!(
        messages,
        [
            "K1006: 'threads' must be a number from 1 to 1024",
            "K1006: target 'dev' of profile 'shop' has no 'database'",
            "K1006: target 'dev' of profile 'shop' has no 'user'",
            "K1006: target 'dev' of profile 'shop' has no 'schema'",
            "K1006: 'port' must be a number from 0 to 65535; render a variable with '| as_number'",
            "K1006: 'sslmode' must be one of disable, allow, prefer, require, verify-ca, verify-full",
            "K1004: unknown key 'nonsense' in target 'dev' of profile 'shop': it is ignored",
        ]
    );
    let (_, messages) = load_text(
        "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: 'md:x', database: y, secrets: [{type: s3}], plugins: null}\n",
        Choice::default(),
    );
    assert_eq!(
        messages,
        [
            "K1302: DuckDB paths with 'md:' are not supported",
            "K1006: 'database' is 'y' but must be 'md:x' to match 'path', or the alias of an attached one",
            "K1302: 'secrets' of a DuckDB profile is not supported",
        ]
    );
    let (_, messages) = load_text(
        "shop: {outputs: {dev: {type: snowflake}}}\n",
        Choice { target: Some("dev".to_owned()), ..Choice::default() },
    );
    assert_eq!(messages, ["K1302: the adapter type 'snowflake' is not supported"]);
}

#[test]
fn a_missing_profile_or_target_names_what_there_is() {
    let (_, messages) = load_text(POSTGRES, Choice { profile: Some("other".to_owned()), ..Choice::default() });
    assert_eq!(messages, ["K1005: could not find profile named 'other'"]);
    let (_, messages) = load_text(POSTGRES, Choice { target: Some("ci".to_owned()), ..Choice::default() });
    assert_eq!(messages, ["K1005: the profile 'shop' does not have a target named 'ci'"]);
    let (_, messages) = load_text("", Choice::default());
    assert_eq!(messages, ["K1006: profiles.yml is empty or not a mapping"]);
    let mut diagnostics = Vec::new();
    let choice = Choice { profiles_dir: "nowhere".into(), ..Choice::default() };
    assert!(load(&choice, &|_| Ok(Json::Null), &mut diagnostics).is_none());
    assert_eq!(diagnostics[0].message, "no profile was specified for this dbt project");
}

#[test]
fn folders_are_searched_in_the_order_of_dbt() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (current, home, project) = (dir.path().join("current"), dir.path().join("home"), dir.path().join("project"));
    for folder in [&current, &home.join(".dbt"), &project] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    let find = || find_dir(None, &current, Some(&home), &project);
    assert_eq!(find(), home.join(".dbt"));
    for folder in [&project, &home.join(".dbt"), &current] {
        std::fs::write(folder.join(FILE_NAME), "").expect("a file");
        assert_eq!(find(), *folder);
    }
    assert_eq!(find_dir(Some(Path::new("given")), &current, Some(&home), &project), Path::new("given"));
}

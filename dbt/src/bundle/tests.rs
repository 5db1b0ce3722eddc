//! What travels, and that it reads the same at the other end.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;

use common::target::AdapterType;

use super::*;

fn target() -> Target {
    Target {
        profile_name: "p".to_owned(),
        name: "dev".to_owned(),
        adapter_type: AdapterType::Postgres,
        database: "d".to_owned(),
        schema: "s".to_owned(),
        threads: 4,
        extra: common::JsonMap::new(),
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn project(root: &Path) {
    write(root, "dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\n");
    write(root, "profiles.yml", "p: {}\n");
    write(root, ".env", "PASSWORD=x\n");
    write(root, "models/a.sql", "select {{ var('n', 1) }} as n\n");
    write(root, "models/schema.yml", "models:\n  - name: a\n    columns:\n      - {name: n, data_tests: [unique]}\n");
    write(root, "models/notes.txt", "no\n");
    write(root, "seeds/s.csv", "id\n1\n");
    write(root, "dbt_packages/q/dbt_project.yml", "name: q\nversion: '1.0'\n");
    write(root, "dbt_packages/q/macros/m.sql", "{% macro m() %}1{% endmacro %}\n");
    write(root, "packages.yml", "packages:\n  - package: o/q\n    version: 1.0.0\n");
}

fn found(root: &Path, findings: &mut Vec<Diagnostic>) -> Vec<Source> {
    let context = Yaml::configuration(Invocation::default(), Some(target()));
    let render = |text: &str| context.value(text);
    let project = RawProject::load(root, "", findings).unwrap().render(&render, true, findings).unwrap();
    let projects = crate::packages::load(Arc::new(project), &render, true, findings);
    collect(&ProjectFiles::discover(projects, findings), findings)
}

#[test]
fn what_is_read_travels_and_secrets_do_not() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let mut findings = Vec::new();
    let sources = found(folder.path(), &mut findings);
    assert_eq!(findings, []);
    let paths: Vec<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "dbt_packages/q/dbt_project.yml",
            "dbt_packages/q/macros/m.sql",
            "dbt_project.yml",
            "models/a.sql",
            "models/schema.yml",
            "packages.yml",
            "seeds/s.csv",
        ]
    );
    let copy = tempfile::tempdir().unwrap();
    for source in &sources {
        write(copy.path(), &source.path, &std::fs::read_to_string(&source.absolute).unwrap());
    }
    let here = parse(folder.path(), &target(), &Invocation::default()).0.unwrap();
    let there = parse(copy.path(), &target(), &Invocation::default()).0.unwrap();
    assert_eq!(crate::artifacts::digest(&here), crate::artifacts::digest(&there));
}

#[test]
fn the_manifest_is_the_same_for_every_run_and_worker() {
    let folder = tempfile::tempdir().unwrap();
    project(folder.path());
    let plain = parse(folder.path(), &target(), &Invocation::default());
    let mut own = target();
    own.extra.insert("host".to_owned(), "h".into());
    let run = Invocation { invocation_id: "1".to_owned(), full_refresh: true, ..Invocation::default() };
    assert_eq!(parse(folder.path(), &own, &run), plain);
}

#[test]
fn a_package_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    write(&root, "dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\n");
    write(&root, "packages.yml", "packages:\n  - local: ../q\n");
    write(folder.path(), "q/dbt_project.yml", "name: q\nversion: '1.0'\n");
    let mut findings = Vec::new();
    found(&root, &mut findings);
    let told: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    let at: PathBuf = folder.path().join("q");
    assert_eq!(told, [format!("the package 'q' is outside of the project's folder: {}", at.display())]);
}

#[test]
fn a_bundle_is_named_by_paths_and_contents() {
    let file = |path: &str, content: u8| BundleFile { path: path.to_owned(), digest: [content; 32], size: 1 };
    let digests = [
        digest(&[file("a", 1), file("b", 2)]),
        digest(&[file("a", 2), file("b", 1)]),
        digest(&[file("a", 1)]),
        digest(&[]),
    ];
    assert_eq!(digest(&[file("b", 2), file("a", 1)]), digests[0]);
    let mut distinct = digests.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), digests.len());
}

#[test]
fn a_bundle_reads_no_folder_outside_of_it() {
    let outer = tempfile::tempdir().unwrap();
    write(outer.path(), "secret/a.sql", "select 1 as n\n");
    let secret = outer.path().join("secret");
    for folder in ["../secret", secret.to_str().unwrap(), "models/../../secret"] {
        let root = outer.path().join("project");
        write(&root, "dbt_project.yml", &format!("name: p\nversion: '1.0'\nprofile: p\nmodel-paths: ['{folder}']\n"));
        let (manifest, findings) = parse(&root, &target(), &Invocation::default());
        assert!(manifest.is_none());
        let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages, [format!("the folder '{folder}' is outside of the project")]);
    }
}

//! Packages as they lie on the disk: what is found, and what is missing.

use std::fs;

use super::*;

fn write(dir: &Path, path: &str, contents: &str) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, contents).expect("a file");
}

fn load_all(dir: &Path) -> (Vec<(String, String)>, Vec<String>) {
    let mut diagnostics = Vec::new();
    let template = |_: &str| Err("no templates".to_owned());
    let root = RawProject::load(dir, "", &mut diagnostics)
        .and_then(|raw| raw.render(&template, true, &mut diagnostics))
        .expect("a valid root project");
    let projects = load(Arc::new(root), &template, true, &mut diagnostics);
    let found = projects.iter().map(|project| (project.name.clone(), project.prefix.clone())).collect();
    (found, diagnostics.into_iter().map(|diagnostic| diagnostic.message).collect())
}

fn names(found: &[(String, String)]) -> Vec<(&str, &str)> {
    found.iter().map(|(name, prefix)| (name.as_str(), prefix.as_str())).collect()
}

#[test]
fn installed_and_local_packages_are_found() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    write(dir, "shop/dbt_project.yml", "name: shop\n");
    write(
        dir,
        "shop/packages.yml",
        "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.3.0\n  - local: ../shared\n",
    );
    write(dir, "shop/dbt_packages/dbt_utils/dbt_project.yml", "name: dbt_utils\n");
    write(dir, "shop/dbt_packages/__cache/x", "");
    write(dir, "shared/dbt_project.yml", "name: shared\n");
    write(dir, "shared/dependencies.yml", "packages: [{local: ../base}]\n");
    write(dir, "base/dbt_project.yml", "name: base\n");
    write(dir, "base/packages.yml", "packages: [{local: ../shared}]\n");
    let (found, messages) = load_all(&dir.join("shop"));
    assert_eq!(messages, Vec::<String>::new());
    assert_eq!(
        names(&found),
        [("shop", ""), ("base", "../base"), ("dbt_utils", "dbt_packages/dbt_utils"), ("shared", "../shared")]
    );
}

#[test]
fn missing_and_double_packages_are_reported() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    write(dir, "dbt_project.yml", "name: shop\n");
    write(
        dir,
        "packages.yml",
        "packages:\n  - package: a/b\n    version: 1.0.0\n  - git: https://example.com/x\n  - nothing\n",
    );
    let (_, messages) = load_all(dir);
    assert_eq!(
        messages,
        [
            "a package needs 'package', 'local', 'git', 'tarball' or 'private'",
            "2 package(s) specified in packages.yml, but only 0 package(s) installed in dbt_packages",
        ]
    );
    write(dir, "dbt_packages/b/dbt_project.yml", "name: b\n");
    write(dir, "dbt_packages/c/dbt_project.yml", "name: b\n");
    write(dir, "dependencies.yml", "packages: []\n");
    let (found, messages) = load_all(dir);
    assert_eq!(
        messages,
        ["'packages' cannot be given both in packages.yml and in dependencies.yml", "two packages are named 'b'"]
    );
    assert_eq!(names(&found), [("shop", ""), ("b", "dbt_packages/b")]);
}

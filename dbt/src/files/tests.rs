//! Which files of a project are found, and as what.

use std::fs;
use std::path::Path;

use super::ignore::IgnoreRules;
use super::*;
use crate::project::RawProject;

fn write(dir: &Path, path: &str, contents: impl AsRef<[u8]>) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, contents).expect("a file");
}

fn project(dir: &Path) -> Arc<Project> {
    let mut diagnostics = Vec::new();
    let raw = RawProject::load(dir, "", &mut diagnostics).expect("a project file");
    let project = raw.render(&|_| Err("no templates".to_owned()), true, &mut diagnostics);
    assert_eq!(diagnostics, []);
    Arc::new(project.expect("a valid project"))
}

#[test]
fn finds_files_by_kind_in_a_stable_order() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    write(dir, "dbt_project.yml", "name: shop\n");
    write(dir, "models/b.sql", "select 1");
    write(dir, "models/a/c.SQL", "select 1");
    write(dir, "models/.hidden.sql", "select 1");
    write(dir, "models/notes.txt", "no");
    write(dir, "models/schema.yml", "version: 2");
    write(dir, "models/docs.md", "text");
    write(dir, "models/old/d.sql", "select 1");
    write(dir, "seeds/s.csv", "id\n1\n");
    write(dir, "tests/t.sql", "select 1");
    write(dir, "tests/generic/g.sql", "select 1");
    write(dir, "tests/sub/generic.sql", "select 1");
    write(dir, "macros/m.sql", "select 1");
    write(dir, ".dbtignore", "# comment\nold/\n*.md\n!docs.md\n");
    let mut diagnostics = Vec::new();
    let files = ProjectFiles::discover(vec![project(dir)], &mut diagnostics);
    assert_eq!(diagnostics, []);
    let found: Vec<(FileKind, &str, &str)> = files.packages[0]
        .files
        .iter()
        .map(|file| (file.kind, file.path.as_str(), file.relative_path.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (FileKind::Macro, "macros/m.sql", "m.sql"),
            (FileKind::Model, "models/a/c.SQL", "a/c.SQL"),
            (FileKind::Model, "models/b.sql", "b.sql"),
            (FileKind::SingularTest, "tests/sub/generic.sql", "sub/generic.sql"),
            (FileKind::SingularTest, "tests/t.sql", "t.sql"),
            (FileKind::GenericTest, "tests/generic/g.sql", "g.sql"),
            (FileKind::Seed, "seeds/s.csv", "s.csv"),
            (FileKind::Docs, "models/docs.md", "docs.md"),
            (FileKind::Properties, "models/schema.yml", "schema.yml"),
        ]
    );
}

#[test]
fn unreadable_files_are_reported() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    write(dir, "dbt_project.yml", "name: shop\n");
    write(dir, "models/latin.sql", b"select 1\nas \xe9");
    write(dir, "models/bom.sql", "\u{feff}select 1\r\n");
    std::os::unix::fs::symlink(dir.join("nowhere.sql"), dir.join("models/broken.sql")).expect("a link");
    std::os::unix::fs::symlink(dir.join("models"), dir.join("models/loop")).expect("a link");
    let mut diagnostics = Vec::new();
    let files = ProjectFiles::discover(vec![project(dir)], &mut diagnostics);
    files.read_all(|_| true, &mut diagnostics);
    let messages: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "'models/broken.sql' cannot be read: No such file or directory (os error 2)",
            "'models/latin.sql' cannot be read: it is not UTF-8",
        ]
    );
    let location = diagnostics[1].location.as_ref().expect("a place");
    assert_eq!((location.line, location.column), (2, 4));
    let bom = files.packages[0].of_kind(FileKind::Model).next().expect("a model");
    assert_eq!(&**bom.text().expect("readable"), "select 1\r\n");
}

#[test]
fn checksums_are_those_of_dbt() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path();
    write(dir, "dbt_project.yml", "name: shop\n");
    write(dir, "models/a.sql", "\nabc\n");
    write(dir, "seeds/small.csv", "abc\n");
    write(dir, "seeds/large.csv", vec![b'x'; (1 << 20) + 1]);
    let files = ProjectFiles::discover(vec![project(dir)], &mut Vec::new());
    let checksums: Vec<(&str, Checksum)> =
        files.packages[0].files.iter().map(|file| (file.path.as_str(), file.checksum().expect("readable"))).collect();
    // SHA-256 of "abc", from FIPS 180.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let of = |name: &str, checksum: &str| Checksum { name: name.to_owned(), checksum: checksum.to_owned() };
    assert_eq!(
        checksums,
        [
            ("models/a.sql", of("sha256", abc)),
            ("seeds/large.csv", of("path", "seeds/large.csv")),
            ("seeds/small.csv", of("sha256", abc)),
        ]
    );
}

#[test]
fn ignore_rules_follow_gitignore() {
    let rules = |text: &str| IgnoreRules::parse(text, ".dbtignore", &mut Vec::new());
    for (pattern, path, ignored) in [
        ("*.sql", "models/a/b.sql", true),
        ("b.sql", "models/a/b.sql", true),
        ("a/", "models/a/b.sql", true),
        ("b.sql/", "models/a/b.sql", false),
        ("models/*.sql", "models/a/b.sql", false),
        ("models/**/*.sql", "models/a/b.sql", true),
        ("/a", "models/a/b.sql", false),
        ("/models", "models/a/b.sql", true),
        ("a/*", "models/a/b.sql", false),
        ("*.sql\n!b.sql", "models/a/b.sql", false),
        ("[ab].sql", "models/a/b.sql", true),
        ("\\#x.sql", "models/#x.sql", true),
    ] {
        assert_eq!(rules(pattern).ignores(path), ignored, "{pattern:?} on {path}");
    }
    let mut diagnostics = Vec::new();
    IgnoreRules::parse("[z", ".dbtignore", &mut diagnostics);
    assert_eq!(diagnostics.len(), 2);
}

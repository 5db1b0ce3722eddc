//! The promises that the source tree makes about itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::diagnostic::Code;

/// Files longer than this need to be split.
const LINES_MAX: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file below `folder` whose name ends with `ending`, without what is generated or not ours.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() {
                let is_skipped = name.starts_with('.') || matches!(&*name, "target" | "dbt_packages" | "node_modules");
                if !is_skipped {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no {ending} below {}", folder.display());
    found
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[track_caller]
fn none(offenders: Vec<String>, what: &str) {
    assert!(offenders.is_empty(), "{what}:\n{}", offenders.join("\n"));
}

#[test]
fn modules_begin_by_telling_what_they_are() {
    let silent = files(&root(), ".rs").into_iter().filter(|path| !text(path).starts_with("//! "));
    none(silent.map(|path| path.display().to_string()).collect(), "modules without //!");
}

#[test]
fn files_stay_small() {
    let long = files(&root(), ".rs").into_iter().filter(|path| text(path).lines().count() > LINES_MAX);
    none(long.map(|path| path.display().to_string()).collect(), "files that should be split");
}

#[test]
fn state_and_leader_are_pure() {
    const IMPURE: &[&str] = &[
        "tokio",
        "sled",
        "SystemTime",
        "Instant",
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "HashMap",
        "rand::",
    ];
    let scheduler = root().join("scheduler/src");
    let pure = ["state", "leader"].into_iter().flat_map(|folder| files(&scheduler.join(folder), ".rs"));
    let mut offenders = Vec::new();
    for path in pure {
        for (number, line) in text(&path).lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if IMPURE.iter().any(|word| line.contains(word)) {
                offenders.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    none(offenders, "effects in pure code");
}

#[test]
fn materializations_talk_to_no_warehouse() {
    let mut offenders = Vec::new();
    for path in files(&root().join("worker/src/materialize"), ".rs") {
        for (number, line) in text(&path).lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if line.split(|c: char| !c.is_alphanumeric()).any(|word| word == "Connection" || word == "Adapter") {
                offenders.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    none(offenders, "materializations with a connection");
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let folder = root().join("docs/errors");
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let pages: BTreeSet<String> = files(&folder, ".md").iter().map(stem).filter(|stem| stem != "README").collect();
    assert_eq!(pages, codes);
    let overview = text(&folder.join("README.md"));
    for code in Code::ALL {
        let heading = format!("# {code}: {}", code.title());
        let page = text(&folder.join(format!("{code}.md")));
        assert_eq!(page.lines().next(), Some(heading.as_str()));
        let row = format!("| [{code}]({code}.md) | {} |", code.title());
        assert!(overview.contains(&row), "docs/errors/README.md has no row '{row}'");
    }
}

#[test]
fn relative_links_lead_somewhere() {
    let mut broken = Vec::new();
    let pages = files(&root().join("docs"), ".md").into_iter();
    for page in pages.chain([root().join("README.md"), root().join("CONTRIBUTING.md")]) {
        let text = text(&page);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let is_elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
            if !is_elsewhere && !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    none(broken, "links to nothing");
}

//! Node selection compared with dbt's own: every line of `cases.txt` was given to `dbt ls` on `project/`, and `expected.txt` has
//! what it listed.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::Manifest;
use dbt::files::ProjectFiles;
use dbt::graph::Graph;
use dbt::parse::{ParseOptions, parse};
use dbt::profile::{self, Choice};
use dbt::project::RawProject;
use dbt::select::{Purpose, Selection, select, selectors};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/select")
}

/// The fixture has no templates in its YAML.
fn no_template(text: &str) -> Result<common::Json, String> {
    Err(format!("unexpected template {text}"))
}

fn manifest() -> Manifest {
    let dir = folder().join("project");
    let mut diagnostics = Vec::new();
    let raw = RawProject::load(&dir, "", &mut diagnostics).expect("a project file");
    let project = Arc::new(raw.render(&no_template, true, &mut diagnostics).expect("a valid project"));
    let choice = Choice { profiles_dir: dir, profile: project.profile.clone(), ..Choice::default() };
    let profile = profile::load(&choice, &no_template, &mut diagnostics).expect("a valid profile");
    let selectors = selectors::load(&project, &no_template, &mut diagnostics);
    let files = ProjectFiles::discover(vec![project], &mut diagnostics);
    let parsed = parse(&files, &profile.target, &ParseOptions::default());
    diagnostics.extend(parsed.diagnostics);
    let errors: Vec<String> = diagnostics.iter().filter(|found| found.is_error()).map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    Manifest { selectors, ..parsed.manifest }
}

/// `select … -- flag: values …`
fn selection(case: &str) -> Selection {
    let mut parts = case.split("--").map(str::trim);
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let mut selection = Selection::all(Purpose::List);
    selection.select = words(parts.next().unwrap_or_default());
    for part in parts {
        let (flag, value) = part.split_once(':').expect("a flag and its value");
        let value = value.trim();
        match flag {
            "exclude" => selection.exclude = words(value),
            "indirect" => selection.indirect = value.parse().expect("an indirect selection"),
            "selector" => selection.selector = Some(value.to_owned()),
            "resource-type" => selection.resource_types = words(value),
            "exclude-resource-type" => selection.exclude_resource_types = words(value),
            other => panic!("unknown flag {other}"),
        }
    }
    selection
}

#[test]
fn selects_what_dbt_selects() {
    let manifest = manifest();
    let graph = Graph::new(&manifest);
    let cases = fs::read_to_string(folder().join("cases.txt")).expect("the cases");
    let expected = fs::read_to_string(folder().join("expected.txt")).expect("what dbt lists");
    let mut actual = String::new();
    for case in cases.lines() {
        writeln!(actual, "> {case}").expect("writing to a string succeeds");
        let selected = select(&manifest, &graph, &selection(case), &mut Vec::new()).expect("a valid selection");
        for id in selected {
            writeln!(actual, "  {id}").expect("writing to a string succeeds");
        }
    }
    let by_case = |text: &str| -> Vec<String> { text.split("> ").map(str::to_owned).collect() };
    let differences: Vec<String> = by_case(&expected)
        .iter()
        .zip(by_case(&actual))
        .filter(|(expected, actual)| *expected != actual)
        .map(|(expected, actual)| format!("dbt: {expected}\nhere: {actual}"))
        .collect();
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

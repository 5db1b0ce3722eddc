//! Loads a fixture project the way the command line does, with a fixed target.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::target::{AdapterType, Target};
use common::{Diagnostic, Json, JsonMap};
use dbt::files::ProjectFiles;
use dbt::packages;
use dbt::project::RawProject;
use dbt::{ParseOptions, Parsed};

/// `dbt/tests/fixtures/<name>`
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The target that the goldens of dbt-core were made with.
pub fn target() -> Target {
    Target {
        profile_name: "fixture".to_owned(),
        name: "dev".to_owned(),
        adapter_type: AdapterType::Duckdb,
        database: "fixture".to_owned(),
        schema: "main".to_owned(),
        threads: 1,
        extra: JsonMap::new(),
    }
}

/// Parses the project in `dir`.
pub fn parse(dir: &Path) -> Parsed {
    parse_with(dir, &ParseOptions::default())
}

pub fn parse_with(dir: &Path, options: &ParseOptions) -> Parsed {
    let mut diagnostics = Vec::new();
    let files = discover(dir, &mut diagnostics);
    let mut parsed = dbt::parse(&files, &target(), options);
    diagnostics.append(&mut parsed.diagnostics);
    Parsed { diagnostics, ..parsed }
}

pub fn discover(dir: &Path, diagnostics: &mut Vec<Diagnostic>) -> ProjectFiles {
    let plain = |text: &str| Ok(Json::String(text.to_owned()));
    let raw = RawProject::load(dir, "", diagnostics).expect("the fixture has a dbt_project.yml");
    let root = raw.render(&plain, true, diagnostics).expect("its dbt_project.yml is valid");
    let projects = packages::load(Arc::new(root), &plain, true, diagnostics);
    ProjectFiles::discover(projects, diagnostics)
}

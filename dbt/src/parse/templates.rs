//! Nodes that files declare: models, analyses, singular tests, snapshots, seeds, and the hooks of `dbt_project.yml`.

use std::sync::Arc;

use common::diagnostic::{Code, Location};
use common::manifest::{ModelInfo, ResourceType, TestInfo};
use common::{Diagnostic, JsonMap};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::draft::{self, Draft, Identity};
use super::fqn;
use super::job::Job;
use crate::cache::KeyBuilder;
use crate::files::{File, FileKind};
use crate::jinja::blocks::{self, BlockKind};
use crate::jinja::error::Error;

/// All drafts of all packages, in the order of packages and files.
pub fn read(job: &Job<'_>) -> (Vec<Draft>, Vec<Diagnostic>) {
    let files: Vec<(usize, &File)> = job
        .packages
        .iter()
        .enumerate()
        .flat_map(|(index, package)| package.files.files.iter().map(move |file| (index, file)))
        .filter(|(_, file)| is_node(file.kind))
        .collect();
    let found: Vec<(Vec<Draft>, Vec<Diagnostic>)> =
        files.into_par_iter().map(|(package, file)| read_file(job, package, file)).collect();
    let (mut drafts, mut diagnostics) = (Vec::new(), Vec::new());
    for (more, findings) in found {
        drafts.extend(more);
        diagnostics.extend(findings);
    }
    for package in 0..job.packages.len() {
        hooks(job, package, &mut drafts, &mut diagnostics);
    }
    (drafts, diagnostics)
}

fn is_node(kind: FileKind) -> bool {
    matches!(
        kind,
        FileKind::Model
            | FileKind::Analysis
            | FileKind::SingularTest
            | FileKind::Snapshot
            | FileKind::Seed
            | FileKind::Function
    )
}

fn read_file(job: &Job<'_>, package: usize, file: &File) -> (Vec<Draft>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let drafts = match file.kind {
        FileKind::Function => {
            diagnostics.push(unsupported(file, "user-defined functions are not supported yet"));
            Vec::new()
        }
        FileKind::Model if file.path.to_ascii_lowercase().ends_with(".py") => {
            diagnostics.push(unsupported(file, "Python models are not supported yet"));
            Vec::new()
        }
        FileKind::Snapshot => snapshots(job, package, file, &mut diagnostics),
        FileKind::Seed => seed(job, package, file, &mut diagnostics).into_iter().collect(),
        _ => whole_file(job, package, file, &mut diagnostics).into_iter().collect(),
    };
    (drafts, diagnostics)
}

fn unsupported(file: &File, message: &str) -> Diagnostic {
    Diagnostic::error(Code::Unsupported, message).at(Location::file(file.display_path.clone()))
}

/// A file that is one node.
fn whole_file(job: &Job<'_>, package: usize, file: &File, diagnostics: &mut Vec<Diagnostic>) -> Option<Draft> {
    // A file that cannot be read was reported when it was read.
    let text = file.text().ok()?;
    let package_name = job.packages[package].name();
    let name = file.stem();
    let (resource_type, path) = match file.kind {
        FileKind::Analysis => (ResourceType::Analysis, format!("analysis/{}", file.relative_path)),
        FileKind::SingularTest => (ResourceType::Test, fqn::pseudo_test_path(name, &file.relative_path)),
        _ => (ResourceType::Model, file.relative_path.clone()),
    };
    let fqn = fqn::of_path(package_name, &path, name);
    let identity = Identity { resource_type, package_name, name, path, original_file_path: &file.path, fqn };
    let mut node = draft::node(identity, job.target);
    node.checksum = file.checksum().ok()?;
    let (code, line) = draft::trimmed(text);
    node.raw_code = code.to_owned();
    node.raw_code_line = line;
    match resource_type {
        ResourceType::Model => node.model = Some(ModelInfo::default()),
        ResourceType::Test => node.test = Some(singular()),
        _ => {}
    }
    Some(recorded(job, package, file.display_path.clone(), node, diagnostics))
}

fn singular() -> TestInfo {
    TestInfo { metadata: None, column_name: None, attached_node: None, file_key_name: None }
}

/// Renders or reads the node's code; a failure is reported and leaves the node without references.
fn recorded(
    job: &Job<'_>,
    package: usize,
    file: Arc<str>,
    mut node: common::manifest::Node,
    diagnostics: &mut Vec<Diagnostic>,
) -> Draft {
    let mut calls = JsonMap::new();
    match draft::record(job, &node, draft::Code { text: &node.raw_code, file: &file, package }) {
        Ok(recorded) => draft::add_recorded(&mut node, &mut calls, recorded),
        Err(diagnostic) => diagnostics.push(diagnostic),
    }
    Draft { node, package, calls, file }
}

/// The `{% snapshot %}` blocks of a file.
fn snapshots(job: &Job<'_>, package: usize, file: &File, diagnostics: &mut Vec<Diagnostic>) -> Vec<Draft> {
    let Ok(text) = file.text() else { return Vec::new() };
    let text = text.trim_end();
    let key = || KeyBuilder::new("snapshots").with(text).key();
    let found = match job.steps.memo().step(key, || snapshot_blocks(text)) {
        Ok(found) => found,
        Err(error) => {
            diagnostics.push(draft::syntax_error(&error, &file.display_path, text, 1));
            return Vec::new();
        }
    };
    let package_name = job.packages[package].name();
    let mut drafts = Vec::new();
    for block in found {
        let Some(name) = block.name else {
            let location = Location::in_text(file.display_path.clone(), text, block.line, block.column);
            diagnostics.push(Diagnostic::error(Code::JinjaSyntax, "a snapshot block needs a name").at(location));
            continue;
        };
        let mut fqn = fqn::of_path(package_name, &file.relative_path, file.stem());
        fqn.push(name.clone());
        let path = file.relative_path.clone();
        let resource_type = ResourceType::Snapshot;
        let identity = Identity { resource_type, package_name, name: &name, path, original_file_path: &file.path, fqn };
        let mut node = draft::node(identity, job.target);
        let Ok(checksum) = file.checksum() else { continue };
        node.checksum = checksum;
        node.raw_code = block.code;
        node.raw_code_line = block.code_line;
        drafts.push(recorded(job, package, file.display_path.clone(), node, diagnostics));
    }
    drafts
}

/// A `{% snapshot %}` block of a file.
#[derive(Serialize, Deserialize)]
struct SnapshotBlock {
    name: Option<String>,
    line: u32,
    column: u32,
    code: String,
    code_line: u32,
}

fn snapshot_blocks(text: &str) -> Result<Vec<SnapshotBlock>, Box<Error>> {
    let found = blocks::extract(text, &[BlockKind::Snapshot])?.into_iter().map(|block| SnapshotBlock {
        name: block.name.map(str::to_owned),
        line: block.span.line,
        column: block.span.column,
        code: block.contents.to_owned(),
        code_line: line_of(text, block.contents),
    });
    Ok(found.collect())
}

/// The line at which a part of `text` begins.
fn line_of(text: &str, part: &str) -> u32 {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
    let newlines = text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count();
    u32::try_from(newlines + 1).unwrap_or(u32::MAX)
}

fn seed(job: &Job<'_>, package: usize, file: &File, diagnostics: &mut Vec<Diagnostic>) -> Option<Draft> {
    let package_name = job.packages[package].name();
    let name = file.stem();
    let path = file.relative_path.clone();
    let fqn = fqn::of_path(package_name, &path, name);
    let resource_type = ResourceType::Seed;
    let identity = Identity { resource_type, package_name, name, path, original_file_path: &file.path, fqn };
    let mut node = draft::node(identity, job.target);
    match file.checksum() {
        Ok(checksum) => node.checksum = checksum,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    }
    Some(Draft { node, package, calls: JsonMap::new(), file: file.display_path.clone() })
}

/// `on-run-start` and `on-run-end` of a package, as operations.
fn hooks(job: &Job<'_>, package: usize, drafts: &mut Vec<Draft>, diagnostics: &mut Vec<Diagnostic>) {
    let project = job.packages[package].project();
    for (kind, hooks) in [("on-run-start", &project.on_run_start), ("on-run-end", &project.on_run_end)] {
        for (index, hook) in hooks.iter().enumerate() {
            let name = format!("{}-{kind}-{index}", project.name);
            let identity = Identity {
                resource_type: ResourceType::Operation,
                package_name: &project.name,
                name: &name,
                path: format!("hooks/{name}.sql"),
                original_file_path: "./dbt_project.yml",
                fqn: vec![project.name.clone(), "hooks".to_owned(), name.clone()],
            };
            let mut node = draft::node(identity, job.target);
            node.checksum = crate::files::text_checksum(&project.source.text);
            node.raw_code = hook.sql.clone();
            node.raw_code_line = hook.span.line;
            node.tags = vec![kind.to_owned()];
            node.hook_index = u32::try_from(index).ok();
            let file = project.source.file.clone();
            drafts.push(recorded(job, package, file, node, diagnostics));
        }
    }
}

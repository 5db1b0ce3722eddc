//! Reads the properties files of all packages.

use std::sync::Arc;

use common::Diagnostic;
use rayon::prelude::*;

use super::job::Job;
use crate::cache::KeyBuilder;
use crate::files::{File, FileKind};
use crate::properties::{self, Properties};
use crate::yaml::{self, Source};

/// One file and what it declares.
pub struct PropertiesFile {
    /// Index of its package.
    pub package: usize,
    /// dbt's `original_file_path`.
    pub path: String,
    pub relative_path: String,
    pub source: Source,
    pub properties: Properties,
}

impl PropertiesFile {
    /// dbt's file id: `package://path`.
    pub fn id(&self, package_name: &str) -> String {
        format!("{package_name}://{}", self.path)
    }
}

/// All properties files, in the order of packages and paths.
pub fn read(job: &Job<'_>) -> (Vec<PropertiesFile>, Vec<Diagnostic>) {
    let files: Vec<(usize, &File)> = job
        .packages
        .iter()
        .enumerate()
        .flat_map(|(index, package)| package.files.of_kind(FileKind::Properties).map(move |file| (index, file)))
        .collect();
    let read: Vec<(Option<PropertiesFile>, Vec<Diagnostic>)> =
        files.into_par_iter().map(|(package, file)| read_file(job, package, file)).collect();
    let (mut found, mut diagnostics) = (Vec::new(), Vec::new());
    for (file, findings) in read {
        found.extend(file);
        diagnostics.extend(findings);
    }
    (found, diagnostics)
}

fn read_file(job: &Job<'_>, package: usize, file: &File) -> (Option<PropertiesFile>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let Ok(text) = file.text() else { return (None, diagnostics) };
    let source = Source::new(file.display_path.clone(), Arc::clone(text));
    let key = || {
        let key = KeyBuilder::new("properties").with(&*source.file).with(&*source.text);
        job.steps.with_yaml_context(key, job.packages[package].name(), text).key()
    };
    let read = job.steps.memo().step(key, || {
        let mut findings = Vec::new();
        let Some(root) = yaml::load(&source, &mut findings) else { return Err(findings) };
        let template = |text: &str| job.yaml(package).value(text);
        let properties = properties::read(&source, &root, &template, &mut findings);
        Ok((properties, findings))
    });
    let (properties, findings) = match read {
        Ok(read) => read,
        Err(findings) => return (None, findings),
    };
    diagnostics.extend(findings);
    let file = PropertiesFile {
        package,
        path: file.path.clone(),
        relative_path: file.relative_path.clone(),
        source,
        properties,
    };
    (Some(file), diagnostics)
}

//! The folders a project names.

use crate::yaml::Fields;

/// Folders relative to the project's own, as they are written but without trailing slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    pub model: Vec<String>,
    pub macros: Vec<String>,
    pub seed: Vec<String>,
    pub test: Vec<String>,
    pub analysis: Vec<String>,
    pub snapshot: Vec<String>,
    pub function: Vec<String>,
    /// Where `.md` files are; all of the above unless given.
    pub docs: Vec<String>,
    pub asset: Vec<String>,
    pub target: String,
    pub log: String,
    pub clean_targets: Vec<String>,
    pub packages_install: String,
}

impl Paths {
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let model = folders(fields, "model-paths", Some("source-paths"), "models");
        let seed = folders(fields, "seed-paths", Some("data-paths"), "seeds");
        let macros = folders(fields, "macro-paths", None, "macros");
        let test = folders(fields, "test-paths", None, "tests");
        let analysis = folders(fields, "analysis-paths", None, "analyses");
        let snapshot = folders(fields, "snapshot-paths", None, "snapshots");
        let function = folders(fields, "function-paths", None, "functions");
        let mut all = Vec::new();
        for folder in [&model, &seed, &snapshot, &analysis, &macros, &test, &function].into_iter().flatten() {
            if !all.contains(folder) {
                all.push(folder.clone());
            }
        }
        let docs = if fields.is_given("docs-paths") { folders(fields, "docs-paths", None, "") } else { all };
        let target = fields.text("target-path").unwrap_or_else(|| "target".to_owned());
        let clean_targets =
            if fields.is_given("clean-targets") { fields.texts("clean-targets") } else { vec![target.clone()] };
        Self {
            model,
            macros,
            seed,
            test,
            analysis,
            snapshot,
            function,
            docs,
            asset: folders(fields, "asset-paths", None, ""),
            target,
            log: fields.text("log-path").unwrap_or_else(|| "logs".to_owned()),
            clean_targets,
            packages_install: fields.text("packages-install-path").unwrap_or_else(|| "dbt_packages".to_owned()),
        }
    }

    /// Every folder in which properties files may stand, without repeats.
    pub fn properties(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let kinds = [&self.model, &self.seed, &self.snapshot, &self.analysis, &self.macros, &self.test, &self.function];
        for folder in kinds.into_iter().flatten() {
            if !all.contains(folder) {
                all.push(folder.clone());
            }
        }
        all
    }
}

/// The folders under `key`, or under the name it had before.
fn folders(fields: &mut Fields<'_>, key: &'static str, old: Option<&'static str>, default: &str) -> Vec<String> {
    let given = fields.is_given(key);
    let mut folders = fields.texts(key);
    if let Some(old) = old
        && let Some(span) = fields.key_span(old)
    {
        let renamed = fields.texts(old);
        if given {
            fields.error(
                span,
                format!("'{old}' and '{key}' cannot both be given: the first is the old name of the second"),
            );
        } else {
            let hint = format!("rename it to '{key}'");
            fields.warn(common::diagnostic::Code::UnknownKey, span, format!("'{old}' is deprecated"), &hint);
            folders = renamed;
        }
    }
    if folders.is_empty() && !given && !default.is_empty() {
        folders.push(default.to_owned());
    }
    for folder in &mut folders {
        folder.truncate(folder.trim_end_matches('/').len());
    }
    folders
}

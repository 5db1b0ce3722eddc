//! `dbt_project.yml` before and while it is rendered.

use std::path::{Path, PathBuf};

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use common::manifest::QueryComment;
use common::node_config::QuotingOverride;

use super::{ConfigTrees, DEFAULT_QUERY_COMMENT, Paths, Project, ProjectHook, name, version};
use crate::files;
use crate::yaml::{self, Fields, KeyPart, Mapping, Node, Source, Span, Value};

pub const FILE_NAME: &str = "dbt_project.yml";

/// The file as written.
#[derive(Clone, Debug)]
pub struct RawProject {
    pub source: Source,
    pub dir: PathBuf,
    /// The folder relative to the root project; empty for the root project itself.
    pub prefix: String,
    root: Node,
}

impl RawProject {
    /// Reads `dbt_project.yml` in `dir`. `prefix` is that folder relative to the root project.
    pub fn load(dir: &Path, prefix: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let file = if prefix.is_empty() { FILE_NAME.to_owned() } else { format!("{prefix}/{FILE_NAME}") };
        let path = dir.join(FILE_NAME);
        if !path.is_file() {
            diagnostics.push(
                Diagnostic::error(
                    Code::ProjectNotFound,
                    format!("no {FILE_NAME} found at expected path {}", path.display()),
                )
                .hint("run inside a dbt project, or name its folder with --project-dir"),
            );
            return None;
        }
        let text = match files::read_text(&path, &file) {
            Ok(text) => text,
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                return None;
            }
        };
        let source = Source::new(file, text);
        let root = yaml::load(&source, diagnostics)?;
        if root.as_mapping().is_none() {
            diagnostics.push(
                Diagnostic::error(Code::YamlShape, format!("{FILE_NAME} must hold a mapping, not {}", root.kind()))
                    .at(Location::file(source.file.clone()))
                    .hint("it needs at least 'name: …'"),
            );
            return None;
        }
        Some(Self { source, dir: dir.to_owned(), prefix: prefix.to_owned(), root })
    }

    /// As written; dbt never renders it.
    pub fn name(&self) -> Option<&str> {
        self.root.get("name")?.as_str()
    }

    /// As written; a template where it was one.
    pub fn profile(&self) -> Option<&str> {
        self.root.get("profile")?.as_str()
    }

    /// `packages-install-path` and `flags` are needed before anything is rendered; neither is usually a template.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.root.get(key)
    }

    /// Renders and types the file. `verify_version` is off under `--no-version-check`.
    pub fn render(
        &self,
        template: &yaml::Render<'_>,
        verify_version: bool,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Project> {
        let before = diagnostics.len();
        let rendered = yaml::render(&self.root, &self.source, template, &is_late, diagnostics);
        let (Value::Mapping(mapping), Some(raw)) = (rendered.value, self.root.as_mapping()) else { return None };
        let mut fields =
            Fields::new(mapping, self.root.span, FILE_NAME.to_owned(), &self.source, diagnostics).lenient();
        let name = project_name(&mut fields);
        let project = Project {
            name: name.unwrap_or_default(),
            version: project_version(&mut fields),
            dir: self.dir.clone(),
            prefix: self.prefix.clone(),
            source: self.source.clone(),
            profile: fields.text("profile"),
            paths: Paths::read(&mut fields),
            vars: fields.json_map("vars"),
            configs: config_trees(&mut fields, raw),
            on_run_start: hooks(&mut fields, "on-run-start"),
            on_run_end: hooks(&mut fields, "on-run-end"),
            dispatch: dispatch(&mut fields),
            query_comment: query_comment(&mut fields),
            quoting: quoting(&mut fields),
            restrict_access: fields.bool("restrict-access").unwrap_or(false),
            flags: fields.json_map("flags"),
        };
        if fields.json("config-version").is_some_and(|version| version != 2) {
            let span = raw.get("config-version").map_or(self.root.span, |node| node.span);
            fields.error(span, "config-version must be 2".to_owned());
        }
        check_required_version(&mut fields, &project.name, verify_version);
        // Read by other programs, or by dbt before this file is typed.
        for ignored in ["dbt-cloud", "packages", "project-root"] {
            fields.json(ignored);
        }
        fields.refuse();
        let failed = diagnostics[before..].iter().any(Diagnostic::is_error);
        (!failed).then_some(project)
    }
}

/// Whether a value stays as it is written. Hooks run later, variables are rendered where they are used.
fn is_late(path: &[KeyPart<'_>]) -> bool {
    match path.first().and_then(|part| part.key()) {
        Some("on-run-start" | "on-run-end" | "query-comment" | "vars") => true,
        Some("seeds" | "models" | "snapshots" | "tests" | "data_tests") => {
            path.iter().filter_map(|part| part.key()).any(|key| {
                matches!(key.trim_start_matches(['+', ' ']), "pre-hook" | "post-hook" | "pre_hook" | "post_hook")
            })
        }
        _ => false,
    }
}

fn project_name(fields: &mut Fields<'_>) -> Option<String> {
    let (name, span) = fields.name()?;
    if let Some(objection) = name::objection(&name) {
        fields.error(span, objection);
    }
    Some(name)
}

fn project_version(fields: &mut Fields<'_>) -> Option<String> {
    let node = fields.node("version")?;
    let text = match &node.value {
        Value::Int(number) => return Some(number.to_string()),
        Value::Float(number) => return Some(number.to_string()),
        Value::String(text) => text.clone(),
        _ => String::new(),
    };
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    let is_number = |part: &&str| part.parse::<u64>().is_ok() && (*part == "0" || !part.starts_with('0'));
    if !(2..=3).contains(&parts.len()) || !parts.iter().all(is_number) {
        fields.error(node.span, "'version' must be a semantic version such as '1.0.0'".to_owned());
    }
    Some(text)
}

fn config_trees(fields: &mut Fields<'_>, raw: &Mapping) -> ConfigTrees {
    let given = |key: &str| raw.get(key).and_then(Node::as_mapping).is_some_and(|tree| !tree.is_empty());
    if given("tests") && given("data_tests") {
        let span = raw.entry("tests").map_or_else(Span::default, |entry| entry.key_span);
        fields.error(span, "'tests' and 'data_tests' cannot both be given: the first is the old name".to_owned());
    }
    ConfigTrees::read(fields, raw)
}

fn hooks(fields: &mut Fields<'_>, key: &'static str) -> Vec<ProjectHook> {
    let Some(node) = fields.node(key) else { return Vec::new() };
    let items = match &node.value {
        Value::Sequence(items) => items.as_slice(),
        _ => std::slice::from_ref(&node),
    };
    let mut hooks = Vec::new();
    for item in items {
        match item.as_str() {
            Some(sql) => hooks.push(ProjectHook { sql: sql.to_owned(), span: item.span }),
            None => fields.error(item.span, format!("'{key}' holds SQL statements, not {}", item.kind())),
        }
    }
    hooks
}

fn dispatch(fields: &mut Fields<'_>) -> Vec<(String, Vec<String>)> {
    fields.each(
        "dispatch",
        |_| "'dispatch'".to_owned(),
        |mut fields| {
            let namespace = fields.text("macro_namespace");
            let has_order = fields.contains("search_order");
            let order = fields.texts("search_order");
            let span = fields.span();
            if namespace.is_none() || !has_order {
                fields.error(span, "an entry of 'dispatch' needs 'macro_namespace' and 'search_order'".to_owned());
            }
            fields.finish();
            Some((namespace?, order))
        },
    )
}

/// Absent: dbt's comment. Empty or null: none at all.
fn query_comment(fields: &mut Fields<'_>) -> Option<QueryComment> {
    let node = fields.take("query-comment")?.value;
    match node.value {
        Value::Mapping(mapping) if !mapping.is_empty() => {
            let mut inner = fields.inner(mapping, node.span, "'query-comment'".to_owned());
            let given = inner.contains("comment");
            let comment = inner.text("comment");
            let append = inner.bool("append").unwrap_or(false);
            // Only BigQuery has job labels.
            inner.bool("job-label");
            inner.finish();
            let comment = if given { comment.unwrap_or_default() } else { DEFAULT_QUERY_COMMENT.to_owned() };
            Some(QueryComment { comment, append })
        }
        Value::String(comment) => Some(QueryComment { comment, append: false }),
        Value::Null | Value::Mapping(_) | Value::Bool(false) => {
            Some(QueryComment { comment: String::new(), append: false })
        }
        _ => {
            fields.error(node.span, "'query-comment' must be a template or a mapping".to_owned());
            None
        }
    }
}

fn quoting(fields: &mut Fields<'_>) -> QuotingOverride {
    let mapping = fields.mapping("quoting");
    let span = fields.span();
    let mut fields = fields.inner(mapping, span, "'quoting'".to_owned());
    let quoting = QuotingOverride {
        // `project` is BigQuery's word for the database.
        database: fields.bool("database").or(fields.bool("project")),
        schema: fields.bool("schema"),
        identifier: fields.bool("identifier"),
        column: None,
    };
    fields.bool("snowflake_ignore_case");
    fields.finish();
    quoting
}

fn check_required_version(fields: &mut Fields<'_>, project: &str, verify: bool) {
    let Some(node) = fields.node("require-dbt-version") else { return };
    let requirements: Vec<String> = match &node.value {
        Value::Sequence(items) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
        Value::String(text) => text.split(',').map(str::to_owned).collect(),
        _ => {
            fields.error(node.span, "'require-dbt-version' must be text or a list of texts".to_owned());
            return;
        }
    };
    for requirement in &requirements {
        match version::is_satisfied(requirement) {
            Ok(true) => {}
            Ok(false) if verify => fields.report(
                Diagnostic::error(
                    Code::InvalidConfig,
                    format!(
                        "project '{project}' requires dbt {}, but this is dbt {}",
                        requirements.join(", "),
                        version::DBT_VERSION
                    ),
                )
                .hint("use another version of the package, or run again with --no-version-check"),
                node.span,
            ),
            Ok(false) => {}
            Err(message) => fields.error(node.span, message),
        }
    }
}

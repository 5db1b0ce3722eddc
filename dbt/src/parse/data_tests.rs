//! Generic tests: from the entries under nodes, columns and sources to nodes of their own.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::diagnostic::{Code, Location};
use common::manifest::{Node, ResourceType, TestInfo};
use common::relation::quote_identifier;
use common::{Diagnostic, Json, JsonMap, NodeId};

use super::config::Kind;
use super::draft::{self, Identity};
use super::finish::{self, ConfigPlaces};
use super::fqn;
use super::generic_test::{self, Definition};
use super::job::Job;
use super::macros::BUILTIN;
use super::package::Layers;
use super::patch;
use super::properties_files::PropertiesFile;
use crate::context::Recorded;
use crate::jinja::Template;
use crate::jinja::ast::{ExprKind, StmtKind};
use crate::properties::{ColumnProperties, TestEntry};
use crate::resolve::suggest;

/// Something with tests, in a properties file.
pub struct Tested<'p> {
    pub file: &'p PropertiesFile,
    /// `models`, `seeds`, `snapshots`, `sources`
    pub section: &'static str,
    pub what: TestedWhat<'p>,
    /// The node, where it is one.
    pub attached: Option<NodeId>,
    pub columns: Vec<&'p ColumnProperties>,
    pub tests: &'p [TestEntry],
    /// Tags that all its tests get.
    pub tags: Vec<String>,
    pub quote_columns: Option<bool>,
}

pub use generic_test::Tested as TestedWhat;

/// The tests of one `Tested`, each with its place, and what was wrong.
#[derive(Default)]
pub struct Made {
    pub nodes: Vec<(Node, Location)>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Makes a node of each test, those of columns first.
pub fn make(job: &Job<'_>, tested: &Tested<'_>) -> Made {
    let mut made = Made::default();
    for column in &tested.columns {
        let quoted = column.quote.or(tested.quote_columns).unwrap_or(false);
        let name = if quoted { quote_identifier(&column.name) } else { column.name.clone() };
        let mut tags = tested.tags.clone();
        tags.extend(patch::column_tags(column));
        for entry in &column.tests {
            make_one(job, tested, entry, Some(&name), &tags, &mut made);
        }
    }
    for entry in tested.tests {
        make_one(job, tested, entry, None, &tested.tags, &mut made);
    }
    made
}

fn make_one(
    job: &Job<'_>,
    tested: &Tested<'_>,
    entry: &TestEntry,
    column_name: Option<&str>,
    tags: &[String],
    made: &mut Made,
) {
    let place = tested.file.source.at(entry.span);
    match test_node(job, tested, entry, column_name, tags, made) {
        Ok(node) => made.nodes.push((node, place)),
        Err(diagnostic) => made.diagnostics.push(match diagnostic.location {
            Some(_) => diagnostic,
            None => diagnostic.at(place),
        }),
    }
}

fn test_node(
    job: &Job<'_>,
    tested: &Tested<'_>,
    entry: &TestEntry,
    column_name: Option<&str>,
    tags: &[String],
    made: &mut Made,
) -> Result<Node, Diagnostic> {
    let package = &job.packages[tested.file.package];
    let definition =
        generic_test::define(entry, tested.what, column_name, &mut |text| job.yaml(tested.file.package).value(text))
            .map_err(|message| Diagnostic::error(Code::JinjaRender, message))?;
    let below = tested.file.path.split_once('/').map_or(tested.file.path.as_str(), |(_, below)| below);
    let identity = Identity {
        resource_type: ResourceType::Test,
        package_name: package.name(),
        name: &definition.full_name,
        path: format!("{}.sql", definition.short_name),
        original_file_path: &tested.file.path,
        fqn: fqn::of_path(package.name(), below, &definition.full_name),
    };
    let mut node = draft::node(identity, job.target);
    node.unique_id = NodeId::from(format!("{}.{}", node.unique_id, definition.hash()));
    node.raw_code = definition.raw_code();
    node.raw_code_line = entry.span.line;
    node.description.clone_from(&definition.description);
    let own_tags: BTreeSet<String> = tags.iter().cloned().chain(definition.tags()).collect();
    node.tags = own_tags.into_iter().collect();
    let file_key = match tested.what {
        TestedWhat::Node { name, .. } => name,
        TestedWhat::Source { source, .. } => source,
    };
    node.test = Some(TestInfo {
        metadata: Some(definition.metadata()),
        column_name: column_name.map(str::to_owned),
        attached_node: tested.attached.clone(),
        file_key_name: Some(format!("{}.{file_key}", tested.section)),
    });
    let macro_id = macro_of(job, package.name(), &definition);
    match macro_id {
        Some(id) => node.depends_on.macros.push(id.clone()),
        // Like dbt, which lets the test fail when it runs, after everything that does not depend on it.
        None => made.diagnostics.push(unknown(job, &definition).at(tested.file.source.at(entry.span))),
    }
    let statically = macro_id.and_then(|id| read_statically(job, package.name(), id, &definition));
    let recorded = match statically {
        Some(recorded) => recorded,
        None => job.steps.render(&job.parsing, &node, &node.raw_code)?,
    };
    // Calls of config() in the test's own macro come first; rendering has merged the entry's config into them.
    let mut calls = JsonMap::new();
    draft::add_recorded(&mut node, &mut calls, recorded);
    for (key, value) in &definition.config {
        calls.entry(key.clone()).or_insert_with(|| value.clone());
    }

    let layers = Layers { fqn: &node.fqn, kind: Kind::Test, patch: None, calls: &calls };
    let configured = package.configure(job.root(), layers);
    let file = tested.file.source.file.clone();
    let no_calls = JsonMap::new();
    let places = ConfigPlaces {
        job,
        package: tested.file.package,
        kind: Kind::Test,
        file: &file,
        patch: None,
        calls: &no_calls,
    };
    let before = made.diagnostics.len();
    finish::report_problems(&places, &node, configured.problems, &mut made.diagnostics);
    for diagnostic in &mut made.diagnostics[before..] {
        // The keys of a test stand in its entry unless a tree of a project sets them.
        if diagnostic.location.as_ref().is_none_or(|location| location.line == 0) {
            diagnostic.location = Some(tested.file.source.at(entry.span));
        }
    }
    node.config = configured.config;
    node.unrendered_config = configured.unrendered;
    node.config_call_dict = calls;
    let config_tags = node.config.tags.clone();
    draft::extend_unique(&mut node.tags, config_tags);
    finish::name(job, &mut node, &mut made.diagnostics);
    Ok(node)
}

/// The macro behind the test: of the named package, or else of the own package, the root project, or built in.
fn macro_of<'j>(job: &'j Job<'_>, package: &str, definition: &Definition) -> Option<&'j NodeId> {
    let name = format!("test_{}", definition.name);
    let packages = match &definition.namespace {
        Some(namespace) => vec![namespace.as_str()],
        None => vec![package, job.root().name(), BUILTIN],
    };
    let get = |package: &&str| job.macros.get_key_value(format!("macro.{package}.{name}").as_str());
    packages.iter().find_map(get).map(|(id, _)| id)
}

fn unknown(job: &Job<'_>, definition: &Definition) -> Diagnostic {
    let name = &definition.name;
    let called = match &definition.namespace {
        Some(namespace) => format!("{namespace}.test_{name}"),
        None => format!("test_{name}"),
    };
    let message = format!("'{called}' is undefined: there is no generic test '{name}', so this one will fail");
    let mut diagnostic = Diagnostic::warning(Code::UnknownMacro, message);
    let known = job.macros.values().filter_map(|found| found.name.strip_prefix("test_"));
    diagnostic.hint = suggest::hint(name, known)
        .or_else(|| Some("check for typos, or install the package that defines it with 'dbt deps'".to_owned()));
    diagnostic
}

/// What rendering would record for one of dbt's own tests, whose macros refer to nothing themselves.
fn read_statically(job: &Job<'_>, package: &str, macro_id: &NodeId, definition: &Definition) -> Option<Recorded> {
    let is_builtin = matches!(
        macro_id.as_str(),
        "macro.dbt.test_unique"
            | "macro.dbt.test_not_null"
            | "macro.dbt.test_accepted_values"
            | "macro.dbt.test_relationships"
    );
    let changed = ["ref", "source", "get_where_subquery"].iter().any(|name| job.is_overridden(package, name));
    if !is_builtin || changed {
        return None;
    }
    let mut recorded = Recorded::default();
    for (key, value) in &definition.kwargs {
        if key != "column_name" {
            argument(value, &mut recorded)?;
        }
    }
    if matches!(macro_id.as_str(), "macro.dbt.test_unique" | "macro.dbt.test_not_null") {
        recorded.macros.clear();
    }
    Some(recorded)
}

/// References in an argument; `None` where only rendering can tell.
fn argument(value: &Json, recorded: &mut Recorded) -> Option<()> {
    match value {
        Json::String(text) => text_argument(text, recorded),
        Json::Array(items) => items.iter().try_for_each(|item| argument(item, recorded)),
        Json::Object(map) => map.values().try_for_each(|item| argument(item, recorded)),
        _ => Some(()),
    }
}

fn text_argument(text: &str, recorded: &mut Recorded) -> Option<()> {
    let trimmed = text.trim();
    let function = trimmed.split('(').next().unwrap_or_default().trim_end();
    if trimmed.ends_with(')') && matches!(function, "ref" | "source") {
        return add(recorded, patch::reference(trimmed)?);
    }
    if trimmed.ends_with(')') && matches!(function, "env_var" | "var" | "doc") {
        return None;
    }
    if !draft::has_jinja(text) {
        return Some(());
    }
    // `{{ get_where_subquery(ref('…')) }}`, which dbt passes as `model`.
    let template = Template::parse(Arc::from(""), Arc::from(text)).ok()?;
    let [statement] = template.body.as_slice() else { return None };
    let StmtKind::Output(expr) = &statement.kind else { return None };
    let ExprKind::Call(call) = &expr.kind else { return None };
    let is_where = matches!(&call.callee.kind, ExprKind::Name(name) if &*name.name == "get_where_subquery");
    let [inner] = call.args.positional.as_slice() else { return None };
    let inner = text.get(inner.span.start as usize..inner.span.end as usize).filter(|_| is_where)?;
    recorded.macros.push(NodeId::from("macro.dbt.get_where_subquery"));
    add(recorded, patch::reference(inner)?)
}

fn add(recorded: &mut Recorded, more: Recorded) -> Option<()> {
    draft::extend_unique(&mut recorded.refs, more.refs);
    draft::extend_unique(&mut recorded.sources, more.sources);
    Some(())
}

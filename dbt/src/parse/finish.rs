//! From a draft to a finished node: its config layers combined and typed, its description and columns, its place in the warehouse.

use common::diagnostic::{Code, Location};
use common::manifest::{ModelInfo, Node, ResourceType};
use common::node_config::{Materialization, NodeConfig};
use common::relation::Relation;
use common::{Diagnostic, Json, JsonMap};

use super::config::{Kind, Problem};
use super::draft::{self, Draft};
use super::job::Job;
use super::microbatch;
use super::package::Layers;
use super::patch::Patch;
use super::python_text::str_of;
use crate::context::NamePart;
use crate::jinja::ast::ExprKind;

pub fn finish(job: &Job<'_>, draft: Draft, patch: Option<&Patch<'_>>) -> (Node, Vec<Diagnostic>) {
    let Draft { mut node, package, calls, file } = draft;
    let mut diagnostics = Vec::new();
    let kind = Kind::of(node.resource_type);
    let patched = patch.map(Patch::config);
    let layers = Layers {
        fqn: &node.fqn,
        kind,
        patch: patched.as_ref().map(|(rendered, unrendered)| (rendered, unrendered)),
        calls: &calls,
    };
    let configured = job.packages[package].configure(job.root(), layers);
    let places = ConfigPlaces { job, package, kind, file: &file, patch, calls: &calls };
    report_problems(&places, &node, configured.problems, &mut diagnostics);
    node.config = configured.config;
    node.unrendered_config = configured.unrendered;
    let tags = node.config.tags.clone();
    draft::extend_unique(&mut node.tags, tags);
    if let Some(patch) = patch {
        patch.describe(&mut node, &job.packages[patch.file.package], &mut diagnostics);
    }
    if let Some(model) = &mut node.model {
        complete_model(model, &node.config);
    }
    if node.resource_type == ResourceType::Snapshot {
        check_snapshot(&places, &node, &mut diagnostics);
    }
    if job.has_batches {
        report_problems(&places, &node, microbatch::problems(&node), &mut diagnostics);
    }
    let mut more_calls = JsonMap::new();
    read_hooks(job, package, &file, &mut node, &mut more_calls, &mut diagnostics);
    node.config_call_dict = calls;
    name(job, &mut node, &mut diagnostics);
    (node, diagnostics)
}

fn complete_model(model: &mut ModelInfo, config: &NodeConfig) {
    model.access = config.access.clone().unwrap_or_else(|| "protected".to_owned());
    model.group = config.group.clone();
}

/// References of hooks are references of the node.
fn read_hooks(
    job: &Job<'_>,
    package: usize,
    file: &str,
    node: &mut Node,
    calls: &mut JsonMap,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let hooks: Vec<String> =
        node.config.pre_hook.iter().chain(&node.config.post_hook).map(|hook| hook.sql.clone()).collect();
    for hook in hooks {
        match draft::record(job, node, draft::Code { text: &hook, file, package }) {
            Ok(recorded) => draft::add_recorded(node, calls, recorded),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
}

/// Sets database, schema, alias and relation name.
pub fn name(job: &Job<'_>, node: &mut Node, diagnostics: &mut Vec<Diagnostic>) {
    for part in [NamePart::Database, NamePart::Schema, NamePart::Alias] {
        match generate(job, part, node) {
            Ok(text) => match part {
                NamePart::Database => node.database = text,
                NamePart::Schema => node.schema = text,
                NamePart::Alias => node.alias = text,
            },
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    if node.resource_type == ResourceType::Snapshot {
        let text = |key: &str| node.config.extra.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let (database, schema) = (text("target_database").map(str::to_owned), text("target_schema").map(str::to_owned));
        node.database = database.unwrap_or_else(|| node.database.clone());
        node.schema = schema.unwrap_or_else(|| node.schema.clone());
    }
    node.relation_name = is_relational(job, node).then(|| {
        let relation = Relation {
            database: Some(node.database.clone()).filter(|name| !name.is_empty()),
            schema: Some(node.schema.clone()).filter(|name| !name.is_empty()),
            identifier: Some(node.alias.clone()),
            relation_type: None,
            quoting: job.quoting,
        };
        relation.render()
    });
}

fn is_relational(job: &Job<'_>, node: &Node) -> bool {
    match node.resource_type {
        ResourceType::Model => node.config.materialized != Materialization::Ephemeral,
        ResourceType::Seed | ResourceType::Snapshot => true,
        ResourceType::Test => node.config.store_failures.unwrap_or(job.options.invocation.store_failures),
        _ => false,
    }
}

fn generate(job: &Job<'_>, part: NamePart, node: &Node) -> Result<String, Diagnostic> {
    let custom = match part {
        NamePart::Database => &node.config.database,
        NamePart::Schema => &node.config.schema,
        NamePart::Alias => &node.config.alias,
    };
    let custom = custom.as_deref();
    if job.parsing.has_custom_name(part) {
        return job.steps.name(&job.parsing, part, custom, node);
    }
    let custom = custom.map(str::trim);
    Ok(match part {
        NamePart::Database => custom.unwrap_or(&job.target.database).to_owned(),
        NamePart::Schema => match custom {
            Some(custom) => format!("{}_{custom}", job.target.schema),
            None => job.target.schema.clone(),
        },
        NamePart::Alias => match (custom.filter(|custom| !custom.is_empty()), version(node)) {
            (Some(custom), _) => custom.to_owned(),
            (None, Some(version)) => format!("{}_v{}", node.name, version.replace('.', "_")),
            (None, None) => node.name.clone(),
        },
    })
}

fn version(node: &Node) -> Option<String> {
    node.model.as_ref()?.version.as_ref().map(str_of)
}

/// The rules of dbt for snapshots, which may be configured in several places.
fn check_snapshot(places: &ConfigPlaces<'_, '_>, node: &Node, diagnostics: &mut Vec<Diagnostic>) {
    let extra = |key: &str| node.config.extra.get(key).filter(|value| !value.is_null());
    let strategy = extra("strategy").and_then(Json::as_str);
    let check_cols = extra("check_cols");
    let message = match strategy {
        None => Some("Snapshots must be configured with a 'strategy' and 'unique_key'."),
        Some(_) if node.config.unique_key.is_empty() => {
            Some("Snapshots must be configured with a 'strategy' and 'unique_key'.")
        }
        Some("check") if check_cols.is_none() => {
            Some("A snapshot configured with the check strategy must specify a check_cols configuration.")
        }
        Some("check") if check_cols.is_some_and(|cols| cols.as_str().is_some_and(|cols| cols != "all")) => {
            Some("Invalid value for 'check_cols'. Expected 'all' or a list of strings.")
        }
        Some("timestamp") if extra("updated_at").is_none() => {
            Some("A snapshot configured with the timestamp strategy must specify an updated_at configuration.")
        }
        Some("timestamp") if check_cols.is_some() => Some("A 'timestamp' snapshot should not have 'check_cols'"),
        _ => None,
    };
    if let Some(message) = message {
        let message = format!("{} is not valid: {message}", node.unique_id);
        diagnostics.push(Diagnostic::error(Code::InvalidConfig, message).at(Location::file(places.file)));
    }
}

/// Where the config keys of a node may have been written.
pub struct ConfigPlaces<'a, 'p> {
    pub job: &'a Job<'p>,
    pub package: usize,
    pub kind: Kind,
    /// The node's own file.
    pub file: &'a str,
    pub patch: Option<&'a Patch<'a>>,
    pub calls: &'a JsonMap,
}

pub fn report_problems(
    places: &ConfigPlaces<'_, '_>,
    node: &Node,
    problems: Vec<Problem>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for Problem { key, message } in problems {
        let message = format!("{}: invalid value for config '{key}': {message}", node.unique_id);
        diagnostics.push(Diagnostic::error(Code::InvalidConfig, message).at(places.of(node, &key)));
    }
}

impl ConfigPlaces<'_, '_> {
    /// The strongest place that sets `key`.
    fn of(&self, node: &Node, key: &str) -> Location {
        let root = self.job.root();
        let own = &self.job.packages[self.package];
        let from_root = (root.name() != own.name()).then(|| root.place_of_setting(self.kind, &node.fqn, key)).flatten();
        from_root
            .or_else(|| self.in_call(node, key))
            .or_else(|| self.patch.and_then(|patch| patch.place_of_config(key)))
            .or_else(|| own.place_of_setting(self.kind, &node.fqn, key))
            .unwrap_or_else(|| Location::file(self.file))
    }

    fn in_call(&self, node: &Node, key: &str) -> Option<Location> {
        if !self.calls.contains_key(key) {
            return None;
        }
        let template = crate::jinja::Template::parse("".into(), node.raw_code.as_str().into()).ok()?;
        let mut found = None;
        super::calls::visit(&template.body, &mut |span, call| {
            let is_config = matches!(&call.callee.kind, ExprKind::Name(name) if &*name.name == "config");
            if !is_config {
                return;
            }
            let argument = call.args.keyword.iter().find(|(name, _)| &**name == key).map(|(_, value)| value.span);
            found = argument.or(found).or(Some(span));
        });
        let span = found?;
        let mut location = Location::in_text(self.file, &node.raw_code, span.line, span.column);
        location.line += node.raw_code_line.saturating_sub(1);
        Some(location)
    }
}

//! What properties files say about nodes that exist: which node an entry means, and what it adds to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use common::diagnostic::Code;
use common::manifest::{ColumnInfo, Macro, Node, ResourceType};
use common::node_config::Docs;
use common::{Diagnostic, Json, JsonMap, NodeId};
use sha2::{Digest, Sha256};

use super::data_tests::{Tested, TestedWhat};
use super::draft::{self, Draft, Identity};
use super::extract;
use super::fqn;
use super::job::Job;
use super::package::Package;
use super::properties_files::PropertiesFile;
use super::python_text::str_of;
use crate::context::Recorded;
use crate::jinja::Template;
use crate::properties::{ColumnProperties, ModelProperties, NodeProperties, VersionProperties};
use crate::resolve::place::Places;
use crate::resolve::suggest;

/// An entry of a properties file and the node it describes.
#[derive(Clone, Copy)]
pub struct Patch<'p> {
    pub file: &'p PropertiesFile,
    pub node: &'p NodeProperties,
    pub model: Option<&'p ModelProperties>,
    pub version: Option<&'p VersionProperties>,
}

/// All entries that found their node.
pub struct Patches<'p> {
    /// For each draft, what describes it.
    pub by_draft: Vec<Option<Patch<'p>>>,
    /// Where each described node is described.
    pub places: Places,
    /// What has generic tests.
    pub tested: Vec<Tested<'p>>,
}

/// Makes snapshots that properties files define by `relation:`.
pub fn add_yaml_snapshots(
    job: &Job<'_>,
    files: &[PropertiesFile],
    drafts: &mut Vec<Draft>,
    places: &mut Places,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for file in files {
        let package_name = job.packages[file.package].name();
        for snapshot in &file.properties.snapshots {
            let Some(relation) = &snapshot.relation else { continue };
            let name = &snapshot.name;
            let identity = Identity {
                resource_type: ResourceType::Snapshot,
                package_name,
                name,
                path: format!("{}/{name}.sql", file.relative_path),
                original_file_path: &file.path,
                fqn: fqn::of_path(package_name, &file.relative_path, name),
            };
            let mut node = draft::node(identity, job.target);
            node.checksum = crate::files::text_checksum(&file.source.text);
            node.raw_code = format!("select * from {{{{ {relation} }}}}");
            node.raw_code_line = snapshot.span.line;
            let mut calls = JsonMap::new();
            match reference(relation) {
                Some(recorded) => draft::add_recorded(&mut node, &mut calls, recorded),
                None => {
                    let message = format!("snapshot '{name}': '{relation}' is neither a ref() nor a source()");
                    diagnostics.push(Diagnostic::error(Code::YamlShape, message).at(file.source.at(snapshot.span)));
                }
            }
            places.insert(node.unique_id.clone(), file.source.at(snapshot.span));
            drafts.push(Draft { node, package: file.package, calls, file: file.source.file.clone() });
        }
    }
}

/// The one `ref(…)` or `source(…)` of an expression such as `ref('orders')`.
pub fn reference(expression: &str) -> Option<Recorded> {
    let template = Template::parse(Arc::from(""), Arc::from(format!("{{{{ {expression} }}}}"))).ok()?;
    let recorded = extract::extract(&template, extract::Overrides::default())?;
    (recorded.refs.len() + recorded.sources.len() == 1).then_some(recorded)
}

/// Finds the node of every entry; versions of models get their names here.
pub fn apply<'p>(files: &'p [PropertiesFile], drafts: &mut [Draft], diagnostics: &mut Vec<Diagnostic>) -> Patches<'p> {
    let mut matcher = Matcher {
        by_draft: vec![None; drafts.len()],
        tested: Vec::new(),
        places: Places::new(),
        names: HashMap::new(),
        drafts,
        diagnostics,
    };
    matcher.index();
    for file in files {
        let properties = &file.properties;
        for model in &properties.models {
            matcher.model(file, model);
        }
        for (section, resource_type, entries) in [
            ("seeds", ResourceType::Seed, &properties.seeds),
            ("snapshots", ResourceType::Snapshot, &properties.snapshots),
            ("analyses", ResourceType::Analysis, &properties.analyses),
            ("data_tests", ResourceType::Test, &properties.data_tests),
        ] {
            for node in entries {
                matcher.node(Patch { file, node, model: None, version: None }, section, resource_type);
            }
        }
    }
    Patches { by_draft: matcher.by_draft, places: matcher.places, tested: matcher.tested }
}

struct Matcher<'m, 'p> {
    drafts: &'m mut [Draft],
    by_draft: Vec<Option<Patch<'p>>>,
    tested: Vec<Tested<'p>>,
    places: Places,
    /// Drafts by name, models, seeds and snapshots together.
    names: HashMap<String, Vec<usize>>,
    diagnostics: &'m mut Vec<Diagnostic>,
}

impl<'p> Matcher<'_, 'p> {
    fn index(&mut self) {
        for (index, draft) in self.drafts.iter().enumerate() {
            self.names.entry(draft.node.name.clone()).or_default().push(index);
        }
    }

    /// All drafts of the one id that `name` means; those of the entry's own package win.
    fn find(&self, name: &str, package: usize, own_only: bool, is_it: impl Fn(ResourceType) -> bool) -> Vec<usize> {
        let Some(found) = self.names.get(name) else { return Vec::new() };
        let found: Vec<usize> =
            found.iter().copied().filter(|index| is_it(self.drafts[*index].node.resource_type)).collect();
        let own = found.iter().find(|index| self.drafts[**index].package == package);
        let Some(first) = own.or(found.first().filter(|_| !own_only)) else { return Vec::new() };
        let id = self.drafts[*first].node.unique_id.clone();
        found.into_iter().filter(|index| self.drafts[*index].node.unique_id == id).collect()
    }

    fn model(&mut self, file: &'p PropertiesFile, model: &'p ModelProperties) {
        if model.versions.is_empty() {
            let patch = Patch { file, node: &model.node, model: Some(model), version: None };
            self.node(patch, "models", ResourceType::Model);
            return;
        }
        let latest = latest_version(model);
        // Names are looked up before any version is renamed, as the files are called.
        for version in &model.versions {
            let name = &model.node.name;
            let file_name = version.defined_in.clone().unwrap_or_else(|| format!("{name}_v{}", str_of(&version.v)));
            let is_model = |found| found == ResourceType::Model;
            let mut found = self.find(&file_name, file.package, true, is_model);
            if found.is_empty() && version.v == latest {
                found = self.find(name, file.package, true, is_model);
            }
            if found.is_empty() {
                self.missing(file, version.span, &file_name, "models", ResourceType::Model);
                continue;
            }
            let patch = Patch { file, node: &model.node, model: Some(model), version: Some(version) };
            for index in &found {
                become_version(&mut self.drafts[*index].node, name, version, &latest);
            }
            self.attach(patch, &found, "models");
        }
    }

    fn node(&mut self, patch: Patch<'p>, section: &'static str, resource_type: ResourceType) {
        let (name, file) = (&patch.node.name, patch.file);
        let found = self.find(name, file.package, false, |found| found == resource_type);
        if !found.is_empty() {
            return self.attach(patch, &found, section);
        }
        let refable = |found| matches!(found, ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot);
        let other = self.find(name, file.package, false, refable);
        match other.first().filter(|_| refable(resource_type)) {
            Some(index) => {
                let found = self.drafts[*index].node.resource_type;
                let message = format!("'{name}' is a {found} node, but it is specified in the {section} section");
                self.diagnostics.push(
                    Diagnostic::warning(Code::PatchWithoutNode, message)
                        .at(file.source.at(patch.node.span))
                        .hint(format!("place it under '{found}s:' instead")),
                );
            }
            None => self.missing(file, patch.node.span, name, section, resource_type),
        }
    }

    fn missing(
        &mut self,
        file: &PropertiesFile,
        span: crate::yaml::Span,
        name: &str,
        section: &str,
        resource_type: ResourceType,
    ) {
        let message = format!(
            "Did not find matching node for patch with name '{name}' in the '{section}' section of file '{}'",
            file.path
        );
        let mut diagnostic = Diagnostic::warning(Code::PatchWithoutNode, message).at(file.source.at(span));
        let known = self.drafts.iter().filter(|draft| draft.node.resource_type == resource_type);
        diagnostic.hint = suggest::hint(name, known.map(|draft| draft.node.name.as_str()));
        self.diagnostics.push(diagnostic);
    }

    fn attach(&mut self, patch: Patch<'p>, found: &[usize], section: &'static str) {
        let first = &self.drafts[found[0]].node;
        if let Some(Some(earlier)) = found.first().map(|index| self.by_draft[*index]) {
            let message = format!(
                "dbt found two schema.yml entries for the same resource named {}: {} and {}",
                patch.node.name, earlier.file.path, patch.file.path
            );
            let place = patch.version.map_or(patch.node.span, |version| version.span);
            self.diagnostics.push(
                Diagnostic::error(Code::DuplicateName, message)
                    .at(patch.file.source.at(place))
                    .hint("describe it in one place only"),
            );
            return;
        }
        self.places.insert(first.unique_id.clone(), patch.place());
        let version = patch.version.map(|version| &version.v);
        let tests = patch.version.and_then(|version| version.tests.as_deref()).unwrap_or(&patch.node.tests);
        self.tested.push(Tested {
            file: patch.file,
            section,
            what: TestedWhat::Node { name: &patch.node.name, version },
            attached: Some(first.unique_id.clone()),
            columns: patch.columns(),
            tests,
            tags: Vec::new(),
            quote_columns: patch.node.quote_columns,
        });
        for index in found {
            self.by_draft[*index] = Some(patch);
        }
    }
}

fn latest_version(model: &ModelProperties) -> Json {
    let number = |version: &Json| str_of(version).parse::<f64>().ok();
    let newest =
        model.versions.iter().map(|version| &version.v).max_by(|left, right| match (number(left), number(right)) {
            (Some(left), Some(right)) => left.total_cmp(&right),
            _ => str_of(left).cmp(&str_of(right)),
        });
    model.latest_version.clone().or_else(|| newest.cloned()).unwrap_or_default()
}

fn become_version(node: &mut Node, name: &str, version: &VersionProperties, latest: &Json) {
    let suffix = format!("v{}", str_of(&version.v));
    node.unique_id = NodeId::from(format!("model.{}.{name}.{suffix}", node.package_name));
    name.clone_into(&mut node.name);
    if let Some(last) = node.fqn.last_mut() {
        name.clone_into(last);
    }
    node.fqn.push(suffix);
    if let Some(model) = &mut node.model {
        model.version = Some(version.v.clone());
        model.latest_version = Some(latest.clone());
    }
}

impl<'p> Patch<'p> {
    /// `config:`, rendered and as written; a version's keys are put over the model's.
    pub fn config(&self) -> (JsonMap, JsonMap) {
        let mut rendered = self.node.config.to_json();
        let mut unrendered = self.node.unrendered_config.to_json();
        if let Some(version) = self.version {
            merge_deeply(&mut rendered, version.config.to_json());
            merge_deeply(&mut unrendered, version.unrendered_config.to_json());
            if let Some(access) = &version.access {
                rendered.insert("access".to_owned(), Json::String(access.clone()));
            }
        }
        (rendered, unrendered)
    }

    /// Where the entry sets a config key.
    pub fn place_of_config(&self, key: &str) -> Option<common::diagnostic::Location> {
        let entry = |mapping: &crate::yaml::Mapping| mapping.entry(key).map(|entry| entry.value.span);
        let span = self.version.and_then(|version| entry(&version.config)).or_else(|| entry(&self.node.config))?;
        Some(self.file.source.at(span))
    }

    /// The columns that describe the node.
    pub fn columns(&self) -> Vec<&'p ColumnProperties> {
        match self.version {
            None => self.node.columns.iter().collect(),
            Some(version) => self
                .node
                .columns
                .iter()
                .filter(|column| version.columns.includes(&column.name))
                .chain(&version.columns.own)
                .collect(),
        }
    }

    /// Puts the entry's description, columns, constraints and dates on the node.
    pub fn describe(&self, node: &mut Node, package: &Package<'_>, diagnostics: &mut Vec<Diagnostic>) {
        node.patch_path = Some(self.file.id(package.name()));
        let described = self.version.and_then(|version| version.description.clone()).filter(|text| !text.is_empty());
        node.description = described.unwrap_or_else(|| self.node.description.clone());
        node.columns = self.columns().into_iter().map(|column| (column.name.clone(), column_info(column))).collect();
        let constraints = self.version.and_then(|version| version.constraints.clone()).filter(|list| !list.is_empty());
        let constraints = constraints.unwrap_or_else(|| self.node.constraints.clone());
        self.reference_foreign_keys(node, &constraints, diagnostics);
        let (Some(model), Some(properties)) = (&mut node.model, self.model) else { return };
        model.constraints = constraints;
        model.time_spine = properties.time_spine.clone();
        model.deprecation_date = match self.version {
            Some(version) => version.deprecation_date.clone(),
            None => properties.deprecation_date.clone(),
        };
        if node.config.contract.enforced {
            self.enforce_contract(node, diagnostics);
        }
    }

    /// `to: ref('…')` of a foreign key makes the node depend on it.
    fn reference_foreign_keys(&self, node: &mut Node, constraints: &[Json], diagnostics: &mut Vec<Diagnostic>) {
        if node.model.is_none() {
            return;
        }
        let of_columns: Vec<Json> = node.columns.values().flat_map(|column| column.constraints.clone()).collect();
        for constraint in of_columns.iter().chain(constraints) {
            let Some(to) = constraint.get("to").and_then(Json::as_str) else { continue };
            match reference(to) {
                Some(recorded) => draft::add_recorded(node, &mut JsonMap::new(), recorded),
                None => {
                    let message = format!(
                        "Invalid 'ref' or 'source' syntax on foreign key constraint 'to' on model {}: {to}.",
                        node.name
                    );
                    diagnostics.push(Diagnostic::error(Code::ContractInvalid, message).at(self.place()));
                }
            }
        }
    }

    fn enforce_contract(&self, node: &mut Node, diagnostics: &mut Vec<Diagnostic>) {
        let known = ["check", "not_null", "unique", "primary_key", "foreign_key", "custom"];
        let constraints = node.columns.values().flat_map(|column| &column.constraints);
        let of_model = node.model.iter().flat_map(|model| &model.constraints);
        for constraint in constraints.chain(of_model) {
            if !constraint.get("type").and_then(Json::as_str).is_some_and(|kind| known.contains(&kind)) {
                let message =
                    format!("Invalid constraint type on model {}: Type must be one of {}", node.name, known.join(", "));
                diagnostics.push(Diagnostic::error(Code::ContractInvalid, message).at(self.place()));
            }
        }
        if node.columns.is_empty() {
            let message = format!("Contract enforcement failed for: ({})", node.original_file_path);
            diagnostics.push(
                Diagnostic::error(Code::ContractInvalid, message)
                    .at(self.place())
                    .hint("describe the model's columns, each with its data_type"),
            );
        }
        node.config.contract.checksum = Some(contract_checksum(node));
    }

    fn place(&self) -> common::diagnostic::Location {
        self.file.source.at(self.version.map_or(self.node.span, |version| version.span))
    }
}

/// Changes when a column, its type or a constraint does.
fn contract_checksum(node: &Node) -> String {
    let mut columns: Vec<&ColumnInfo> = node.columns.values().collect();
    columns.sort_by(|left, right| left.name.cmp(&right.name));
    let mut hasher = Sha256::new();
    for column in columns {
        let data_type = column.data_type.as_deref().unwrap_or("None");
        hasher.update(format!("|{}{data_type}{}", column.name, Json::Array(column.constraints.clone())));
    }
    if let Some(model) = &node.model {
        hasher.update(format!("{}{}", node.config.materialized.as_str(), Json::Array(model.constraints.clone())));
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn merge_deeply(into: &mut JsonMap, from: JsonMap) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Json::Object(into)), Json::Object(from)) => merge_deeply(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// A column with the `meta` and `tags` of its config put together with those beside it.
pub fn column_info(column: &ColumnProperties) -> ColumnInfo {
    let mut meta = column.meta.clone();
    if let Some(Json::Object(more)) = column.config.get("meta") {
        meta.extend(more.clone());
    }
    let tags = column_tags(column);
    let config = JsonMap::from_iter([
        ("meta".to_owned(), Json::Object(meta.clone())),
        ("tags".to_owned(), Json::from(tags.clone())),
    ]);
    ColumnInfo {
        name: column.name.clone(),
        description: column.description.clone(),
        meta,
        data_type: column.data_type.clone(),
        constraints: column.constraints.clone(),
        quote: column.quote,
        tags,
        config,
        granularity: column.granularity.clone(),
        doc_blocks: Vec::new(),
    }
}

/// `tags` of a column, beside its config and in it.
pub fn column_tags(column: &ColumnProperties) -> Vec<String> {
    let mut tags = Vec::new();
    draft::extend_unique(&mut tags, column.tags.clone());
    match column.config.get("tags") {
        Some(Json::String(tag)) => draft::extend_unique(&mut tags, [tag.clone()]),
        Some(Json::Array(more)) => {
            draft::extend_unique(&mut tags, more.iter().filter_map(|tag| tag.as_str().map(str::to_owned)));
        }
        _ => {}
    }
    tags
}

/// Descriptions and arguments of macros.
pub fn apply_to_macros(
    job: &Job<'_>,
    files: &[PropertiesFile],
    macros: &mut BTreeMap<NodeId, Macro>,
    places: &mut Places,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for file in files {
        let package = job.packages[file.package].name();
        for properties in &file.properties.macros {
            let id = format!("macro.{package}.{}", properties.name);
            let Some(found) = macros.get_mut(id.as_str()) else {
                let message = format!("Found patch for macro \"{}\" which was not found", properties.name);
                let mut diagnostic =
                    Diagnostic::warning(Code::PatchWithoutNode, message).at(file.source.at(properties.span));
                let known = macros.values().filter(|found| found.package_name == package);
                diagnostic.hint = suggest::hint(&properties.name, known.map(|found| found.name.as_str()));
                diagnostics.push(diagnostic);
                continue;
            };
            if let Some(earlier) = &found.patch_path {
                let message = format!(
                    "dbt found two schema.yml entries for the same macro named {}: {earlier} and {}",
                    properties.name, file.path
                );
                diagnostics.push(Diagnostic::error(Code::DuplicateName, message).at(file.source.at(properties.span)));
                continue;
            }
            found.patch_path = Some(file.id(package));
            found.description = properties.description.clone();
            found.meta = properties.meta.clone();
            found.docs = Docs {
                show: properties.docs.get("show").and_then(Json::as_bool).unwrap_or(true),
                node_color: properties.docs.get("node_color").and_then(Json::as_str).map(str::to_owned),
            };
            found.arguments = properties.arguments.iter().map(argument).collect();
            places.insert(found.unique_id.clone(), file.source.at(properties.span));
        }
    }
}

fn argument(argument: &crate::properties::ArgumentProperties) -> Json {
    serde_json::json!({
        "name": argument.name, "type": argument.type_, "description": argument.description,
    })
}

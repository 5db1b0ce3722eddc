//! Unit tests meet the models they test: one test for each version, the model's code to run, and what each input is.
//!
//! Source of the rules: dbt's behaviour. Invariant: a unit test that stays in the manifest depends on exactly one node, a model that
//! exists, and has that model's code.

use common::diagnostic::Code;
use common::manifest::{Manifest, Node, Ref};
use common::unit_test::{TestedVersions, UnitTest};
use common::{Diagnostic, Json, NodeId};

use super::index::{Asking, Found, Index};
use super::place;
use super::{Scope, suggest};
use crate::parse::reference;

/// Connects every unit test, or reports why it cannot be. The test of a disabled model is disabled.
pub fn connect(manifest: &mut Manifest, scope: &Scope<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let ids: Vec<NodeId> =
        manifest.nodes.values().filter(|node| node.unit_test.is_some()).map(|node| node.unique_id.clone()).collect();
    if ids.is_empty() {
        return;
    }
    let index = Index::new(manifest);
    for id in ids {
        let Some(mut node) = manifest.nodes.remove(&id) else { continue };
        let Some(mut test) = node.unit_test.take() else { continue };
        let connected = Connector { manifest, scope, index: &index, node: &node, test: &test }.models();
        let place = || place::of_node(manifest, scope.places, &node);
        let models = match connected {
            Ok(models) => models,
            Err(finding) => {
                diagnostics.push(finding.at(place()));
                continue;
            }
        };
        if models.is_empty() {
            node.config.enabled = false;
            node.unit_test = Some(test);
            manifest.disabled.entry(id).or_default().push(node);
            continue;
        }
        for finding in find_inputs(&mut test, &node, &index, scope, &manifest.project_name) {
            diagnostics.push(finding.at(place()));
        }
        let made: Vec<Node> = models.iter().map(|model| of_model(&node, &test, &manifest.nodes[model])).collect();
        manifest.nodes.extend(made.into_iter().map(|test| (test.unique_id.clone(), test)));
    }
}

struct Connector<'a> {
    manifest: &'a Manifest,
    scope: &'a Scope<'a>,
    index: &'a Index,
    node: &'a Node,
    test: &'a UnitTest,
}

impl Connector<'_> {
    /// The models that are tested; none where the one that is named is disabled.
    fn models(&self) -> Result<Vec<NodeId>, Diagnostic> {
        let (package, written) = (&self.node.package_name, &self.test.model);
        let mut words = written.split_whitespace();
        let name = words.next().unwrap_or_default().to_owned();
        let named = Ref { name, package: Some(package.clone()), version: words.next().map(str::to_owned) };
        let asking = asking(self.node, self.scope, &self.manifest.project_name);
        let found = match self.index.find_ref(&named, asking) {
            Found::Node(id) => self.manifest.nodes.get(&id).filter(|node| node.model.is_some()),
            Found::Disabled(_) => return Ok(Vec::new()),
            Found::Nothing | Found::Ambiguous(_) => None,
        };
        let Some(model) = found else {
            let message = format!(
                "Unable to find model '{package}.{written}' for unit test '{}' in {}",
                self.node.name, self.node.original_file_path
            );
            let mut finding = invalid(message);
            finding.hint = suggest::hint(&named.name, self.index.ref_names());
            return Err(finding);
        };
        self.check_incremental(model)?;
        self.versions(model)
    }

    /// A model that asks `is_incremental()` must be told, and given what it built before where the answer is yes.
    fn check_incremental(&self, model: &Node) -> Result<(), Diagnostic> {
        if !model.depends_on.macros.iter().any(|id| id.as_str() == "macro.dbt.is_incremental") {
            return Ok(());
        }
        let (test, name) = (&self.node.name, &model.name);
        let told = self.test.overrides.as_ref().and_then(|overrides| overrides.macros.get("is_incremental"));
        match told.and_then(Json::as_bool) {
            None => Err(invalid(format!(
                "Boolean override for 'is_incremental' must be provided for unit test '{test}' in model '{name}'"
            ))
            .hint("add overrides: {macros: {is_incremental: true}}, or false")),
            Some(true) if !self.test.given.iter().any(|given| given.input == "this") => {
                Err(invalid(format!("Unit test '{test}' for incremental model '{name}' must have a 'this' input"))
                    .hint("add '- input: this' with the rows that are there before"))
            }
            Some(_) => Ok(()),
        }
    }

    fn versions(&self, model: &Node) -> Result<Vec<NodeId>, Diagnostic> {
        let chosen = self.test.versions.as_ref();
        let given = |list: &Option<Vec<Json>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if version_of(model).is_none() {
            if chosen.is_some_and(|chosen| given(&chosen.include) || given(&chosen.exclude)) {
                return Err(invalid(format!(
                    "Unit test '{}' should not have a versions include or exclude when referencing non-versioned model '{}'",
                    self.node.name, model.name
                )));
            }
            return Ok(vec![model.unique_id.clone()]);
        }
        let is_version =
            |node: &&Node| node.package_name == model.package_name && node.name == model.name && node.model.is_some();
        let models: Vec<NodeId> = self
            .manifest
            .nodes
            .values()
            .filter(is_version)
            .filter(|node| version_of(node).is_some_and(|version| is_tested(chosen, version)))
            .map(|node| node.unique_id.clone())
            .collect();
        if models.is_empty() {
            return Err(invalid(format!(
                "Unit test '{}' referenced a version of '{}' which was not found.",
                self.node.name, model.name
            )));
        }
        Ok(models)
    }
}

fn is_tested(chosen: Option<&TestedVersions>, version: &Json) -> bool {
    let Some(TestedVersions { include, exclude }) = chosen else { return true };
    match (include, exclude) {
        (_, Some(exclude)) if !exclude.is_empty() => !exclude.contains(version),
        (Some(include), _) => include.contains(version),
        (None, _) => false,
    }
}

fn version_of(node: &Node) -> Option<&Json> {
    node.model.as_ref()?.version.as_ref()
}

fn asking<'a>(node: &'a Node, scope: &Scope<'_>, root: &'a str) -> Asking<'a> {
    Asking { package: &node.package_name, root, own_package_first: scope.own_package_first }
}

fn invalid(message: String) -> Diagnostic {
    Diagnostic::error(Code::UnitTestInvalid, message)
}

/// Sets what each input is. What does not exist fails the test when it runs, as in dbt.
fn find_inputs(test: &mut UnitTest, node: &Node, index: &Index, scope: &Scope<'_>, root: &str) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for given in test.given.iter_mut().filter(|given| !given.is_this()) {
        let recorded = reference(&given.input);
        let Some(recorded) = recorded else {
            findings.push(invalid(format!(
                "Unit test '{}' has the input '{}': expected ref(…), source(…) or this",
                node.name, given.input
            )));
            continue;
        };
        let asking = asking(node, scope, root);
        let found = match (recorded.refs.first(), recorded.sources.first()) {
            (Some(reference), _) => index.find_ref(reference, asking),
            (None, Some(source)) => index.find_source(source, asking),
            (None, None) => Found::Nothing,
        };
        if let Found::Node(id) = found {
            given.node = Some(id);
            continue;
        }
        let message =
            format!("Unit test '{}' had an input ({}) which was not found in the manifest.", node.name, given.input);
        let mut finding = Diagnostic::warning(Code::UnitTestInvalid, message);
        let name = recorded.refs.first().map(|reference| reference.name.as_str());
        finding.hint = name.and_then(|name| suggest::hint(name, index.ref_names()));
        findings.push(finding);
    }
    findings
}

/// The test as it is for one model.
fn of_model(node: &Node, test: &UnitTest, model: &Node) -> Node {
    let mut test = test.clone();
    test.version = version_of(model).cloned();
    for given in test.given.iter_mut().filter(|given| given.is_this()) {
        given.node = Some(model.unique_id.clone());
    }
    let mut made = node.clone();
    if test.version.is_some() {
        let name = test.versioned_name(&node.name);
        made.unique_id = NodeId::from(format!("unit_test.{}.{}.{name}", node.package_name, test.model));
    }
    made.alias = test.versioned_name(&node.name);
    made.database.clone_from(&model.database);
    made.schema.clone_from(&model.schema);
    made.raw_code.clone_from(&model.raw_code);
    made.raw_code_line = model.raw_code_line;
    made.depends_on.nodes = vec![model.unique_id.clone()];
    made.unit_test = Some(Box::new(test));
    made
}

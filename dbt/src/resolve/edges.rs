//! `depends_on.nodes`: from recorded `source` and `ref` calls to ids.

use common::diagnostic::Code;
use common::manifest::{Exposure, Manifest, Node, Ref, ResourceType};
use common::{Diagnostic, NodeId};

use super::index::{Asking, Found, Index, source_key};
use super::{Scope, access, place, suggest};

/// What came of one node's references.
#[derive(Default)]
struct Outcome {
    nodes: Vec<NodeId>,
    /// Something it needs is missing or disabled.
    broken: bool,
}

/// Connects all nodes and exposures. References that lead nowhere are errors, except in tests, which are then disabled.
pub fn connect(manifest: &mut Manifest, scope: &Scope<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let index = Index::new(manifest);
    let resolver = Resolver { manifest, scope, index };
    let nodes: Vec<Outcome> = manifest.nodes.values().map(|node| resolver.node(node, diagnostics)).collect();
    let exposures: Vec<Outcome> =
        manifest.exposures.values().map(|exposure| resolver.exposure(exposure, diagnostics)).collect();

    let mut without_target = Vec::new();
    for (node, outcome) in manifest.nodes.values_mut().zip(nodes) {
        node.depends_on.nodes = outcome.nodes;
        if outcome.broken && node.resource_type == ResourceType::Test {
            node.config.enabled = false;
            without_target.push(node.unique_id.clone());
        }
    }
    for id in without_target {
        if let Some(node) = manifest.nodes.remove(&id) {
            manifest.disabled.entry(id).or_default().push(node);
        }
    }
    for (exposure, outcome) in manifest.exposures.values_mut().zip(exposures) {
        exposure.depends_on.nodes = outcome.nodes;
    }
}

struct Resolver<'a> {
    manifest: &'a Manifest,
    scope: &'a Scope<'a>,
    index: Index,
}

impl Resolver<'_> {
    fn asking<'n>(&'n self, package: &'n str) -> Asking<'n> {
        Asking { package, root: &self.manifest.project_name, own_package_first: self.scope.own_package_first }
    }

    fn node(&self, node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Outcome {
        let mut outcome = Outcome::default();
        let asking = self.asking(&node.package_name);
        let subject = Subject {
            title: title(node.resource_type),
            id: &node.unique_id,
            file: &node.original_file_path,
            is_test: node.resource_type == ResourceType::Test,
        };
        for source in &node.sources {
            match self.index.find_source(source, asking) {
                Found::Node(id) => outcome.add(id),
                found => {
                    outcome.broken = true;
                    let missing = self.missing_source(&subject, source, &found);
                    diagnostics.extend(missing.map(|diagnostic| {
                        diagnostic.at(place::of_source(self.manifest, self.scope.places, node, source))
                    }));
                }
            }
        }
        for reference in &node.refs {
            let found = self.index.find_ref(reference, asking);
            let finding = match &found {
                Found::Node(id) => {
                    let denied = access::denied(self.manifest, self.scope, node, id);
                    outcome.add(id.clone());
                    denied
                }
                found => {
                    outcome.broken = true;
                    self.missing_ref(&subject, reference, found)
                }
            };
            diagnostics.extend(
                finding
                    .map(|diagnostic| diagnostic.at(place::of_ref(self.manifest, self.scope.places, node, reference))),
            );
        }
        outcome
    }

    fn exposure(&self, exposure: &Exposure, diagnostics: &mut Vec<Diagnostic>) -> Outcome {
        let mut outcome = Outcome::default();
        let asking = self.asking(&exposure.package_name);
        let file = &exposure.original_file_path;
        let subject = Subject { title: "Exposure", id: &exposure.unique_id, file, is_test: false };
        let mut findings = Vec::new();
        for source in &exposure.sources {
            match self.index.find_source(source, asking) {
                Found::Node(id) => outcome.add(id),
                found => findings.extend(self.missing_source(&subject, source, &found)),
            }
        }
        for reference in &exposure.refs {
            match self.index.find_ref(reference, asking) {
                Found::Node(id) => {
                    findings.extend(access::denied_to_exposure(self.manifest, exposure, &id));
                    outcome.add(id);
                }
                found => findings.extend(self.missing_ref(&subject, reference, &found)),
            }
        }
        let place = self.scope.places.get(&exposure.unique_id);
        diagnostics.extend(findings.into_iter().map(|finding| match place {
            Some(place) => finding.at(place.clone()),
            None => finding,
        }));
        outcome
    }

    fn missing_ref(&self, subject: &Subject<'_>, reference: &Ref, found: &Found) -> Option<Diagnostic> {
        if let Found::Ambiguous(ids) = found {
            return Some(ambiguous(reference, ids));
        }
        let mut name = format!("a node named '{}' ", reference.name);
        if let Some(version) = &reference.version {
            name.push_str(&format!("with version '{version}' "));
        }
        if let Some(package) = &reference.package {
            name.push_str(&format!("in package or project '{package}' "));
        }
        let hint = || {
            // A version, or the package, may be the only thing that is wrong.
            let alone = Ref { name: reference.name.clone(), package: None, version: None };
            let asking = self.asking(reference.package.as_deref().unwrap_or(&self.manifest.project_name));
            match self.index.find_ref(&alone, asking) {
                Found::Node(id) => Some(format!("there is {id}")),
                _ => suggest::hint(&reference.name, self.index.ref_names()),
            }
        };
        subject.finding(&name, found, Code::UnknownRef, hint)
    }

    fn missing_source(&self, subject: &Subject<'_>, source: &[String; 2], found: &Found) -> Option<Diagnostic> {
        let key = source_key(&source[0], &source[1]);
        let hint = || suggest::hint(&key, self.index.source_names());
        subject.finding(&format!("a source named '{key}' "), found, Code::UnknownSource, hint)
    }
}

impl Outcome {
    fn add(&mut self, id: NodeId) {
        if !self.nodes.contains(&id) {
            self.nodes.push(id);
        }
    }
}

/// Who refers, as messages name it.
struct Subject<'a> {
    title: &'a str,
    id: &'a NodeId,
    file: &'a str,
    is_test: bool,
}

impl Subject<'_> {
    /// dbt's message; a test of a disabled node is disabled without a word.
    fn finding(
        &self,
        name: &str,
        found: &Found,
        code: Code,
        hint: impl FnOnce() -> Option<String>,
    ) -> Option<Diagnostic> {
        let (code, reason, hint) = match found {
            Found::Disabled(_) if self.is_test => return None,
            Found::Disabled(id) => (Code::DisabledRef, "is disabled", Some(format!("{id} has 'enabled: false'"))),
            _ => (code, "was not found", hint()),
        };
        let message = format!("{} '{}' ({}) depends on {name}which {reason}", self.title, self.id, self.file);
        let diagnostic =
            if self.is_test { Diagnostic::warning(code, message) } else { Diagnostic::error(code, message) };
        Some(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        })
    }
}

fn ambiguous(reference: &Ref, ids: &[NodeId]) -> Diagnostic {
    let quoted: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    let message =
        format!("When referencing '{}', dbt found nodes in multiple packages: {}", reference.name, quoted.join(", "));
    let package = ids[0].as_str().split('.').nth(1).unwrap_or_default();
    Diagnostic::error(Code::UnknownRef, message)
        .hint(format!("name the package first: ref('{package}', '{}')", reference.name))
}

fn title(resource_type: ResourceType) -> &'static str {
    match resource_type {
        ResourceType::Model => "Model",
        ResourceType::Seed => "Seed",
        ResourceType::Snapshot => "Snapshot",
        ResourceType::Test => "Test",
        ResourceType::Analysis => "Analysis",
        ResourceType::Operation => "Operation",
        ResourceType::Exposure => "Exposure",
        _ => "Node",
    }
}

//! One parse from beginning to end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use common::diagnostic::{Code, Location};
use common::manifest::{Group, Manifest, Node, PackageSettings, ResourceType, Source};
use common::relation::Quoting;
use common::target::Target;
use common::{Diagnostic, Json, NodeId};
use indexmap::IndexMap;
use rayon::prelude::*;

use super::config::Kind;
use super::draft::Draft;
use super::extract::{self, Overrides};
use super::package::Package;
use super::patch::{self, Patches};
use super::properties_files::{self, PropertiesFile};
use super::steps::{Seen, Steps};
use super::{
    ParseOptions, Parsed, data_tests, digest, docs, exposures, finish, left_out, macros, microbatch, sources,
    templates, unit_tests,
};
use crate::cache::Memo;
use crate::context::{self, Parsing, Yaml};
use crate::files::{PackageFiles, ProjectFiles};
use crate::resolve::place::Places;
use crate::resolve::{self, Scope};

/// What every step needs.
pub struct Job<'p> {
    pub target: &'p Target,
    pub options: &'p ParseOptions,
    /// Root first.
    pub packages: Vec<Package<'p>>,
    pub parsing: Parsing,
    pub quoting: Quoting,
    pub macros: BTreeMap<NodeId, common::manifest::Macro>,
    pub steps: Steps<'p>,
    /// Whether microbatch models are built in batches.
    pub has_batches: bool,
    /// Which names have another meaning than dbt's, for each package.
    overrides: Vec<Overrides>,
    /// Renders strings of properties files, for each package.
    yaml: Vec<Yaml>,
}

impl<'p> Job<'p> {
    pub fn root(&self) -> &Package<'p> {
        &self.packages[0]
    }

    /// Which names have another meaning than dbt's in a package.
    pub fn overrides(&self, package: usize) -> Overrides {
        self.overrides[package]
    }

    /// Whether the package or the root project has a macro of that name.
    pub fn is_overridden(&self, package: &str, name: &str) -> bool {
        extract::is_overridden(package, self.root().name(), &self.macros, name)
    }

    /// Renders strings of a package's properties files.
    pub fn yaml(&self, package: usize) -> &Yaml {
        &self.yaml[package]
    }

    /// A behaviour flag of `dbt_project.yml` or the command line.
    pub fn flag(&self, name: &str) -> bool {
        let given = self.options.invocation.flags.get(name).or_else(|| self.root().project().flags.get(name));
        given.and_then(Json::as_bool).unwrap_or(false)
    }
}

pub fn run(files: &ProjectFiles, target: &Target, options: &ParseOptions, memo: &Memo) -> Parsed {
    let mut diagnostics = Vec::new();
    files.read_all(|_| true, &mut diagnostics);
    let root = files.root();
    let quoting = root.quoting.over(Quoting::default());
    let dispatch: BTreeMap<String, Vec<String>> = root.dispatch.iter().cloned().collect();
    let settings = package_settings(files);
    let macros = macros::collect(files, memo, &dispatch, target.adapter_type.as_str(), &mut diagnostics);
    let steps = Steps::new(
        memo,
        &Seen { target, options, root: &root.name, packages: &settings, dispatch: &dispatch, quoting, macros: &macros },
    );
    let parsing = Parsing::new(context::Project {
        name: root.name.clone(),
        macros: macros.clone(),
        packages: settings.clone(),
        dispatch: dispatch.clone(),
        quoting,
        target: target.clone(),
        invocation: options.invocation.clone(),
    });
    let packages: Vec<Package<'_>> = files.packages.iter().map(Package::new).collect();
    let overrides = packages.iter().map(|package| Overrides::of(package.name(), &root.name, &macros)).collect();
    let shared = Arc::new(settings.clone());
    let yaml = |package: &PackageFiles| {
        let (invocation, target) = (options.invocation.clone(), target.clone());
        Yaml::properties(invocation, target, &root.name, Arc::clone(&shared), &package.project.name)
    };
    let yaml = files.packages.iter().map(yaml).collect();
    let mut job =
        Job { target, options, packages, parsing, quoting, macros, steps, has_batches: true, overrides, yaml };
    job.has_batches = job.flag(microbatch::FLAG) || !microbatch::is_overridden(job.macros.values());
    let manifest = Manifest {
        project_name: root.name.clone(),
        project_id: digest::md5_hex(&root.name),
        adapter_type: target.adapter_type,
        quoting,
        nodes: BTreeMap::new(),
        sources: BTreeMap::new(),
        exposures: BTreeMap::new(),
        macros: BTreeMap::new(),
        docs: BTreeMap::new(),
        groups: BTreeMap::new(),
        disabled: BTreeMap::new(),
        disabled_sources: BTreeMap::new(),
        selectors: IndexMap::new(),
        packages: settings,
        dispatch,
        query_comment: root.query_comment.clone(),
        has_batches: job.has_batches,
    };
    let manifest = assemble(&mut job, manifest, &mut diagnostics);
    diagnostics.sort_by(|left, right| place(left).cmp(&place(right)));
    Parsed { manifest, diagnostics, fingerprint: None }
}

/// Findings without a place first, the others by file and line.
fn place(diagnostic: &Diagnostic) -> Option<(&str, u32, u32)> {
    diagnostic.location.as_ref().map(|location| (&*location.file, location.line, location.column))
}

fn package_settings(files: &ProjectFiles) -> BTreeMap<String, PackageSettings> {
    files
        .packages
        .iter()
        .map(|package| {
            let project = &package.project;
            let settings = PackageSettings {
                name: project.name.clone(),
                version: project.version.clone(),
                root: project.prefix.clone(),
                vars: project.vars.clone(),
            };
            (project.name.clone(), settings)
        })
        .collect()
}

fn assemble(job: &mut Job<'_>, mut manifest: Manifest, diagnostics: &mut Vec<Diagnostic>) -> Manifest {
    let ((mut drafts, from_files), (properties, from_properties)) =
        rayon::join(|| templates::read(job), || properties_files::read(job));
    diagnostics.extend(from_files);
    diagnostics.extend(from_properties);
    manifest.docs = docs::read(job, diagnostics);
    let mut places = Places::new();
    patch::add_yaml_snapshots(job, &properties, &mut drafts, &mut places, diagnostics);
    hook_places(job, &drafts, &mut places);
    let mut patches = patch::apply(&properties, &mut drafts, diagnostics);

    let finished: Vec<(Node, Vec<Diagnostic>)> = drafts
        .into_par_iter()
        .zip(std::mem::take(&mut patches.by_draft))
        .map(|(draft, patch)| finish::finish(job, draft, patch.as_ref()))
        .collect();
    for (node, findings) in finished {
        diagnostics.extend(findings);
        add(&mut manifest, node, diagnostics);
    }
    add_declared(job, &mut manifest, &properties, &patches, &mut places, diagnostics);

    manifest.macros = std::mem::take(&mut job.macros);
    patch::apply_to_macros(job, &properties, &mut manifest.macros, &mut places, diagnostics);
    let described = places.iter().chain(&patches.places).map(|(id, place)| (id.clone(), place.clone())).collect();
    docs::render(job, &mut manifest, &described, diagnostics);
    let restricted: BTreeSet<String> = job
        .packages
        .iter()
        .filter(|package| package.project().restrict_access)
        .map(|package| package.name().to_owned())
        .collect();
    let scope = Scope {
        restricted_packages: &restricted,
        own_package_first: job.flag("require_ref_searches_node_package_before_root"),
        places: &places,
    };
    resolve::resolve(&mut manifest, &scope, diagnostics);
    microbatch::warn_of_unfiltered(&manifest, diagnostics);
    unused_configs(job, &manifest, diagnostics);
    manifest
}

/// Hooks stand in `dbt_project.yml`.
fn hook_places(job: &Job<'_>, drafts: &[Draft], places: &mut Places) {
    for draft in drafts.iter().filter(|draft| draft.node.resource_type == ResourceType::Operation) {
        let source = &job.packages[draft.package].project().source;
        let span = crate::yaml::Span { line: draft.node.raw_code_line, ..crate::yaml::Span::default() };
        places.insert(draft.node.unique_id.clone(), source.at(span));
    }
}

/// Everything that properties files declare rather than describe.
fn add_declared(
    job: &Job<'_>,
    manifest: &mut Manifest,
    properties: &[PropertiesFile],
    patches: &Patches<'_>,
    places: &mut Places,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let made: Vec<data_tests::Made> = patches.tested.par_iter().map(|tested| data_tests::make(job, tested)).collect();
    let declared = sources::read(job, properties, diagnostics);
    let of_sources: Vec<data_tests::Made> =
        declared.tested.par_iter().map(|tested| data_tests::make(job, tested)).collect();
    for (source, place) in declared.sources {
        places.insert(source.unique_id.clone(), place.clone());
        if !source.enabled {
            manifest.disabled_sources.entry(source.unique_id.clone()).or_default().push(source);
        } else if let Some(other) = manifest.sources.get(&source.unique_id) {
            diagnostics.push(duplicate_source(&source, other).at(place));
        } else {
            manifest.sources.insert(source.unique_id.clone(), source);
        }
    }
    for test in made.into_iter().chain(of_sources) {
        diagnostics.extend(test.diagnostics);
        for (node, place) in test.nodes {
            places.insert(node.unique_id.clone(), place);
            add(manifest, node, diagnostics);
        }
    }
    for (node, place) in unit_tests::read(job, properties, manifest, diagnostics) {
        if let Some(other) = manifest.nodes.get(&node.unique_id) {
            diagnostics.push(duplicate_node(&node, other).at(place));
            continue;
        }
        places.insert(node.unique_id.clone(), place);
        add(manifest, node, diagnostics);
    }
    exposures::read(job, properties, manifest, places, diagnostics);
    groups(job, properties, manifest, diagnostics);
    left_out::report(properties, diagnostics);
}

fn duplicate_source(source: &Source, other: &Source) -> Diagnostic {
    let message = format!(
        "dbt found two sources with the name \"{}_{}\": {} and {}",
        source.source_name, source.name, other.original_file_path, source.original_file_path
    );
    Diagnostic::error(Code::DuplicateName, message).hint("rename or remove one of them")
}

/// Puts a node among the enabled or the disabled ones; two enabled nodes of one id are a finding.
fn add(manifest: &mut Manifest, node: Node, diagnostics: &mut Vec<Diagnostic>) {
    if !node.config.enabled {
        manifest.disabled.entry(node.unique_id.clone()).or_default().push(node);
        return;
    }
    if let Some(other) = manifest.nodes.get(&node.unique_id) {
        let file = resolve::place::file_of(manifest, &node);
        diagnostics.push(duplicate_node(&node, other).at(Location::file(file)));
        return;
    }
    manifest.nodes.insert(node.unique_id.clone(), node);
}

fn duplicate_node(node: &Node, other: &Node) -> Diagnostic {
    let message = format!(
        "dbt found two {}s with the name \"{}\": {} and {}",
        node.resource_type, node.name, other.original_file_path, node.original_file_path
    );
    let hint = match node.resource_type {
        ResourceType::Test => "remove one of them, or give one a 'name'",
        ResourceType::UnitTest => "rename one of them",
        _ => "rename or disable one of them, since ref() could not tell which one is meant",
    };
    Diagnostic::error(Code::DuplicateName, message).hint(hint)
}

fn groups(job: &Job<'_>, properties: &[PropertiesFile], manifest: &mut Manifest, diagnostics: &mut Vec<Diagnostic>) {
    for file in properties {
        let package = job.packages[file.package].name();
        for declared in &file.properties.groups {
            let group = Group {
                unique_id: NodeId::from(format!("group.{package}.{}", declared.name)),
                name: declared.name.clone(),
                package_name: package.to_owned(),
                path: file.relative_path.clone(),
                original_file_path: file.path.clone(),
                owner: declared.owner.clone(),
                description: declared.description.clone(),
                config: declared.config.clone(),
            };
            if let Some(other) = manifest.groups.get(&group.unique_id) {
                let message = format!(
                    "dbt found two groups with the name \"{}\": {} and {}",
                    group.name, other.original_file_path, group.original_file_path
                );
                diagnostics.push(Diagnostic::error(Code::DuplicateName, message).at(file.source.at(declared.span)));
                continue;
            }
            manifest.groups.insert(group.unique_id.clone(), group);
        }
    }
}

/// A path is used when it is the beginning of some fqn.
fn note<'n>(used: &mut HashSet<(Kind, &'n [String])>, kind: Kind, fqn: &'n [String]) {
    used.extend((0..=fqn.len()).map(|length| (kind, &fqn[..length])));
}

/// Warns of config paths of the root project that no resource uses.
fn unused_configs(job: &Job<'_>, manifest: &Manifest, diagnostics: &mut Vec<Diagnostic>) {
    let mut used: HashSet<(Kind, &[String])> = HashSet::new();
    let nodes = manifest.nodes.values().chain(manifest.disabled.values().flatten());
    for node in nodes {
        let kind = match Kind::of(node.resource_type) {
            Kind::Other => Kind::Model,
            kind => kind,
        };
        note(&mut used, kind, &node.fqn);
    }
    for source in manifest.sources.values().chain(manifest.disabled_sources.values().flatten()) {
        note(&mut used, Kind::Source, &source.fqn);
    }
    for exposure in manifest.exposures.values() {
        note(&mut used, Kind::Exposure, &exposure.fqn);
    }
    for (kind, section) in [
        (Kind::Model, "models"),
        (Kind::Seed, "seeds"),
        (Kind::Snapshot, "snapshots"),
        (Kind::Test, "data_tests"),
        (Kind::Source, "sources"),
        (Kind::Exposure, "exposures"),
        (Kind::UnitTest, "unit_tests"),
    ] {
        for (path, place) in job.root().configured_paths(kind) {
            if path.is_empty() || used.contains(&(kind, path.as_slice())) {
                continue;
            }
            let message = format!(
                "Configuration paths exist in your dbt_project.yml file which do not apply to any resources: {section}.{}",
                path.join(".")
            );
            let mut diagnostic = Diagnostic::warning(Code::UnknownKey, message)
                .hint("correct the folder's name, or put '+' before the key if it is a config");
            diagnostic.location = place;
            diagnostics.push(diagnostic);
        }
    }
}

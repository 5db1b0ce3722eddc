//! A project or package as configuration sees it: its name, its place and its config trees.

use std::collections::HashMap;

use common::JsonMap;
use common::diagnostic::Location;
use common::manifest::ResourceType;
use common::node_config::NodeConfig;

use super::config::{Kind, Problem, layers, merge, typed};
use crate::files::PackageFiles;
use crate::project::{ConfigTree, Project};
use crate::yaml::{Mapping, Node, Span, Value};

/// One project of the parse, root first.
pub struct Package<'p> {
    pub files: &'p PackageFiles,
    trees: HashMap<Kind, Tree>,
}

/// A config tree as JSON, rendered and as written.
#[derive(Default)]
struct Tree {
    rendered: JsonMap,
    unrendered: JsonMap,
}

/// The layers of one node besides its packages' trees.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    pub fqn: &'a [String],
    pub kind: Kind,
    /// `config:` of a properties file, and the same before rendering.
    pub patch: Option<(&'a JsonMap, &'a JsonMap)>,
    /// `{{ config() }}` calls, combined.
    pub calls: &'a JsonMap,
}

/// What the layers come to.
pub struct Configured {
    pub config: NodeConfig,
    pub unrendered: JsonMap,
    pub problems: Vec<Problem>,
}

impl<'p> Package<'p> {
    pub fn new(files: &'p PackageFiles) -> Self {
        let kinds = [
            Kind::Model,
            Kind::Seed,
            Kind::Snapshot,
            Kind::Test,
            Kind::Source,
            Kind::Exposure,
            Kind::UnitTest,
            Kind::Other,
        ];
        let trees = kinds
            .into_iter()
            .filter_map(|kind| {
                let ConfigTree { rendered, unrendered } = tree(&files.project, kind)?;
                Some((kind, Tree { rendered: rendered.to_json(), unrendered: unrendered.to_json() }))
            })
            .collect();
        Self { files, trees }
    }

    pub fn project(&self) -> &'p Project {
        &self.files.project
    }

    pub fn name(&self) -> &'p str {
        &self.files.project.name
    }

    /// Combines all layers, weakest first. `root` is the root project, whose trees win over those of a package.
    pub fn configure(&self, root: &Package<'_>, layers: Layers<'_>) -> Configured {
        let mut problems = Vec::new();
        let merged = self.merged(root, layers, &mut problems);
        let config = typed::node_config(merged, layers.kind, &mut problems);
        Configured { config, unrendered: self.unrendered(root, layers), problems }
    }

    /// The combined keys before they are typed.
    pub fn merged(&self, root: &Package<'_>, layers: Layers<'_>, problems: &mut Vec<Problem>) -> JsonMap {
        let Layers { fqn, kind, patch, calls } = layers;
        let mut merged = JsonMap::new();
        for level in self.levels(kind, fqn, |tree| &tree.rendered) {
            merge::apply(&mut merged, &layers::settings(level), kind, problems);
        }
        if let Some((patch, _)) = patch {
            merge::apply(&mut merged, patch, kind, problems);
        }
        merge::apply(&mut merged, calls, kind, problems);
        if root.name() != self.name() {
            for level in root.levels(kind, fqn, |tree| &tree.rendered) {
                merge::apply(&mut merged, &layers::settings(level), kind, problems);
            }
        }
        merged
    }

    /// The same layers as they were written; here the strongest layer replaces whole keys.
    fn unrendered(&self, root: &Package<'_>, layers: Layers<'_>) -> JsonMap {
        let Layers { fqn, kind, patch, calls } = layers;
        let mut result = JsonMap::new();
        for level in self.levels(kind, fqn, |tree| &tree.unrendered) {
            result.extend(layers::settings(level));
        }
        if let Some((rendered, unrendered)) = patch {
            result.extend(rendered.iter().chain(unrendered).map(|(key, value)| (key.clone(), value.clone())));
        }
        let calls = calls.iter().map(|(key, value)| (key.clone(), value.clone()));
        if patch.is_some() {
            result.extend(calls.clone());
        }
        if root.name() != self.name() {
            for level in root.levels(kind, fqn, |tree| &tree.unrendered) {
                result.extend(layers::settings(level));
            }
        }
        // Without a properties file, dbt puts the calls it read off the file over everything.
        if patch.is_none() {
            result.extend(calls);
        }
        result
    }

    fn levels<'t>(&'t self, kind: Kind, fqn: &[String], which: fn(&Tree) -> &JsonMap) -> Vec<&'t JsonMap> {
        self.trees.get(&kind).map(|tree| layers::levels(which(tree), fqn)).unwrap_or_default()
    }

    /// Where this project's trees set `key` for nodes of `fqn`, the strongest place.
    pub fn place_of_setting(&self, kind: Kind, fqn: &[String], key: &str) -> Option<Location> {
        let mut level = &tree(self.project(), kind)?.rendered;
        let mut place = setting(level, key);
        for part in fqn {
            let Some(Node { value: Value::Mapping(next), .. }) = level.get(part) else { break };
            level = next;
            place = setting(level, key).or(place);
        }
        place.map(|span| self.project().source.at(span))
    }

    /// Paths of the trees of a kind, each with the place of its last key.
    pub fn configured_paths(&self, kind: Kind) -> Vec<(Vec<String>, Option<Location>)> {
        let Some(tree) = self.trees.get(&kind) else { return Vec::new() };
        let root = self::tree(self.project(), kind).map(|tree| &tree.rendered);
        layers::paths(&tree.rendered)
            .into_iter()
            .map(|path| {
                let place = root.and_then(|root| place_of_path(root, &path)).map(|span| self.project().source.at(span));
                (path, place)
            })
            .collect()
    }
}

/// Analyses and hooks are configured by the tree of models, as in dbt.
fn tree(project: &Project, kind: Kind) -> Option<&ConfigTree> {
    project.configs.of(match kind {
        Kind::Model | Kind::Other => ResourceType::Model,
        Kind::Seed => ResourceType::Seed,
        Kind::Snapshot => ResourceType::Snapshot,
        Kind::Test => ResourceType::Test,
        Kind::Source => ResourceType::Source,
        Kind::Exposure => ResourceType::Exposure,
        Kind::UnitTest => ResourceType::UnitTest,
    })
}

fn setting(level: &Mapping, key: &str) -> Option<Span> {
    level
        .iter()
        .filter(|(written, _)| merge::canonical_key(written.trim_start_matches('+')) == key)
        .map(|(_, entry)| entry.value.span)
        .last()
}

fn place_of_path(root: &Mapping, path: &[String]) -> Option<Span> {
    let (last, folders) = path.split_last()?;
    let mut level = root;
    for folder in folders {
        level = level.get(folder)?.as_mapping()?;
    }
    level.entry(last).map(|entry| entry.key_span)
}

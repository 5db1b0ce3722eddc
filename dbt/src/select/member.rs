//! A member of the graph, whichever of the manifest's tables it is in.

use common::manifest::{Exposure, Node, ResourceType, Source};
use common::{Manifest, NodeId};

#[derive(Clone, Copy)]
pub enum Member<'a> {
    Node(&'a Node),
    Source(&'a Source),
    Exposure(&'a Exposure),
}

impl<'a> Member<'a> {
    pub fn of(manifest: &'a Manifest, id: &NodeId) -> Option<Self> {
        let node = manifest.nodes.get(id).map(Self::Node);
        node.or_else(|| manifest.sources.get(id).map(Self::Source))
            .or_else(|| manifest.exposures.get(id).map(Self::Exposure))
    }

    pub fn as_node(self) -> Option<&'a Node> {
        match self {
            Self::Node(node) => Some(node),
            Self::Source(_) | Self::Exposure(_) => None,
        }
    }

    pub fn as_source(self) -> Option<&'a Source> {
        match self {
            Self::Source(source) => Some(source),
            Self::Node(_) | Self::Exposure(_) => None,
        }
    }

    pub fn as_exposure(self) -> Option<&'a Exposure> {
        match self {
            Self::Exposure(exposure) => Some(exposure),
            Self::Node(_) | Self::Source(_) => None,
        }
    }

    pub fn resource_type(self) -> ResourceType {
        match self {
            Self::Node(node) => node.resource_type,
            Self::Source(_) => ResourceType::Source,
            Self::Exposure(_) => ResourceType::Exposure,
        }
    }

    pub fn package_name(self) -> &'a str {
        match self {
            Self::Node(node) => &node.package_name,
            Self::Source(source) => &source.package_name,
            Self::Exposure(exposure) => &exposure.package_name,
        }
    }

    pub fn fqn(self) -> &'a [String] {
        match self {
            Self::Node(node) => &node.fqn,
            Self::Source(source) => &source.fqn,
            Self::Exposure(exposure) => &exposure.fqn,
        }
    }

    pub fn tags(self) -> &'a [String] {
        match self {
            Self::Node(node) => &node.tags,
            Self::Source(source) => &source.tags,
            Self::Exposure(exposure) => &exposure.tags,
        }
    }

    pub fn original_file_path(self) -> &'a str {
        match self {
            Self::Node(node) => &node.original_file_path,
            Self::Source(source) => &source.original_file_path,
            Self::Exposure(exposure) => &exposure.original_file_path,
        }
    }

    /// The properties file, relative to its package.
    pub fn patch_path(self) -> Option<&'a str> {
        let patch_path = match self {
            Self::Node(node) => node.patch_path.as_deref(),
            Self::Source(source) => source.patch_path.as_deref(),
            Self::Exposure(_) => None,
        }?;
        Some(patch_path.split_once("://").map_or(patch_path, |(_, path)| path))
    }

    /// Whether this is a version of a model.
    pub fn is_versioned(self) -> bool {
        self.as_node().and_then(|node| node.model.as_ref()).is_some_and(|model| model.version.is_some())
    }

    /// A file with nothing in it; such nodes are never run.
    pub fn is_empty(self) -> bool {
        self.as_node().is_some_and(|node| node.resource_type != ResourceType::Seed && node.raw_code.trim().is_empty())
    }
}

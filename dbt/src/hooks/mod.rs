//! `on-run-start` and `on-run-end`: SQL of the project around a run, in the order in which it is written.
//!
//! Invariant: packages' hooks come before the root project's, each project's in its own order.

mod names;
mod plan;

use common::Manifest;
use common::manifest::{Node, ResourceType};

pub use names::names_at_end;
pub use plan::around;

/// Which end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Start,
    End,
}

impl When {
    /// None for what is no hook.
    pub fn of(node: &Node) -> Option<Self> {
        if node.resource_type != ResourceType::Operation {
            return None;
        }
        [Self::Start, Self::End].into_iter().find(|when| node.tags.iter().any(|tag| tag == when.tag()))
    }

    fn tag(self) -> &'static str {
        match self {
            Self::Start => "on-run-start",
            Self::End => "on-run-end",
        }
    }
}

/// The project's hooks of that end.
pub fn of(manifest: &Manifest, when: When) -> Vec<&Node> {
    let mut hooks: Vec<&Node> = manifest.nodes.values().filter(|node| When::of(node) == Some(when)).collect();
    hooks.sort_by_key(|node| (node.package_name == manifest.project_name, node.package_name.clone(), node.hook_index));
    hooks
}

/// How lines and messages name a hook: `shop.on-run-start.0`.
pub fn statement(node: &Node) -> String {
    let when = When::of(node).map(When::tag).unwrap_or_default();
    format!("{}.{when}.{}", node.package_name, node.hook_index.unwrap_or_default())
}

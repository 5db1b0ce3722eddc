//! From a node of the manifest to the SQL that the warehouse gets: rendering with the warehouse at hand, and ephemeral models
//! put in as CTEs.
//!
//! Invariant: a `Compiler` never changes after it is made; threads share it, and each `Session` stays on its thread.

mod comment;
mod ephemeral;
mod inline;
mod session;
mod sides;
#[cfg(test)]
mod tests;
mod unit_test;
pub mod values;

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use common::diagnostic::Code;
use common::manifest::Node;
use common::target::Target;
use common::{Diagnostic, Manifest, NodeId, Timestamp};

use crate::adapter::Adapter;
use crate::context::adapter::prefixes;
use crate::context::invocation::BatchEvent;
use crate::context::lookup::Lookup;
use crate::context::macros::Index;
use crate::context::rendering::Shared;
pub use crate::context::{Error, Invocation, Output};
pub use inline::inline_node;
pub use session::Session;
pub use sides::{Cell, Sides};

/// Compiles the nodes of one manifest for one invocation. Macros are parsed when they are first called, once for all threads.
pub struct Compiler {
    manifest: Arc<Manifest>,
    shared: Arc<Shared>,
}

/// SQL ready to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledNode {
    /// With the ephemeral models it needs in front, as CTEs.
    pub compiled_code: String,
    /// The ephemeral models that were put in, in order.
    pub extra_ctes: Vec<ExtraCte>,
    pub relation_name: Option<String>,
}

/// An ephemeral model as a CTE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraCte {
    pub id: NodeId,
    /// ` __dbt__cte__name as (\n…\n)`
    pub sql: String,
}

impl Compiler {
    pub fn new(manifest: Arc<Manifest>, target: Target, invocation: Invocation) -> Self {
        let shared = Arc::new(Shared {
            name: manifest.project_name.clone(),
            macros: Index::new(manifest.macros.values().cloned()),
            packages: manifest.packages.clone(),
            dispatch: manifest.dispatch.clone(),
            quoting: manifest.quoting,
            target,
            invocation,
            lookup: Lookup::new(&manifest),
            warned: Mutex::default(),
            manifest: Some(manifest.clone()),
        });
        Self { manifest, shared }
    }

    /// Warns where `exceptions.warn` would, but of the same only once for all nodes.
    pub fn warn_once(&self, text: &str) {
        self.shared.warn_once(text);
    }

    /// When the run was asked for.
    pub fn run_started_at(&self) -> Timestamp {
        self.shared.invocation.run_started_at
    }

    pub fn tell_batch(&self, event: &BatchEvent<'_>) {
        self.shared.invocation.output.batch(event);
    }

    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The nodes that the invocation is about.
    pub fn selected(&self) -> &[NodeId] {
        &self.shared.invocation.selected_resources
    }

    pub fn compile(&self, node: &NodeId, adapter: Rc<dyn Adapter>) -> Result<CompiledNode, Error> {
        self.session(node, adapter)?.compile()
    }

    /// A node of the manifest.
    pub fn session(&self, node: &NodeId, adapter: Rc<dyn Adapter>) -> Result<Session<'_>, Error> {
        let Some(node) = self.manifest.nodes.get(node) else {
            return Err(Diagnostic::error(Code::Internal, format!("no node {node} in the manifest")).into());
        };
        Ok(self.session_for(node.clone(), adapter))
    }

    /// A node that need not be in the manifest: an inline query, a hook of the run.
    pub fn session_for(&self, node: Node, adapter: Rc<dyn Adapter>) -> Session<'_> {
        Session::new(self, node, adapter)
    }

    /// The comment dbt puts at each statement of `node` (without `/*` and `*/`), and whether it goes to the end; `None` where
    /// comments are off.
    pub fn query_comment(&self, node: Option<&NodeId>) -> Result<Option<(String, bool)>, Error> {
        comment::render(&self.shared, node.and_then(|id| self.manifest.nodes.get(id)))
    }

    /// Whether a macro, or an implementation of it for this adapter, is defined by the root project or a package rather than by
    /// the built-in one: then it must be called instead of a native equivalent.
    pub fn overridden(&self, macro_name: &str) -> bool {
        self.shared.macros.defined_outside(macro_name, &prefixes(self.shared.target.adapter_type))
    }
}

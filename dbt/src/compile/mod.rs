//! From a node of the manifest to the SQL that the warehouse gets: rendering with the warehouse at hand, and ephemeral models
//! put in as CTEs.
//!
//! Invariant: a `Compiler` never changes after it is made; threads share it, and each `Session` stays on its thread.

use std::rc::Rc;
use std::sync::Arc;

use common::diagnostic::Code;
use common::manifest::Node;
use common::target::Target;
use common::{Diagnostic, Manifest, NodeId};

use crate::adapter::Adapter;
pub use crate::context::{Error, Invocation, Output};
use crate::jinja::value::Value;

/// Compiles the nodes of one manifest for one invocation. Macros are parsed when they are first called, once for all threads.
pub struct Compiler {
    manifest: Arc<Manifest>,
    _target: Target,
    _invocation: Invocation,
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

/// Rendering in the context of one node, over one connection.
pub struct Session<'c> {
    compiler: &'c Compiler,
    node: Node,
    _adapter: Rc<dyn Adapter>,
}

impl Compiler {
    pub fn new(manifest: Arc<Manifest>, target: Target, invocation: Invocation) -> Self {
        Self { manifest, _target: target, _invocation: invocation }
    }

    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
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
        Session { compiler: self, node, _adapter: adapter }
    }

    /// The comment dbt puts at each statement of `node` (without `/*` and `*/`), and whether it goes to the end; `None` where
    /// comments are off.
    pub fn query_comment(&self, _node: Option<&NodeId>) -> Result<Option<(String, bool)>, Error> {
        Ok(None)
    }

    /// Whether a macro, or an implementation of it for this adapter, is defined by the root project or a package rather than by
    /// the built-in one: then it must be called instead of a native equivalent.
    pub fn overridden(&self, _macro_name: &str) -> bool {
        false
    }
}

impl Session<'_> {
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Renders the node's own code, ephemeral models included. Afterwards templates see it as `sql` and `compiled_code`.
    pub fn compile(&mut self) -> Result<CompiledNode, Error> {
        Err(unsupported())
    }

    /// Renders a hook or another piece of SQL in the node's context.
    pub fn render(&mut self, _template: &str) -> Result<String, Error> {
        Err(unsupported())
    }

    /// Calls a macro as a template of this node would (`name` or `package.name`).
    pub fn call_macro(&mut self, _name: &str, _args: Vec<(Option<&str>, Value)>) -> Result<Value, Error> {
        Err(unsupported())
    }

    /// Runs a materialization macro of the project or a package (its `unique_id` is found by dbt's rules); `None` where only a
    /// built-in one exists.
    pub fn run_materialization(&mut self, _name: &str) -> Option<Result<Value, Error>> {
        None
    }

    /// See `Compiler::overridden`.
    pub fn overridden(&self, macro_name: &str) -> bool {
        self.compiler.overridden(macro_name)
    }
}

fn unsupported() -> Error {
    Diagnostic::error(Code::Unsupported, "templates cannot be rendered yet").into()
}

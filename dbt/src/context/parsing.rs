//! Parse-time rendering: `execute` is false, nothing touches a warehouse, and what the template asks for is recorded.

use std::collections::BTreeMap;

use common::diagnostic::Code;
use common::manifest::{Macro, Node, PackageSettings, Ref};
use common::relation::Quoting;
use common::target::Target;
use common::{Diagnostic, JsonMap, NodeId};

use super::{Error, Invocation};

/// Renders templates of a project that is being parsed. Shared by all parsing threads.
pub struct Parsing {
    _project: Project,
}

/// What parse-time rendering needs of the project.
pub struct Project {
    /// Name of the root project.
    pub name: String,
    /// All macros of all packages, the built-in ones (`builtin::macros`) included.
    pub macros: BTreeMap<NodeId, Macro>,
    pub packages: BTreeMap<String, PackageSettings>,
    /// `dispatch:` of the root project.
    pub dispatch: BTreeMap<String, Vec<String>>,
    pub quoting: Quoting,
    pub target: Target,
    pub invocation: Invocation,
}

/// A rendered template and what it asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rendered {
    pub text: String,
    pub recorded: Recorded,
}

/// What a template asked for while it was rendered, in order of first use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    pub refs: Vec<Ref>,
    pub sources: Vec<[String; 2]>,
    /// The arguments of each `config(…)` call, values rendered; `pre_hook` and `post_hook` are spelled with a dash, as dbt
    /// does.
    pub config_calls: Vec<JsonMap>,
    /// Macros that were called, directly or by another macro.
    pub macros: Vec<NodeId>,
    /// `env_var` look-ups and what they gave; `None` where the default was used.
    pub env_vars: BTreeMap<String, Option<String>>,
}

/// Which part of a relation's name `generate_…_name` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamePart {
    Database,
    Schema,
    Alias,
}

impl Parsing {
    pub fn new(project: Project) -> Self {
        Self { _project: project }
    }

    /// Renders `template` (usually `node.raw_code`) as dbt's parser does. `node` gives `this`, `model` and the package whose
    /// macros win; its database, schema and alias may still be preliminary. A generic test's arguments come from
    /// `node.test`.
    pub fn render(&self, _node: &Node, _template: &str) -> Result<Rendered, Error> {
        Err(Diagnostic::error(Code::Unsupported, "templates cannot be rendered yet").into())
    }

    /// Calls the project's `generate_database_name`, `generate_schema_name` or `generate_alias_name` for `node`; the result is
    /// trimmed.
    pub fn generate_name(&self, _part: NamePart, _custom: Option<&str>, _node: &Node) -> Result<String, Error> {
        Err(Diagnostic::error(Code::Unsupported, "names cannot be generated yet").into())
    }

    /// Whether the root project or a package other than the built-in one defines `generate_…_name`; without one, dbt's rule
    /// may be applied natively.
    pub fn has_custom_name(&self, _part: NamePart) -> bool {
        false
    }
}

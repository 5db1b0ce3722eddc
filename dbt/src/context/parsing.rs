//! Parse-time rendering: `execute` is false, nothing touches a warehouse, and what the template asks for is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use common::manifest::{Macro, Node, PackageSettings, Ref};
use common::relation::Quoting;
use common::target::Target;
use common::{JsonMap, NodeId};
use serde::{Deserialize, Serialize};

use super::adapter::prefixes;
use super::error::Places;
use super::lookup::Lookup;
use super::macros::Index;
use super::rendering::{Mode, Rendering, Shared};
use super::{Error, Invocation, generic_test};
use crate::jinja::error::{Error as JinjaError, Interrupt};
use crate::jinja::value::{Args, Value};
use crate::jinja::{Resolver, Template};

/// Renders templates of a project that is being parsed. Shared by all parsing threads.
pub struct Parsing {
    shared: Arc<Shared>,
}

/// What parse-time rendering needs of the project.
pub struct Project {
    /// Name of the root project.
    pub name: String,
    /// All macros of all packages, the built-in ones (`builtin::FILES`) included.
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
    pub lookups: Lookups,
}

/// Macros that a template or its macros looked for. What rendering gives depends on them and on nothing else of the macros.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lookups {
    /// Names without package, found or not.
    pub names: BTreeSet<String>,
    /// Whether it listed all macros there are.
    pub all: bool,
}

/// What the budget of a render pays for keeping one thing that a template asked for, besides its text.
pub(crate) const RECORD_BYTES: usize = 512;

/// What a template asked for while it was rendered, in order of first use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    pub refs: Vec<Ref>,
    pub sources: Vec<[String; 2]>,
    /// The arguments of each `config(…)` call, values rendered; `pre_hook` and `post_hook` are spelled with a dash, as dbt
    /// does.
    #[serde(with = "common::json_codec::maps")]
    pub config_calls: Vec<JsonMap>,
    /// Macros that the template itself called.
    pub macros: Vec<NodeId>,
    /// `env_var` look-ups and what they gave; `None` where the default was used. Never stored: values may be confidential.
    #[serde(skip)]
    pub env_vars: BTreeMap<String, Option<String>>,
}

/// Which part of a relation's name `generate_…_name` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamePart {
    Database,
    Schema,
    Alias,
}

impl NamePart {
    fn macro_name(self) -> &'static str {
        match self {
            Self::Database => "generate_database_name",
            Self::Schema => "generate_schema_name",
            Self::Alias => "generate_alias_name",
        }
    }
}

impl Parsing {
    pub fn new(project: Project) -> Self {
        Self {
            shared: Arc::new(Shared {
                name: project.name,
                macros: Index::new(project.macros.into_values()),
                packages: project.packages,
                dispatch: project.dispatch,
                quoting: project.quoting,
                target: project.target,
                invocation: project.invocation,
                manifest: None,
                lookup: Lookup::default(),
                warned: Mutex::default(),
            }),
        }
    }

    /// Renders `template` (usually `node.raw_code`) as dbt's parser does. `node` gives `this`, `model` and the package whose
    /// macros win; its database, schema and alias may still be preliminary. A generic test's arguments come from
    /// `node.test`.
    pub fn render(&self, node: &Node, template: &str) -> Result<Rendered, Error> {
        let context = Rendering::new(self.shared.clone(), Mode::Parse, Some(node.clone()), None);
        let rendered = self.render_in(&context, node, template).map_err(|error| self.places(node).locate(*error))?;
        Ok(Rendered { text: rendered, recorded: context.recorded.take(), lookups: context.lookups.take() })
    }

    fn render_in(
        &self,
        context: &std::rc::Rc<Rendering>,
        node: &Node,
        template: &str,
    ) -> Result<String, Box<JinjaError>> {
        let mut interpreter = context.interpreter();
        generic_test::add_arguments(context, &mut interpreter).map_err(error_of)?;
        let template = Template::parse(node.unique_id.as_str().into(), template.into())?;
        interpreter.render(&template, &context.resolver(), context.undefined_mode())
    }

    /// Calls the project's `generate_database_name`, `generate_schema_name` or `generate_alias_name` for `node`; the text is
    /// trimmed.
    pub fn generate_name(&self, part: NamePart, custom: Option<&str>, node: &Node) -> Result<Rendered, Error> {
        let context = Rendering::new(self.shared.clone(), Mode::Name, Some(node.clone()), None);
        let mut interpreter = context.interpreter();
        let function = context.resolve(part.macro_name()).unwrap_or_else(|| Value::undefined(part.macro_name()));
        let arguments = Args::new(vec![Value::from(custom), context.model()]);
        let name = interpreter.call(&function, arguments);
        let name = name.map_err(|interrupt| self.places(node).locate(*error_of(interrupt)))?;
        let text = name.to_str().trim().to_owned();
        Ok(Rendered { text, recorded: context.recorded.take(), lookups: context.lookups.take() })
    }

    /// Whether the root project or a package other than the built-in one defines `generate_…_name`; without one, dbt's rule
    /// may be applied natively.
    pub fn has_custom_name(&self, part: NamePart) -> bool {
        self.shared.macros.defined_outside(part.macro_name(), &prefixes(self.shared.target.adapter_type))
    }

    fn places<'a>(&'a self, node: &'a Node) -> Places<'a> {
        Places { shared: &self.shared, node: Some(node) }
    }
}

/// A `return`, `break` or `continue` that nothing caught is an error of the template.
pub(crate) fn error_of(interrupt: Interrupt) -> Box<JinjaError> {
    match interrupt {
        Interrupt::Error(error) => error,
        _ => JinjaError::new(crate::jinja::error::ErrorKind::Compiler, "return() outside of a macro"),
    }
}

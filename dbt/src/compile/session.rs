//! One node at work: its code, its hooks and the macros called for it, all in one context over one connection.

use std::rc::Rc;

use common::manifest::{Node, ResourceType};
use common::microbatch::Batch;
use common::{JsonMap, NodeId};

use super::ephemeral::{self, inject};
use super::{CompiledNode, Compiler, Error, ExtraCte};
use crate::adapter::Adapter;
use crate::context::adapter::prefixes;
use crate::context::error::Places;
use crate::context::generic_test;
use crate::context::parsing::error_of;
use crate::context::rendering::{Mode, Rendering, raise};
use crate::context::run_result;
use crate::jinja::error::Error as JinjaError;
use crate::jinja::value::{Args, Value};
use crate::jinja::{Interpreter, Resolver, Template};

/// Rendering in the context of one node, over one connection.
pub struct Session<'c> {
    pub(super) compiler: &'c Compiler,
    pub(super) context: Rc<Rendering>,
    interpreter: Interpreter,
    pub(super) node: Node,
    pub(super) adapter: Rc<dyn Adapter>,
}

impl<'c> Session<'c> {
    pub(super) fn new(compiler: &'c Compiler, node: Node, adapter: Rc<dyn Adapter>) -> Self {
        let context = Rendering::new(compiler.shared.clone(), Mode::Run, Some(node.clone()), Some(adapter.clone()));
        let interpreter = context.interpreter();
        Self { compiler, context, interpreter, node, adapter }
    }

    /// The session for one batch of the node, a microbatch model.
    #[must_use]
    pub fn of_batch(self, batch: Batch) -> Self {
        self.context.batch.set(Some(batch));
        self
    }

    /// From here on, templates see that rows are added to what is there, as dbt lets its materialization see it for every batch but
    /// the first of a model that is built anew.
    pub fn extend_relation(&self) {
        let mut extra = self.context.extra.borrow_mut();
        for (name, answer) in [("is_incremental", true), ("should_full_refresh", false)] {
            extra.insert(name.into(), Value::function(name, move |_, _| Ok(Value::Bool(answer))));
        }
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Renders the node's own code, ephemeral models included. Afterwards templates see it as `sql` and `compiled_code`.
    pub fn compile(&mut self) -> Result<CompiledNode, Error> {
        let code = self.own_code()?;
        let extra_ctes = self.ctes(&mut Vec::new())?;
        let compiled_code = inject(&code, &extra_ctes);
        self.context.set_compiled(&compiled_code);
        Ok(CompiledNode { compiled_code, extra_ctes, relation_name: self.relation_name() })
    }

    /// Lets templates see further names. `results` become the objects that `on-run-end` expects.
    pub fn define(&self, names: &JsonMap) {
        let mut extra = self.context.extra.borrow_mut();
        for (name, value) in names {
            let value = if name == "results" { run_result::list(value) } else { Value::from(value) };
            extra.insert(name.as_str().into(), value);
        }
    }

    pub(super) fn own_code(&mut self) -> Result<String, Error> {
        // A seed's data is not a template.
        if self.node.resource_type == ResourceType::Seed {
            return Ok(String::new());
        }
        if let Some(test) = self.node.unit_test.take() {
            let code = self.unit_test_code(&test);
            self.node.unit_test = Some(test);
            return code;
        }
        let added = generic_test::add_arguments(&self.context, &mut self.interpreter);
        added.map_err(|interrupt| self.located(error_of(interrupt)))?;
        let code = self.node.raw_code.clone();
        self.render(&code)
    }

    /// The ephemeral models that the code just rendered needs, theirs first. `open` are the models being compiled.
    fn ctes(&mut self, open: &mut Vec<NodeId>) -> Result<Vec<ExtraCte>, Error> {
        if let Some(test) = &self.node.unit_test {
            return self.fixtures(test);
        }
        let mut ctes: Vec<ExtraCte> = Vec::new();
        open.push(self.node.unique_id.clone());
        for id in self.context.ephemeral.take() {
            if open.contains(&id) {
                return Err(self.located(error_of(raise(format!("ephemeral model '{id}' depends on itself")))));
            }
            let mut inner = self.compiler.session(&id, self.adapter.clone())?;
            let code = inner.own_code()?;
            for cte in inner.ctes(open)? {
                ephemeral::add(&mut ctes, cte);
            }
            let sql = format!(" __dbt__cte__{} as (\n{code}\n)", inner.node.alias);
            ephemeral::add(&mut ctes, ExtraCte { id, sql });
        }
        open.pop();
        Ok(ctes)
    }

    fn relation_name(&self) -> Option<String> {
        let stores = self.node.resource_type == ResourceType::Test
            && self.node.config.store_failures.unwrap_or(self.compiler.shared.invocation.store_failures);
        let own = self.node.relation_name.clone();
        own.or_else(|| stores.then(|| self.node.relation(self.compiler.shared.quoting).render()))
    }

    /// Renders a hook or another piece of SQL in the node's context.
    pub fn render(&mut self, template: &str) -> Result<String, Error> {
        let parsed = Template::parse(self.node.unique_id.as_str().into(), template.into());
        let mode = self.context.undefined_mode();
        let rendered = parsed.and_then(|parsed| self.interpreter.render(&parsed, &self.context.resolver(), mode));
        rendered.map_err(|error| self.located(error))
    }

    /// Calls a macro as a template of this node would (`name` or `package.name`); arguments without a name are positional.
    pub fn call_macro(&mut self, name: &str, args: Vec<(Option<&str>, Value)>) -> Result<Value, Error> {
        let found = match name.split_once('.') {
            Some((package, name)) => {
                self.compiler.shared.macros.get(package, name).map(|entry| self.context.bind(entry))
            }
            None => self.context.resolve(name),
        };
        let Some(function) = found else {
            return Err(self.located(error_of(raise(format!("no macro named '{name}' was found")))));
        };
        let mut arguments = Args::default();
        for (name, value) in args {
            match name {
                Some(name) => arguments.keyword.push((name.into(), value)),
                None => arguments.positional.push(value),
            }
        }
        let result = self.interpreter.call(&function, arguments);
        result.map_err(|interrupt| self.located(error_of(interrupt)))
    }

    /// Runs a materialization that the project or a package defines: for this adapter before the default one, and the root
    /// project's before those of packages. `None` where only the built-in one exists.
    pub fn run_materialization(&mut self, name: &str) -> Option<Result<Value, Error>> {
        let shared = &self.compiler.shared;
        let packages = std::iter::once(shared.name.as_str())
            .chain(shared.packages.keys().map(String::as_str).filter(|package| *package != shared.name));
        let packages: Vec<&str> = packages.filter(|package| *package != crate::builtin::PACKAGE).collect();
        let found = prefixes(shared.target.adapter_type).into_iter().find_map(|adapter| {
            let full = format!("materialization_{name}_{adapter}");
            packages.iter().find_map(|package| shared.macros.get(package, &full))
        })?;
        let function = self.context.bind(found);
        let result = self.interpreter.call(&function, Args::default());
        Some(result.map_err(|interrupt| self.located(error_of(interrupt))))
    }

    /// See `Compiler::overridden`.
    pub fn overridden(&self, macro_name: &str) -> bool {
        self.compiler.overridden(macro_name)
    }

    /// What a macro stored as the result named `main`, if any: `response`, `data` and `table`.
    pub fn main_result(&self) -> Option<JsonMap> {
        let results = self.context.results.borrow();
        match crate::context::arguments::json_of(results.get("main")?.as_ref()?) {
            serde_json::Value::Object(fields) => Some(fields),
            _ => None,
        }
    }

    #[expect(clippy::boxed_local, reason = "the interpreter's errors come boxed")]
    pub(super) fn located(&self, error: Box<JinjaError>) -> Error {
        Places { shared: &self.compiler.shared, node: Some(&self.node) }.locate(*error)
    }
}

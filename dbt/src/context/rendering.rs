//! One context: what names mean in the templates of one node, for as long as it is parsed or runs.
//!
//! Invariants: objects that templates hold refer back to the context weakly, so that a context is freed when its owner drops
//! it; nothing here outlives the thread.
//!
//! A name is looked up as dbt does: what the caller added, then macros (of the node's package, of the root project, package
//! namespaces, built-in), then the context's own members.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};

use common::manifest::{Node, PackageSettings};
use common::microbatch::Batch;
use common::relation::Quoting;
use common::target::Target;
use common::{Json, JsonMap, Manifest, NodeId};

use super::arguments::text_of;
use super::lookup::Lookup;
use super::macros::{Entry, Index, Search};
use super::relation::RelationObject;
use super::{Invocation, Lookups, Recorded, batch, members, model};
use crate::adapter::Adapter;
use crate::builtin;
use crate::jinja::error::{Error, ErrorKind, Interrupt, Result};
use crate::jinja::value::{Args, Key, Object, Value};
use crate::jinja::{Interpreter, Limits, Resolver, UndefinedMode};

/// What all contexts of a project share.
pub struct Shared {
    /// Name of the root project.
    pub name: String,
    pub macros: Index,
    pub packages: BTreeMap<String, PackageSettings>,
    pub dispatch: BTreeMap<String, Vec<String>>,
    pub quoting: Quoting,
    pub target: Target,
    pub invocation: Invocation,
    /// Not there yet while the project is parsed.
    pub manifest: Option<Arc<Manifest>>,
    pub lookup: Lookup,
    /// What `warn_once` has said.
    pub warned: Mutex<HashSet<String>>,
}

impl Shared {
    /// Warns, unless the same was said before.
    pub fn warn_once(&self, text: &str) {
        let is_new = self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned());
        if is_new {
            self.invocation.output.warn(text);
        }
    }
}

/// What the context is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Find out what a template asks for.
    Parse,
    /// Call `generate_…_name`: no warehouse, but variables must exist.
    Name,
    /// `execute` is true.
    Run,
}

pub struct Rendering {
    me: Weak<Self>,
    pub shared: Arc<Shared>,
    pub mode: Mode,
    pub node: Option<Node>,
    /// Whose macros win.
    pub package: String,
    pub adapter: Option<Rc<dyn Adapter>>,
    pub recorded: RefCell<Recorded>,
    /// Kept while the project is parsed.
    pub lookups: RefCell<Lookups>,
    /// Names added by the caller: a test's arguments, `sql`.
    pub extra: RefCell<HashMap<Rc<str>, Value>>,
    members: RefCell<HashMap<Rc<str>, Option<Value>>>,
    /// What macros of packages return in a unit test, by package and name.
    pub overrides: RefCell<HashMap<(String, String), Value>>,
    /// `store_result`; `None` once a result was loaded.
    pub results: RefCell<HashMap<String, Option<Value>>>,
    /// Ephemeral models that were referred to, in order.
    pub ephemeral: RefCell<Vec<NodeId>>,
    pub compiled_code: RefCell<Option<String>>,
    /// The batch that is built, of a microbatch model.
    pub batch: Cell<Option<Batch>>,
    depth: Cell<u32>,
}

impl Rendering {
    pub fn new(shared: Arc<Shared>, mode: Mode, node: Option<Node>, adapter: Option<Rc<dyn Adapter>>) -> Rc<Self> {
        let package = node.as_ref().map_or_else(|| shared.name.clone(), |node| node.package_name.clone());
        // dbt calls the naming macros in the root project's context, whichever package the node is in.
        let package = if mode == Mode::Name { shared.name.clone() } else { package };
        Rc::new_cyclic(|me| Self {
            me: me.clone(),
            shared,
            mode,
            node,
            package,
            adapter,
            recorded: RefCell::default(),
            lookups: RefCell::default(),
            extra: RefCell::default(),
            members: RefCell::default(),
            overrides: RefCell::default(),
            results: RefCell::default(),
            ephemeral: RefCell::default(),
            compiled_code: RefCell::default(),
            batch: Cell::default(),
            depth: Cell::new(0),
        })
    }

    pub fn interpreter(&self) -> Interpreter {
        let interpreter = Interpreter::new(Limits::default());
        match &self.shared.invocation.cancel {
            Some(cancel) => interpreter.with_cancel(cancel.clone()),
            None => interpreter,
        }
    }

    pub fn undefined_mode(&self) -> UndefinedMode {
        if self.mode == Mode::Parse { UndefinedMode::Chainable } else { UndefinedMode::Default }
    }

    pub fn weak(&self) -> Weak<Self> {
        self.me.clone()
    }

    pub fn resolver(self: &Rc<Self>) -> Rc<dyn Resolver> {
        self.clone()
    }

    /// Where macros are looked up. Every name that decides about the search is to be noted with `note_lookup`.
    pub fn search(&self) -> Search<'_> {
        Search { index: &self.shared.macros, root: &self.shared.name, local: &self.package }
    }

    /// Remembers that what is rendered depends on the macros of this name.
    pub fn note_lookup(&self, name: &str) {
        if self.mode == Mode::Run {
            return;
        }
        let mut lookups = self.lookups.borrow_mut();
        if !lookups.names.contains(name) {
            lookups.names.insert(name.to_owned());
        }
    }

    /// A callable of a macro in this context.
    pub fn bind(&self, entry: &Arc<Entry>) -> Value {
        let Some(me) = self.me.upgrade() else { return Value::None };
        let definition = match entry.parsed() {
            Ok(definition) => definition,
            Err(_) => {
                let entry = entry.clone();
                return Value::function("macro", move |_, _| match entry.parsed() {
                    Ok(_) => Ok(Value::None),
                    Err(error) => Err(Interrupt::Error(error)),
                });
            }
        };
        let bound = definition.bind(me.clone());
        if self.mode != Mode::Parse {
            return bound;
        }
        Value::object(Recording { id: entry.definition.unique_id.clone(), bound, context: self.me.clone() })
    }

    /// What `name` means where it is not a macro.
    pub fn member(&self, name: &str) -> Option<Value> {
        if let Some(known) = self.members.borrow().get(name) {
            return known.clone();
        }
        let found = self.me.upgrade().and_then(|me| members::create(&me, name));
        self.members.borrow_mut().insert(name.into(), found.clone());
        found
    }

    /// Forgets members that depend on the compiled code.
    pub fn set_compiled(&self, code: &str) {
        *self.compiled_code.borrow_mut() = Some(code.to_owned());
        let mut members = self.members.borrow_mut();
        for name in ["sql", "compiled_code", "model"] {
            members.remove(name);
        }
    }

    pub fn node_name(&self) -> &str {
        self.node.as_ref().map_or("<Configuration>", |node| node.name.as_str())
    }

    /// `model`
    pub fn model(&self) -> Value {
        let Some(node) = &self.node else { return Value::None };
        let code = self.compiled_code.borrow();
        let mut fields = without_nulls(model::node(node, code.as_deref()));
        if let Some(code) = code.as_deref() {
            fields.insert("compiled_sql".to_owned(), Json::from(code));
        }
        let model = Value::from(&Json::Object(fields));
        if let (Value::Dict(fields), Some(batch)) = (&model, self.batch.get()) {
            fields.borrow_mut().insert(Key::from("batch"), batch::value(&batch));
        }
        model
    }

    /// `this`; none for hooks of a run.
    pub fn this(&self) -> Option<RelationObject> {
        let node = self.node.as_ref()?;
        let relation = node.relation(self.shared.quoting);
        Some(RelationObject::new(relation, self.shared.target.adapter_type))
    }

    /// Renders a string that may hold Jinja.
    pub fn render_text(&self, interpreter: &mut Interpreter, text: &str) -> Result<String> {
        if !has_jinja(text) {
            return Ok(text.to_owned());
        }
        let me: Rc<dyn Resolver> = self.me.upgrade().ok_or_else(gone)?;
        let template = crate::jinja::Template::parse("<string>".into(), text.into())?;
        Ok(interpreter.render(&template, &me, self.undefined_mode())?)
    }
}

/// Whether rendering could change the text.
pub fn has_jinja(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// A context was used after its owner dropped it.
pub fn gone() -> Interrupt {
    Error::new(ErrorKind::Compiler, "the context of this object is gone").into()
}

/// A compiler error, as dbt's own functions raise it.
pub fn raise(message: impl Into<String>) -> Interrupt {
    Error::new(ErrorKind::Compiler, message).into()
}

/// A refusal of the warehouse, its type kept.
pub fn refused(error: crate::adapter::Error) -> Interrupt {
    let mut wrapped = Error::new(ErrorKind::Database, error.message.clone());
    wrapped.source = Some(Box::new(error));
    wrapped.into()
}

/// dbt shows `model` without what is null.
fn without_nulls(fields: JsonMap) -> JsonMap {
    let keep = |(name, value): (String, Json)| match value {
        Json::Null => None,
        Json::Object(inner) if name != "meta" => Some((name, Json::Object(without_nulls(inner)))),
        value => Some((name, value)),
    };
    fields.into_iter().filter_map(keep).collect()
}

impl Resolver for Rendering {
    fn resolve(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.extra.borrow().get(name) {
            return Some(value.clone());
        }
        self.note_lookup(name);
        let index = &self.shared.macros;
        let own = index.get(&self.package, name).or_else(|| index.get(&self.shared.name, name));
        if let Some(entry) = own {
            return Some(self.bind(entry));
        }
        if index.has_package(name) {
            return Some(Value::object(Namespace { context: self.weak(), kind: NamespaceKind::Package(name.into()) }));
        }
        if let Some(entry) = index.get(builtin::PACKAGE, name) {
            return Some(self.bind(entry));
        }
        self.member(name)
    }
}

/// A macro while its calls are recorded: only those that the template makes itself count, not those of other macros.
struct Recording {
    id: NodeId,
    bound: Value,
    context: Weak<Rendering>,
}

impl Object for Recording {
    fn type_name(&self) -> &'static str {
        "MacroGenerator"
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn get_attr(self: Rc<Self>, interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        crate::jinja::access::find_attr(interpreter, &self.bound, name)
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        let depth = context.depth.get();
        if depth == 0 {
            let mut recorded = context.recorded.borrow_mut();
            if !recorded.macros.contains(&self.id) {
                recorded.macros.push(self.id.clone());
            }
        }
        context.depth.set(depth + 1);
        let result = interpreter.call(&self.bound, args);
        context.depth.set(depth);
        result
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `dbt_utils`, `context`, `builtins`: names as attributes and items.
pub struct Namespace {
    pub context: Weak<Rendering>,
    pub kind: NamespaceKind,
}

pub enum NamespaceKind {
    /// The macros of a package.
    Package(Rc<str>),
    /// `context`: everything.
    All,
    /// `builtins`: the context's own members, which macros of the same name hide.
    Members,
}

impl Namespace {
    fn find(&self, name: &str) -> Result<Option<Value>> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        Ok(match &self.kind {
            NamespaceKind::Package(package) => {
                let key = (package.to_string(), name.to_owned());
                if let Some(overridden) = context.overrides.borrow().get(&key) {
                    return Ok(Some(overridden.clone()));
                }
                context.note_lookup(name);
                context.shared.macros.get(package, name).map(|entry| context.bind(entry))
            }
            NamespaceKind::All => context.resolve(name),
            NamespaceKind::Members => context.member(name),
        })
    }

    fn names(&self) -> Result<Vec<Value>> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        context.lookups.borrow_mut().all = true;
        let macros = &context.shared.macros;
        let names = match &self.kind {
            NamespaceKind::Package(package) => macros.names(package),
            NamespaceKind::All => [context.package.as_str(), &context.shared.name, builtin::PACKAGE]
                .into_iter()
                .flat_map(|package| macros.names(package))
                .chain(members::NAMES.iter().copied())
                .collect(),
            NamespaceKind::Members => members::NAMES.to_vec(),
        };
        Ok(names.into_iter().map(Value::str).collect())
    }
}

impl Object for Namespace {
    fn type_name(&self) -> &'static str {
        "dict"
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        if let Some(found) = self.find(name)? {
            return Ok(Some(found));
        }
        Ok(match name {
            "get" => Some(Value::function("get", move |_, args| {
                let [key, default] = args.bind("get", ["key", "default"], 1)?;
                let found = match key.as_ref().and_then(text_of) {
                    Some(key) => self.find(&key)?,
                    None => None,
                };
                Ok(found.or(default).unwrap_or(Value::None))
            })),
            "keys" => Some(Value::function("keys", move |_, _| Ok(Value::list(self.names()?)))),
            _ => None,
        })
    }

    fn get_item(self: Rc<Self>, _interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        match key.as_str() {
            Some(name) => self.find(name),
            None => Ok(None),
        }
    }

    fn contains(&self, item: &Value) -> Result<Option<bool>> {
        Ok(Some(match item.as_str() {
            Some(name) => self.find(name)?.is_some(),
            None => false,
        }))
    }

    fn iterate(self: Rc<Self>, _interpreter: &mut Interpreter) -> Result<Option<Vec<Value>>> {
        Ok(Some(self.names()?))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn target() -> Target {
        Target {
            profile_name: "p".into(),
            name: "dev".into(),
            adapter_type: common::target::AdapterType::Duckdb,
            database: "db".into(),
            schema: "main".into(),
            threads: 1,
            extra: JsonMap::new(),
        }
    }
}

//! Reads `ref`, `source` and `config` off a template's syntax tree, without evaluating anything.
//!
//! Most models are text with a few calls whose arguments are literals. For those the tree says everything that rendering would
//! record. Invariant: what `extract` returns equals what rendering the template at parse time records; wherever that is not
//! plain from the tree it returns `None`, and the template must be rendered.

use std::collections::BTreeMap;

use common::manifest::{Macro, Ref};
use common::{Json, JsonMap, NodeId};

use super::config::merge::canonical_key;
use crate::context::Recorded;
use crate::jinja::Template;
use crate::jinja::ast::{Call, CallArgs, Expr, ExprKind, Literal, Stmt, StmtKind, UnaryOp};

/// Names whose meaning the project may have changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// A macro named `ref`, `source` or `config` is in scope.
    pub calls: bool,
    /// A macro named `is_incremental` is in scope besides the built-in one.
    pub is_incremental: bool,
}

impl Overrides {
    /// In a package: what it or the root project defines counts.
    pub fn of(package: &str, root: &str, macros: &BTreeMap<NodeId, Macro>) -> Self {
        let defined = |name: &str| is_overridden(package, root, macros, name);
        Self { calls: ["ref", "source", "config"].into_iter().any(defined), is_incremental: defined("is_incremental") }
    }
}

/// Whether a package or the root project has a macro of that name.
pub fn is_overridden(package: &str, root: &str, macros: &BTreeMap<NodeId, Macro>, name: &str) -> bool {
    [package, root].into_iter().any(|package| macros.contains_key(format!("macro.{package}.{name}").as_str()))
}

/// What rendering `template` at parse time would record, or `None` where only rendering can tell.
pub fn extract(template: &Template, overrides: Overrides) -> Option<Recorded> {
    if overrides.calls {
        return None;
    }
    let mut extraction = Extraction { overrides, recorded: Recorded::default() };
    extraction.body(&template.body)?;
    Some(extraction.recorded)
}

struct Extraction {
    overrides: Overrides,
    recorded: Recorded,
}

impl Extraction {
    fn body(&mut self, body: &[Stmt]) -> Option<()> {
        body.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Option<()> {
        match &stmt.kind {
            StmtKind::Data(_) => Some(()),
            StmtKind::Output(expr) | StmtKind::Do(expr) => self.expr(expr),
            StmtKind::If { branches, otherwise } => self.if_incremental(branches, otherwise),
            _ => None,
        }
    }

    /// `{% if is_incremental() %}`: false while parsing, so only the other side counts.
    fn if_incremental(&mut self, branches: &[(Expr, Vec<Stmt>)], otherwise: &[Stmt]) -> Option<()> {
        let [(test, _)] = branches else { return None };
        let ExprKind::Call(call) = &test.kind else { return None };
        if self.overrides.is_incremental || name_of(&call.callee)? != "is_incremental" || !is_empty(&call.args) {
            return None;
        }
        let id = NodeId::from("macro.dbt.is_incremental");
        if !self.recorded.macros.contains(&id) {
            self.recorded.macros.push(id);
        }
        self.body(otherwise)
    }

    fn expr(&mut self, expr: &Expr) -> Option<()> {
        match &expr.kind {
            ExprKind::Literal(_) => Some(()),
            ExprKind::Name(_) => (name_of(expr)? == "this").then_some(()),
            ExprKind::Attr { object, .. } => matches!(name_of(object)?, "this" | "target").then_some(()),
            ExprKind::Call(call) => self.call(call),
            _ => None,
        }
    }

    fn call(&mut self, call: &Call) -> Option<()> {
        if call.args.star.is_some() || call.args.double_star.is_some() {
            return None;
        }
        match name_of(&call.callee)? {
            "ref" => self.reference(&call.args),
            "source" => self.source(&call.args),
            "config" => self.config(&call.args),
            _ => None,
        }
    }

    fn reference(&mut self, args: &CallArgs) -> Option<()> {
        let found = reference(args)?;
        if !self.recorded.refs.contains(&found) {
            self.recorded.refs.push(found);
        }
        Some(())
    }

    fn source(&mut self, args: &CallArgs) -> Option<()> {
        let found = source(args)?;
        if !self.recorded.sources.contains(&found) {
            self.recorded.sources.push(found);
        }
        Some(())
    }

    fn config(&mut self, args: &CallArgs) -> Option<()> {
        let mut call = match args.positional.as_slice() {
            [] => JsonMap::new(),
            [only] => match literal(only)? {
                Json::Object(map) if args.keyword.is_empty() => map,
                _ => return None,
            },
            _ => return None,
        };
        for (key, value) in &args.keyword {
            call.insert(key.to_string(), literal(value)?);
        }
        let call = call.into_iter().map(|(key, value)| (canonical_key(&key).to_owned(), value)).collect();
        self.recorded.config_calls.push(call);
        Some(())
    }
}

/// The arguments of `ref(…)` where they are literals.
pub fn reference(args: &CallArgs) -> Option<Ref> {
    let (package, name) = match args.positional.as_slice() {
        [name] => (None, name.as_str()?),
        [package, name] => (Some(package.as_str()?.to_string()), name.as_str()?),
        _ => return None,
    };
    let mut version = None;
    for (key, value) in &args.keyword {
        match &**key {
            "v" | "version" => version = version_text(&literal(value)?)?,
            _ => return None,
        }
    }
    Some(Ref { name: name.to_string(), package, version })
}

/// A version as text; `None` where it is none of dbt's kinds.
pub fn version_text(version: &Json) -> Option<Option<String>> {
    match version {
        Json::Null => Some(None),
        Json::String(_) | Json::Number(_) => Some(Some(super::python_text::str_of(version))),
        _ => None,
    }
}

/// The arguments of `source(…)` where they are literals.
pub fn source(args: &CallArgs) -> Option<[String; 2]> {
    match args.positional.as_slice() {
        [source, table] if args.keyword.is_empty() => Some([source.as_str()?.to_string(), table.as_str()?.to_string()]),
        _ => None,
    }
}

fn name_of(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Name(name) => Some(&name.name),
        _ => None,
    }
}

fn is_empty(args: &CallArgs) -> bool {
    args.positional.is_empty() && args.keyword.is_empty() && args.star.is_none() && args.double_star.is_none()
}

/// The value of an expression made of literals only.
fn literal(expr: &Expr) -> Option<Json> {
    match &expr.kind {
        ExprKind::Literal(literal) => match literal {
            Literal::None => Some(Json::Null),
            Literal::Bool(value) => Some(Json::Bool(*value)),
            Literal::Int(value) => Some(Json::from(*value)),
            Literal::Float(value) => Some(Json::from(*value)),
            Literal::Str(text) => Some(Json::String(text.to_string())),
            Literal::BigInt(_) => None,
        },
        ExprKind::Unary(UnaryOp::Neg, operand) => match literal(operand)? {
            Json::Number(number) => match number.as_i64() {
                Some(value) => value.checked_neg().map(Json::from),
                None => number.as_f64().map(|value| Json::from(-value)),
            },
            _ => None,
        },
        ExprKind::List(items) => items.iter().map(literal).collect::<Option<Vec<_>>>().map(Json::Array),
        ExprKind::Dict(entries) => {
            let mut map = JsonMap::new();
            for (key, value) in entries {
                map.insert(key.as_str()?.to_string(), literal(value)?);
            }
            Some(Json::Object(map))
        }
        _ => None,
    }
}

//! dbt's native environment, which renders the values of YAML files: a single expression keeps its type, and markers say how
//! text is to be read.

use std::any::Any;
use std::rc::Rc;

use super::Interpreter;
use super::arguments::Args;
use super::ast::{CallArgs, Expr, ExprKind};
use super::error::{Error, ErrorKind, Result};
use super::filters::Filter;
use super::literal::literal_eval;
use super::repr;
use super::value::{Object, Value};

/// How a marked text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As it is.
    Text,
    /// As a Python literal where it is one.
    Native,
    /// As a literal that must be a bool.
    Bool,
    /// As a literal that must be a number.
    Number,
}

/// Text with its reading: what `as_bool` and its kin return.
struct Marked {
    text: Rc<str>,
    reading: Reading,
}

/// The filters that are markers in the native environment; elsewhere they return what they are given.
pub(super) fn filter(name: &str) -> Option<Filter> {
    match name {
        "as_text" => Some(|_, value, args| mark(&value, args, Reading::Text)),
        "as_native" => Some(|_, value, args| mark(&value, args, Reading::Native)),
        "as_bool" => Some(|_, value, args| mark(&value, args, Reading::Bool)),
        "as_number" => Some(|_, value, args| mark(&value, args, Reading::Number)),
        _ => None,
    }
}

fn mark(value: &Value, args: Args, reading: Reading) -> Result<Value> {
    args.exact::<0>("as_native")?;
    Ok(Value::object(Marked { text: repr::to_str(value).into(), reading }))
}

impl Object for Marked {
    fn type_name(&self) -> &'static str {
        match self.reading {
            Reading::Text => "TextMarker",
            Reading::Native => "NativeMarker",
            Reading::Bool => "BoolMarker",
            Reading::Number => "NumberMarker",
        }
    }

    fn to_str(&self) -> String {
        self.text.to_string()
    }

    fn to_repr(&self) -> String {
        repr::quote(&self.text)
    }

    fn is_true(&self) -> bool {
        !self.text.is_empty()
    }

    fn call_method(self: Rc<Self>, interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        super::access::call_method(interpreter, &Value::Str(self.text.clone()), name, args)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The result of a native rendering, from what its parts were.
pub(super) fn concat(pieces: Vec<Value>) -> std::result::Result<Value, Box<Error>> {
    let [only] = match <[Value; 1]>::try_from(pieces) {
        Ok(only) => only,
        Err(pieces) => return Ok(Value::from(pieces.iter().map(repr::to_str).collect::<String>())),
    };
    let Some(Marked { text, reading }) = only.downcast::<Marked>() else { return Ok(only) };
    if *reading == Reading::Text {
        return Ok(Value::Str(text.clone()));
    }
    let value = literal_eval(text).unwrap_or_else(|| Value::Str(text.clone()));
    let fits = match reading {
        Reading::Bool => matches!(value, Value::Bool(_)),
        Reading::Number => matches!(value, Value::Int(_) | Value::BigInt(_) | Value::Float(_)),
        Reading::Text | Reading::Native => true,
    };
    if fits {
        return Ok(value);
    }
    let wanted = if *reading == Reading::Bool { "bool" } else { "number" };
    Err(Error::new(ErrorKind::Compiler, format!("Could not convert value '{text}' into type '{wanted}'")))
}

/// Filters that need the context, so that jinja2 never applies them while compiling.
const CONTEXTUAL_FILTERS: [&str; 6] = ["map", "select", "reject", "selectattr", "rejectattr", "random"];

/// Whether jinja2 folds the expression into the text around it, which makes a string of it.
pub(super) fn is_constant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Literal(_) => true,
        ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::Concat(items) => items.iter().all(is_constant),
        ExprKind::Dict(items) => items.iter().all(|(key, value)| is_constant(key) && is_constant(value)),
        ExprKind::Not(operand) | ExprKind::Unary(_, operand) => is_constant(operand),
        ExprKind::Binary(_, left, right) | ExprKind::And(left, right) | ExprKind::Or(left, right) => {
            is_constant(left) && is_constant(right)
        }
        ExprKind::Compare { first, rest } => is_constant(first) && rest.iter().all(|(_, operand)| is_constant(operand)),
        ExprKind::Conditional { test, then, otherwise } => {
            is_constant(test) && is_constant(then) && otherwise.as_deref().is_some_and(is_constant)
        }
        ExprKind::Filter { operand, name, args } => {
            !CONTEXTUAL_FILTERS.contains(&&**name) && is_constant(operand) && args_are_constant(args)
        }
        ExprKind::Test { operand, args, .. } => is_constant(operand) && args_are_constant(args),
        ExprKind::Name(_)
        | ExprKind::Attr { .. }
        | ExprKind::Item { .. }
        | ExprKind::Slice { .. }
        | ExprKind::Call(_)
        | ExprKind::Captured => false,
    }
}

fn args_are_constant(args: &CallArgs) -> bool {
    let keyword = args.keyword.iter().map(|(_, value)| value);
    let starred = args.star.iter().chain(&args.double_star).map(|value| &**value);
    args.positional.iter().chain(keyword).chain(starred).all(is_constant)
}

/// Whether a constant expression gave a value that Python can write down again; others stay values.
pub(super) fn is_foldable(value: &Value) -> bool {
    match value {
        Value::Object(_) | Value::Undefined(_) | Value::Decimal(_) => false,
        Value::List(items) => items.borrow().iter().all(is_foldable),
        Value::Tuple(items) => items.iter().all(is_foldable),
        Value::Dict(dict) => dict.borrow().iter().all(|(key, value)| is_foldable(key.value()) && is_foldable(value)),
        _ => true,
    }
}

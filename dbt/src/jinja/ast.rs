//! The syntax tree of a template, with the place of every node.
//!
//! It holds no `Rc` and no interior mutability, so one tree serves all threads. Names are bound to slots of frames while parsing,
//! the way jinja2 binds them while compiling: see `scope`.

use std::sync::Arc;

use super::error::Span;

pub use super::compare::CompareOp;
pub use super::ops::{BinaryOp, UnaryOp};

pub type Body = Vec<Stmt>;

#[derive(Debug)]
pub struct Stmt {
    pub span: Span,
    pub kind: StmtKind,
}

#[derive(Debug)]
pub enum StmtKind {
    /// Text between tags.
    Data(Arc<str>),
    /// `{{ value }}`
    Output(Expr),
    /// `{% do value %}`
    Do(Expr),
    If {
        branches: Vec<(Expr, Body)>,
        otherwise: Body,
    },
    For(Arc<For>),
    /// `{% set target = value %}`
    Set {
        target: Target,
        value: Expr,
    },
    /// `{% set target | filters %}…{% endset %}`
    SetBlock {
        target: Target,
        /// A chain of filters whose innermost operand is `ExprKind::Captured`.
        filter: Option<Expr>,
        frame: Frame,
        body: Body,
    },
    With {
        assignments: Vec<(Target, Expr)>,
        frame: Frame,
        body: Body,
    },
    /// `{% filter chain %}…{% endfilter %}`
    Filter {
        filter: Expr,
        frame: Frame,
        body: Body,
    },
    Macro(Arc<Macro>),
    /// `{% call(params) callee(…) %}…{% endcall %}`; the body is a macro named `caller`.
    Call {
        call: Expr,
        caller: Arc<Macro>,
    },
    /// `{% block name %}…{% endblock %}`
    Block {
        name: Arc<str>,
        frame: Frame,
        body: Body,
    },
    /// `{% autoescape … %}`: a scope; dbt never escapes.
    Autoescape {
        enabled: Expr,
        frame: Frame,
        body: Body,
    },
    /// `include`, `import`, `from … import` or `extends`: dbt has no loader, so executing one is an error.
    Load {
        template: Expr,
        /// The names that it would have defined.
        names: Vec<Target>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub struct For {
    pub target: Target,
    pub iterable: Expr,
    /// `for x in xs if filter`, evaluated in a frame of its own.
    pub filter: Option<Filtered>,
    pub recursive: bool,
    /// Slot of `loop` in `frame`, where the body uses it.
    pub loop_slot: Option<u16>,
    pub frame: Frame,
    pub body: Body,
    pub else_frame: Frame,
    pub otherwise: Body,
}

/// The `if` of a `for`.
#[derive(Debug)]
pub struct Filtered {
    pub target: Target,
    pub frame: Frame,
    pub test: Expr,
}

/// A `{% macro %}`, `{% test %}`, `{% materialization %}` or `{% docs %}` block, or the body of a `{% call %}`.
#[derive(Debug)]
pub struct Macro {
    /// As dbt renames it: `dbt_macro__x`, `dbt_macro__test_x`, `dbt_macro__materialization_x_default`, `dbt_docs__x`; `caller`
    /// for a call block.
    pub name: Arc<str>,
    pub span: Span,
    pub params: Vec<Param>,
    pub frame: Frame,
    /// Slots of the implicit parameters that the body uses.
    pub caller_slot: Option<u16>,
    pub varargs_slot: Option<u16>,
    pub kwargs_slot: Option<u16>,
    pub body: Body,
    /// Slot of the macro's own name in the enclosing frame; unused for a call block.
    pub slot: Slot,
}

#[derive(Debug)]
pub struct Param {
    pub name: Arc<str>,
    pub span: Span,
    pub slot: u16,
    /// Type annotation as written, `None` without one.
    pub annotation: Option<Arc<str>>,
    pub default: Option<Expr>,
}

#[derive(Debug)]
pub struct Target {
    pub span: Span,
    pub kind: TargetKind,
}

#[derive(Debug)]
pub enum TargetKind {
    Name(Name),
    /// `ns.attribute`
    Attr {
        object: Name,
        attribute: Arc<str>,
    },
    Tuple(Vec<Target>),
}

#[derive(Debug)]
pub struct Name {
    pub name: Arc<str>,
    pub slot: Slot,
}

/// Where a name lives: `up` frames outward, then the slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    pub up: u16,
    pub index: u16,
}

/// The symbols of one scope, in slot order.
#[derive(Debug, Default)]
pub struct Frame {
    pub symbols: Vec<Symbol>,
}

#[derive(Debug)]
pub struct Symbol {
    pub name: Arc<str>,
    pub initial: Initial,
}

/// What a slot holds when its frame is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Filled by whoever enters the frame.
    Parameter,
    /// Looked up in the context when first read.
    Context,
    /// A copy of a slot of an outer frame (`up` is at least 1).
    Outer(Slot),
    Undefined,
}

#[derive(Debug)]
pub struct Expr {
    pub span: Span,
    pub kind: ExprKind,
}

#[derive(Debug)]
pub enum ExprKind {
    Literal(Literal),
    Name(Name),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// `a ~ b ~ c`
    Concat(Vec<Expr>),
    /// `a < b <= c`
    Compare {
        first: Box<Expr>,
        rest: Vec<(CompareOp, Expr)>,
    },
    /// `then if test else otherwise`
    Conditional {
        test: Box<Expr>,
        then: Box<Expr>,
        otherwise: Option<Box<Expr>>,
    },
    /// `object.name`
    Attr {
        object: Box<Expr>,
        name: Arc<str>,
    },
    /// `object[key]`, and `object.0`
    Item {
        object: Box<Expr>,
        key: Box<Expr>,
    },
    /// `start:stop:step`, only as the key of an `Item`.
    Slice {
        start: Option<Box<Expr>>,
        stop: Option<Box<Expr>>,
        step: Option<Box<Expr>>,
    },
    Call(Box<Call>),
    /// `operand | name(…)`
    Filter {
        operand: Box<Expr>,
        name: Arc<str>,
        args: CallArgs,
    },
    /// `operand is name(…)`; `is not` is wrapped in `Not`.
    Test {
        operand: Box<Expr>,
        name: Arc<str>,
        args: CallArgs,
    },
    /// The text that a `set` or `filter` block rendered.
    Captured,
}

#[derive(Debug)]
pub struct Call {
    pub callee: Expr,
    pub args: CallArgs,
}

#[derive(Debug, Default)]
pub struct CallArgs {
    pub positional: Vec<Expr>,
    pub keyword: Vec<(Arc<str>, Expr)>,
    /// `*args`
    pub star: Option<Box<Expr>>,
    /// `**kwargs`
    pub double_star: Option<Box<Expr>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    None,
    Bool(bool),
    Int(i64),
    /// Decimal digits of an integer that does not fit `Int`.
    BigInt(Arc<str>),
    Float(f64),
    Str(Arc<str>),
}

impl Expr {
    /// The text of a string literal.
    pub fn as_str(&self) -> Option<&Arc<str>> {
        match &self.kind {
            ExprKind::Literal(Literal::Str(text)) => Some(text),
            _ => None,
        }
    }
}

/// All macros of a body, those inside macros included, in jinja2's order (outer first). Bodies of call blocks are none.
pub(super) fn macros_within(body: &[Stmt]) -> Vec<Arc<Macro>> {
    struct Finder(Vec<Arc<Macro>>);
    impl super::visit::Visitor for Finder {
        fn stmt(&mut self, stmt: &Stmt) {
            if let StmtKind::Macro(node) = &stmt.kind {
                self.0.push(node.clone());
            }
            super::visit::walk_stmt(self, stmt);
        }
    }
    let mut finder = Finder(Vec::new());
    super::visit::walk_body(&mut finder, body);
    finder.0
}

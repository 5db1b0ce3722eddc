//! Walks over a syntax tree, for static analysis.
//!
//! Children come in the order of jinja2's node fields, which its own analysis of `caller`, `varargs`, `kwargs` and `loop` depends
//! on.

use super::ast::{CallArgs, Expr, ExprKind, Macro, Name, Param, Stmt, StmtKind, Target, TargetKind};

/// Override what is of interest; call the `walk_…` function of the same name to go on into the children.
pub trait Visitor {
    fn stmt(&mut self, stmt: &Stmt) {
        walk_stmt(self, stmt);
    }

    fn expr(&mut self, expr: &Expr) {
        walk_expr(self, expr);
    }

    fn target(&mut self, target: &Target) {
        walk_target(self, target);
    }

    /// A name that is assigned to.
    fn stored(&mut self, _name: &Name) {}

    fn param(&mut self, _param: &Param) {}
}

pub fn walk_body<V: Visitor + ?Sized>(visitor: &mut V, body: &[Stmt]) {
    for stmt in body {
        visitor.stmt(stmt);
    }
}

pub fn walk_stmt<V: Visitor + ?Sized>(visitor: &mut V, stmt: &Stmt) {
    match &stmt.kind {
        StmtKind::Data(_) | StmtKind::Break | StmtKind::Continue => {}
        StmtKind::Output(value) | StmtKind::Do(value) => visitor.expr(value),
        StmtKind::If { branches, otherwise } => {
            for (test, body) in branches {
                visitor.expr(test);
                walk_body(visitor, body);
            }
            walk_body(visitor, otherwise);
        }
        StmtKind::For(node) => {
            visitor.target(&node.target);
            visitor.expr(&node.iterable);
            walk_body(visitor, &node.body);
            walk_body(visitor, &node.otherwise);
            if let Some(filter) = &node.filter {
                visitor.expr(&filter.test);
            }
        }
        StmtKind::Set { target, value } => {
            visitor.target(target);
            visitor.expr(value);
        }
        StmtKind::SetBlock { target, filter, body, .. } => {
            visitor.target(target);
            if let Some(filter) = filter {
                visitor.expr(filter);
            }
            walk_body(visitor, body);
        }
        StmtKind::With { assignments, body, .. } => {
            assignments.iter().for_each(|(target, _)| visitor.target(target));
            assignments.iter().for_each(|(_, value)| visitor.expr(value));
            walk_body(visitor, body);
        }
        StmtKind::Filter { filter, body, .. } => {
            walk_body(visitor, body);
            visitor.expr(filter);
        }
        StmtKind::Macro(node) => walk_macro(visitor, node),
        StmtKind::Call { call, caller } => {
            visitor.expr(call);
            walk_macro(visitor, caller);
        }
        StmtKind::Block { body, .. } => walk_body(visitor, body),
        StmtKind::Autoescape { enabled, body, .. } => {
            visitor.expr(enabled);
            walk_body(visitor, body);
        }
        StmtKind::Load { template, names } => {
            visitor.expr(template);
            names.iter().for_each(|name| visitor.target(name));
        }
    }
}

pub fn walk_macro<V: Visitor + ?Sized>(visitor: &mut V, node: &Macro) {
    for param in &node.params {
        visitor.param(param);
    }
    for default in node.params.iter().filter_map(|param| param.default.as_ref()) {
        visitor.expr(default);
    }
    walk_body(visitor, &node.body);
}

pub fn walk_target<V: Visitor + ?Sized>(visitor: &mut V, target: &Target) {
    match &target.kind {
        TargetKind::Name(name) => visitor.stored(name),
        TargetKind::Attr { .. } => {}
        TargetKind::Tuple(items) => items.iter().for_each(|item| visitor.target(item)),
    }
}

pub fn walk_expr<V: Visitor + ?Sized>(visitor: &mut V, expr: &Expr) {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Name(_) | ExprKind::Captured => {}
        ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::Concat(items) => {
            items.iter().for_each(|item| visitor.expr(item));
        }
        ExprKind::Dict(items) => items.iter().for_each(|(key, value)| {
            visitor.expr(key);
            visitor.expr(value);
        }),
        ExprKind::Not(operand) | ExprKind::Unary(_, operand) | ExprKind::Attr { object: operand, .. } => {
            visitor.expr(operand);
        }
        ExprKind::Binary(_, left, right) | ExprKind::And(left, right) | ExprKind::Or(left, right) => {
            visitor.expr(left);
            visitor.expr(right);
        }
        ExprKind::Compare { first, rest } => {
            visitor.expr(first);
            rest.iter().for_each(|(_, operand)| visitor.expr(operand));
        }
        ExprKind::Conditional { test, then, otherwise } => {
            visitor.expr(test);
            visitor.expr(then);
            if let Some(otherwise) = otherwise {
                visitor.expr(otherwise);
            }
        }
        ExprKind::Item { object, key } => {
            visitor.expr(object);
            visitor.expr(key);
        }
        ExprKind::Slice { start, stop, step } => {
            [start, stop, step].into_iter().flatten().for_each(|part| visitor.expr(part));
        }
        ExprKind::Call(call) => {
            visitor.expr(&call.callee);
            walk_args(visitor, &call.args);
        }
        ExprKind::Filter { operand, args, .. } | ExprKind::Test { operand, args, .. } => {
            visitor.expr(operand);
            walk_args(visitor, args);
        }
    }
}

fn walk_args<V: Visitor + ?Sized>(visitor: &mut V, args: &CallArgs) {
    args.positional.iter().for_each(|arg| visitor.expr(arg));
    args.keyword.iter().for_each(|(_, arg)| visitor.expr(arg));
    args.star.iter().chain(&args.double_star).for_each(|arg| visitor.expr(arg));
}

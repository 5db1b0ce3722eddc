//! Every call in a template's syntax tree, with its place.

use crate::jinja::ast::{Call, CallArgs, Expr, ExprKind, Stmt, StmtKind, Target};
use crate::jinja::error::Span;

/// Visits the calls of a body in the order they are written, outer calls before those in their arguments.
pub fn visit<'t>(body: &'t [Stmt], see: &mut dyn FnMut(Span, &'t Call)) {
    Visitor { see }.body(body);
}

struct Visitor<'v, 't> {
    see: &'v mut dyn FnMut(Span, &'t Call),
}

impl<'t> Visitor<'_, 't> {
    fn body(&mut self, body: &'t [Stmt]) {
        for stmt in body {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &'t Stmt) {
        match &stmt.kind {
            StmtKind::Data(_) | StmtKind::Break | StmtKind::Continue => {}
            StmtKind::Output(expr) | StmtKind::Do(expr) | StmtKind::Load { template: expr, .. } => self.expr(expr),
            StmtKind::If { branches, otherwise } => {
                for (test, body) in branches {
                    self.expr(test);
                    self.body(body);
                }
                self.body(otherwise);
            }
            StmtKind::For(inner) => {
                self.expr(&inner.iterable);
                if let Some(filtered) = &inner.filter {
                    self.expr(&filtered.test);
                }
                self.body(&inner.body);
                self.body(&inner.otherwise);
            }
            StmtKind::Set { value, .. } => self.expr(value),
            StmtKind::SetBlock { filter, body, .. } => {
                filter.iter().for_each(|filter| self.expr(filter));
                self.body(body);
            }
            StmtKind::With { assignments, body, .. } => {
                for (_, value) in assignments as &'t Vec<(Target, Expr)> {
                    self.expr(value);
                }
                self.body(body);
            }
            StmtKind::Filter { filter, body, .. } => {
                self.expr(filter);
                self.body(body);
            }
            StmtKind::Macro(inner) => {
                inner.params.iter().filter_map(|param| param.default.as_ref()).for_each(|value| self.expr(value));
                self.body(&inner.body);
            }
            StmtKind::Call { call, caller } => {
                self.expr(call);
                self.body(&caller.body);
            }
            StmtKind::Block { body, .. } => self.body(body),
            StmtKind::Autoescape { enabled, body, .. } => {
                self.expr(enabled);
                self.body(body);
            }
        }
    }

    fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'t Expr>)
    where
        't: 'e,
    {
        exprs.into_iter().for_each(|expr| self.expr(expr));
    }

    fn args(&mut self, args: &'t CallArgs) {
        self.exprs(&args.positional);
        self.exprs(args.keyword.iter().map(|(_, value)| value));
        self.exprs(args.star.as_deref());
        self.exprs(args.double_star.as_deref());
    }

    fn expr(&mut self, expr: &'t Expr) {
        match &expr.kind {
            ExprKind::Literal(_) | ExprKind::Name(_) | ExprKind::Captured => {}
            ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::Concat(items) => self.exprs(items),
            ExprKind::Dict(entries) => {
                for (key, value) in entries {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::Not(operand) | ExprKind::Unary(_, operand) | ExprKind::Attr { object: operand, .. } => {
                self.expr(operand);
            }
            ExprKind::Binary(_, left, right)
            | ExprKind::And(left, right)
            | ExprKind::Or(left, right)
            | ExprKind::Item { object: left, key: right } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Compare { first, rest } => {
                self.expr(first);
                self.exprs(rest.iter().map(|(_, operand)| operand));
            }
            ExprKind::Conditional { test, then, otherwise } => {
                self.expr(test);
                self.expr(then);
                self.exprs(otherwise.as_deref());
            }
            ExprKind::Slice { start, stop, step } => {
                self.exprs([start, stop, step].into_iter().filter_map(Option::as_deref));
            }
            ExprKind::Call(call) => {
                (self.see)(expr.span, call);
                self.expr(&call.callee);
                self.args(&call.args);
            }
            ExprKind::Filter { operand, args, .. } | ExprKind::Test { operand, args, .. } => {
                self.expr(operand);
                self.args(args);
            }
        }
    }
}

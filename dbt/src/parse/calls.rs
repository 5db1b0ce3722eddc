//! Every call in a template's syntax tree, with its place.

use crate::jinja::ast::{Call, Expr, ExprKind, Stmt};
use crate::jinja::error::Span;
use crate::jinja::visit::{self, Visitor};

/// Visits the calls of a body, outer calls before those in their arguments.
pub fn visit(body: &[Stmt], see: &mut dyn FnMut(Span, &Call)) {
    visit::walk_body(&mut Calls { see }, body);
}

struct Calls<'s> {
    see: &'s mut dyn FnMut(Span, &Call),
}

impl Visitor for Calls<'_> {
    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Call(call) = &expr.kind {
            (self.see)(expr.span, call);
        }
        visit::walk_expr(self, expr);
    }
}

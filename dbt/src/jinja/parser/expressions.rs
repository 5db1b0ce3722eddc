//! Expressions, one method for each level of precedence, loosest first.

use std::sync::Arc;

use super::{Chain, NESTING_WEIGHT, Parse, Parser};
use crate::jinja::ast::{
    BinaryOp, Call, CallArgs, CompareOp, Expr, ExprKind, Literal, Name, Slot, Target, TargetKind, UnaryOp,
};
use crate::jinja::error::Span;
use crate::jinja::lexer::Kind;

fn boxed(expr: Expr) -> Box<Expr> {
    Box::new(expr)
}

impl<'a> Parser<'a> {
    pub(super) fn expression(&mut self) -> Parse<Expr> {
        self.nested(NESTING_WEIGHT, Self::conditional)
    }

    fn conditional(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut then = self.or()?;
        let mut chain = Chain::default();
        while self.skip_name("if") {
            self.link(&mut chain)?;
            let test = self.or()?;
            let otherwise = if self.skip_name("else") { Some(boxed(self.nested(1, Self::conditional)?)) } else { None };
            let kind = ExprKind::Conditional { test: boxed(test), then: boxed(then), otherwise };
            then = Expr { span: self.since(start), kind };
        }
        Ok(then)
    }

    fn or(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut left = self.and()?;
        let mut chain = Chain::default();
        while self.skip_name("or") {
            self.link(&mut chain)?;
            let right = self.and()?;
            left = Expr { span: self.since(start), kind: ExprKind::Or(boxed(left), boxed(right)) };
        }
        Ok(left)
    }

    fn and(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut left = self.not()?;
        let mut chain = Chain::default();
        while self.skip_name("and") {
            self.link(&mut chain)?;
            let right = self.not()?;
            left = Expr { span: self.since(start), kind: ExprKind::And(boxed(left), boxed(right)) };
        }
        Ok(left)
    }

    fn not(&mut self) -> Parse<Expr> {
        let start = self.span();
        if self.skip_name("not") {
            let operand = self.nested(1, Self::not)?;
            return Ok(Expr { span: self.since(start), kind: ExprKind::Not(boxed(operand)) });
        }
        self.compare()
    }

    fn compare(&mut self) -> Parse<Expr> {
        let start = self.span();
        let first = self.sum()?;
        let mut rest = Vec::new();
        loop {
            let op = match self.kind() {
                Kind::Operator("==") => CompareOp::Eq,
                Kind::Operator("!=") => CompareOp::Ne,
                Kind::Operator("<") => CompareOp::Lt,
                Kind::Operator("<=") => CompareOp::Le,
                Kind::Operator(">") => CompareOp::Gt,
                Kind::Operator(">=") => CompareOp::Ge,
                Kind::Name("in") => CompareOp::In,
                Kind::Name("not") if self.next_is_name("in") => {
                    self.skip();
                    CompareOp::NotIn
                }
                _ => break,
            };
            self.skip();
            rest.push((op, self.sum()?));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        Ok(Expr { span: self.since(start), kind: ExprKind::Compare { first: boxed(first), rest } })
    }

    fn sum(&mut self) -> Parse<Expr> {
        self.operators(&[("+", BinaryOp::Add), ("-", BinaryOp::Sub)], Self::concat)
    }

    fn concat(&mut self) -> Parse<Expr> {
        let start = self.span();
        let first = self.product()?;
        if !self.at_operator("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_operator("~") {
            parts.push(self.product()?);
        }
        Ok(Expr { span: self.since(start), kind: ExprKind::Concat(parts) })
    }

    fn product(&mut self) -> Parse<Expr> {
        let operators = [("*", BinaryOp::Mul), ("/", BinaryOp::Div), ("//", BinaryOp::FloorDiv), ("%", BinaryOp::Mod)];
        self.operators(&operators, Self::power)
    }

    /// Operands between operators of one level, grouped to the left.
    fn operators(&mut self, level: &[(&str, BinaryOp)], operand: fn(&mut Self) -> Parse<Expr>) -> Parse<Expr> {
        let start = self.span();
        let mut left = operand(self)?;
        let mut chain = Chain::default();
        while let Some((_, op)) = level.iter().find(|(text, _)| self.at_operator(text)) {
            self.skip();
            self.link(&mut chain)?;
            let right = operand(self)?;
            left = Expr { span: self.since(start), kind: ExprKind::Binary(*op, boxed(left), boxed(right)) };
        }
        Ok(left)
    }

    /// Unlike Python's, jinja2's power groups to the left and binds looser than a sign.
    fn power(&mut self) -> Parse<Expr> {
        let start = self.span();
        let mut left = self.unary(true)?;
        let mut chain = Chain::default();
        while self.skip_operator("**") {
            self.link(&mut chain)?;
            let right = self.unary(true)?;
            left = Expr { span: self.since(start), kind: ExprKind::Binary(BinaryOp::Pow, boxed(left), boxed(right)) };
        }
        Ok(left)
    }

    fn unary(&mut self, with_filters: bool) -> Parse<Expr> {
        let start = self.span();
        let op = match self.kind() {
            Kind::Operator("-") => Some(UnaryOp::Neg),
            Kind::Operator("+") => Some(UnaryOp::Pos),
            _ => None,
        };
        let mut node = match op {
            Some(op) => {
                self.skip();
                let operand = self.nested(1, |parser| parser.unary(false))?;
                Expr { span: self.since(start), kind: ExprKind::Unary(op, boxed(operand)) }
            }
            None => self.primary()?,
        };
        node = self.postfix(node)?;
        if with_filters { self.filters_and_tests(node) } else { Ok(node) }
    }

    fn primary(&mut self) -> Parse<Expr> {
        let span = self.span();
        let at = self.at;
        let kind = match &mut self.tokens[at].kind {
            Kind::Name(name) => match *name {
                "true" | "True" => ExprKind::Literal(Literal::Bool(true)),
                "false" | "False" => ExprKind::Literal(Literal::Bool(false)),
                "none" | "None" => ExprKind::Literal(Literal::None),
                name => ExprKind::Name(Name { name: name.into(), slot: Slot::default() }),
            },
            Kind::Str(text) => {
                let mut text = std::mem::take(text);
                self.skip();
                while let Kind::Str(more) = self.kind() {
                    text.push_str(more);
                    self.skip();
                }
                let kind = ExprKind::Literal(Literal::Str(text.into()));
                return Ok(Expr { span: self.since(span), kind });
            }
            Kind::Int(value) => ExprKind::Literal(Literal::Int(*value)),
            Kind::BigInt(digits) => ExprKind::Literal(Literal::BigInt(digits.as_str().into())),
            Kind::Float(value) => ExprKind::Literal(Literal::Float(*value)),
            Kind::Operator("(") => {
                self.skip();
                let mut inner = self.tuple(&[], true, true)?;
                self.expect_operator(")")?;
                inner.span = self.since(span);
                return Ok(inner);
            }
            Kind::Operator("[") => return self.list(),
            Kind::Operator("{") => return self.dict(),
            _ => {
                let got = self.describe();
                return Err(self.fail(format!("unexpected '{got}'")));
            }
        };
        self.skip();
        Ok(Expr { span, kind })
    }

    /// One expression, or a tuple where commas follow. `ends` are words that end it; `explicit` allows the empty tuple.
    pub(super) fn tuple(&mut self, ends: &[&str], conditional: bool, explicit: bool) -> Parse<Expr> {
        let start = self.span();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            if self.at_tuple_end(ends) {
                break;
            }
            items.push(if conditional { self.expression()? } else { self.nested(NESTING_WEIGHT, Self::or)? });
            if !self.at_operator(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            if let Some(only) = items.pop() {
                return Ok(only);
            }
            if !explicit {
                let got = self.describe();
                return Err(self.fail(format!("Expected an expression, got '{got}'")));
            }
        }
        Ok(Expr { span: self.since(start), kind: ExprKind::Tuple(items) })
    }

    fn at_tuple_end(&self, ends: &[&str]) -> bool {
        match self.kind() {
            Kind::VariableEnd | Kind::BlockEnd | Kind::Operator(")") => true,
            Kind::Name(name) => ends.contains(name),
            _ => false,
        }
    }

    fn list(&mut self) -> Parse<Expr> {
        let start = self.span();
        self.skip();
        let mut items = Vec::new();
        while !self.at_operator("]") {
            if !items.is_empty() {
                self.expect_operator(",")?;
                if self.at_operator("]") {
                    break;
                }
            }
            items.push(self.expression()?);
        }
        self.expect_operator("]")?;
        Ok(Expr { span: self.since(start), kind: ExprKind::List(items) })
    }

    fn dict(&mut self) -> Parse<Expr> {
        let start = self.span();
        self.skip();
        let mut items = Vec::new();
        while !self.at_operator("}") {
            if !items.is_empty() {
                self.expect_operator(",")?;
                if self.at_operator("}") {
                    break;
                }
            }
            let key = self.expression()?;
            self.expect_operator(":")?;
            items.push((key, self.expression()?));
        }
        self.expect_operator("}")?;
        Ok(Expr { span: self.since(start), kind: ExprKind::Dict(items) })
    }

    pub(super) fn postfix(&mut self, mut node: Expr) -> Parse<Expr> {
        let mut chain = Chain::default();
        loop {
            node = match self.kind() {
                Kind::Operator("." | "[") => self.subscript(node)?,
                Kind::Operator("(") => self.call(node)?,
                _ => return Ok(node),
            };
            self.link(&mut chain)?;
        }
    }

    fn filters_and_tests(&mut self, mut node: Expr) -> Parse<Expr> {
        let mut chain = Chain::default();
        loop {
            node = match self.kind() {
                Kind::Operator("|") => {
                    self.skip();
                    self.filter(node)?
                }
                Kind::Name("is") => self.test(node)?,
                Kind::Operator("(") => self.call(node)?,
                _ => return Ok(node),
            };
            self.link(&mut chain)?;
        }
    }

    fn subscript(&mut self, object: Expr) -> Parse<Expr> {
        let start = object.span;
        let object = boxed(object);
        if self.skip_operator(".") {
            let span = self.span();
            let kind = match self.kind() {
                Kind::Name(name) => ExprKind::Attr { object, name: (*name).into() },
                Kind::Int(index) => {
                    let key = boxed(Expr { span, kind: ExprKind::Literal(Literal::Int(*index)) });
                    ExprKind::Item { object, key }
                }
                _ => return Err(self.fail("expected name or number")),
            };
            self.skip();
            return Ok(Expr { span: self.since(start), kind });
        }
        let open = self.span();
        self.expect_operator("[")?;
        let mut keys = Vec::new();
        while !self.at_operator("]") {
            if !keys.is_empty() {
                self.expect_operator(",")?;
            }
            keys.push(self.subscribed()?);
        }
        self.expect_operator("]")?;
        let key = match keys.len() {
            1 => keys.remove(0),
            _ => Expr { span: self.since(open), kind: ExprKind::Tuple(keys) },
        };
        Ok(Expr { span: self.since(start), kind: ExprKind::Item { object, key: boxed(key) } })
    }

    /// A key or a slice.
    fn subscribed(&mut self) -> Parse<Expr> {
        let span = self.span();
        let start = if self.at_operator(":") { None } else { Some(self.expression()?) };
        if !self.skip_operator(":") {
            return start.ok_or_else(|| self.fail("expected subscript expression"));
        }
        let stop = self.slice_part()?;
        let step = if self.skip_operator(":") { self.slice_part()? } else { None };
        let kind = ExprKind::Slice { start: start.map(boxed), stop, step };
        Ok(Expr { span: self.since(span), kind })
    }

    fn slice_part(&mut self) -> Parse<Option<Box<Expr>>> {
        match self.kind() {
            Kind::Operator(":" | "]" | ",") => Ok(None),
            _ => Ok(Some(boxed(self.expression()?))),
        }
    }

    fn call(&mut self, callee: Expr) -> Parse<Expr> {
        let start = callee.span;
        let args = self.call_args()?;
        Ok(Expr { span: self.since(start), kind: ExprKind::Call(Box::new(Call { callee, args })) })
    }

    fn call_args(&mut self) -> Parse<CallArgs> {
        let open = self.span();
        self.expect_operator("(")?;
        let mut args = CallArgs::default();
        let mut first = true;
        while !self.at_operator(")") {
            if !first {
                self.expect_operator(",")?;
                if self.at_operator(")") {
                    break;
                }
            }
            first = false;
            self.call_arg(&mut args, open)?;
        }
        self.expect_operator(")")?;
        Ok(args)
    }

    fn call_arg(&mut self, args: &mut CallArgs, open: Span) -> Parse<()> {
        let allowed;
        if self.at_operator("*") {
            allowed = args.star.is_none() && args.double_star.is_none();
            self.skip();
            args.star = Some(boxed(self.expression()?));
        } else if self.at_operator("**") {
            allowed = args.double_star.is_none();
            self.skip();
            args.double_star = Some(boxed(self.expression()?));
        } else if let Some(name) = self.name().filter(|_| self.next_is_operator("=")) {
            allowed = args.double_star.is_none();
            self.skip();
            self.skip();
            args.keyword.push((name.into(), self.expression()?));
        } else {
            allowed = args.star.is_none() && args.double_star.is_none() && args.keyword.is_empty();
            args.positional.push(self.expression()?);
        }
        if allowed { Ok(()) } else { Err(self.fail_at(open, "invalid syntax for function call expression")) }
    }

    fn dotted_name(&mut self) -> Parse<Arc<str>> {
        let (first, _) = self.expect_name()?;
        let mut name = first.to_owned();
        while self.skip_operator(".") {
            let (part, _) = self.expect_name()?;
            name.push('.');
            name.push_str(part);
        }
        Ok(name.into())
    }

    /// One filter, after its `|`.
    fn filter(&mut self, operand: Expr) -> Parse<Expr> {
        let start = operand.span;
        let name = self.dotted_name()?;
        let args = if self.at_operator("(") { self.call_args()? } else { CallArgs::default() };
        let kind = ExprKind::Filter { operand: boxed(operand), name, args };
        Ok(Expr { span: self.since(start), kind })
    }

    /// The filters of a `set` or `filter` block, over the text that the block renders.
    pub(super) fn filter_chain(&mut self, start_inline: bool) -> Parse<Option<Expr>> {
        let mut node = Expr { span: self.span(), kind: ExprKind::Captured };
        let mut found = false;
        let mut chain = Chain::default();
        while (start_inline && !found) || self.skip_operator("|") {
            node = self.filter(node)?;
            found = true;
            self.link(&mut chain)?;
        }
        Ok(found.then_some(node))
    }

    fn test(&mut self, operand: Expr) -> Parse<Expr> {
        let start = operand.span;
        self.skip();
        let negated = self.skip_name("not");
        let name = self.dotted_name()?;
        let mut args = CallArgs::default();
        match self.kind() {
            Kind::Operator("(") => args = self.call_args()?,
            Kind::Name("else" | "or" | "and") => {}
            Kind::Name("is") => return Err(self.fail("You cannot chain multiple tests with is")),
            Kind::Name(_)
            | Kind::Str(_)
            | Kind::Int(_)
            | Kind::BigInt(_)
            | Kind::Float(_)
            | Kind::Operator("[" | "{") => {
                let arg = self.primary()?;
                args.positional.push(self.postfix(arg)?);
            }
            _ => {}
        }
        let span = self.since(start);
        let test = Expr { span, kind: ExprKind::Test { operand: boxed(operand), name, args } };
        Ok(if negated { Expr { span, kind: ExprKind::Not(boxed(test)) } } else { test })
    }

    /// What `set`, `for` and `with` assign to: names, tuples of them and, where allowed, attributes of a namespace.
    pub(super) fn target(&mut self, ends: &[&str], namespace: bool) -> Parse<Target> {
        let start = self.span();
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect_operator(",")?;
            }
            if self.at_tuple_end(ends) {
                break;
            }
            items.push(self.single_target(namespace)?);
            if !self.at_operator(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple {
            if let Some(only) = items.pop() {
                return Ok(only);
            }
            let got = self.describe();
            return Err(self.fail(format!("Expected an expression, got '{got}'")));
        }
        Ok(Target { span: self.since(start), kind: TargetKind::Tuple(items) })
    }

    fn single_target(&mut self, namespace: bool) -> Parse<Target> {
        let span = self.span();
        if namespace
            && self.next_is_operator(".")
            && !self.at_constant()
            && let Some(object) = self.name()
        {
            self.skip();
            self.skip();
            let (attribute, _) = self.expect_name()?;
            let object = Name { name: object.into(), slot: Slot::default() };
            let kind = TargetKind::Attr { object, attribute: attribute.into() };
            return Ok(Target { span: self.since(span), kind });
        }
        let expr = self.primary()?;
        self.assignable(expr)
    }

    fn at_constant(&self) -> bool {
        matches!(self.name(), Some("true" | "True" | "false" | "False" | "none" | "None"))
    }

    fn assignable(&mut self, expr: Expr) -> Parse<Target> {
        let Expr { span, kind } = expr;
        let kind = match kind {
            ExprKind::Name(name) => TargetKind::Name(name),
            ExprKind::Tuple(items) => {
                TargetKind::Tuple(items.into_iter().map(|item| self.assignable(item)).collect::<Parse<_>>()?)
            }
            other => return Err(self.fail_at(span, format!("can't assign to '{}'", node_name(&other)))),
        };
        Ok(Target { span, kind })
    }
}

/// jinja2's name of a node's class, in lower case.
fn node_name(kind: &ExprKind) -> &'static str {
    match kind {
        ExprKind::Literal(_) => "const",
        ExprKind::Name(_) => "name",
        ExprKind::Tuple(_) => "tuple",
        ExprKind::List(_) => "list",
        ExprKind::Dict(_) => "dict",
        ExprKind::Not(_) => "not",
        ExprKind::Unary(UnaryOp::Neg, _) => "neg",
        ExprKind::Unary(UnaryOp::Pos, _) => "pos",
        ExprKind::Binary(..) => "binexpr",
        ExprKind::And(..) => "and",
        ExprKind::Or(..) => "or",
        ExprKind::Concat(_) => "concat",
        ExprKind::Compare { .. } => "compare",
        ExprKind::Conditional { .. } => "condexpr",
        ExprKind::Attr { .. } => "getattr",
        ExprKind::Item { .. } => "getitem",
        ExprKind::Slice { .. } => "slice",
        ExprKind::Call(_) => "call",
        ExprKind::Filter { .. } => "filter",
        ExprKind::Test { .. } => "test",
        ExprKind::Captured => "filter",
    }
}

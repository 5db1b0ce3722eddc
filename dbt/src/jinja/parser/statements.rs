//! Bodies and statements.

use std::sync::Arc;

use super::{NESTING_WEIGHT, Parse, Parser};
use crate::jinja::ast::{
    Body, Expr, ExprKind, Filtered, For, Frame, Literal, Macro, Param, Slot, Stmt, StmtKind, Target, TargetKind,
};
use crate::jinja::error::{Error, Span};
use crate::jinja::lexer::Kind;

/// dbt's prefixes, which keep its macros apart from names in the context.
const MACRO_PREFIX: &str = "dbt_macro__";
const DOCS_PREFIX: &str = "dbt_docs__";

impl<'a> Parser<'a> {
    /// Statements up to one of the tags in `ends` (which becomes the current token), or to the end of the template.
    pub(super) fn body(&mut self, ends: &'static [&'static str]) -> Parse<Body> {
        self.nested(NESTING_WEIGHT, |parser| {
            parser.awaited.push(ends);
            let body = parser.body_until(ends);
            parser.awaited.pop();
            body
        })
    }

    fn body_until(&mut self, ends: &[&str]) -> Parse<Body> {
        let mut body = Vec::new();
        loop {
            let span = self.span();
            let at = self.at;
            match &mut self.tokens[at].kind {
                Kind::Data(text) => {
                    let text = std::mem::take(text);
                    self.skip();
                    body.push(Stmt { span, kind: StmtKind::Data(text.into()) });
                }
                Kind::VariableBegin => {
                    self.skip();
                    self.long_chains = 0;
                    let value = self.tuple(&[], true, false)?;
                    self.expect_variable_end()?;
                    body.push(Stmt { span: value.span, kind: StmtKind::Output(value) });
                }
                Kind::BlockBegin => {
                    self.skip();
                    self.long_chains = 0;
                    if self.name().is_some_and(|name| ends.contains(&name)) {
                        return Ok(body);
                    }
                    self.statement(span, &mut body)?;
                    self.expect_block_end()?;
                }
                Kind::Failure(_) => return Err(self.fail("")),
                _ => return Ok(body),
            }
        }
    }

    /// The body of a tag: an optional colon, the end of the tag, then statements up to one of `ends`.
    fn statements(&mut self, ends: &'static [&'static str]) -> Parse<Body> {
        self.skip_operator(":");
        self.expect_block_end()?;
        let body = self.body(ends)?;
        if matches!(self.kind(), Kind::End) {
            self.awaited.push(ends);
            return Err(self.unexpected(None));
        }
        Ok(body)
    }

    /// A body with one possible end, which is skipped.
    fn statements_to(&mut self, end: &'static [&'static str]) -> Parse<Body> {
        let body = self.statements(end)?;
        self.skip();
        Ok(body)
    }

    /// jinja2's advice about an unknown tag, or about the end of the template.
    fn unexpected(&mut self, tag: Option<&str>) -> Box<Error> {
        let mut message = match tag {
            Some(tag) => format!("Encountered unknown tag '{tag}'."),
            None => "Unexpected end of template.".to_owned(),
        };
        // The outermost body, the template itself, waits for nothing.
        let awaited: Vec<_> = self.awaited.iter().filter(|ends| !ends.is_empty()).collect();
        if let Some(innermost) = awaited.last() {
            let looking = innermost.iter().map(|end| format!("'{end}'")).collect::<Vec<_>>().join(" or ");
            if tag.is_some_and(|tag| awaited.iter().any(|ends| ends.contains(&tag))) {
                message.push_str(&format!(
                    " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for {looking}."
                ));
            } else {
                message.push_str(&format!(" Jinja was looking for the following tags: {looking}."));
            }
        }
        if let Some(tag) = self.tags.last() {
            message.push_str(&format!(" The innermost block that needs to be closed is '{tag}'."));
        }
        self.fail(message)
    }

    fn statement(&mut self, open: Span, body: &mut Body) -> Parse<()> {
        let Some(tag) = self.name() else { return Err(self.fail("tag name expected")) };
        self.tags.push(tag);
        let kind = match tag {
            "for" => self.parse_for()?,
            "if" => self.parse_if()?,
            "set" => self.parse_set()?,
            "do" => {
                self.skip();
                StmtKind::Do(self.tuple(&[], true, false)?)
            }
            "with" => self.parse_with()?,
            "filter" => {
                self.skip();
                let filter = self.filter_chain(true)?;
                let body = self.statements_to(&["endfilter"])?;
                let filter = filter.unwrap_or(Expr { span: open, kind: ExprKind::Captured });
                StmtKind::Filter { filter, frame: Frame::default(), body }
            }
            "macro" => {
                self.skip();
                let (name, _) = self.expect_name()?;
                let params = self.signature()?;
                self.parse_macro(open, format!("{MACRO_PREFIX}{name}"), params, &["endmacro"])?
            }
            "test" => {
                self.skip();
                let (name, _) = self.expect_name()?;
                let params = self.signature()?;
                self.parse_macro(open, format!("{MACRO_PREFIX}test_{name}"), params, &["endtest"])?
            }
            "docs" => {
                self.skip();
                let (name, _) = self.expect_name()?;
                self.parse_macro(open, format!("{DOCS_PREFIX}{name}"), Vec::new(), &["enddocs"])?
            }
            "materialization" => self.parse_materialization(open)?,
            "call" => self.parse_call(open)?,
            "break" | "continue" => {
                self.skip();
                if tag == "break" { StmtKind::Break } else { StmtKind::Continue }
            }
            "print" => {
                self.parse_print(body)?;
                self.tags.pop();
                return Ok(());
            }
            "block" => self.parse_block()?,
            "autoescape" => {
                self.skip();
                let enabled = self.expression()?;
                let body = self.statements_to(&["endautoescape"])?;
                StmtKind::Autoescape { enabled, frame: Frame::default(), body }
            }
            "extends" | "include" | "import" | "from" => self.parse_load(tag)?,
            _ => {
                self.tags.pop();
                return Err(self.unexpected(Some(tag)));
            }
        };
        self.tags.pop();
        body.push(Stmt { span: self.since(open), kind });
        Ok(())
    }

    fn parse_for(&mut self) -> Parse<StmtKind> {
        self.skip();
        let target_at = self.at;
        let target = self.target(&["in"], false)?;
        self.expect_word("in")?;
        let iterable = self.tuple(&["recursive"], false, false)?;
        let filter = if self.skip_name("if") {
            let test = self.expression()?;
            // The filter runs in a frame of its own, with targets of its own: parse them once more.
            let after = std::mem::replace(&mut self.at, target_at);
            let target = self.target(&["in"], false)?;
            self.at = after;
            Some(Filtered { target, frame: Frame::default(), test })
        } else {
            None
        };
        let recursive = self.skip_name("recursive");
        let body = self.statements(&["endfor", "else"])?;
        let otherwise = if self.at_name("else") {
            self.skip();
            self.statements_to(&["endfor"])?
        } else {
            self.skip();
            Vec::new()
        };
        Ok(StmtKind::For(Arc::new(For {
            target,
            iterable,
            filter,
            recursive,
            loop_slot: None,
            frame: Frame::default(),
            body,
            else_frame: Frame::default(),
            otherwise,
        })))
    }

    fn parse_if(&mut self) -> Parse<StmtKind> {
        self.skip();
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(&[], false, false)?;
            let body = self.statements(&["elif", "else", "endif"])?;
            branches.push((test, body));
            let end = self.name();
            self.skip();
            match end {
                Some("elif") => {}
                Some("else") => {
                    let otherwise = self.statements_to(&["endif"])?;
                    return Ok(StmtKind::If { branches, otherwise });
                }
                _ => return Ok(StmtKind::If { branches, otherwise: Vec::new() }),
            }
        }
    }

    fn parse_set(&mut self) -> Parse<StmtKind> {
        self.skip();
        let target = self.target(&[], true)?;
        if self.skip_operator("=") {
            let value = self.tuple(&[], true, false)?;
            return Ok(StmtKind::Set { target, value });
        }
        let filter = self.filter_chain(false)?;
        let body = self.statements_to(&["endset"])?;
        Ok(StmtKind::SetBlock { target, filter, frame: Frame::default(), body })
    }

    fn parse_with(&mut self) -> Parse<StmtKind> {
        self.skip();
        let mut assignments = Vec::new();
        while !matches!(self.kind(), Kind::BlockEnd) {
            if !assignments.is_empty() {
                self.expect_operator(",")?;
            }
            let target = self.target(&[], false)?;
            self.expect_operator("=")?;
            assignments.push((target, self.expression()?));
        }
        let body = self.statements_to(&["endwith"])?;
        Ok(StmtKind::With { assignments, frame: Frame::default(), body })
    }

    fn parse_print(&mut self, body: &mut Body) -> Parse<()> {
        self.skip();
        let mut first = true;
        while !matches!(self.kind(), Kind::BlockEnd) {
            if !first {
                self.expect_operator(",")?;
            }
            first = false;
            let value = self.expression()?;
            body.push(Stmt { span: value.span, kind: StmtKind::Output(value) });
        }
        Ok(())
    }

    fn parse_macro(
        &mut self,
        open: Span,
        name: String,
        params: Vec<Param>,
        end: &'static [&'static str],
    ) -> Parse<StmtKind> {
        let body = self.statements_to(end)?;
        Ok(StmtKind::Macro(self.macro_node(open, &name, params, body)))
    }

    fn macro_node(&self, open: Span, name: &str, params: Vec<Param>, body: Body) -> Arc<Macro> {
        Arc::new(Macro {
            name: name.into(),
            span: self.since(open),
            params,
            frame: Frame::default(),
            caller_slot: None,
            varargs_slot: None,
            kwargs_slot: None,
            body,
            slot: Slot::default(),
        })
    }

    fn signature(&mut self) -> Parse<Vec<Param>> {
        self.expect_operator("(")?;
        let mut params: Vec<Param> = Vec::new();
        while !self.at_operator(")") {
            if !params.is_empty() {
                self.expect_operator(",")?;
            }
            let (name, span) = self.expect_name()?;
            let annotation = if self.skip_operator(":") { Some(self.type_name()?.into()) } else { None };
            let default = if self.skip_operator("=") { Some(self.expression()?) } else { None };
            if default.is_none() && params.last().is_some_and(|param| param.default.is_some()) {
                return Err(self.fail("non-default argument follows default argument"));
            }
            params.push(Param { name: name.into(), span: self.since(span), slot: 0, annotation, default });
        }
        self.expect_operator(")")?;
        Ok(params)
    }

    /// `Dict[str, List[int]]`, as dbt's typed parameters allow.
    fn type_name(&mut self) -> Parse<String> {
        self.nested(NESTING_WEIGHT, |parser| {
            let (name, _) = parser.expect_name()?;
            let mut text = name.to_owned();
            if parser.skip_operator("[") {
                let mut params = Vec::new();
                while !parser.at_operator("]") {
                    if !params.is_empty() {
                        parser.expect_operator(",")?;
                    }
                    params.push(parser.type_name()?);
                }
                parser.expect_operator("]")?;
                text = format!("{text}[{}]", params.join(", "));
            }
            Ok(text)
        })
    }

    fn parse_call(&mut self, open: Span) -> Parse<StmtKind> {
        self.skip();
        let params = if self.at_operator("(") { self.signature()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call.kind, ExprKind::Call(_)) {
            return Err(self.fail_at(open, "expected call"));
        }
        let body = self.statements_to(&["endcall"])?;
        let caller = self.macro_node(open, "caller", params, body);
        Ok(StmtKind::Call { call, caller })
    }

    fn parse_materialization(&mut self, open: Span) -> Parse<StmtKind> {
        self.skip();
        let (name, _) = self.expect_name()?;
        let mut adapter: Arc<str> = "default".into();
        let mut languages = None;
        while self.skip_operator(",") {
            let (option, span) = self.expect_name()?;
            match option {
                "default" => {}
                "adapter" => {
                    self.expect_operator("=")?;
                    let value = self.expression()?;
                    match value.as_str() {
                        Some(text) => adapter = text.clone(),
                        None => {
                            return Err(self.fail_at(value.span, "the adapter of a materialization must be a string"));
                        }
                    }
                }
                "supported_languages" => {
                    self.expect_operator("=")?;
                    languages = Some((span, self.expression()?));
                }
                _ => {
                    let message = format!("materialization '{name}' received unknown argument '{option}'.");
                    return Err(self.fail_at(span, message));
                }
            }
        }
        let (span, languages) = languages.unwrap_or_else(|| {
            let sql = Expr { span: open, kind: ExprKind::Literal(Literal::Str("sql".into())) };
            (open, Expr { span: open, kind: ExprKind::List(vec![sql]) })
        });
        let param =
            Param { name: "supported_languages".into(), span, slot: 0, annotation: None, default: Some(languages) };
        let name = format!("{MACRO_PREFIX}materialization_{name}_{adapter}");
        self.parse_macro(open, name, vec![param], &["endmaterialization"])
    }

    fn parse_block(&mut self) -> Parse<StmtKind> {
        self.skip();
        let (name, _) = self.expect_name()?;
        self.skip_name("scoped");
        let required = self.skip_name("required");
        if self.at_operator("-") {
            return Err(self.fail(
                "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore \
                 instead.",
            ));
        }
        let body = self.statements_to(&["endblock"])?;
        let blank = |stmt: &Stmt| matches!(&stmt.kind, StmtKind::Data(text) if text.trim().is_empty());
        if required && !body.iter().all(blank) {
            return Err(self.fail("Required blocks can only contain comments or whitespace"));
        }
        self.skip_name(name);
        Ok(StmtKind::Block { name: name.into(), frame: Frame::default(), body })
    }

    fn parse_load(&mut self, tag: &str) -> Parse<StmtKind> {
        self.skip();
        let template = self.expression()?;
        let mut names = Vec::new();
        match tag {
            "include" => {
                if self.at_name("ignore") && self.next_is_name("missing") {
                    self.skip();
                    self.skip();
                }
                self.skip_import_context();
            }
            "import" => {
                self.expect_word("as")?;
                names.push(self.imported_name()?);
                self.skip_import_context();
            }
            "from" => {
                self.expect_word("import")?;
                loop {
                    if !names.is_empty() {
                        self.expect_operator(",")?;
                    }
                    if self.skip_import_context() {
                        break;
                    }
                    let (name, span) = self.expect_name()?;
                    if name.starts_with('_') {
                        return Err(self.fail_at(span, "names starting with an underline can not be imported"));
                    }
                    let target = if self.skip_name("as") {
                        self.imported_name()?
                    } else {
                        let name = crate::jinja::ast::Name { name: name.into(), slot: Slot::default() };
                        Target { span, kind: TargetKind::Name(name) }
                    };
                    names.push(target);
                    if self.skip_import_context() || !self.at_operator(",") {
                        break;
                    }
                }
            }
            _ => {}
        }
        Ok(StmtKind::Load { template, names })
    }

    fn imported_name(&mut self) -> Parse<Target> {
        let (name, span) = self.expect_name()?;
        let name = crate::jinja::ast::Name { name: name.into(), slot: Slot::default() };
        Ok(Target { span, kind: TargetKind::Name(name) })
    }

    fn skip_import_context(&mut self) -> bool {
        let found = matches!(self.name(), Some("with" | "without")) && self.next_is_name("context");
        if found {
            self.skip();
            self.skip();
        }
        found
    }
}

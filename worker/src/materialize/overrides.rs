//! Macros of a project that replace the text of a statement.
//!
//! dbt lets a project redefine the macros that its materializations call. Where one is redefined its text is used; otherwise the
//! native text is, which needs no template.

use common::relation::Relation;
use common::table::Column;

use crate::failure::Result;

/// A call that a materialization makes, with the arguments dbt gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MacroCall<'a> {
    CreateTableAs {
        temporary: bool,
        relation: &'a Relation,
        sql: &'a str,
    },
    CreateViewAs {
        relation: &'a Relation,
        sql: &'a str,
    },
    /// `get_incremental_<name>_sql(arg_dict)`
    Strategy {
        name: &'a str,
        arguments: StrategyArguments<'a>,
    },
    /// `get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates)`
    DeleteInsert(StrategyArguments<'a>),
    /// `get_merge_sql(…)`, with the same arguments.
    Merge(StrategyArguments<'a>),
    /// `get_insert_into_sql(target, source, dest_columns)`
    InsertInto(StrategyArguments<'a>),
}

/// dbt's `arg_dict` of incremental strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrategyArguments<'a> {
    pub target: &'a Relation,
    pub temporary: &'a Relation,
    pub unique_key: &'a [String],
    pub unique_key_is_list: bool,
    pub columns: &'a [Column],
    pub predicates: &'a [String],
}

/// The project's own macros.
pub trait Overrides {
    /// The SQL that the project's macro gives; `None` where the project does not redefine it.
    fn call(&mut self, call: &MacroCall<'_>) -> Result<Option<String>>;
}

/// A project that redefines nothing.
pub struct NoOverrides;

impl Overrides for NoOverrides {
    fn call(&mut self, _call: &MacroCall<'_>) -> Result<Option<String>> {
        Ok(None)
    }
}

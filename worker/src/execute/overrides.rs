//! The project's own versions of the macros that materializations call.

use common::manifest::Node;
use common::target::AdapterType;
use dbt::compile::{Session, values};
use dbt::jinja::value::Value;

use crate::failure::{Failure, Result};
use crate::materialize::overrides::StrategyArguments;
use crate::materialize::{MacroCall, Overrides};

/// Macros that dbt's materializations call and ours do in Rust: a project's own version is refused where the node would need it.
const NATIVE: &[(Need, &[&str])] = &[
    (Need::Hooks, &["run_hooks"]),
    (Need::Indexes, &["create_indexes", "get_create_index_sql"]),
    (Need::Comments, &["persist_docs", "alter_relation_comment", "alter_column_comment"]),
    (
        Need::Grants,
        &["apply_grants", "get_grant_sql", "get_revoke_sql", "get_dcl_statement_list", "call_dcl_statements"],
    ),
    (
        Need::Incremental,
        &[
            "process_schema_changes",
            "check_for_schema_changes",
            "sync_column_schemas",
            "alter_relation_add_remove_columns",
            "alter_column_type",
            "get_merge_update_columns",
        ],
    ),
    (Need::Contract, &["get_assert_columns_equivalent", "get_table_columns_and_constraints", "get_select_subquery"]),
    (
        Need::Snapshot,
        &[
            "strategy_dispatch",
            "snapshot_timestamp_strategy",
            "snapshot_check_strategy",
            "snapshot_check_all_get_existing_columns",
            "snapshot_hash_arguments",
            "snapshot_get_time",
            "snapshot_staging_table",
            "build_snapshot_table",
            "build_snapshot_staging_table",
            "snapshot_merge_sql",
            "get_snapshot_table_column_names",
            "create_columns",
            "post_snapshot",
        ],
    ),
    (Need::UnitTest, &["materialization_unit_default", "materialization_unit_duckdb", "materialization_unit_postgres"]),
    (Need::Seed, &["create_csv_table", "reset_csv_table", "load_csv_rows", "get_csv_sql", "get_batch_size"]),
];

/// What of a node brings a macro into play.
#[derive(Clone, Copy)]
enum Need {
    Hooks,
    Indexes,
    Comments,
    Grants,
    Incremental,
    Contract,
    Snapshot,
    UnitTest,
    Seed,
}

impl Need {
    fn of(self, node: &Node) -> bool {
        use common::node_config::Materialization::{Incremental, Seed, Snapshot};
        let config = &node.config;
        match self {
            Self::Hooks => !config.pre_hook.is_empty() || !config.post_hook.is_empty(),
            Self::Indexes => config.extra.get("indexes").is_some_and(|indexes| !indexes.is_null()),
            Self::Comments => config.persist_docs.values().any(|flag| flag.as_bool() == Some(true)),
            Self::Grants => !config.grants.is_empty(),
            Self::Incremental => config.materialized == Incremental,
            Self::Contract => config.contract.enforced,
            Self::Snapshot => config.materialized == Snapshot,
            Self::UnitTest => node.unit_test.is_some(),
            Self::Seed => config.materialized == Seed,
        }
    }
}

/// Refuses, by name, a macro of the project that would be passed over in silence.
pub(super) fn refuse_unheard(session: &Session<'_>, node: &Node) -> Result<()> {
    let unheard = NATIVE
        .iter()
        .filter(|(need, _)| need.of(node))
        .flat_map(|(_, names)| names.iter())
        .find(|name| session.overridden(name));
    match unheard {
        Some(name) => Err(Failure::unsupported(format_args!("the project's own version of the macro '{name}'"))),
        None => Ok(()),
    }
}

/// Macros of the project, in the context of the node that is being built.
pub(super) struct ProjectMacros<'s, 'c> {
    pub session: &'s mut Session<'c>,
    pub adapter: AdapterType,
}

impl Overrides for ProjectMacros<'_, '_> {
    fn call(&mut self, call: &MacroCall<'_>) -> Result<Option<String>> {
        match call {
            MacroCall::CreateTableAs { temporary, relation, sql } => {
                let names = ["get_create_table_as_sql", "create_table_as"];
                self.first(&names, |adapter| {
                    vec![Value::from(*temporary), values::relation(relation, adapter), Value::str(*sql)]
                })
            }
            MacroCall::CreateViewAs { relation, sql } => {
                let names = ["get_create_view_as_sql", "create_view_as"];
                self.first(&names, |adapter| vec![values::relation(relation, adapter), Value::str(*sql)])
            }
            MacroCall::Strategy { name, arguments } => {
                let name = format!("get_incremental_{name}_sql");
                self.first(&[&name], |adapter| {
                    let names =
                        ["target_relation", "temp_relation", "unique_key", "dest_columns", "incremental_predicates"];
                    vec![Value::record(names.into_iter().zip(positional(*arguments, adapter)))]
                })
            }
            MacroCall::DeleteInsert(arguments) => {
                self.first(&["get_delete_insert_merge_sql"], |adapter| positional(*arguments, adapter))
            }
            MacroCall::Merge(arguments) => self.first(&["get_merge_sql"], |adapter| positional(*arguments, adapter)),
            MacroCall::InsertInto(arguments) => self.first(&["get_insert_into_sql"], |adapter| {
                let [target, temporary, _, columns, _] = strategy_values(*arguments, adapter);
                vec![target, temporary, columns]
            }),
        }
    }
}

impl ProjectMacros<'_, '_> {
    /// Calls the first of these macros that the project redefines.
    fn first(&mut self, names: &[&str], arguments: impl FnOnce(AdapterType) -> Vec<Value>) -> Result<Option<String>> {
        let Some(name) = names.iter().find(|name| self.session.overridden(name)) else { return Ok(None) };
        let arguments = arguments(self.adapter).into_iter().map(|value| (None, value)).collect();
        let returned = self.session.call_macro(name, arguments)?;
        Ok(Some(values::text(&returned).trim().to_owned()))
    }
}

fn positional(arguments: StrategyArguments<'_>, adapter: AdapterType) -> Vec<Value> {
    strategy_values(arguments, adapter).into()
}

/// Target, temporary relation, unique key, columns, predicates.
fn strategy_values(arguments: StrategyArguments<'_>, adapter: AdapterType) -> [Value; 5] {
    let StrategyArguments { target, temporary, unique_key, unique_key_is_list, columns, predicates } = arguments;
    let key = match unique_key {
        [] => Value::None,
        [key] if !unique_key_is_list => Value::str(key.as_str()),
        keys => values::texts(keys),
    };
    let predicates = if predicates.is_empty() { Value::None } else { values::texts(predicates) };
    [
        values::relation(target, adapter),
        values::relation(temporary, adapter),
        key,
        values::columns(columns, adapter),
        predicates,
    ]
}

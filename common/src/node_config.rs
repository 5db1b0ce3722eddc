//! The configuration of a node after dbt's precedence and merge rules.
//!
//! Source of the keys: dbt's reference, "Model configurations", "Seed configurations", "Data test configurations".

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{Json, JsonMap};

/// How a node becomes a relation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Materialization {
    View,
    Table,
    Incremental,
    Ephemeral,
    MaterializedView,
    Seed,
    Snapshot,
    Test,
    /// A materialization that the project or a package defines.
    Custom(String),
}

impl Materialization {
    pub fn as_str(&self) -> &str {
        match self {
            Self::View => "view",
            Self::Table => "table",
            Self::Incremental => "incremental",
            Self::Ephemeral => "ephemeral",
            Self::MaterializedView => "materialized_view",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Test => "test",
            Self::Custom(name) => name,
        }
    }
}

impl From<String> for Materialization {
    fn from(name: String) -> Self {
        match name.as_str() {
            "view" => Self::View,
            "table" => Self::Table,
            "incremental" => Self::Incremental,
            "ephemeral" => Self::Ephemeral,
            "materialized_view" => Self::MaterializedView,
            "seed" => Self::Seed,
            "snapshot" => Self::Snapshot,
            "test" => Self::Test,
            _ => Self::Custom(name),
        }
    }
}

impl From<Materialization> for String {
    fn from(value: Materialization) -> Self {
        value.as_str().to_owned()
    }
}

/// What to do when an incremental model's columns no longer match its relation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSchemaChange {
    #[default]
    Ignore,
    Fail,
    AppendNewColumns,
    SyncAllColumns,
}

/// `severity` of a data test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestSeverity {
    #[default]
    Error,
    Warn,
}

/// `pre_hook` or `post_hook`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// A template, rendered when it runs.
    pub sql: String,
    /// Inside the model's transaction, or outside of it.
    pub transaction: bool,
    pub index: Option<i64>,
}

/// `quoting` where a config or a source overrides the adapter's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotingOverride {
    pub database: Option<bool>,
    pub schema: Option<bool>,
    pub identifier: Option<bool>,
    pub column: Option<bool>,
}

/// Known keys are typed, everything else stays in `extra`, where `config.get()` finds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeConfig {
    pub enabled: bool,
    pub materialized: Materialization,
    pub database: Option<String>,
    pub schema: Option<String>,
    pub alias: Option<String>,
    pub tags: Vec<String>,
    #[serde(with = "crate::json_codec::map")]
    pub meta: JsonMap,
    pub group: Option<String>,
    pub access: Option<String>,
    pub quoting: QuotingOverride,
    pub full_refresh: Option<bool>,
    pub pre_hook: Vec<Hook>,
    pub post_hook: Vec<Hook>,
    pub grants: IndexMap<String, Vec<String>>,
    #[serde(with = "crate::json_codec::map")]
    pub persist_docs: JsonMap,
    pub packages: Vec<String>,
    pub docs: Docs,
    pub contract: Contract,
    #[serde(with = "crate::json_codec::option")]
    pub event_time: Option<Json>,
    // Incremental models.
    pub incremental_strategy: Option<String>,
    /// One column or expression, or many.
    pub unique_key: Vec<String>,
    /// Whether `unique_key` was given as a list; templates and artifacts show it as it was given.
    pub unique_key_is_list: bool,
    pub on_schema_change: OnSchemaChange,
    pub incremental_predicates: Vec<String>,
    pub merge_update_columns: Vec<String>,
    pub merge_exclude_columns: Vec<String>,
    // Seeds.
    pub column_types: IndexMap<String, String>,
    pub quote_columns: Option<bool>,
    pub delimiter: String,
    // Tests.
    pub severity: TestSeverity,
    pub store_failures: Option<bool>,
    pub store_failures_as: Option<String>,
    pub where_: Option<String>,
    pub limit: Option<u64>,
    pub fail_calc: String,
    pub warn_if: String,
    pub error_if: String,
    /// All other keys, rendered, in the order they were first set.
    #[serde(with = "crate::json_codec::map")]
    pub extra: JsonMap,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            materialized: Materialization::View,
            database: None,
            schema: None,
            alias: None,
            tags: Vec::new(),
            meta: JsonMap::new(),
            group: None,
            access: None,
            quoting: QuotingOverride::default(),
            full_refresh: None,
            pre_hook: Vec::new(),
            post_hook: Vec::new(),
            grants: IndexMap::new(),
            persist_docs: JsonMap::new(),
            packages: Vec::new(),
            docs: Docs::default(),
            contract: Contract::default(),
            event_time: None,
            incremental_strategy: None,
            unique_key: Vec::new(),
            unique_key_is_list: false,
            on_schema_change: OnSchemaChange::default(),
            incremental_predicates: Vec::new(),
            merge_update_columns: Vec::new(),
            merge_exclude_columns: Vec::new(),
            column_types: IndexMap::new(),
            quote_columns: None,
            delimiter: ",".to_owned(),
            severity: TestSeverity::default(),
            store_failures: None,
            store_failures_as: None,
            where_: None,
            limit: None,
            fail_calc: "count(*)".to_owned(),
            warn_if: "!= 0".to_owned(),
            error_if: "!= 0".to_owned(),
            extra: JsonMap::new(),
        }
    }
}

/// `docs: {show, node_color}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docs {
    pub show: bool,
    pub node_color: Option<String>,
}

impl Default for Docs {
    fn default() -> Self {
        Self { show: true, node_color: None }
    }
}

/// `contract: {enforced, alias_types}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    pub enforced: bool,
    pub alias_types: bool,
    /// Digest of the contracted columns, set while parsing where the contract is enforced.
    pub checksum: Option<String>,
}

impl Default for Contract {
    fn default() -> Self {
        Self { enforced: false, alias_types: true, checksum: None }
    }
}

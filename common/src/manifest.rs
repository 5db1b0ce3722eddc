//! What a dbt project resolves to: every node with its configuration, its SQL and its place in the graph.
//!
//! Invariants: every id in `depends_on` exists in the manifest; the graph of `depends_on.nodes` has no cycle; the content depends
//! on the project's files, the target, the variables and the environment that templates read, and on nothing else (no clock,
//! no order of a hash map), so that two processes that parse the same bundle get the same manifest.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::microbatch::{BadKey, Microbatch};
use crate::node_config::{Docs, NodeConfig, QuotingOverride};
use crate::relation::Quoting;
use crate::target::AdapterType;
use crate::unit_test::UnitTest;
use crate::{Json, JsonMap, NodeId, Relation};

/// dbt's resource types, as `--resource-type` and artifacts spell them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceType {
    Model,
    Seed,
    Snapshot,
    Test,
    Analysis,
    /// Hooks of `on-run-start` and `on-run-end`.
    Operation,
    /// The query of `show --inline`.
    SqlOperation,
    Source,
    Exposure,
    UnitTest,
    Macro,
    Doc,
    Group,
    Metric,
    SemanticModel,
    SavedQuery,
}

impl ResourceType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Seed => "seed",
            Self::Snapshot => "snapshot",
            Self::Test => "test",
            Self::Analysis => "analysis",
            Self::Operation => "operation",
            Self::SqlOperation => "sql_operation",
            Self::Source => "source",
            Self::Exposure => "exposure",
            Self::UnitTest => "unit_test",
            Self::Macro => "macro",
            Self::Doc => "doc",
            Self::Group => "group",
            Self::Metric => "metric",
            Self::SemanticModel => "semantic_model",
            Self::SavedQuery => "saved_query",
        }
    }
}

impl std::fmt::Display for ResourceType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A parsed and resolved project with its packages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the root project.
    pub project_name: String,
    /// md5 of the root project's name, as dbt's metadata has it.
    pub project_id: String,
    pub adapter_type: AdapterType,
    pub quoting: Quoting,
    /// Models, seeds, snapshots, tests of data and of models, analyses and operations that are enabled.
    pub nodes: BTreeMap<NodeId, Node>,
    pub sources: BTreeMap<NodeId, Source>,
    pub exposures: BTreeMap<NodeId, Exposure>,
    /// Of all packages, the built-in `dbt` package included.
    pub macros: BTreeMap<NodeId, Macro>,
    pub docs: BTreeMap<NodeId, DocBlock>,
    pub groups: BTreeMap<NodeId, Group>,
    /// Nodes that a config disabled, by id.
    pub disabled: BTreeMap<NodeId, Vec<Node>>,
    pub disabled_sources: BTreeMap<NodeId, Vec<Source>>,
    /// `selectors.yml`, as written.
    #[serde(with = "crate::json_codec::index_map")]
    pub selectors: IndexMap<String, Json>,
    /// What rendering needs of each package's `dbt_project.yml`, by package name.
    pub packages: BTreeMap<String, PackageSettings>,
    /// `dispatch:` of the root project: macro namespace to search order.
    pub dispatch: BTreeMap<String, Vec<String>>,
    /// `query-comment:` of the root project; `None` means dbt's default comment.
    pub query_comment: Option<QueryComment>,
    /// Whether microbatch models are built in batches. Not where the project brings the strategy's macro itself, unless it asks for batches.
    pub has_batches: bool,
}

impl Manifest {
    /// What a node says of its batches; none where it is not built in batches.
    pub fn microbatch(&self, node: &Node) -> Option<Result<Microbatch, BadKey>> {
        if self.has_batches { Microbatch::of(&node.config) } else { None }
    }
}

/// `query-comment:`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryComment {
    /// A template; empty switches comments off.
    pub comment: String,
    pub append: bool,
}

/// Settings of one package that templates see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PackageSettings {
    pub name: String,
    pub version: Option<String>,
    /// The package's folder, relative to the root project; empty for the root.
    pub root: String,
    /// `vars:` of the package's own `dbt_project.yml`.
    #[serde(with = "crate::json_codec::map")]
    pub vars: JsonMap,
}

/// A `ref()` as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ref {
    pub name: String,
    pub package: Option<String>,
    /// As text; dbt allows numbers and strings.
    pub version: Option<String>,
}

/// `depends_on` of a node or macro, each list without repeats, in the order of first use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependsOn {
    pub macros: Vec<NodeId>,
    pub nodes: Vec<NodeId>,
}

/// `{name: sha256, checksum: …}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    pub name: String,
    pub checksum: String,
}

/// A column as a properties file describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnInfo {
    pub name: String,
    pub description: String,
    #[serde(with = "crate::json_codec::map")]
    pub meta: JsonMap,
    pub data_type: Option<String>,
    #[serde(with = "crate::json_codec::list")]
    pub constraints: Vec<Json>,
    pub quote: Option<bool>,
    pub tags: Vec<String>,
    #[serde(with = "crate::json_codec::map")]
    pub config: JsonMap,
    pub granularity: Option<String>,
    pub doc_blocks: Vec<NodeId>,
}

/// Anything that has SQL or data: model, seed, snapshot, test, unit test, analysis, operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub unique_id: NodeId,
    pub name: String,
    pub resource_type: ResourceType,
    pub package_name: String,
    /// Relative to the folder of its kind (`staging/stg_orders.sql`).
    pub path: String,
    /// Relative to its package's root (`models/staging/stg_orders.sql`).
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub database: String,
    pub schema: String,
    pub alias: String,
    /// Rendered; `None` for ephemeral models and for tests that store nothing.
    pub relation_name: Option<String>,
    pub checksum: Checksum,
    pub config: NodeConfig,
    /// Those of the config without repeats; a test also has its column's, a hook its kind.
    pub tags: Vec<String>,
    /// Config keys as written, before rendering.
    #[serde(with = "crate::json_codec::map")]
    pub unrendered_config: JsonMap,
    /// Keys given by `{{ config() }}` in the file itself.
    #[serde(with = "crate::json_codec::map")]
    pub config_call_dict: JsonMap,
    pub description: String,
    pub columns: IndexMap<String, ColumnInfo>,
    /// `package://path` of the properties file that describes it.
    pub patch_path: Option<String>,
    /// SQL with its Jinja; empty for seeds.
    pub raw_code: String,
    /// Line of the file (from 1) at which `raw_code` begins; for diagnostics.
    pub raw_code_line: u32,
    pub refs: Vec<Ref>,
    /// `[source name, table name]`
    pub sources: Vec<[String; 2]>,
    pub depends_on: DependsOn,
    pub doc_blocks: Vec<NodeId>,
    pub model: Option<ModelInfo>,
    pub test: Option<TestInfo>,
    /// Of a unit test, whose `raw_code` is that of the tested model.
    pub unit_test: Option<Box<UnitTest>>,
    /// Of an operation: its place among its package's hooks.
    pub hook_index: Option<u32>,
}

/// What only models have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// `private`, `protected` or `public`
    pub access: String,
    pub group: Option<String>,
    #[serde(with = "crate::json_codec::option")]
    pub version: Option<Json>,
    #[serde(with = "crate::json_codec::option")]
    pub latest_version: Option<Json>,
    pub deprecation_date: Option<String>,
    #[serde(with = "crate::json_codec::list")]
    pub constraints: Vec<Json>,
    pub primary_key: Vec<String>,
    #[serde(with = "crate::json_codec::option")]
    pub time_spine: Option<Json>,
}

/// What only data tests have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestInfo {
    /// `None` for a singular test.
    pub metadata: Option<TestMetadata>,
    pub column_name: Option<String>,
    /// The node the test was declared under.
    pub attached_node: Option<NodeId>,
    /// e.g. `models.fct_orders`
    pub file_key_name: Option<String>,
}

/// Which generic test, with which arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestMetadata {
    pub name: String,
    /// The package named before the dot: `dbt_utils` in `dbt_utils.equal_rowcount`.
    pub namespace: Option<String>,
    /// As written, with `model` and `column_name` added by dbt.
    #[serde(with = "crate::json_codec::map")]
    pub kwargs: JsonMap,
}

/// A table of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    pub unique_id: NodeId,
    pub source_name: String,
    pub name: String,
    pub identifier: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    pub fqn: Vec<String>,
    pub database: Option<String>,
    pub schema: String,
    pub relation_name: String,
    pub quoting: QuotingOverride,
    pub loader: String,
    pub description: String,
    pub source_description: String,
    #[serde(with = "crate::json_codec::map")]
    pub meta: JsonMap,
    #[serde(with = "crate::json_codec::map")]
    pub source_meta: JsonMap,
    pub tags: Vec<String>,
    pub columns: IndexMap<String, ColumnInfo>,
    #[serde(with = "crate::json_codec::option")]
    pub external: Option<Json>,
    #[serde(with = "crate::json_codec::option")]
    pub freshness: Option<Json>,
    pub loaded_at_field: Option<String>,
    pub loaded_at_query: Option<String>,
    pub enabled: bool,
    /// The merged `config:` of source and table.
    #[serde(with = "crate::json_codec::map")]
    pub config: JsonMap,
    #[serde(with = "crate::json_codec::map")]
    pub unrendered_config: JsonMap,
    pub patch_path: Option<String>,
    pub doc_blocks: Vec<NodeId>,
}

/// A downstream use of the project that someone declared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    pub unique_id: NodeId,
    pub name: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    pub fqn: Vec<String>,
    /// `dashboard`, `notebook`, `analysis`, `ml` or `application`
    pub exposure_type: String,
    pub label: Option<String>,
    pub maturity: Option<String>,
    pub url: Option<String>,
    pub description: String,
    #[serde(with = "crate::json_codec::map")]
    pub owner: JsonMap,
    #[serde(with = "crate::json_codec::map")]
    pub meta: JsonMap,
    pub tags: Vec<String>,
    pub enabled: bool,
    #[serde(with = "crate::json_codec::map")]
    pub config: JsonMap,
    pub refs: Vec<Ref>,
    pub sources: Vec<[String; 2]>,
    pub depends_on: DependsOn,
}

/// `{% macro %}`, `{% test %}` or `{% materialization %}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Macro {
    pub unique_id: NodeId,
    /// With dbt's prefix: a `{% test foo %}` is `test_foo`, a materialization `materialization_foo_default`.
    pub name: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    /// The whole block, from `{%` to `%}`.
    pub macro_sql: String,
    /// Line of the file (from 1) at which the block begins.
    pub line: u32,
    pub depends_on: DependsOn,
    pub description: String,
    #[serde(with = "crate::json_codec::map")]
    pub meta: JsonMap,
    pub docs: Docs,
    pub patch_path: Option<String>,
    #[serde(with = "crate::json_codec::list")]
    pub arguments: Vec<Json>,
    pub supported_languages: Option<Vec<String>>,
}

/// `{% docs name %} … {% enddocs %}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocBlock {
    pub unique_id: NodeId,
    pub name: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    pub contents: String,
}

/// `groups:`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub unique_id: NodeId,
    pub name: String,
    pub package_name: String,
    pub path: String,
    pub original_file_path: String,
    #[serde(with = "crate::json_codec::map")]
    pub owner: JsonMap,
    pub description: Option<String>,
    #[serde(with = "crate::json_codec::map")]
    pub config: JsonMap,
}

impl Manifest {
    /// The ids a node, source or exposure depends on; empty for sources and unknown ids.
    pub fn upstreams(&self, id: &NodeId) -> &[NodeId] {
        if let Some(node) = self.nodes.get(id) {
            &node.depends_on.nodes
        } else if let Some(exposure) = self.exposures.get(id) {
            &exposure.depends_on.nodes
        } else {
            &[]
        }
    }
}

impl Node {
    /// A node of which only the name is known: nothing is configured, and it depends on nothing.
    pub fn new(unique_id: NodeId, name: &str, resource_type: ResourceType) -> Self {
        Self {
            unique_id,
            name: name.to_owned(),
            resource_type,
            package_name: String::new(),
            path: String::new(),
            original_file_path: String::new(),
            fqn: Vec::new(),
            database: String::new(),
            schema: String::new(),
            alias: name.to_owned(),
            relation_name: None,
            checksum: Checksum { name: "none".to_owned(), checksum: String::new() },
            config: NodeConfig::default(),
            tags: Vec::new(),
            unrendered_config: JsonMap::new(),
            config_call_dict: JsonMap::new(),
            description: String::new(),
            columns: IndexMap::new(),
            patch_path: None,
            raw_code: String::new(),
            raw_code_line: 1,
            refs: Vec::new(),
            sources: Vec::new(),
            depends_on: DependsOn::default(),
            doc_blocks: Vec::new(),
            model: None,
            test: None,
            unit_test: None,
            hook_index: None,
        }
    }

    /// The relation this node is stored in. Meaningless for nodes without one (ephemeral models, most tests).
    pub fn relation(&self, default_quoting: Quoting) -> Relation {
        Relation {
            database: Some(self.database.clone()),
            schema: Some(self.schema.clone()),
            identifier: Some(self.alias.clone()),
            relation_type: None,
            quoting: self.config.quoting.over(default_quoting),
        }
    }
}

impl QuotingOverride {
    /// These settings where given, `default` elsewhere.
    pub fn over(&self, default: Quoting) -> Quoting {
        Quoting {
            database: self.database.unwrap_or(default.database),
            schema: self.schema.unwrap_or(default.schema),
            identifier: self.identifier.unwrap_or(default.identifier),
        }
    }
}

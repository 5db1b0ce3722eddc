//! Order, priorities and cycles of small graphs.

use common::manifest::{Checksum, Exposure, ModelInfo, Node, ResourceType, Source, TestInfo};
use common::node_config::{Materialization, NodeConfig};
use common::relation::Quoting;
use common::run::Verb;
use common::target::AdapterType;
use common::unit_test::{Fixture, FixtureFormat, FixtureRows, UnitTest};
use common::{Json, JsonMap};

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

/// A manifest of the project `shop`, built by hand.
pub(crate) struct ManifestBuilder(pub(crate) Manifest);

impl ManifestBuilder {
    pub(crate) fn new() -> Self {
        Self(Manifest {
            project_name: "shop".to_owned(),
            project_id: String::new(),
            adapter_type: AdapterType::Duckdb,
            quoting: Quoting::default(),
            nodes: Default::default(),
            sources: Default::default(),
            exposures: Default::default(),
            macros: Default::default(),
            docs: Default::default(),
            groups: Default::default(),
            disabled: Default::default(),
            disabled_sources: Default::default(),
            selectors: Default::default(),
            packages: Default::default(),
            dispatch: Default::default(),
            query_comment: None,
            has_batches: true,
        })
    }

    /// A model at `models/<path>`, e.g. `staging/stg_orders.sql`.
    pub(crate) fn model(&mut self, path: &str, upstreams: &[&str]) -> &mut Node {
        let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".sql");
        let mut fqn: Vec<String> = vec!["shop".to_owned()];
        fqn.extend(path.trim_end_matches(".sql").split('/').map(str::to_owned));
        let id = format!("model.shop.{name}");
        self.node(&id, name, ResourceType::Model, fqn, &format!("models/{path}"), upstreams)
    }

    pub(crate) fn test(&mut self, name: &str, upstreams: &[&str]) -> &mut Node {
        let fqn = vec!["shop".to_owned(), name.to_owned()];
        let id = format!("test.shop.{name}");
        let node = self.node(&id, name, ResourceType::Test, fqn, &format!("tests/{name}.sql"), upstreams);
        node.config.materialized = Materialization::Test;
        node.test = Some(TestInfo { metadata: None, column_name: None, attached_node: None, file_key_name: None });
        node
    }

    pub(crate) fn unit_test(&mut self, name: &str, model: &str) -> &mut Node {
        let fqn = vec!["shop".to_owned(), model.to_owned(), name.to_owned()];
        let (id, tested) = (format!("unit_test.shop.{model}.{name}"), format!("model.shop.{model}"));
        let node = self.node(&id, name, ResourceType::UnitTest, fqn, "models/schema.yml", &[&tested]);
        let rows = FixtureRows::Table(Vec::new());
        node.unit_test = Some(Box::new(UnitTest {
            model: model.to_owned(),
            given: Vec::new(),
            expect: Fixture { format: FixtureFormat::Dict, rows, file: None },
            overrides: None,
            versions: None,
            version: None,
            checksum: String::new(),
        }));
        node
    }

    pub(crate) fn node(
        &mut self,
        id: &str,
        name: &str,
        resource_type: ResourceType,
        fqn: Vec<String>,
        path: &str,
        upstreams: &[&str],
    ) -> &mut Node {
        let mut node = Node {
            unique_id: id.into(),
            name: name.to_owned(),
            resource_type,
            package_name: "shop".to_owned(),
            path: path.to_owned(),
            original_file_path: path.to_owned(),
            fqn,
            tags: Vec::new(),
            database: "db".to_owned(),
            schema: "main".to_owned(),
            alias: name.to_owned(),
            relation_name: None,
            checksum: Checksum { name: "sha256".to_owned(), checksum: String::new() },
            config: NodeConfig::default(),
            unrendered_config: JsonMap::new(),
            config_call_dict: JsonMap::new(),
            description: String::new(),
            columns: Default::default(),
            patch_path: None,
            raw_code: "select 1".to_owned(),
            raw_code_line: 1,
            refs: Vec::new(),
            sources: Vec::new(),
            depends_on: Default::default(),
            doc_blocks: Vec::new(),
            model: (resource_type == ResourceType::Model).then(ModelInfo::default),
            test: None,
            unit_test: None,
            hook_index: None,
        };
        node.depends_on.nodes = upstreams.iter().map(|&id| id.into()).collect();
        self.0.nodes.entry(id.into()).insert_entry(node).into_mut()
    }

    pub(crate) fn source(&mut self, source_name: &str, name: &str) -> &mut Source {
        let id = NodeId::new(format!("source.shop.{source_name}.{name}"));
        let source = Source {
            unique_id: id.clone(),
            source_name: source_name.to_owned(),
            name: name.to_owned(),
            identifier: name.to_owned(),
            package_name: "shop".to_owned(),
            path: "models/sources.yml".to_owned(),
            original_file_path: "models/sources.yml".to_owned(),
            fqn: vec!["shop".to_owned(), source_name.to_owned(), name.to_owned()],
            database: None,
            schema: source_name.to_owned(),
            relation_name: String::new(),
            quoting: Default::default(),
            loader: String::new(),
            description: String::new(),
            source_description: String::new(),
            meta: JsonMap::new(),
            source_meta: JsonMap::new(),
            tags: Vec::new(),
            columns: Default::default(),
            external: None,
            freshness: None,
            loaded_at_field: None,
            loaded_at_query: None,
            enabled: true,
            config: JsonMap::new(),
            unrendered_config: JsonMap::new(),
            patch_path: None,
            doc_blocks: Vec::new(),
        };
        self.0.sources.entry(id).insert_entry(source).into_mut()
    }

    pub(crate) fn exposure(&mut self, name: &str, upstreams: &[&str]) -> &mut Exposure {
        let id = NodeId::new(format!("exposure.shop.{name}"));
        let mut exposure = Exposure {
            unique_id: id.clone(),
            name: name.to_owned(),
            package_name: "shop".to_owned(),
            path: "exposures.yml".to_owned(),
            original_file_path: "models/exposures.yml".to_owned(),
            fqn: vec!["shop".to_owned(), name.to_owned()],
            exposure_type: "dashboard".to_owned(),
            label: None,
            maturity: None,
            url: None,
            description: String::new(),
            owner: JsonMap::new(),
            meta: JsonMap::new(),
            tags: Vec::new(),
            enabled: true,
            config: JsonMap::new(),
            refs: Vec::new(),
            sources: Vec::new(),
            depends_on: Default::default(),
        };
        exposure.depends_on.nodes = upstreams.iter().map(|&id| id.into()).collect();
        self.0.exposures.entry(id).insert_entry(exposure).into_mut()
    }

    /// The `meta` of a node's config, from JSON.
    pub(crate) fn meta(node: &mut Node, meta: Json) {
        node.config.meta = meta.as_object().cloned().expect("an object");
    }
}

fn ids(names: &[&str]) -> BTreeSet<NodeId> {
    names.iter().map(|&name| name.into()).collect()
}

fn edges(tasks: &[common::run::PlannedTask]) -> Vec<(&str, Vec<&str>)> {
    tasks
        .iter()
        .map(|task| {
            let upstreams = task.upstreams.iter().map(|&index| tasks[index as usize].node.as_str()).collect();
            (task.node.as_str(), upstreams)
        })
        .collect()
}

/// `raw.orders → a → b → c`, a test of `a`, one of `a` and `c`, one of the source, and `d` beside them.
fn chain() -> Manifest {
    let mut manifest = ManifestBuilder::new();
    manifest.source("raw", "orders");
    manifest.model("a.sql", &["source.shop.raw.orders"]);
    manifest.model("b.sql", &["model.shop.a"]);
    manifest.model("c.sql", &["model.shop.b"]);
    manifest.model("d.sql", &["model.shop.c", "model.shop.a"]);
    manifest.test("t_a", &["model.shop.a"]);
    manifest.test("t_ac", &["model.shop.a", "model.shop.c"]);
    manifest.test("t_raw", &["source.shop.raw.orders"]);
    manifest.exposure("board", &["model.shop.d"]);
    manifest.0
}

#[test]
fn relatives_are_found_by_depth() {
    let graph = Graph::new(&chain());
    let c = ids(&["model.shop.c"]);
    assert_eq!(graph.ancestors(&c, Some(1)), ids(&["model.shop.b"]));
    assert_eq!(graph.ancestors(&c, None), ids(&["model.shop.a", "model.shop.b", "source.shop.raw.orders"]));
    assert_eq!(graph.ancestors(&c, Some(0)), ids(&[]));
    assert_eq!(graph.descendants(&c, None), ids(&["exposure.shop.board", "model.shop.d", "test.shop.t_ac"]));
}

#[test]
fn a_cycle_is_told_with_its_path() {
    let mut manifest = ManifestBuilder::new();
    manifest.model("a.sql", &["model.shop.c"]);
    manifest.model("b.sql", &["model.shop.a"]);
    manifest.model("c.sql", &["model.shop.b"]);
    manifest.model("below.sql", &["model.shop.c"]);
    manifest.model("above.sql", &[]);
    let cycle = Graph::new(&manifest.0).cycle().expect("a cycle");
    assert_eq!(cycle, [NodeId::from("model.shop.a"), "model.shop.b".into(), "model.shop.c".into()]);
    assert_eq!(Graph::new(&chain()).cycle(), None);
}

#[test]
fn a_plan_goes_through_what_is_not_selected() {
    let mut manifest = chain();
    let graph = Graph::new(&manifest);
    let selected = ids(&["model.shop.a", "model.shop.c", "source.shop.raw.orders"]);
    let tasks = plan(&manifest, &graph, &selected, &BTreeMap::new(), PlanOptions::default());
    assert_eq!(edges(&tasks), [("model.shop.a", vec![]), ("model.shop.c", vec!["model.shop.a"])]);
    // An ephemeral model is no task either.
    let b = manifest.nodes.get_mut(&NodeId::from("model.shop.b")).expect("a model");
    b.config.materialized = Materialization::Ephemeral;
    let all: BTreeSet<NodeId> = manifest.nodes.keys().filter(|id| id.resource_type() == "model").cloned().collect();
    let tasks = plan(&manifest, &graph, &all, &BTreeMap::new(), PlanOptions::default());
    assert_eq!(
        edges(&tasks),
        [
            ("model.shop.a", vec![]),
            ("model.shop.c", vec!["model.shop.a"]),
            ("model.shop.d", vec!["model.shop.a", "model.shop.c"]),
        ]
    );
}

#[test]
fn tests_block_what_is_downstream_of_all_they_test() {
    let manifest = chain();
    let graph = Graph::new(&manifest);
    let all: BTreeSet<NodeId> = graph.nodes().cloned().collect();
    let tasks = plan(&manifest, &graph, &all, &BTreeMap::new(), PlanOptions::of(Verb::Build));
    assert_eq!(
        edges(&tasks),
        [
            ("test.shop.t_raw", vec![]),
            ("model.shop.a", vec!["test.shop.t_raw"]),
            ("test.shop.t_a", vec!["model.shop.a"]),
            ("model.shop.b", vec!["model.shop.a", "test.shop.t_a"]),
            ("model.shop.c", vec!["model.shop.b"]),
            ("test.shop.t_ac", vec!["model.shop.a", "model.shop.c"]),
            ("model.shop.d", vec!["model.shop.a", "test.shop.t_a", "model.shop.c", "test.shop.t_ac"]),
            ("exposure.shop.board", vec!["model.shop.d"]),
        ]
    );
}

#[test]
fn priorities_are_lengths_of_critical_paths() {
    let manifest = chain();
    let graph = Graph::new(&manifest);
    let selected = ids(&["model.shop.a", "model.shop.b", "model.shop.d", "test.shop.t_a"]);
    let durations = [("model.shop.a", 10), ("model.shop.b", 20), ("model.shop.d", 5), ("test.shop.t_a", 400)]
        .map(|(id, ms)| (NodeId::from(id), Duration::from_millis(ms)));
    let tasks = plan(&manifest, &graph, &selected, &durations.into(), PlanOptions::default());
    let priorities: Vec<(&str, u64)> = tasks.iter().map(|task| (task.node.as_str(), task.priority)).collect();
    assert_eq!(priorities, [("model.shop.a", 410), ("model.shop.b", 25), ("model.shop.d", 5), ("test.shop.t_a", 400)]);
}

#[test]
fn a_unit_test_runs_between_what_its_model_waits_for_and_the_model() {
    let mut builder = ManifestBuilder(chain());
    builder.unit_test("adds_up", "b");
    builder.unit_test("rounds", "b");
    let manifest = builder.0;
    let graph = Graph::new(&manifest);
    let plan =
        |selected: &[&str]| plan(&manifest, &graph, &ids(selected), &BTreeMap::new(), PlanOptions::of(Verb::Build));
    let (adds_up, rounds) = ("unit_test.shop.b.adds_up", "unit_test.shop.b.rounds");
    let tasks = plan(&["model.shop.a", "test.shop.t_a", "model.shop.b", "model.shop.c", adds_up, rounds]);
    let before = vec!["model.shop.a", "test.shop.t_a"];
    assert_eq!(
        edges(&tasks),
        [
            ("model.shop.a", vec![]),
            ("test.shop.t_a", vec!["model.shop.a"]),
            (adds_up, before.clone()),
            (rounds, before.clone()),
            ("model.shop.b", [before, vec![adds_up, rounds]].concat()),
            ("model.shop.c", vec!["model.shop.b"]),
        ]
    );
    assert!(tasks.iter().all(|task| task.relation.is_none() == task.node.as_str().starts_with("unit_test")));
    let alone = plan(&["model.shop.b", adds_up]);
    assert_eq!(edges(&alone), [(adds_up, vec![]), ("model.shop.b", vec![adds_up])]);
}

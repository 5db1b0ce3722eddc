//! A small project in memory, and its run over a real warehouse.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::diagnostic::Code;
use common::manifest::{Manifest, Node, PackageSettings, ResourceType, TestInfo};
use common::node_config::Materialization;
use common::relation::Quoting;
use common::run::{RunOptions, Verb};
use common::table::Datum;
use common::target::{self, AdapterType, Target};
use common::task::{Assignment, TaskOutcome, TaskReport};
use common::{Attempt, Epoch, JsonMap, NodeId, RunId};
use dbt::compile::{Compiler, Invocation};
use indexmap::IndexMap;
use worker::adapter::Adapter;
use worker::warehouse::{self, Connection, Warehouse};
use worker::{Artifacts, Run};

/// Nodes by name; `ids` are `model.p.<name>` and so on.
pub struct Project {
    folder: tempfile::TempDir,
    nodes: BTreeMap<NodeId, Node>,
}

impl Project {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), nodes: BTreeMap::new() }
    }

    pub fn model(&mut self, name: &str, materialized: &str, sql: &str) -> &mut Node {
        let node = self.add(ResourceType::Model, name, &format!("models/{name}.sql"), sql);
        node.config.materialized = Materialization::from(materialized.to_owned());
        node
    }

    pub fn data_test(&mut self, name: &str, sql: &str) -> &mut Node {
        let node = self.add(ResourceType::Test, name, &format!("tests/{name}.sql"), sql);
        node.config.materialized = Materialization::Test;
        node.test = Some(TestInfo { metadata: None, column_name: None, attached_node: None, file_key_name: None });
        node.schema = "main_dbt_test__audit".to_owned();
        node
    }

    pub fn seed(&mut self, name: &str, csv: &str) -> &mut Node {
        let path = format!("seeds/{name}.csv");
        self.write(&path, csv);
        let node = self.add(ResourceType::Seed, name, &path, "");
        node.config.materialized = Materialization::Seed;
        node
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.values_mut().find(|node| node.name == name).unwrap()
    }

    fn add(&mut self, resource_type: ResourceType, name: &str, path: &str, sql: &str) -> &mut Node {
        let id = NodeId::from(format!("{resource_type}.p.{name}"));
        let node = Node {
            package_name: "p".to_owned(),
            path: path.split_once('/').unwrap().1.to_owned(),
            original_file_path: path.to_owned(),
            fqn: vec!["p".to_owned(), name.to_owned()],
            schema: "main".to_owned(),
            raw_code: sql.to_owned(),
            ..Node::new(id.clone(), name, resource_type)
        };
        self.nodes.entry(id).or_insert(node)
    }

    /// A run of this project as it is now.
    pub fn run(&self, place: &Place, configure: impl FnOnce(&mut RunOptions)) -> Run {
        let mut nodes = self.nodes.clone();
        for node in nodes.values_mut() {
            node.database.clone_from(&place.target.database);
        }
        let settings = PackageSettings { name: "p".to_owned(), ..PackageSettings::default() };
        let manifest = Manifest {
            project_name: "p".to_owned(),
            project_id: String::new(),
            adapter_type: place.target.adapter_type,
            quoting: Quoting::default(),
            nodes,
            sources: BTreeMap::new(),
            exposures: BTreeMap::new(),
            macros: BTreeMap::new(),
            docs: BTreeMap::new(),
            groups: BTreeMap::new(),
            disabled: BTreeMap::new(),
            disabled_sources: BTreeMap::new(),
            selectors: IndexMap::new(),
            packages: [("p".to_owned(), settings)].into_iter().collect(),
            dispatch: BTreeMap::new(),
            query_comment: None,
            has_batches: true,
        };
        let mut options = RunOptions::new(Verb::Build);
        configure(&mut options);
        let invocation = Invocation { full_refresh: options.full_refresh, ..Invocation::default() };
        let compiler = Compiler::new(Arc::new(manifest), place.target.clone(), invocation);
        let target_path = self.target_path();
        Run::new(
            compiler,
            options,
            place.target.clone(),
            self.folder.path().to_owned(),
            Artifacts::Write { target_path },
        )
    }

    pub fn target_path(&self) -> PathBuf {
        self.folder.path().join("target")
    }
}

/// A warehouse of its own for one test.
pub struct Place {
    pub warehouse: Arc<dyn Warehouse>,
    pub target: Target,
    _keep: Keep,
}

/// What has to outlive the connections.
enum Keep {
    Folder { _folder: tempfile::TempDir },
    Server { _server: Arc<testing::Postgres> },
}

/// One place for each kind of warehouse.
pub fn places() -> Vec<Place> {
    [Some(Place::duckdb()), Place::postgres()].into_iter().flatten().collect()
}

static EPOCH: AtomicU64 = AtomicU64::new(1);

impl Place {
    pub fn duckdb() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.duckdb");
        let settings = serde_json::json!({"path": path, "library": testing::duckdb_library()});
        let connection =
            target::Connection { adapter_type: AdapterType::Duckdb, settings: settings.as_object().unwrap().clone() };
        Self::open(&connection, "db", Keep::Folder { _folder: folder })
    }

    /// `None` as long as the warehouse refuses PostgreSQL as not supported.
    pub fn postgres() -> Option<Self> {
        let server = testing::Postgres::start();
        let database = server.database();
        let settings = serde_json::json!({
            "host": server.host(), "port": server.port(), "user": server.user(), "password": "", "dbname": database,
            "schema": "main", "search_path": "main",
        });
        let connection =
            target::Connection { adapter_type: AdapterType::Postgres, settings: settings.as_object().unwrap().clone() };
        if let Err(error) = warehouse::open(&connection, "test") {
            assert_eq!(error.code, Code::Unsupported, "{error}");
            return None;
        }
        let place = Self::open(&connection, &database, Keep::Server { _server: server });
        place.connect().create_schema(&database, "main").unwrap();
        Some(place)
    }

    fn open(connection: &target::Connection, database: &str, keep: Keep) -> Self {
        let target = Target {
            profile_name: "p".to_owned(),
            name: "dev".to_owned(),
            adapter_type: connection.adapter_type,
            database: database.to_owned(),
            schema: "main".to_owned(),
            threads: 2,
            extra: JsonMap::new(),
        };
        Self { warehouse: warehouse::open(connection, "test").unwrap(), target, _keep: keep }
    }

    pub fn connect(&self) -> Box<dyn Connection> {
        self.warehouse.connect().unwrap()
    }

    /// Rows of a query, each cell as text.
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let table = self.connect().query(sql).unwrap().1;
        table.rows.iter().map(|row| row.iter().map(cell).collect()).collect()
    }

    /// `name type` of each column.
    pub fn columns(&self, name: &str) -> Vec<String> {
        let relation = common::Relation::new(&self.target.database, "main", name);
        let columns = self.connect().columns(&relation).unwrap();
        columns.into_iter().map(|column| format!("{} {}", column.name, column.data_type)).collect()
    }

    pub fn is_duckdb(&self) -> bool {
        self.target.adapter_type == AdapterType::Duckdb
    }

    /// Names of what is in the schema of models.
    pub fn relations(&self) -> Vec<String> {
        let relations = self.relations_in("main");
        relations.iter().map(|relation| relation.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    /// `name type` of what is in a schema.
    pub fn relations_in(&self, schema: &str) -> Vec<String> {
        let relations = self.connect().list_relations(&self.target.database, schema).unwrap();
        let mut names: Vec<String> = relations
            .into_iter()
            .map(|relation| {
                let kind = relation.relation_type.map_or("unknown", common::RelationType::as_str);
                format!("{} {kind}", relation.identifier.unwrap_or_default())
            })
            .collect();
        names.sort();
        names
    }

    /// One attempt, the first at its task.
    pub fn execute(&self, run: &Run, id: &str) -> TaskReport {
        self.attempt(run, &assignment(RunId(uuid::Uuid::now_v7()), id, 1))
    }

    pub fn attempt(&self, run: &Run, assignment: &Assignment) -> TaskReport {
        let adapter = Adapter::new(self.warehouse.adapter_type(), self.connect());
        worker::execute(assignment, run, &adapter, "Thread-1")
    }

    /// An attempt that must succeed; its message.
    #[track_caller]
    pub fn build(&self, run: &Run, id: &str) -> String {
        let report = self.execute(run, id);
        assert_eq!(report.outcome, TaskOutcome::Success, "{id}");
        report.result.message.unwrap_or_default()
    }
}

/// With an epoch that no other assignment has.
pub fn assignment(run: RunId, id: &str, attempt: u32) -> Assignment {
    Assignment {
        run,
        node: NodeId::from(id),
        attempt: Attempt(attempt),
        epoch: Epoch(EPOCH.fetch_add(1, Ordering::Relaxed)),
    }
}

pub fn cell(datum: &Datum) -> String {
    match datum {
        Datum::Null => "NULL".to_owned(),
        Datum::Bool(value) => value.to_string(),
        Datum::Int(value) => value.to_string(),
        Datum::Float(value) => value.to_string(),
        Datum::Bytes(bytes) => format!("{bytes:?}"),
        Datum::Decimal(text)
        | Datum::Text(text)
        | Datum::Date(text)
        | Datum::Time(text)
        | Datum::Timestamp(text)
        | Datum::Other(text) => text.clone(),
    }
}

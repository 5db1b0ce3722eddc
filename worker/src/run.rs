//! What the tasks of one run share: the compiler, the options, the target, where artifacts go.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use common::manifest::ResourceType;
use common::node_config::Materialization;
use common::relation::{Relation, RelationType};
use common::run::{RunOptions, Verb};
use common::target::Target;
use common::task::NodeResult;
use common::{Manifest, NodeId, RunId};
use dbt::artifacts::Folders;
use dbt::compile::Compiler;

use crate::warehouse::{Connection, Error, Warehouse, staging};

/// Finds the runs that assignments name. On a laptop there is one; a cluster's worker fetches and parses bundles.
pub trait Runs: Send + Sync {
    /// May take long the first time; called on a slot's thread.
    fn get(&self, run: RunId) -> Result<Opened, Error>;

    /// The run where it is here already, without waiting for anything: to order and group the attempts that wait. Without it they
    /// go in the order in which they came, each alone.
    fn at_hand(&self, _run: RunId) -> Option<Arc<Run>> {
        None
    }
}

/// A run, and the warehouse that its target names.
#[derive(Clone)]
pub struct Opened {
    pub run: Arc<Run>,
    pub warehouse: Arc<dyn Warehouse>,
}

/// What became of a run's nodes so far: its `on-run-end` sees it.
pub trait History: Send + Sync {
    fn outcomes(&self) -> Result<Vec<(NodeId, NodeResult)>, Error>;
}

/// One run, as its tasks need it.
pub struct Run {
    pub compiler: Compiler,
    pub options: RunOptions,
    pub target: Target,
    /// The root project's folder; seeds are read from it.
    pub project_root: PathBuf,
    pub artifacts: Artifacts,
    /// None where hooks are no tasks of the run, as on a laptop.
    history: Option<Box<dyn History>>,
    known: Mutex<Known>,
    ranks: OnceLock<HashMap<NodeId, u64>>,
    /// Folders of artifacts that are there.
    pub(crate) folders: Folders,
}

/// Where the SQL of nodes is kept for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Artifacts {
    Skip,
    /// In the report of each attempt, with its log.
    Report,
    /// `compiled/` and `run/` below this folder.
    Write {
        target_path: PathBuf,
    },
}

/// What was seen of the warehouse in this run. As dbt's cache, it answers for a node's own relation only.
#[derive(Default)]
struct Known {
    /// Schemas that exist: (database, schema).
    schemas: HashSet<(String, String)>,
    /// By schema, by name in lower case.
    relations: HashMap<(String, String), HashMap<String, Option<RelationType>>>,
    /// Schemas with staging relations of attempts that live, or did when last looked at.
    leftovers: HashSet<(String, String)>,
}

impl Run {
    pub fn new(
        compiler: Compiler,
        options: RunOptions,
        target: Target,
        project_root: PathBuf,
        artifacts: Artifacts,
    ) -> Self {
        let (known, ranks, folders) = Default::default();
        Self { compiler, options, target, project_root, artifacts, history: None, known, ranks, folders }
    }

    /// The run, with hooks among its tasks.
    #[must_use]
    pub fn with_history(self, history: Box<dyn History>) -> Self {
        Self { history: Some(history), ..self }
    }

    /// What became of the nodes so far.
    pub(crate) fn outcomes(&self) -> Result<Vec<(NodeId, NodeResult)>, Error> {
        self.history.as_ref().map_or(Ok(Vec::new()), |history| history.outcomes())
    }

    pub fn manifest(&self) -> &Arc<Manifest> {
        self.compiler.manifest()
    }

    /// Says which attempts go first where several wait: the higher, the sooner. Only the first call counts.
    pub fn set_ranks(&self, ranks: HashMap<NodeId, u64>) {
        // Attempts are ordered by what is known when they arrive; a second set would only mix the two.
        let _ = self.ranks.set(ranks);
    }

    pub(crate) fn rank(&self, node: &NodeId) -> u64 {
        self.ranks.get().and_then(|ranks| ranks.get(node)).copied().unwrap_or_default()
    }

    /// Whether an attempt at the node may share a slot, and a transaction, with others: it is a view and runs no statements of the
    /// user's beside it, so committing it costs more than building it. Compiling is light whatever the node.
    pub(crate) fn is_light(&self, node: &NodeId) -> bool {
        if self.options.verb == Verb::Compile {
            return true;
        }
        self.manifest().nodes.get(node).is_some_and(|node| {
            let config = &node.config;
            node.resource_type == ResourceType::Model
                && config.materialized == Materialization::View
                && config.pre_hook.is_empty()
                && config.post_hook.is_empty()
                && !config.extra.contains_key("sql_header")
        })
    }

    /// Creates the schema of `relation` unless this run has seen it.
    pub fn ensure_schema(&self, connection: &mut dyn Connection, relation: &Relation) -> Result<(), Error> {
        let key = schema_of(relation);
        if self.known().schemas.contains(&key) {
            return Ok(());
        }
        connection.create_schema(&key.0, &key.1)?;
        self.known().schemas.insert(key);
        Ok(())
    }

    /// What stands under a node's own name. A schema is listed once a run; `fresh` asks the warehouse again, as an attempt after a
    /// lost one must.
    pub(crate) fn existing(
        &self,
        connection: &mut dyn Connection,
        relation: &Relation,
        fresh: bool,
    ) -> Result<Option<Relation>, Error> {
        let key = schema_of(relation);
        let identifier = relation.identifier.clone().unwrap_or_default();
        if fresh {
            return connection.get_relation(&key.0, &key.1, &identifier);
        }
        let listed = self.known().relations.contains_key(&key);
        if !listed {
            let relations = connection.list_relations(&key.0, &key.1)?;
            let has_staging =
                relations.iter().any(|relation| relation.identifier.as_deref().is_some_and(staging::is_staging));
            if has_staging {
                self.collect_leftovers(connection, relation, true);
            }
            let by_name = relations
                .into_iter()
                .filter_map(|relation| Some((relation.identifier?.to_lowercase(), relation.relation_type)))
                .collect();
            self.known().relations.entry(key.clone()).or_insert(by_name);
        }
        let kind = self.known().relations.get(&key).and_then(|names| names.get(&identifier.to_lowercase()).copied());
        Ok(kind.map(|kind| Relation { relation_type: kind, ..relation.clone() }))
    }

    /// Remembers what a publication left behind.
    pub(crate) fn built(&self, relation: &Relation, kind: RelationType) {
        let identifier = relation.identifier.as_deref().unwrap_or_default().to_lowercase();
        if let Some(names) = self.known().relations.get_mut(&schema_of(relation)) {
            names.insert(identifier, Some(kind));
        }
    }

    /// Drops staging relations that nobody builds any more from the schema of `relation`, where some were seen or `look` says so.
    pub(crate) fn collect_leftovers(&self, connection: &mut dyn Connection, relation: &Relation, look: bool) {
        let key = schema_of(relation);
        if !look && !self.known().leftovers.contains(&key) {
            return;
        }
        let is_clean = connection.collect_staging(&key.0, &key.1).is_ok_and(|collected| collected.left == 0);
        if is_clean {
            self.known().leftovers.remove(&key);
        } else {
            self.known().leftovers.insert(key);
        }
    }

    /// What stands under this name has to be looked up again.
    pub(crate) fn forget(&self, relation: &Relation) {
        self.known().relations.remove(&schema_of(relation));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Entries are inserted whole: a panic elsewhere cannot have left one half-written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn schema_of(relation: &Relation) -> (String, String) {
    (relation.database.clone().unwrap_or_default(), relation.schema.clone().unwrap_or_default())
}

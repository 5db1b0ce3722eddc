//! What the tasks of one run share: the compiler, the options, the target, where artifacts go.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::relation::{Relation, RelationType};
use common::run::RunOptions;
use common::target::Target;
use common::{Manifest, RunId};
use dbt::compile::Compiler;

use crate::warehouse::{Connection, Error, Warehouse};

/// Finds the runs that assignments name. On a laptop there is one; a cluster's worker fetches and parses bundles.
pub trait Runs: Send + Sync {
    /// May take long the first time; called on a slot's thread.
    fn get(&self, run: RunId) -> Result<Opened, Error>;
}

/// A run, and the warehouse that its target names.
#[derive(Clone)]
pub struct Opened {
    pub run: Arc<Run>,
    pub warehouse: Arc<dyn Warehouse>,
}

/// One run, as its tasks need it.
pub struct Run {
    pub compiler: Compiler,
    pub options: RunOptions,
    pub target: Target,
    /// The root project's folder; seeds are read from it.
    pub project_root: PathBuf,
    pub artifacts: Artifacts,
    known: Mutex<Known>,
}

/// Where the SQL of nodes is kept for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Artifacts {
    Skip,
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
}

impl Run {
    pub fn new(
        compiler: Compiler,
        options: RunOptions,
        target: Target,
        project_root: PathBuf,
        artifacts: Artifacts,
    ) -> Self {
        Self { compiler, options, target, project_root, artifacts, known: Mutex::default() }
    }

    pub fn manifest(&self) -> &Arc<Manifest> {
        self.compiler.manifest()
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

//! Who may publish, within this process.
//!
//! Invariant: while one attempt publishes a relation, no other attempt at it does, and an attempt older than the newest that claimed
//! it never does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::Epoch;
use common::diagnostic::Code;
use common::relation::{Quoting, Relation};
use common::task::FailureKind;

use crate::warehouse::Error;

#[derive(Default)]
pub(super) struct Ledger {
    /// The newest epoch of each relation; locked while that relation is being published. Bounded by the relations of the database.
    epochs: Mutex<HashMap<String, Arc<Mutex<Epoch>>>>,
    /// Staging relations under construction, as rendered, in lower case.
    held: Mutex<HashSet<String>>,
    /// The attached databases whose publish log is known to exist.
    logs: Mutex<HashSet<String>>,
}

/// The right to publish one relation, for as long as it lives.
pub(super) struct Fence(Arc<Mutex<Epoch>>);

impl Fence {
    /// Holds off other attempts until the guard is dropped; refuses an attempt that has been overtaken.
    pub(super) fn enter(&self, epoch: Epoch) -> Result<MutexGuard<'_, Epoch>, Error> {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *newest > epoch {
            return Err(Error::new(
                FailureKind::Fenced,
                Code::Fenced,
                format!("attempt {newest} owns the relation now; attempt {epoch} publishes nothing"),
            ));
        }
        *newest = epoch;
        Ok(newest)
    }
}

impl Ledger {
    pub(super) fn fence(&self, relation: &Relation) -> Fence {
        self.fence_of(key(relation))
    }

    fn fence_of(&self, key: String) -> Fence {
        let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        Fence(epochs.entry(key).or_insert_with(|| Arc::new(Mutex::new(Epoch(0)))).clone())
    }

    /// The fences of several relations, in the one order in which they may be entered together.
    pub(super) fn fences<'r>(
        &self,
        relations: impl Iterator<Item = (&'r Relation, Epoch)>,
    ) -> Result<Vec<(Fence, Epoch)>, Error> {
        let mut named: Vec<(String, Epoch)> = relations.map(|(relation, epoch)| (key(relation), epoch)).collect();
        named.sort();
        if named.windows(2).any(|two| two[0].0 == two[1].0) {
            let message = "two attempts would publish the same relation in one transaction";
            return Err(Error::new(FailureKind::System, Code::Internal, message));
        }
        Ok(named.into_iter().map(|(name, epoch)| (self.fence_of(name), epoch)).collect())
    }

    pub(super) fn hold(&self, staging: &Relation) {
        self.held().insert(key(staging));
    }

    pub(super) fn release(&self, staging: &Relation) {
        self.held().remove(&key(staging));
    }

    pub(super) fn is_held(&self, staging: &Relation) -> bool {
        self.held().contains(&key(staging))
    }

    fn held(&self) -> MutexGuard<'_, HashSet<String>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `create` once for each database, one caller at a time.
    pub(super) fn ensure_log(&self, database: &str, create: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if !logs.contains(database) {
            create()?;
            logs.insert(database.to_owned());
        }
        Ok(())
    }
}

fn key(relation: &Relation) -> String {
    // As DuckDB compares names: whether they are quoted makes no difference.
    Relation { quoting: Quoting::default(), ..relation.clone() }.render().to_lowercase()
}

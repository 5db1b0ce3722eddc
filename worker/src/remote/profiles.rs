//! Credentials: this worker's `profiles.yml`, and the warehouses that its outputs open.
//!
//! Invariants: each (profile, target) is opened once; a run's target and the worker's own output of that name mean the same database, or
//! the run's tasks are refused.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use common::diagnostic::Code;
use common::target::{AdapterType, Connection, Target};
use common::task::FailureKind;
use common::{Diagnostic, Json};
use dbt::context::{Invocation, Yaml};
use dbt::profile::{self, Choice};

use crate::warehouse::{self, Error, Warehouse};

/// Where credentials are looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// `--profiles-dir`; searched for as dbt does where absent.
    pub profiles_dir: Option<PathBuf>,
    /// What `env_var` reads, secrets included.
    pub env: Arc<BTreeMap<String, String>>,
}

/// The outputs of `profiles.yml`, opened when they are first needed.
pub struct Profiles {
    search: Search,
    /// By profile, target and the origin of the fence.
    open: Mutex<HashMap<Key, Arc<dyn Warehouse>>>,
}

type Key = (String, String, String);

impl Profiles {
    pub fn new(search: Search) -> Self {
        Self { search, open: Mutex::default() }
    }

    /// The warehouse of a run's target, and the target with what only this worker knows of it (`host`, `user`, …).
    pub fn open(&self, wanted: &Target, origin: &str) -> Result<(Target, Arc<dyn Warehouse>), Error> {
        let (own, connection) = self.read(wanted)?;
        check(wanted, &own)?;
        let key = (wanted.profile_name.clone(), wanted.name.clone(), origin.to_owned());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let warehouse = match open.get(&key) {
            Some(warehouse) => Arc::clone(warehouse),
            None => {
                let warehouse = warehouse::open(&connection, origin)?;
                open.insert(key, Arc::clone(&warehouse));
                warehouse
            }
        };
        Ok((Target { extra: own.extra, ..wanted.clone() }, warehouse))
    }

    fn read(&self, wanted: &Target) -> Result<(Target, Connection), Error> {
        let current = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let home = self.search.env.get("HOME").map(PathBuf::from);
        let choice = Choice {
            profiles_dir: profile::find_dir(self.search.profiles_dir.as_deref(), &current, home.as_deref(), &current),
            profile: Some(wanted.profile_name.clone()),
            target: Some(wanted.name.clone()),
            threads: None,
        };
        let invocation = Invocation { env: Arc::clone(&self.search.env), ..Invocation::default() };
        let context = Yaml::secret(invocation);
        let mut findings = Vec::new();
        let profile = profile::load(&choice, &|text| context.value(text), &mut findings);
        match (profile, findings.into_iter().find(Diagnostic::is_error)) {
            (Some(profile), None) => Ok((profile.target, profile.connection)),
            (_, finding) => {
                let (code, message) = finding
                    .map_or((Code::ProfileInvalid, "it cannot be read".to_owned()), |finding| {
                        (finding.code, finding.message)
                    });
                Err(Error::new(FailureKind::System, code, format!("the worker's profile: {message}")))
            }
        }
    }
}

/// Refuses an output of the same name that leads to another database.
fn check(wanted: &Target, own: &Target) -> Result<(), Error> {
    let differs = |what: &str, wanted: &str, own: &str| {
        let message = format!(
            "the run's target names the {what} '{wanted}', but on this worker the output of that name has '{own}'"
        );
        Err(Error::new(FailureKind::System, Code::ProfileInvalid, message))
    };
    if wanted.adapter_type != own.adapter_type {
        return differs("adapter", wanted.adapter_type.as_str(), own.adapter_type.as_str());
    }
    if wanted.database != own.database {
        return differs("database", &wanted.database, &own.database);
    }
    if own.adapter_type == AdapterType::Duckdb && own.extra.get("path").and_then(Json::as_str) == Some(":memory:") {
        let message = "a DuckDB database in memory is gone with the worker's process, and no other worker sees it";
        return Err(Error::new(FailureKind::System, Code::ProfileInvalid, message));
    }
    Ok(())
}

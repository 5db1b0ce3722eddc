//! dbt's connection choice: where relations go, without the credentials to get there.

use serde::{Deserialize, Serialize};

use crate::{Json, JsonMap};

/// A kind of warehouse, by the name dbt's adapter has in `profiles.yml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterType {
    Duckdb,
    Postgres,
}

impl AdapterType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duckdb => "duckdb",
            Self::Postgres => "postgres",
        }
    }
}

impl std::fmt::Display for AdapterType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What of a profile's output the compiler and the scheduler may know. Holds no secret: passwords and the like stay in
/// `Connection`, which never leaves the process that opens the warehouse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub profile_name: String,
    /// `target.name`
    pub name: String,
    pub adapter_type: AdapterType,
    pub database: String,
    pub schema: String,
    pub threads: u32,
    /// The other, non-secret keys of the output, as `{{ target.… }}` shows them (`host`, `user`, `port`, `path`, …).
    #[serde(with = "crate::json_codec::map")]
    pub extra: JsonMap,
}

/// A profile's output in full, secrets included. Deliberately neither `Serialize` nor `Debug`.
#[derive(Clone)]
pub struct Connection {
    pub adapter_type: AdapterType,
    /// Every key of the output, rendered.
    pub settings: JsonMap,
}

impl Connection {
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.settings.get(key)
    }
}

//! DuckDB, embedded: over its C API, from a library loaded at run time.
//!
//! ```text
//! DuckDb ── Database (one for each file in this process) ── Connection (a slot's)
//!                 └ Ledger: who publishes what          └ Handle: statements in, decoded rows out
//! ```
//! DuckDB locks its file for one process, dead or paused: that lock is the fence against other processes. Within the process the
//! ledger is, and the publish log in the file records what was committed.

mod catalog;
mod connection;
mod database;
mod error;
mod ffi;
mod handle;
mod ledger;
mod library;
mod load;
mod print;
mod profile;
mod publish;
mod setup;
mod value_type;
mod vector;

use std::sync::Arc;

use common::target::{self, AdapterType};

use self::connection::DuckDbConnection;
use self::database::Database;
use self::profile::Profile;
use super::{Connection, Error, Warehouse};

/// An open DuckDB database. Keeps the file open, and locked, until dropped.
pub struct DuckDb {
    database: Arc<Database>,
    profile: Profile,
}

impl DuckDb {
    pub fn open(connection: &target::Connection) -> Result<Self, Error> {
        let profile = Profile::read(connection)?;
        let database = Database::open(&profile)?;
        Ok(Self { database, profile })
    }
}

impl Warehouse for DuckDb {
    fn adapter_type(&self) -> AdapterType {
        AdapterType::Duckdb
    }

    fn connect(&self) -> Result<Box<dyn Connection>, Error> {
        Ok(Box::new(DuckDbConnection::open(self.database.clone(), &self.profile.settings)?))
    }
}

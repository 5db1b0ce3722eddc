//! PostgreSQL, over its wire protocol.
//!
//! A publication is one string of statements wherever that is possible: the server runs it as one transaction, in one round trip.
//! The fence is a row for each relation in `kontiki.fence`, checked and taken by the function `kontiki.enter` inside the same
//! transaction; `kontiki.publish_log` records what was committed.

mod catalog;
mod collect;
mod connection;
mod dependents;
mod error;
mod fence;
mod load;
mod profile;
mod publish;
mod rows;
mod tag;
mod tls;

use std::sync::{Arc, Mutex};

use common::target::{self, AdapterType};

use self::connection::PostgresConnection;
use self::profile::Profile;
use super::{Connection, Error, Warehouse};

/// A PostgreSQL database.
pub struct Postgres {
    shared: Arc<Shared>,
}

/// What the connections of one process have in common.
struct Shared {
    profile: Profile,
    /// Who counts the epochs.
    origin: String,
    /// Whether the fence and the publish log are known to exist.
    fence_ready: Mutex<bool>,
}

impl Postgres {
    pub fn open(connection: &target::Connection, origin: &str) -> Result<Self, Error> {
        let profile = Profile::read(connection)?;
        let shared = Shared { profile, origin: origin.to_owned(), fence_ready: Mutex::new(false) };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Warehouse for Postgres {
    fn adapter_type(&self) -> AdapterType {
        AdapterType::Postgres
    }

    fn connect(&self) -> Result<Box<dyn Connection>, Error> {
        Ok(Box::new(PostgresConnection::open(self.shared.clone())?))
    }
}

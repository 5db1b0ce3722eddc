//! Warehouses behind one trait. Calls block: a slot is a thread.

mod duckdb;
mod postgres;
pub(crate) mod script;
pub mod staging;

use std::sync::Arc;

use common::relation::Relation;
use common::table::{Column, Response, Table};
use common::target::{self, AdapterType};
use common::{Epoch, NodeId, RunId};

pub use dbt::adapter::Error;

/// Opens the warehouse of a profile's output. `origin` names who counts the epochs (the scheduler's state, by its own id): epochs of
/// one origin are compared with each other, never with those of another.
pub fn open(connection: &target::Connection, origin: &str) -> Result<Arc<dyn Warehouse>, Error> {
    match connection.adapter_type {
        AdapterType::Duckdb => Ok(Arc::new(duckdb::DuckDb::open(connection)?)),
        AdapterType::Postgres => Ok(Arc::new(postgres::Postgres::open(connection, origin)?)),
    }
}

/// A configured warehouse; opened once for each process and target.
pub trait Warehouse: Send + Sync {
    fn adapter_type(&self) -> AdapterType;

    fn connect(&self) -> Result<Box<dyn Connection>, Error>;

    /// `dbt debug`'s question: can we connect and run `select 1`?
    fn check(&self) -> Result<(), Error> {
        self.connect()?.query("select 1 as id").map(drop)
    }
}

/// One connection, used by one slot at a time.
pub trait Connection: Send {
    /// Runs one statement, or several separated by `;` as one implicit transaction where the warehouse has that, and drops rows.
    fn execute(&mut self, sql: &str) -> Result<Response, Error>;

    /// Runs one statement and returns its rows.
    fn query(&mut self, sql: &str) -> Result<(Response, Table), Error>;

    /// Interrupts the statement in flight from another thread.
    fn canceller(&self) -> Arc<dyn Canceller>;

    fn begin(&mut self) -> Result<(), Error>;
    fn commit(&mut self) -> Result<(), Error>;
    /// Also clears a transaction that an error left open; never fails where none is open.
    fn rollback(&mut self) -> Result<(), Error>;

    fn get_relation(&mut self, database: &str, schema: &str, identifier: &str) -> Result<Option<Relation>, Error>;
    fn list_relations(&mut self, database: &str, schema: &str) -> Result<Vec<Relation>, Error>;
    fn columns(&mut self, relation: &Relation) -> Result<Vec<Column>, Error>;
    fn list_schemas(&mut self, database: &str) -> Result<Vec<String>, Error>;
    /// Creates the schema unless it exists; safe from many connections at once.
    fn create_schema(&mut self, database: &str, schema: &str) -> Result<(), Error>;

    /// Loads rows of text into an existing table, each cell cast by the warehouse; `None` is NULL.
    fn load(
        &mut self,
        relation: &Relation,
        columns: &[Column],
        rows: &mut dyn Iterator<Item = Vec<Option<String>>>,
    ) -> Result<u64, Error>;

    /// The epoch and response of the result already published for (run, node), if any: read after a commit of unknown outcome
    /// and before an attempt that follows a lost one.
    fn published(&mut self, run: RunId, node: &NodeId) -> Result<Option<Published>, Error>;

    /// Takes the fence of `relation` for `epoch`; `Fenced` where a newer epoch has it. No effect on warehouses where a file lock is the fence.
    fn claim(&mut self, relation: &Relation, epoch: Epoch) -> Result<(), Error>;

    /// From here on an attempt builds `staging`, or temporary relations, over this session. While the session lives nobody collects
    /// `staging`; should it be lost, the calls that follow fail as `Transient` instead of going on without what was built. Ends with
    /// the next `hold`, with `release`, and with a publication that succeeded.
    fn hold(&mut self, staging: &Relation) -> Result<(), Error>;

    /// The attempt is over, whatever it left.
    fn release(&mut self);

    /// Drops what attempts left in the schema under names of `staging::name` and nobody holds. What cannot be dropped now stays.
    fn collect_staging(&mut self, database: &str, schema: &str) -> Result<Collected, Error>;

    /// In one transaction: check the fence, run the statements, record (run, node) in the publish log.
    fn publish(&mut self, publication: &Publication) -> Result<Response, Error>;

    /// Several publications that only replace views, in one transaction: all of them are published, or none. Where that fails for
    /// whatever reason, each may still succeed alone.
    fn publish_group(&mut self, publications: &[&Publication]) -> Result<Vec<Response>, Error>;
}

/// What came of looking for staging relations that nobody holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub dropped: Vec<Relation>,
    /// Held by an attempt that lives, or locked by a reader.
    pub left: usize,
}

/// Stops a statement in flight. May be called at any time from any thread; late calls do nothing.
pub trait Canceller: Send + Sync {
    fn cancel(&self);
}

/// The last, atomic step of a task.
#[derive(Clone, Debug)]
pub struct Publication {
    pub run: RunId,
    pub node: NodeId,
    pub epoch: Epoch,
    pub relation: Relation,
    pub statements: Vec<Statement>,
    /// What the node answers where no statement is `main`: the response of a relation that was built before, of a seed.
    /// Returned by `publish` and recorded in the publish log.
    pub response: Option<Response>,
}

/// One step of a publication. Pure data: materializations produce it, warehouses know how to do it without readers noticing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// As is. The response of the statement with `main` set is the node's.
    Sql { sql: String, main: bool },
    /// Put the relation `staging` in the place of `target` (which may be missing, a table or a view); views that depend on
    /// `target` keep working.
    Swap { staging: Relation, target: Relation },
    /// Make `target` a view of `sql`, whatever it was; views that depend on it keep working where its columns allow.
    ReplaceView { target: Relation, sql: String },
}

/// A row of the publish log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub epoch: Epoch,
    pub response: Response,
}

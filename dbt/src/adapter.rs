//! The seam between templates and a warehouse: what a template may ask while it is rendered (`run_query`, `statement`,
//! `adapter.*`). Workers implement it over a connection.

use common::diagnostic::Code;
use common::relation::Relation;
use common::table::{Column, Response, Table};
use common::target::AdapterType;
use common::task::FailureKind;

/// A warehouse as seen from inside a template, over the one connection that the task holds. Calls block.
///
/// Methods take `&self`: implementations keep their connection behind a `RefCell`, since templates call back while values that
/// hold the adapter are alive.
pub trait Adapter {
    fn adapter_type(&self) -> AdapterType;

    /// Runs one statement (or several separated by `;`) and returns what the warehouse says and, where `fetch` is set, the rows
    /// of the last one.
    fn execute(&self, sql: &str, fetch: bool) -> Result<(Response, Table), Error>;

    /// The relation of that name, with its type, or `None`. Names compare as the warehouse compares them.
    fn get_relation(&self, database: &str, schema: &str, identifier: &str) -> Result<Option<Relation>, Error>;

    fn list_relations(&self, database: &str, schema: &str) -> Result<Vec<Relation>, Error>;

    /// The columns of a relation in order; empty where it does not exist.
    fn get_columns_in_relation(&self, relation: &Relation) -> Result<Vec<Column>, Error>;

    fn list_schemas(&self, database: &str) -> Result<Vec<String>, Error>;

    /// Creates the schema unless it exists; safe to call from many connections at once.
    fn create_schema(&self, database: &str, schema: &str) -> Result<(), Error>;

    fn drop_schema(&self, database: &str, schema: &str) -> Result<(), Error>;

    /// Drops the relation with what depends on it, if it exists.
    fn drop_relation(&self, relation: &Relation) -> Result<(), Error>;

    fn truncate_relation(&self, relation: &Relation) -> Result<(), Error>;

    fn rename_relation(&self, from: &Relation, to: &Relation) -> Result<(), Error>;
}

/// A warehouse's refusal, still typed: what kind of failure, and in which statement.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// User, Transient, System, Timeout, Fenced or Canceled.
    pub kind: FailureKind,
    pub code: Code,
    /// The warehouse's own words.
    pub message: String,
    /// The warehouse's own code (SQLSTATE, DuckDB's error type).
    pub native_code: Option<String>,
    /// The statement that failed.
    pub sql: Option<String>,
    /// Byte offset of the error in `sql`, where the warehouse tells it.
    pub position: Option<usize>,
}

impl Error {
    /// An error that no statement caused, or before it is known which.
    pub fn new(kind: FailureKind, code: Code, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), native_code: None, sql: None, position: None }
    }
}

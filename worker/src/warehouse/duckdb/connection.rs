//! A connection with PostgreSQL's rules for transactions: after an error nothing more runs until the transaction is rolled back, and
//! a script of several statements is one transaction.
//!
//! DuckDB itself may leave a transaction open and usable after an error, and then commits half of it; and it commits the statements
//! of a script one by one.

use std::sync::{Arc, Weak};

use common::diagnostic::Code;
use common::relation::Relation;
use common::table::{Column, Response, Table};
use common::task::FailureKind;
use common::{Epoch, NodeId, RunId};

use super::database::Database;
use super::handle::{Handle, QueryResult};
use super::setup::Setup;
use super::{catalog, load, publish};
use crate::warehouse::script::{self, Piece};
use crate::warehouse::{Canceller, Collected, Connection, Error, Publication, Published};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// An error rolled it back; only `rollback` leads on.
    Aborted,
}

pub(super) struct DuckDbConnection {
    pub(super) handle: Arc<Handle>,
    pub(super) database: Arc<Database>,
    transaction: Transaction,
    /// What an attempt builds over this connection.
    held: Option<Relation>,
}

/// What `dbt-duckdb` answers to every statement.
pub(super) fn ok() -> Response {
    Response { message: "OK".to_owned(), code: None, rows_affected: None }
}

/// Statements that end or begin transactions, or refuse to run inside one: a script with one of them runs as it is.
const OUTSIDE: [&str; 10] =
    ["begin", "start", "commit", "end", "rollback", "abort", "checkpoint", "force", "attach", "detach"];

impl DuckDbConnection {
    pub(super) fn open(database: Arc<Database>, settings: &[Setup]) -> Result<Self, Error> {
        let handle = Arc::new(database.connect()?);
        for setup in settings {
            setup.run(&handle).map_err(|error| Error {
                code: Code::ProfileInvalid,
                message: format!("a setting of the DuckDB profile is refused: {}", error.message),
                ..error
            })?;
        }
        Ok(Self { handle, database, transaction: Transaction::None, held: None })
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.transaction != Transaction::None
    }

    /// Runs a script; `last` makes what is wanted of the last statement's result.
    fn run<T>(
        &mut self,
        sql: &str,
        last: impl FnOnce(QueryResult<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if self.transaction == Transaction::Aborted {
            return Err(aborted());
        }
        let pieces = script::split(sql);
        let whole = pieces.len() > 1
            && self.transaction == Transaction::None
            && !pieces.iter().any(|piece| OUTSIDE.contains(&script::first_word(piece.sql).as_str()));
        if whole {
            self.begin()?;
        }
        let outcome = self.run_pieces(sql, &pieces, last);
        match outcome {
            Ok(value) => {
                if whole {
                    self.commit()?;
                }
                Ok(value)
            }
            Err(error) => {
                if whole {
                    self.rollback()?;
                } else if self.transaction == Transaction::Open {
                    self.abort();
                }
                Err(error)
            }
        }
    }

    fn run_pieces<T>(
        &mut self,
        script: &str,
        pieces: &[Piece<'_>],
        last: impl FnOnce(QueryResult<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let Some((final_piece, earlier)) = pieces.split_last() else { return Ok(None) };
        for piece in earlier {
            self.handle.run(piece.sql).map_err(|error| within(script, *piece, error))?;
            self.follow(piece.sql);
        }
        let result = self.handle.query(final_piece.sql).map_err(|error| within(script, *final_piece, error))?;
        let value = last(result)?;
        self.follow(final_piece.sql);
        Ok(Some(value))
    }

    /// A script may begin and end transactions itself.
    fn follow(&mut self, sql: &str) {
        match script::first_word(sql).as_str() {
            "begin" | "start" => self.transaction = Transaction::Open,
            "commit" | "end" | "rollback" | "abort" => self.transaction = Transaction::None,
            _ => {}
        }
    }

    fn abort(&mut self) {
        self.clear();
        self.transaction = Transaction::Aborted;
    }

    /// Ends whatever transaction DuckDB may still have open. Without one it refuses, which is just as well.
    fn clear(&mut self) {
        let _ = self.handle.run("ROLLBACK");
        self.transaction = Transaction::None;
    }

    /// Runs `work` in a transaction of its own, or in the one that is open.
    pub(super) fn atomically<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.in_transaction() {
            return work(self);
        }
        self.begin()?;
        match work(self) {
            Ok(value) => self.commit().map(|()| value),
            Err(error) => {
                self.clear();
                Err(error)
            }
        }
    }
}

fn aborted() -> Error {
    Error::new(
        FailureKind::User,
        Code::SqlError,
        "an earlier statement failed and its transaction was rolled back; nothing runs until it ends",
    )
}

/// Moves an error's position from the piece to the script.
fn within(script: &str, piece: Piece<'_>, error: Error) -> Error {
    Error { sql: Some(script.to_owned()), position: error.position.map(|at| at + piece.start), ..error }
}

impl Connection for DuckDbConnection {
    fn execute(&mut self, sql: &str) -> Result<Response, Error> {
        self.run(sql, |_| Ok(())).map(|_| ok())
    }

    fn query(&mut self, sql: &str) -> Result<(Response, Table), Error> {
        let table = self.run(sql, |result| result.table())?;
        Ok((ok(), table.unwrap_or_default()))
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        Arc::new(Interrupter(Arc::downgrade(&self.handle)))
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.in_transaction() {
            return Err(Error::new(FailureKind::User, Code::SqlError, "a transaction is open already"));
        }
        self.handle.run("BEGIN TRANSACTION")?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        match self.transaction {
            Transaction::None => Ok(()),
            Transaction::Aborted => {
                self.clear();
                Err(aborted())
            }
            Transaction::Open => {
                let outcome = self.handle.run("COMMIT");
                match outcome {
                    Ok(()) => self.transaction = Transaction::None,
                    Err(_) => self.clear(),
                }
                outcome
            }
        }
    }

    fn rollback(&mut self) -> Result<(), Error> {
        // Without one, DuckDB would only answer with an error, which costs more than most statements.
        if self.in_transaction() {
            self.clear();
        }
        Ok(())
    }

    fn get_relation(&mut self, database: &str, schema: &str, identifier: &str) -> Result<Option<Relation>, Error> {
        catalog::get_relation(&self.handle, database, schema, identifier)
    }

    fn list_relations(&mut self, database: &str, schema: &str) -> Result<Vec<Relation>, Error> {
        catalog::list_relations(&self.handle, database, schema)
    }

    fn columns(&mut self, relation: &Relation) -> Result<Vec<Column>, Error> {
        catalog::columns(&self.handle, relation)
    }

    fn list_schemas(&mut self, database: &str) -> Result<Vec<String>, Error> {
        catalog::list_schemas(&self.handle, database)
    }

    fn create_schema(&mut self, database: &str, schema: &str) -> Result<(), Error> {
        catalog::create_schema(self, database, schema)
    }

    fn load(
        &mut self,
        relation: &Relation,
        columns: &[Column],
        rows: &mut dyn Iterator<Item = Vec<Option<String>>>,
    ) -> Result<u64, Error> {
        if self.transaction == Transaction::Aborted {
            return Err(aborted());
        }
        let outcome = self.atomically(|connection| load::append(&connection.handle, relation, columns, rows));
        if outcome.is_err() && self.transaction == Transaction::Open {
            self.abort();
        }
        outcome
    }

    fn published(&mut self, run: RunId, node: &NodeId) -> Result<Option<Published>, Error> {
        publish::published(&self.handle, run, node)
    }

    fn claim(&mut self, relation: &Relation, epoch: Epoch) -> Result<(), Error> {
        self.database.ledger.fence(relation).enter(epoch).map(drop)
    }

    fn publish(&mut self, publication: &Publication) -> Result<Response, Error> {
        let published = publish::publish(self, publication)?;
        self.release();
        Ok(published)
    }

    fn publish_group(&mut self, publications: &[&Publication]) -> Result<Vec<Response>, Error> {
        publish::publish_group(self, publications)
    }

    fn hold(&mut self, staging: &Relation) -> Result<(), Error> {
        self.release();
        self.database.ledger.hold(staging);
        self.held = Some(staging.clone());
        Ok(())
    }

    fn release(&mut self) {
        if let Some(staging) = self.held.take() {
            self.database.ledger.release(&staging);
        }
    }

    fn collect_staging(&mut self, database: &str, schema: &str) -> Result<Collected, Error> {
        catalog::collect_staging(&self.handle, &self.database.ledger, database, schema)
    }
}

impl Drop for DuckDbConnection {
    fn drop(&mut self) {
        self.release();
    }
}

/// Holds the connection weakly: once that is gone, there is nothing to stop.
struct Interrupter(Weak<Handle>);

impl Canceller for Interrupter {
    fn cancel(&self) {
        if let Some(handle) = self.0.upgrade() {
            handle.interrupt();
        }
    }
}

//! A connection that is made anew when the server went away between transactions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common::diagnostic::Code;
use common::relation::Relation;
use common::table::{Column, Response, Table};
use common::task::FailureKind;
use common::{Epoch, NodeId, RunId};
use postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};

use super::tls::Tls;
use super::{Shared, catalog, collect, error, fence, load, publish, rows, tag};
use crate::warehouse::{Canceller, Collected, Connection, Error, Publication, Published, script};

pub(super) struct PostgresConnection {
    pub(super) shared: Arc<Shared>,
    client: Client,
    token: Arc<Token>,
    in_transaction: bool,
    /// The server ended the connection, or gave no answer. The client itself notices only when it next looks at its socket.
    lost: bool,
    staging: Staging,
}

/// What of this session an attempt relies on.
#[derive(Default)]
struct Staging {
    /// The relation that this session has the lock of. Locks of sessions cost nothing once nobody asks for them, so the lock is given
    /// back with the next one that is taken.
    locked: Option<Relation>,
    /// Whether an attempt is under way whose work is lost with the session.
    in_use: bool,
}

/// How to reach the server process that works for a connection now.
struct Token {
    process: Mutex<(CancelToken, Option<Tls>)>,
    /// Whether a request is on its way.
    is_asking: AtomicBool,
}

impl Token {
    fn of(client: &Client, tls: Option<Tls>) -> Arc<Self> {
        Arc::new(Self { process: Mutex::new((client.cancel_token(), tls)), is_asking: AtomicBool::new(false) })
    }

    fn ask(&self) {
        let (token, tls) = self.process.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // If the server cannot be reached there is nothing to cancel either.
        let _ = match tls {
            Some(tls) => token.cancel_query(tls.connector()),
            None => token.cancel_query(NoTls),
        };
    }
}

/// The request goes over a connection of its own, which a server in trouble may not answer: whoever cancels does not wait for it.
struct Asker(Arc<Token>);

impl Canceller for Asker {
    fn cancel(&self) {
        if self.0.is_asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let token = self.0.clone();
        let ask = move || {
            token.ask();
            token.is_asking.store(false, Ordering::Release);
        };
        if std::thread::Builder::new().name("cancel".to_owned()).spawn(ask).is_err() {
            // Out of threads: the next cancellation tries again.
            self.0.is_asking.store(false, Ordering::Release);
        }
    }
}

impl PostgresConnection {
    pub(super) fn open(shared: Arc<Shared>) -> Result<Self, Error> {
        let (client, tls) = shared.profile.connect()?;
        let token = Token::of(&client, tls);
        Ok(Self { shared, client, token, in_transaction: false, lost: false, staging: Staging::default() })
    }

    pub(super) fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// A connection lost inside a transaction took the transaction with it: that is for the caller to know.
    fn client(&mut self) -> Result<&mut Client, Error> {
        if self.lost || self.client.is_closed() {
            if self.in_transaction {
                return Err(Error::new(
                    FailureKind::Transient,
                    Code::WarehouseUnavailable,
                    "the connection to PostgreSQL was lost and the transaction with it",
                ));
            }
            if self.staging.in_use {
                return Err(Error::new(
                    FailureKind::Transient,
                    Code::WarehouseUnavailable,
                    "the connection to PostgreSQL was lost, and with it what the attempt had built",
                ));
            }
            let (client, tls) = self.shared.profile.connect()?;
            self.staging.locked = None;
            *self.token.process.lock().unwrap_or_else(PoisonError::into_inner) = (client.cancel_token(), tls);
            self.client = client;
            self.lost = false;
        }
        Ok(&mut self.client)
    }

    fn failed(&mut self, error: &postgres::Error, sql: &str) -> Error {
        let error = error::of_statement(error, sql);
        self.lost |= error.code == Code::WarehouseUnavailable;
        error
    }

    /// Whether the last statement may have been done or not, for all this side knows.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Sends the text as it is: outside a transaction the server runs all of it as one.
    pub(super) fn script(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        if sql.contains('\0') {
            return Err(Error::new(FailureKind::User, Code::SqlError, "text for the warehouse holds a NUL character"));
        }
        let outcome = self.client()?.simple_query(sql);
        outcome.map_err(|error| self.failed(&error, sql))
    }

    /// The rows of a script as the server prints them.
    pub(super) fn texts(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        Ok(self.script(sql)?.iter().filter_map(cells).collect())
    }

    /// A script may begin and end transactions itself.
    fn follow(&mut self, sql: &str) {
        for piece in script::split(sql) {
            match script::first_word(piece.sql).as_str() {
                "begin" | "start" => self.in_transaction = true,
                "commit" | "end" | "rollback" | "abort" if !is_savepoint(piece.sql) => self.in_transaction = false,
                _ => {}
            }
        }
    }

    /// The types of the columns that a statement returns, then its rows.
    fn typed(&mut self, sql: &str) -> Result<(Response, Table), Error> {
        let prepared = self.client()?.prepare(sql);
        let described = prepared.map_err(|error| self.failed(&error, sql))?;
        let types: Vec<_> = described.columns().iter().map(|column| column.type_().clone()).collect();
        let columns = rows::columns(described.columns());
        drop(described);
        let messages = self.script(sql)?;
        let rows = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => {
                    Some(types.iter().enumerate().map(|(i, t)| rows::datum(t, row.get(i))).collect())
                }
                _ => None,
            })
            .collect();
        Ok((tag::response(sql, completed(&messages)), Table { columns, rows }))
    }
}

fn is_savepoint(sql: &str) -> bool {
    let lower = sql.to_lowercase();
    lower.contains("rollback to") || lower.contains("rollback work to") || lower.contains("rollback transaction to")
}

fn cells(message: &SimpleQueryMessage) -> Option<Vec<Option<String>>> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect())
}

/// The row count of the last statement.
pub(super) fn completed(messages: &[SimpleQueryMessage]) -> u64 {
    let counts = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    });
    counts.unwrap_or(0)
}

impl Connection for PostgresConnection {
    fn execute(&mut self, sql: &str) -> Result<Response, Error> {
        let messages = self.script(sql)?;
        self.follow(sql);
        let last = script::split(sql).last().map_or("", |piece| piece.sql);
        Ok(tag::response(last, completed(&messages)))
    }

    fn query(&mut self, sql: &str) -> Result<(Response, Table), Error> {
        let pieces = script::split(sql);
        let [earlier @ .., last] = &pieces[..] else { return Ok((tag::response("", 0), Table::default())) };
        let Some(before) = earlier.last() else { return self.typed(last.sql) };
        // The last statement can be described only when those before it have run, so the one transaction is made explicit.
        let first = &sql[..before.start + before.sql.len()];
        let own = !self.in_transaction;
        if own {
            self.begin()?;
        }
        let outcome = self.execute(first).and_then(|_| self.typed(last.sql));
        if own {
            match &outcome {
                Ok(_) => self.commit()?,
                Err(_) => self.rollback()?,
            }
        }
        outcome
    }

    fn canceller(&self) -> Arc<dyn Canceller> {
        Arc::new(Asker(self.token.clone()))
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.in_transaction {
            return Err(Error::new(FailureKind::User, Code::SqlError, "a transaction is open already"));
        }
        self.script("begin")?;
        self.in_transaction = true;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        if !self.in_transaction {
            return Ok(());
        }
        // PostgreSQL answers COMMIT with ROLLBACK where a statement failed, and calls that a success.
        let outcome = self.script("select 1; commit");
        if outcome.is_err() {
            self.rollback()?;
        }
        self.in_transaction = false;
        outcome.map(drop)
    }

    fn rollback(&mut self) -> Result<(), Error> {
        if self.in_transaction && !self.lost && !self.client.is_closed() {
            // If the connection breaks here, the server rolls back by itself.
            let _ = self.client.simple_query("rollback");
        }
        self.in_transaction = false;
        Ok(())
    }

    fn get_relation(&mut self, database: &str, schema: &str, identifier: &str) -> Result<Option<Relation>, Error> {
        catalog::get_relation(self, database, schema, identifier)
    }

    fn list_relations(&mut self, database: &str, schema: &str) -> Result<Vec<Relation>, Error> {
        catalog::list_relations(self, database, schema)
    }

    fn columns(&mut self, relation: &Relation) -> Result<Vec<Column>, Error> {
        catalog::columns(self, relation)
    }

    fn list_schemas(&mut self, _database: &str) -> Result<Vec<String>, Error> {
        catalog::list_schemas(self)
    }

    fn create_schema(&mut self, _database: &str, schema: &str) -> Result<(), Error> {
        catalog::create_schema(self, schema)
    }

    fn load(
        &mut self,
        relation: &Relation,
        columns: &[Column],
        rows: &mut dyn Iterator<Item = Vec<Option<String>>>,
    ) -> Result<u64, Error> {
        load::copy(self.client()?, relation, columns, rows)
    }

    fn published(&mut self, run: RunId, node: &NodeId) -> Result<Option<Published>, Error> {
        fence::published(self, run, node)
    }

    fn claim(&mut self, relation: &Relation, epoch: Epoch) -> Result<(), Error> {
        fence::ensure(self)?;
        let sql = fence::enter(&relation.render(), &self.shared.origin.clone(), epoch);
        self.script(&sql).map(drop)
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
        // Before anything is asked of the locks: a session that is lost has none.
        self.client()?;
        let unlock = self.staging.locked.take().map(|earlier| collect::unlock(&earlier));
        let script: Vec<String> = unlock.into_iter().chain([collect::lock(staging)]).collect();
        self.script(&script.join(";\n"))?;
        self.staging = Staging { locked: Some(staging.clone()), in_use: true };
        Ok(())
    }

    fn release(&mut self) {
        self.staging.in_use = false;
    }

    fn collect_staging(&mut self, database: &str, schema: &str) -> Result<Collected, Error> {
        collect::collect(self, database, schema)
    }
}

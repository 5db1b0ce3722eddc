//! The last step of a task: the statements and the row of the publish log in one transaction.
//!
//! Views bind by name in DuckDB and readers see the state before or after a commit, so swapping a table is dropping and renaming.

use common::diagnostic::Code;
use common::relation::{Relation, RelationType, quote_identifier, quote_literal};
use common::table::{Datum, Response};
use common::task::FailureKind;
use common::{Epoch, NodeId, RunId};

use super::catalog;
use super::connection::{DuckDbConnection, ok};
use super::handle::Handle;
use crate::warehouse::{Connection, Error, Publication, Published, Statement};

const LOG: &str = "kontiki.publish_log";

pub(super) fn publish(connection: &mut DuckDbConnection, publication: &Publication) -> Result<Response, Error> {
    let log = log_of(&publication.relation);
    behind_fences(connection, &[publication], &log, |connection| {
        // What is there is known from the target's type or guessed to be of the same kind; where that turns out wrong, the transaction
        // is rolled back and done again after a look.
        match attempt(connection, publication, &log, Known::Guessed) {
            Err(error) if is_wrong_guess(&error) => attempt(connection, publication, &log, Known::Looked),
            outcome => outcome,
        }
    })
}

/// All in one transaction, and one statement for their rows in the log.
pub(super) fn publish_group(
    connection: &mut DuckDbConnection,
    publications: &[&Publication],
) -> Result<Vec<Response>, Error> {
    let Some(first) = publications.first() else { return Ok(Vec::new()) };
    let log = log_of(&first.relation);
    if publications.iter().any(|publication| publication.relation.database != first.relation.database) {
        return Err(Error::new(
            FailureKind::User,
            Code::SqlError,
            "a transaction writes to one attached database only, and the relations are in several",
        ));
    }
    behind_fences(connection, publications, &log, |connection| {
        connection.atomically(|connection| {
            let mut responses = Vec::with_capacity(publications.len());
            for publication in publications {
                responses.push(statements(connection, publication, Known::Guessed)?);
            }
            let rows: Vec<_> = publications.iter().copied().zip(&responses).collect();
            connection.handle.run(&log_rows(&rows, &log))?;
            Ok(responses)
        })
    })
}

/// Does the work while no other attempt at these relations publishes.
fn behind_fences<T>(
    connection: &mut DuckDbConnection,
    publications: &[&Publication],
    log: &str,
    work: impl FnOnce(&mut DuckDbConnection) -> Result<T, Error>,
) -> Result<T, Error> {
    let database = connection.database.clone();
    let fences =
        database.ledger.fences(publications.iter().map(|publication| (&publication.relation, publication.epoch)))?;
    let _guards = fences.iter().map(|(fence, epoch)| fence.enter(*epoch)).collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = publications.first() {
        database.ledger.ensure_log(log, || create_log(&connection.handle, &first.relation, log))?;
    }
    work(connection)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Guessed,
    Looked,
}

/// DuckDB: `Existing object t is of type Table, trying to replace with type View`.
fn is_wrong_guess(error: &Error) -> bool {
    error.message.contains("is of type")
}

fn attempt(
    connection: &mut DuckDbConnection,
    publication: &Publication,
    log: &str,
    known: Known,
) -> Result<Response, Error> {
    connection.atomically(|connection| {
        let response = statements(connection, publication, known)?;
        connection.handle.run(&log_rows(&[(publication, &response)], log))?;
        Ok(response)
    })
}

/// What a publication changes, in the transaction that is open.
fn statements(connection: &mut DuckDbConnection, publication: &Publication, known: Known) -> Result<Response, Error> {
    let mut response = None;
    for statement in &publication.statements {
        match statement {
            Statement::Sql { sql, main } => {
                let said = connection.execute(sql)?;
                if *main {
                    response = Some(said);
                }
            }
            Statement::Swap { staging, target } => swap(&connection.handle, staging, target, known)?,
            Statement::ReplaceView { target, sql } => replace_view(&connection.handle, target, sql, known)?,
        }
    }
    Ok(response.or_else(|| publication.response.clone()).unwrap_or_else(ok))
}

fn swap(handle: &Handle, staging: &Relation, target: &Relation, known: Known) -> Result<(), Error> {
    let kind = current_type(handle, target, known, RelationType::Table)?;
    handle.run(&format!("drop {} if exists {}", kind.as_str(), target.render()))?;
    let kind = staging.relation_type.unwrap_or(RelationType::Table).as_str();
    let name = quote_identifier(target.identifier.as_deref().unwrap_or_default());
    handle.run(&format!("alter {kind} {} rename to {name}", staging.render()))
}

fn replace_view(handle: &Handle, target: &Relation, sql: &str, known: Known) -> Result<(), Error> {
    let kind = current_type(handle, target, known, RelationType::View)?;
    if kind != RelationType::View {
        handle.run(&format!("drop {} if exists {}", kind.as_str(), target.render()))?;
    }
    handle.run(&format!("create or replace view {} as (\n{sql}\n)", target.render()))
}

fn current_type(handle: &Handle, target: &Relation, known: Known, guess: RelationType) -> Result<RelationType, Error> {
    if known == Known::Guessed {
        return Ok(target.relation_type.unwrap_or(guess));
    }
    let [database, schema, identifier] =
        [&target.database, &target.schema, &target.identifier].map(|part| part.as_deref().unwrap_or_default());
    let found = catalog::get_relation(handle, database, schema, identifier)?;
    Ok(found.and_then(|relation| relation.relation_type).unwrap_or(guess))
}

/// A transaction writes to one attached database only, so the log is in the relation's.
fn log_of(relation: &Relation) -> String {
    match &relation.database {
        Some(database) => format!("{}.{LOG}", quote_identifier(database)),
        None => LOG.to_owned(),
    }
}

fn create_log(handle: &Handle, relation: &Relation, log: &str) -> Result<(), Error> {
    let schema = match &relation.database {
        Some(database) => format!("{}.kontiki", quote_identifier(database)),
        None => "kontiki".to_owned(),
    };
    handle.run(&format!("create schema if not exists {schema}"))?;
    handle.run(&format!(
        "create table if not exists {log} (run varchar, node varchar, epoch ubigint, message varchar, code varchar, \
         rows_affected bigint, published_at timestamp)"
    ))?;
    // A row is of use while its run may still be taken up again.
    handle.run(&format!("delete from {log} where published_at < now()::timestamp - interval 30 days"))
}

/// One statement for all rows: planning it costs more than running it.
fn log_rows(rows: &[(&Publication, &Response)], log: &str) -> String {
    let rows: Vec<String> = rows
        .iter()
        .map(|(publication, response)| {
            format!(
                "('{}', {}, {}, {}, {}, {}, now()::timestamp)",
                publication.run,
                quote_literal(publication.node.as_str()),
                publication.epoch,
                quote_literal(&response.message),
                response.code.as_deref().map_or("NULL".to_owned(), quote_literal),
                response.rows_affected.map_or("NULL".to_owned(), |rows| rows.to_string()),
            )
        })
        .collect();
    format!("insert into {log} values {}", rows.join(", "))
}

/// Looks into the log of every attached database.
pub(super) fn published(handle: &Handle, run: RunId, node: &NodeId) -> Result<Option<Published>, Error> {
    let logs = handle
        .query(
            "select database_name from duckdb_tables() where schema_name = 'kontiki' and table_name = 'publish_log'",
        )?
        .table()?;
    for row in logs.rows {
        let Some(Datum::Text(database)) = row.first() else { continue };
        let rows = handle
            .query(&format!(
                "select epoch, message, code, rows_affected from {}.{LOG} where run = '{run}' and node = {} \
                 order by epoch desc limit 1",
                quote_identifier(database),
                quote_literal(node.as_str())
            ))?
            .table()?
            .rows;
        if let Some(row) = rows.first() {
            return Ok(read_row(row));
        }
    }
    Ok(None)
}

fn read_row(row: &[Datum]) -> Option<Published> {
    let [epoch, message, code, rows_affected] = row else { return None };
    let epoch = match epoch {
        Datum::Int(epoch) => u64::try_from(*epoch).ok()?,
        Datum::Decimal(text) => text.parse().ok()?,
        _ => return None,
    };
    let text = |cell: &Datum| if let Datum::Text(text) = cell { Some(text.clone()) } else { None };
    let rows_affected = if let Datum::Int(rows) = rows_affected { Some(*rows) } else { None };
    Some(Published {
        epoch: Epoch(epoch),
        response: Response { message: text(message).unwrap_or_default(), code: text(code), rows_affected },
    })
}

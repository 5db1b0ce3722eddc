//! The fence and the publish log, kept in the schema `kontiki` of the database that is published to.
//!
//! Invariant: of attempts whose epochs one origin counted, none takes a relation after a newer one. Epochs of different origins (two
//! laptops, say) have no order, and the last to come takes it.

use std::sync::PoisonError;

use common::relation::quote_literal;
use common::table::{Datum, Response};
use common::{Epoch, NodeId, RunId};

use super::catalog;
use super::connection::PostgresConnection;
use super::error::FENCED;
use crate::warehouse::{Connection, Error, Publication, Published};

/// Any number that nobody else uses; orders those who create the tables.
const SETUP_LOCK: i64 = 0x6b6f_6e74_696b_6901;

/// Creates what is missing, once for each process. Asks first: the role need not own the schema, or be able to create one.
pub(super) fn ensure(connection: &mut PostgresConnection) -> Result<(), Error> {
    let shared = connection.shared.clone();
    let mut ready = shared.fence_ready.lock().unwrap_or_else(PoisonError::into_inner);
    if *ready {
        return Ok(());
    }
    let found = connection.texts("select to_regprocedure('kontiki.enter(text, text, bigint)')::text")?;
    if found.first().is_none_or(|row| row[0].is_none()) {
        // Who waited for the lock may still remember, from the question above, that nothing was there, and then trips over what the
        // other made. A new transaction looks again.
        match create(connection) {
            Err(error) if catalog::is_race(&error) => create(connection)?,
            outcome => outcome?,
        }
    }
    // A row is of use while its run may still be taken up again.
    connection.script("delete from kontiki.publish_log where published_at < now() - interval '30 days'")?;
    *ready = true;
    Ok(())
}

fn create(connection: &mut PostgresConnection) -> Result<(), Error> {
    connection
        .script(&format!(
            "select pg_advisory_xact_lock({SETUP_LOCK});
            create schema if not exists kontiki;
            create table if not exists kontiki.fence (
                relation text primary key, origin text not null, epoch bigint not null);
            create table if not exists kontiki.publish_log (
                run uuid not null, node text not null, epoch bigint not null, message text not null, code text,
                rows_affected bigint, published_at timestamptz not null default now(), primary key (run, node));
            create or replace function kontiki.enter(p_relation text, p_origin text, p_epoch bigint) returns void
            language plpgsql as $body$
            begin
                insert into kontiki.fence as held values (p_relation, p_origin, p_epoch)
                on conflict (relation) do update set origin = excluded.origin, epoch = excluded.epoch
                where held.origin <> excluded.origin or held.epoch <= excluded.epoch;
                if not found then
                    raise exception 'a newer attempt owns %; attempt % publishes nothing', p_relation, p_epoch
                    using errcode = '{FENCED}';
                end if;
            end
            $body$"
        ))
        .map(drop)
}

/// Checks the fence of the relation and takes it for the epoch, in the transaction it is part of.
pub(super) fn enter(relation: &str, origin: &str, epoch: Epoch) -> String {
    format!("select kontiki.enter({}, {}, {epoch})", quote_literal(relation), quote_literal(origin))
}

/// [`enter`] for several relations in one statement, which takes them in the order given.
pub(super) fn enter_all<'r>(relations: impl Iterator<Item = (&'r str, Epoch)>, origin: &str) -> String {
    let rows: Vec<String> =
        relations.map(|(relation, epoch)| format!("({}, {epoch}::bigint)", quote_literal(relation))).collect();
    format!(
        "select kontiki.enter(relation, {}, epoch) from (values {}) as taken (relation, epoch)",
        quote_literal(origin),
        rows.join(", ")
    )
}

pub(super) fn record(publication: &Publication, response: &Response) -> String {
    record_all(std::iter::once((publication, response)))
}

pub(super) fn record_all<'p>(rows: impl Iterator<Item = (&'p Publication, &'p Response)>) -> String {
    let rows: Vec<String> = rows
        .map(|(publication, response)| {
            format!(
                "('{}', {}, {}, {}, {}, {})",
                publication.run,
                quote_literal(publication.node.as_str()),
                publication.epoch,
                quote_literal(&response.message),
                response.code.as_deref().map_or("null".to_owned(), quote_literal),
                response.rows_affected.map_or("null".to_owned(), |rows| rows.to_string()),
            )
        })
        .collect();
    format!(
        "insert into kontiki.publish_log (run, node, epoch, message, code, rows_affected) values {}",
        rows.join(", ")
    )
}

/// The log's primary key refused a second result for the node.
pub(super) fn is_published_already(error: &Error) -> bool {
    error.native_code.as_deref() == Some("23505") && error.message.contains("publish_log_pkey")
}

pub(super) fn published(
    connection: &mut PostgresConnection,
    run: RunId,
    node: &NodeId,
) -> Result<Option<Published>, Error> {
    ensure(connection)?;
    let sql = format!(
        "select epoch, message, code, rows_affected from kontiki.publish_log where run = '{run}' and node = {}",
        quote_literal(node.as_str())
    );
    let (_, table) = connection.query(&sql)?;
    Ok(table.rows.first().and_then(|row| {
        let [Datum::Int(epoch), Datum::Text(message), code, rows_affected] = &row[..] else { return None };
        let code = if let Datum::Text(code) = code { Some(code.clone()) } else { None };
        let rows_affected = if let Datum::Int(rows) = rows_affected { Some(*rows) } else { None };
        let response = Response { message: message.clone(), code, rows_affected };
        Some(Published { epoch: Epoch(u64::try_from(*epoch).ok()?), response })
    }))
}

//! Staging relations whose builder is gone.
//!
//! ```text
//! builder:   lock(name) for the session ─▶ create ─▶ … ─▶ renamed into its place, or dropped
//! collector: see the name ─▶ lock(name) free? ─▶ drop it in the transaction that has the lock
//! ```
//! Invariant: a name is locked before a relation stands under it, and for as long as the builder's session lives. So what is seen
//! and not locked belongs to nobody: no clock, no epoch and no origin has to be trusted. A paused builder keeps its lock; the server
//! ends the session of a builder that died, at the latest when keepalives and its look at the socket tell (`Profile`).

use common::relation::{Relation, RelationType, quote_literal};

use super::catalog;
use super::connection::PostgresConnection;
use crate::warehouse::{Collected, Connection, Error, staging};

/// A reader who has the leftover open keeps it for now.
const LOCK_TIMEOUT_MS: u32 = 100;

/// Of the name without regard to case: what is created without quotes stands under another case than it was written in.
fn key(staging: &Relation) -> String {
    let part = |part: &Option<String>| part.as_deref().unwrap_or_default().to_lowercase();
    let name = format!("kontiki staging {}.{}", part(&staging.schema), part(&staging.identifier));
    format!("hashtextextended({}, 0)", quote_literal(&name))
}

pub(super) fn lock(staging: &Relation) -> String {
    format!("select pg_advisory_lock({})", key(staging))
}

pub(super) fn unlock(staging: &Relation) -> String {
    format!("select pg_advisory_unlock({})", key(staging))
}

pub(super) fn collect(connection: &mut PostgresConnection, database: &str, schema: &str) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    for relation in catalog::list_relations(connection, database, schema)? {
        if !relation.identifier.as_deref().is_some_and(staging::is_staging) {
            continue;
        }
        connection.begin()?;
        let dropped = drop_if_free(connection, &relation).and_then(|dropped| connection.commit().map(|()| dropped));
        if !matches!(dropped, Ok(true)) {
            connection.rollback()?;
        }
        match dropped {
            Ok(true) => collected.dropped.push(relation),
            // Another role's, or in use: the next who looks may have more luck.
            Ok(false) | Err(_) => collected.left += 1,
        }
    }
    Ok(collected)
}

fn drop_if_free(connection: &mut PostgresConnection, relation: &Relation) -> Result<bool, Error> {
    let locked = connection.texts(&format!("select pg_try_advisory_xact_lock({})", key(relation)))?;
    if locked.first().is_none_or(|row| row[0].as_deref() != Some("t")) {
        return Ok(false);
    }
    let kind = relation.relation_type.unwrap_or(RelationType::Table);
    let kind = if kind == RelationType::MaterializedView { "materialized view" } else { kind.as_str() };
    let sql =
        format!("set local lock_timeout = {LOCK_TIMEOUT_MS};\ndrop {kind} if exists {} cascade", relation.render());
    connection.script(&sql).map(|_| true)
}

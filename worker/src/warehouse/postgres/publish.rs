//! The last step of a task. Plain statements and views go as one string, one implicit transaction, one round trip; replacing a
//! relation that others depend on takes a look at them first.
//!
//! Invariant: readers wait for a swap or see the state before or after it; they never fail and never find nothing. Writers of a
//! schema take its advisory lock before their first lock on a relation (shared to replace a view, exclusive to swap), so that they
//! queue instead of deadlocking with each other. Views are locked before the relations they read, in the order readers lock them.

use std::time::Duration;

use common::Epoch;
use common::diagnostic::Code;
use common::relation::{Relation, quote_identifier, quote_literal};
use common::table::Response;
use common::task::FailureKind;
use postgres::SimpleQueryMessage;

use super::connection::{PostgresConnection, completed};
use super::dependents::{self, Dependents, regclass};
use super::{fence, tag};
use crate::warehouse::{Connection, Error, Publication, Statement, script};

/// While a swap waits for its locks, readers queue behind it; and a reader that locked in another order would be the one that the
/// server kills after its `deadlock_timeout` (1 s). So the swap gives up sooner and tries again.
const LOCK_TIMEOUT_MS: u32 = 400;
const SWAP_ATTEMPTS_MAX: u32 = 50;
const PAUSE_MS_MAX: u64 = 500;

pub(super) fn publish(connection: &mut PostgresConnection, publication: &Publication) -> Result<Response, Error> {
    fence::ensure(connection)?;
    let swaps = publication.statements.iter().any(|statement| matches!(statement, Statement::Swap { .. }));
    let outcome = if swaps {
        with_retries(connection, publication)
    } else {
        match one_string(connection, publication) {
            // The target is no view, or a view with other columns.
            Err(error) if matches!(error.native_code.as_deref(), Some("42P16" | "42809")) => {
                with_retries(connection, publication)
            }
            outcome => outcome,
        }
    };
    match outcome {
        Err(error) if fence::is_published_already(&error) => adopt(connection, publication, error),
        // The connection broke: whether the commit came through is in the log.
        Err(error) if connection.is_lost() => adopt(connection, publication, error),
        outcome => outcome,
    }
}

/// All as one string, one implicit transaction, one round trip. Fences and locks are taken in one order, so that groups queue.
pub(super) fn publish_group(
    connection: &mut PostgresConnection,
    publications: &[&Publication],
) -> Result<Vec<Response>, Error> {
    fence::ensure(connection)?;
    let mut relations: Vec<(String, Epoch)> =
        publications.iter().map(|publication| (publication.relation.render(), publication.epoch)).collect();
    relations.sort();
    let relations = relations.iter().map(|(relation, epoch)| (relation.as_str(), *epoch));
    let mut head = vec![fence::enter_all(relations, &connection.shared.origin)];
    let mut locks: Vec<String> =
        publications.iter().map(|publication| advisory_lock(&publication.relation, true)).collect();
    locks.sort();
    locks.dedup();
    head.append(&mut locks);
    // Every publication replaces a view, whose answer is known before.
    let response = tag::response("create view", 0);
    head.push(fence::record_all(publications.iter().map(|publication| (*publication, &response))));
    let body: Vec<String> = publications
        .iter()
        .flat_map(|publication| &publication.statements)
        .filter_map(|statement| match statement {
            Statement::Sql { sql, .. } => Some(sql.clone()),
            Statement::ReplaceView { target, sql } => Some(replace_view(target, sql)),
            Statement::Swap { .. } => None,
        })
        .collect();
    run_whole(connection, &head, &body)?;
    Ok(publications.iter().map(|_| response.clone()).collect())
}

/// What was published for the node already, or the error where nothing was.
fn adopt(connection: &mut PostgresConnection, publication: &Publication, error: Error) -> Result<Response, Error> {
    connection.rollback()?;
    // What the session held has been published or is of no use any more.
    connection.release();
    match fence::published(connection, publication.run, &publication.node) {
        Ok(Some(published)) => Ok(published.response),
        _ => Err(error),
    }
}

fn enter(connection: &PostgresConnection, publication: &Publication) -> String {
    fence::enter(&publication.relation.render(), &connection.shared.origin, publication.epoch)
}

fn advisory_lock(relation: &Relation, shared: bool) -> String {
    let key = quote_literal(&format!("kontiki {}", relation.schema.as_deref().unwrap_or_default()));
    format!("select pg_advisory_xact_lock{}(hashtextextended({key}, 0))", if shared { "_shared" } else { "" })
}

fn one_string(connection: &mut PostgresConnection, publication: &Publication) -> Result<Response, Error> {
    let mut head = vec![enter(connection, publication), advisory_lock(&publication.relation, true)];
    let mut main = None;
    let body: Vec<String> = publication
        .statements
        .iter()
        .map(|statement| match statement {
            Statement::Sql { sql, main: is_main } => {
                if *is_main {
                    main = Some(sql.clone());
                }
                sql.clone()
            }
            Statement::ReplaceView { target, sql } => {
                let sql = replace_view(target, sql);
                main.get_or_insert_with(|| sql.clone());
                sql
            }
            Statement::Swap { .. } => unreachable!("publications with a swap take the other way"),
        })
        .collect();
    let known = match &main {
        None => Some(publication.response.clone().unwrap_or_else(|| tag::response("select", 0))),
        Some(sql) => Some(tag::response(script::split(sql).last().map_or("", |piece| piece.sql), 0))
            .filter(|response| response.rows_affected == Some(-1)),
    };
    let place =
        publication.statements.iter().position(|statement| matches!(statement, Statement::Sql { main: true, .. }));
    if let Some(response) = known {
        head.push(fence::record(publication, &response));
        run_whole(connection, &head, &body)?;
        return Ok(response);
    }
    // The main statement's row count belongs into the log, so it has to be known before the log is written.
    let own = !connection.in_transaction();
    if own {
        connection.begin()?;
    }
    let outcome = (|| {
        connection.script(&head.join(";\n"))?;
        let mut response = Response::default();
        for (at, sql) in body.iter().enumerate() {
            let messages = connection.script(sql)?;
            if Some(at) == place {
                response = answer(sql, &messages);
            }
        }
        connection.script(&fence::record(publication, &response))?;
        Ok(response)
    })();
    finish(connection, own, outcome)
}

fn answer(sql: &str, messages: &[SimpleQueryMessage]) -> Response {
    tag::response(script::split(sql).last().map_or("", |piece| piece.sql), completed(messages))
}

fn finish(connection: &mut PostgresConnection, own: bool, outcome: Result<Response, Error>) -> Result<Response, Error> {
    if own {
        match &outcome {
            Ok(_) => connection.commit()?,
            Err(_) => connection.rollback()?,
        }
    }
    outcome
}

/// Sends all as one string; an error's position is moved back to the statement it is in.
fn run_whole(connection: &mut PostgresConnection, head: &[String], body: &[String]) -> Result<(), Error> {
    let mut whole = head.join(";\n");
    let mut starts = Vec::new();
    for sql in body {
        whole.push_str(";\n");
        starts.push(whole.len());
        // A comment at the end of a statement must not swallow the next semicolon.
        whole.push_str(sql);
        whole.push('\n');
    }
    connection.script(&whole).map(drop).map_err(|error| {
        let place = error.position.and_then(|at| {
            let index = starts.iter().rposition(|start| *start <= at)?;
            Some((body[index].clone(), at - starts[index]))
        });
        match place {
            Some((sql, at)) => Error { position: Some(at.min(sql.len())), sql: Some(sql), ..error },
            None => Error { position: None, sql: Some(body.join(";\n")), ..error },
        }
    })
}

fn replace_view(target: &Relation, sql: &str) -> String {
    format!("create or replace view {} as (\n{sql}\n)", target.render())
}

/// Conflicts over locks are settled by trying again, for as long as it takes readers to come and go; the last try waits for good.
fn with_retries(connection: &mut PostgresConnection, publication: &Publication) -> Result<Response, Error> {
    if connection.in_transaction() {
        return replace(connection, publication, LOCK_TIMEOUT_MS);
    }
    for attempt in 1..SWAP_ATTEMPTS_MAX {
        match transaction(connection, publication, LOCK_TIMEOUT_MS) {
            Err(error) if error.code == Code::WarehouseConflict => {
                std::thread::sleep(Duration::from_millis((u64::from(attempt) * 10).min(PAUSE_MS_MAX)));
            }
            outcome => return outcome,
        }
    }
    transaction(connection, publication, 0)
}

fn transaction(
    connection: &mut PostgresConnection,
    publication: &Publication,
    lock_timeout_ms: u32,
) -> Result<Response, Error> {
    connection.begin()?;
    let outcome = replace(connection, publication, lock_timeout_ms);
    finish(connection, true, outcome)
}

fn replace(
    connection: &mut PostgresConnection,
    publication: &Publication,
    lock_timeout_ms: u32,
) -> Result<Response, Error> {
    let head = [
        enter(connection, publication),
        advisory_lock(&publication.relation, false),
        format!("set local lock_timeout = {lock_timeout_ms}"),
    ];
    connection.script(&head.join(";\n"))?;
    let mut response = None;
    for statement in &publication.statements {
        match statement {
            Statement::Sql { sql, main } => {
                let messages = connection.script(sql)?;
                if *main {
                    response = Some(answer(sql, &messages));
                }
            }
            Statement::Swap { staging, target } => swap(connection, staging, target)?,
            Statement::ReplaceView { target, sql } => {
                put_view(connection, target, sql)?;
                response.get_or_insert_with(|| tag::response("create view", 0));
            }
        }
    }
    let response = response.or_else(|| publication.response.clone()).unwrap_or_else(|| tag::response("select", 0));
    connection.script(&fence::record(publication, &response))?;
    Ok(response)
}

fn object(relkind: &str) -> &'static str {
    match relkind {
        "v" => "view",
        "m" => "materialized view",
        "f" => "foreign table",
        _ => "table",
    }
}

/// Reads the dependents and puts the session's search path back, which user statements of the same transaction may need.
fn look(connection: &mut PostgresConnection, relation: &Relation) -> Result<Dependents, Error> {
    connection.script("savepoint kontiki_look")?;
    let found = dependents::read(connection, relation)?;
    connection.script("rollback to savepoint kontiki_look")?;
    Ok(found)
}

fn swap(connection: &mut PostgresConnection, staging: &Relation, target: &Relation) -> Result<(), Error> {
    let old = look(connection, target)?;
    let new = look(connection, staging)?;
    let new_kind = new.kind.as_deref().unwrap_or("r");
    // Quoted only where the relation is: an unquoted name folds to lower case.
    let name = Relation { database: None, schema: None, ..target.clone() }.render();
    let rename_staging = format!("alter {} {} rename to {name}", object(new_kind), staging.render());
    let Some(old_kind) = &old.kind else {
        connection.script(&rename_staging)?;
        return rename_parts(connection, staging, target);
    };
    let keeps_columns = old.columns.iter().all(|column| new.columns.contains(column));
    if keeps_columns && !old.views.iter().any(|view| view.materialized) {
        let mut script = Vec::new();
        // A reader locks a view before what the view reads, so the farthest comes first.
        script.extend(old.views.iter().rev().map(dependents::View::lock));
        let aside_name = format!("{}__old", staging.identifier.as_deref().unwrap_or_default());
        let mut aside = target.clone().with_identifier(&aside_name);
        aside.quoting.identifier = true;
        script.push(format!(
            "alter {} {} rename to {}",
            object(old_kind),
            target.render(),
            quote_identifier(&aside_name)
        ));
        script.push(rename_staging);
        script.extend(old.views.iter().map(dependents::View::replace));
        // Nothing of ours hangs on it any more; what else does (foreign keys) goes with it, as with dbt.
        script.push(format!("drop {} {} cascade", object(old_kind), aside.render()));
        connection.script(&script.join(";\n"))?;
    } else {
        remove(connection, &old, old_kind, target)?;
        connection.script(&rename_staging)?;
        restore(connection, &old)?;
    }
    rename_parts(connection, staging, target)
}

/// Views first, farthest first, then the relation.
fn remove(connection: &mut PostgresConnection, old: &Dependents, kind: &str, target: &Relation) -> Result<(), Error> {
    let mut script: Vec<String> = old.views.iter().rev().map(dependents::View::drop).collect();
    script.push(format!("drop {} {} cascade", object(kind), target.render()));
    connection.script(&script.join(";\n")).map(drop)
}

/// Makes the views again. One that reads a column which is gone cannot be: it stays dropped, as it is after dbt, and what reads it
/// with it.
fn restore(connection: &mut PostgresConnection, old: &Dependents) -> Result<(), Error> {
    for view in &old.views {
        connection.script("savepoint kontiki_view")?;
        match connection.script(&view.create()) {
            Ok(_) => connection.script("release savepoint kontiki_view")?,
            Err(error) if error.kind == FailureKind::User => connection.script("rollback to savepoint kontiki_view")?,
            Err(error) => return Err(error),
        };
    }
    Ok(())
}

fn put_view(connection: &mut PostgresConnection, target: &Relation, sql: &str) -> Result<(), Error> {
    let create = replace_view(target, sql);
    connection.script("savepoint kontiki_replace")?;
    match connection.script(&create) {
        Err(error) if matches!(error.native_code.as_deref(), Some("42P16" | "42809")) => {}
        outcome => return outcome.map(drop),
    }
    connection.script("rollback to savepoint kontiki_replace")?;
    let old = look(connection, target)?;
    if let Some(kind) = &old.kind {
        remove(connection, &old, kind, target)?;
    }
    connection.script(&create)?;
    restore(connection, &old)
}

/// Indexes and constraints that were named after the staging relation take the target's name.
fn rename_parts(connection: &mut PostgresConnection, staging: &Relation, target: &Relation) -> Result<(), Error> {
    let (Some(from), Some(to)) = (&staging.identifier, &target.identifier) else { return Ok(()) };
    let (relation, from, to) = (regclass(target), quote_literal(from), quote_literal(to));
    let rows = connection.texts(&format!(
        "select format('alter index %I.%I rename to %I', n.nspname, c.relname, left(replace(c.relname, {from}, {to}), 63))
         from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
         where i.indrelid = to_regclass({relation}) and strpos(c.relname, {from}) > 0
           and to_regclass(format('%I.%I', n.nspname, left(replace(c.relname, {from}, {to}), 63))) is null
         union all
         select format('alter table %s rename constraint %I to %I', conrelid::regclass, conname, left(replace(conname, {from}, {to}), 63))
         from pg_constraint where conrelid = to_regclass({relation}) and strpos(conname, {from}) > 0 and conindid = 0"
    ))?;
    let script: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if script.is_empty() { Ok(()) } else { connection.script(&script.join(";\n")).map(drop) }
}

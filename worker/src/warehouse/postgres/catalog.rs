//! What exists, from the system catalogs.

use std::time::Duration;

use common::diagnostic::Code;
use common::relation::{Relation, RelationType, quote_identifier, quote_literal};
use common::table::Column;

use super::connection::PostgresConnection;
use crate::warehouse::Error;

const KINDS: &str = "'r', 'p', 'f', 'v', 'm'";

pub(super) fn relation_type(relkind: &str) -> RelationType {
    match relkind {
        "v" => RelationType::View,
        "m" => RelationType::MaterializedView,
        _ => RelationType::Table,
    }
}

fn relations(
    connection: &mut PostgresConnection,
    database: &str,
    schema: &str,
    identifier: Option<&str>,
) -> Result<Vec<Relation>, Error> {
    let mut sql = format!(
        "select n.nspname, c.relname, c.relkind::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = \
         c.relnamespace where n.nspname = {} and c.relkind in ({KINDS})",
        quote_literal(schema)
    );
    if let Some(identifier) = identifier {
        sql.push_str(&format!(" and c.relname = {}", quote_literal(identifier)));
    }
    sql.push_str(" order by 2");
    let rows = connection.texts(&sql)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let [Some(schema), Some(name), Some(kind)] = <[Option<String>; 3]>::try_from(row).ok()? else {
                return None;
            };
            Some(Relation::new(database, schema, name).with_type(relation_type(&kind)))
        })
        .collect())
}

pub(super) fn get_relation(
    connection: &mut PostgresConnection,
    database: &str,
    schema: &str,
    identifier: &str,
) -> Result<Option<Relation>, Error> {
    Ok(relations(connection, database, schema, Some(identifier))?.pop())
}

pub(super) fn list_relations(
    connection: &mut PostgresConnection,
    database: &str,
    schema: &str,
) -> Result<Vec<Relation>, Error> {
    relations(connection, database, schema, None)
}

/// Without a schema (a temporary table), the name is looked up on the search path.
pub(super) fn columns(connection: &mut PostgresConnection, relation: &Relation) -> Result<Vec<Column>, Error> {
    let name = Relation { database: None, ..relation.clone() }.render();
    let sql = format!(
        "select attname, format_type(atttypid, atttypmod) from pg_catalog.pg_attribute where attrelid = to_regclass({}) and \
         attnum > 0 and not attisdropped order by attnum",
        quote_literal(&name)
    );
    let rows = connection.texts(&sql)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let [Some(name), Some(data_type)] = <[Option<String>; 2]>::try_from(row).ok()? else { return None };
            Some(Column { name, data_type })
        })
        .collect())
}

pub(super) fn list_schemas(connection: &mut PostgresConnection) -> Result<Vec<String>, Error> {
    let rows = connection.texts("select nspname from pg_catalog.pg_namespace order by 1")?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// `if not exists` is no protection against another session that creates the same schema at the same moment: one of the two fails,
/// and finds it there when it asks again.
pub(super) fn create_schema(connection: &mut PostgresConnection, schema: &str) -> Result<(), Error> {
    const ATTEMPTS_MAX: u32 = 5;
    let exists = format!("select 1 from pg_catalog.pg_namespace where nspname = {}", quote_literal(schema));
    let mut attempt = 1;
    loop {
        // Asking first also spares roles the right to create what is there.
        if !connection.texts(&exists)?.is_empty() {
            return Ok(());
        }
        let created = connection.script(&format!("create schema if not exists {}", quote_identifier(schema)));
        match created {
            Err(error) if attempt < ATTEMPTS_MAX && is_race(&error) => attempt += 1,
            outcome => return outcome.map(drop),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether another session made the same thing at the same moment.
pub(super) fn is_race(error: &Error) -> bool {
    matches!(error.native_code.as_deref(), Some("23505" | "42710" | "42P06" | "42P07"))
        || error.code == Code::WarehouseConflict
}

//! What exists. Reads DuckDB's catalog functions; `information_schema` is several times slower.

use common::relation::{Relation, RelationType, quote_identifier, quote_literal};
use common::table::{Column, Datum};

use super::connection::DuckDbConnection;
use super::handle::Handle;
use super::ledger::Ledger;
use crate::warehouse::{Collected, Error, staging};

/// Names compare without case in DuckDB.
fn is(column: &str, name: &str) -> String {
    format!("lower({column}) = {}", quote_literal(&name.to_lowercase()))
}

fn strings(handle: &Handle, sql: &str) -> Result<Vec<Vec<String>>, Error> {
    let text = |cell: Datum| match cell {
        Datum::Text(text) | Datum::Other(text) => text,
        _ => String::new(),
    };
    let table = handle.query(sql)?.table()?;
    Ok(table.rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
}

fn relations(handle: &Handle, database: &str, schema: &str, identifier: Option<&str>) -> Result<Vec<Relation>, Error> {
    let filter = |name: &str| {
        let place = format!("{} and {}", is("database_name", database), is("schema_name", schema));
        identifier.map_or(place.clone(), |identifier| format!("{place} and {}", is(name, identifier)))
    };
    let sql = format!(
        "select database_name, schema_name, table_name, 'table' from duckdb_tables() where {} union all \
         select database_name, schema_name, view_name, 'view' from duckdb_views() where {}",
        filter("table_name"),
        filter("view_name"),
    );
    let rows = strings(handle, &sql)?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let [database, schema, identifier, kind] = <[String; 4]>::try_from(row).ok()?;
            let relation_type = if kind == "view" { RelationType::View } else { RelationType::Table };
            Some(Relation::new(database, schema, identifier).with_type(relation_type))
        })
        .collect())
}

pub(super) fn get_relation(
    handle: &Handle,
    database: &str,
    schema: &str,
    identifier: &str,
) -> Result<Option<Relation>, Error> {
    Ok(relations(handle, database, schema, Some(identifier))?.pop())
}

pub(super) fn list_relations(handle: &Handle, database: &str, schema: &str) -> Result<Vec<Relation>, Error> {
    let mut relations = relations(handle, database, schema, None)?;
    relations.sort();
    Ok(relations)
}

pub(super) fn columns(handle: &Handle, relation: &Relation) -> Result<Vec<Column>, Error> {
    let mut sql = "select column_name, data_type from duckdb_columns() where true".to_owned();
    let parts = [
        ("database_name", &relation.database),
        ("schema_name", &relation.schema),
        ("table_name", &relation.identifier),
    ];
    for (column, name) in parts {
        if let Some(name) = name {
            sql.push_str(&format!(" and {}", is(column, name)));
        }
    }
    sql.push_str(" order by column_index");
    Ok(strings(handle, &sql)?
        .into_iter()
        .filter_map(|row| {
            let [name, data_type] = <[String; 2]>::try_from(row).ok()?;
            Some(Column { name, data_type })
        })
        .collect())
}

pub(super) fn list_schemas(handle: &Handle, database: &str) -> Result<Vec<String>, Error> {
    let sql = format!("select schema_name from duckdb_schemas() where {} order by 1", is("database_name", database));
    Ok(strings(handle, &sql)?.into_iter().flatten().collect())
}

/// Two connections that create one schema at once conflict, and then it exists: ask again.
pub(super) fn create_schema(connection: &mut DuckDbConnection, database: &str, schema: &str) -> Result<(), Error> {
    let sql = format!("create schema if not exists {}.{}", quote_identifier(database), quote_identifier(schema));
    let handle = &connection.handle;
    handle.run(&sql).or_else(|error| {
        let conflict = error.code == common::diagnostic::Code::WarehouseConflict;
        if conflict && !connection.in_transaction() { handle.run(&sql) } else { Err(error) }
    })
}

/// The file is this process's alone, so whoever may still build is in the ledger.
pub(super) fn collect_staging(
    handle: &Handle,
    ledger: &Ledger,
    database: &str,
    schema: &str,
) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    for relation in list_relations(handle, database, schema)? {
        if !relation.identifier.as_deref().is_some_and(staging::is_staging) {
            continue;
        }
        let kind = relation.relation_type.unwrap_or(RelationType::Table).as_str();
        let drop = format!("drop {kind} if exists {} cascade", relation.render());
        if !ledger.is_held(&relation) && handle.run(&drop).is_ok() {
            collected.dropped.push(relation);
        } else {
            collected.left += 1;
        }
    }
    Ok(collected)
}

//! What hangs on a relation that is about to be replaced.
//!
//! A view holds on to the object it was made over, not to its name: after a rename it still reads the old table. So every view over
//! the old relation, near or far, is made again over the new one, in the order of their dependence.

use common::relation::{Relation, quote_identifier, quote_literal};
use serde_json::Value;

use super::connection::PostgresConnection;
use crate::warehouse::Error;

/// A relation that exists, and all views over it.
pub(super) struct Dependents {
    /// `relkind` of the relation; `None` where there is none.
    pub kind: Option<String>,
    /// Names and types of its columns.
    pub columns: Vec<Value>,
    /// Nearest first: a view comes after all views it reads.
    pub views: Vec<View>,
}

/// All that is needed to make a view again.
pub(super) struct View {
    /// Schema and name, quoted.
    pub name: String,
    pub materialized: bool,
    definition: String,
    options: Option<String>,
    /// Owner, grants and comments, indexes of a materialized view: run after it was dropped and created.
    restore: Vec<String>,
}

impl View {
    /// Takes the view's exclusive lock and no other: `lock table` would lock all that the view reads too. The option comes back when
    /// the view is replaced, before anybody can see it gone.
    pub(super) fn lock(&self) -> String {
        format!("alter view {} reset (security_barrier)", self.name)
    }

    /// Over the new relation, which has the columns the view reads: whoever reads it notices nothing.
    pub(super) fn replace(&self) -> String {
        format!("create or replace view {}{} as {}", self.name, self.with_options(), self.definition)
    }

    pub(super) fn drop(&self) -> String {
        format!("drop {}view {}", if self.materialized { "materialized " } else { "" }, self.name)
    }

    pub(super) fn create(&self) -> String {
        let kind = if self.materialized { "materialized view" } else { "view" };
        let mut script = format!("create {kind} {}{} as {}", self.name, self.with_options(), self.definition);
        for statement in &self.restore {
            script.push_str(";\n");
            script.push_str(statement);
        }
        script
    }

    fn with_options(&self) -> String {
        self.options.as_ref().map(|options| format!(" with ({options})")).unwrap_or_default()
    }
}

pub(super) fn regclass(relation: &Relation) -> String {
    let parts: Vec<String> =
        [&relation.schema, &relation.identifier].into_iter().flatten().map(|part| quote_identifier(part)).collect();
    quote_literal(&parts.join("."))
}

/// Names in definitions are complete only while the search path is empty, so this is read inside a transaction.
pub(super) fn read(connection: &mut PostgresConnection, relation: &Relation) -> Result<Dependents, Error> {
    let root = regclass(relation);
    let rows = connection.texts(&format!(
        "set local search_path = pg_catalog;
        select json_build_object(
            'kind', (select relkind from pg_class where oid = to_regclass({root})),
            'columns', (select coalesce(json_agg(json_build_array(attname, atttypid, atttypmod, attcollation) order by attnum), '[]')
                from pg_attribute where attrelid = to_regclass({root}) and attnum > 0 and not attisdropped),
            'views', (
                with recursive dependent(oid, depth) as (
                    select to_regclass({root})::oid, 0
                    union
                    select r.ev_class, dependent.depth + 1
                    from dependent
                    join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = dependent.oid
                        and d.classid = 'pg_rewrite'::regclass
                    join pg_rewrite r on r.oid = d.objid and r.ev_class <> dependent.oid
                )
                select coalesce(json_agg(json_build_object(
                    'name', format('%I.%I', n.nspname, c.relname),
                    'materialized', c.relkind = 'm',
                    'definition', rtrim(pg_get_viewdef(c.oid), ';'),
                    'options', array_to_string(c.reloptions, ', '),
                    'owner', (select format('alter table %I.%I owner to %I', n.nspname, c.relname, pg_get_userbyid(c.relowner))
                        where pg_get_userbyid(c.relowner) <> current_user),
                    'grants', (select json_agg(format('grant %s on %I.%I to %s%s', a.privilege_type, n.nspname, c.relname,
                            case when a.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                            case when a.is_grantable then ' with grant option' else '' end))
                        from aclexplode(c.relacl) a where a.grantee <> c.relowner),
                    'comments', (select json_agg(case when d.objsubid = 0
                            then format('comment on %s %I.%I is %L', case c.relkind when 'm' then 'materialized view' else 'view' end,
                                n.nspname, c.relname, d.description)
                            else format('comment on column %I.%I.%I is %L', n.nspname, c.relname,
                                (select attname from pg_attribute where attrelid = c.oid and attnum = d.objsubid), d.description) end)
                        from pg_description d where d.objoid = c.oid and d.classoid = 'pg_class'::regclass),
                    'indexes', (select json_agg(pg_get_indexdef(indexrelid)) from pg_index where indrelid = c.oid)
                    ) order by placed.depth, c.oid), '[]')
                from (select oid, max(depth) as depth from dependent where depth > 0 group by oid) placed
                join pg_class c on c.oid = placed.oid and c.relkind in ('v', 'm')
                join pg_namespace n on n.oid = c.relnamespace
            ))"
    ))?;
    let text = rows.first().and_then(|row| row.first()?.as_deref()).unwrap_or("null");
    let found: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    Ok(Dependents {
        kind: found["kind"].as_str().map(str::to_owned),
        columns: list(&found["columns"]),
        views: list(&found["views"]).iter().map(view).collect(),
    })
}

fn view(value: &Value) -> View {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let mut restore = Vec::new();
    // The owner comes last: who gives a view away may no longer grant on it.
    for key in ["indexes", "grants", "comments"] {
        restore.extend(value[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    restore.extend(text("owner"));
    View {
        name: text("name").unwrap_or_default(),
        materialized: value["materialized"].as_bool().unwrap_or(false),
        definition: text("definition").unwrap_or_default(),
        options: text("options").filter(|options| !options.is_empty()),
        restore,
    }
}

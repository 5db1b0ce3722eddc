//! Snapshots: a table that keeps every version of a query's rows (a slowly changing dimension of type 2).
//!
//! What has changed since the last time is computed into a temporary table, one row a change; the publication then ends the versions
//! that are over and adds the new ones.
//!
//! Invariant: the values of the five columns that dbt adds are dbt's, so that a table that dbt began goes on here and back.
//!
//! Source: dbt's documentation of snapshots and of their meta fields.

use common::diagnostic::Code;
use common::manifest::Node;
use common::relation::quote_identifier;
use common::table::Column;
use common::target::AdapterType;
use common::{Json, RelationType};

use super::ddl::{self, Creation};
use super::incremental::{Columns, quoted_names};
use super::plan::{Plan, main, other};
use super::{Overrides, Request, docs, grants, schema_change};
use crate::failure::{Failure, Result};

/// The column of the temporary table that tells what a row is for.
const CHANGE: &str = "dbt_change_type";

/// How a snapshot is kept, from its config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    keys: Vec<String>,
    compared: Compared,
    /// An expression over the query's columns: since when a version is so.
    updated_at: String,
    deletes: Deletes,
    /// What `dbt_valid_to` of a version that still holds is, besides null.
    current: Option<String>,
    names: Names,
}

/// What tells that a row is another version.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Compared {
    /// `strategy: timestamp`: it was updated later.
    UpdatedAt,
    /// `strategy: check`: one of these columns differs.
    All,
    These(Vec<String>),
}

/// `hard_deletes`: what becomes of rows that the query no longer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletes {
    Ignore,
    Invalidate,
    NewRecord,
}

/// `snapshot_meta_column_names`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Names {
    valid_from: String,
    valid_to: String,
    scd_id: String,
    updated_at: String,
    is_deleted: String,
}

/// The columns that the changes are computed from.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'c> {
    /// Of the snapshot's query.
    pub query: &'c [Column],
    /// Of the table that is there.
    pub existing: &'c [Column],
    /// Of `check_query`, where there is one.
    pub checked: &'c [Column],
}

impl Snapshot {
    /// Reads the config; a strategy of the project's own is refused by name.
    pub fn of(request: &Request<'_>) -> Result<Self> {
        let node = request.node;
        let invalid = |message: String| Err(Failure::user(Code::InvalidConfig, message));
        let compared = match text(node, "strategy") {
            Some("timestamp") => Compared::UpdatedAt,
            Some("check") => match node.config.extra.get("check_cols") {
                Some(Json::Array(columns)) if !columns.is_empty() => {
                    Compared::These(columns.iter().filter_map(Json::as_str).map(str::to_owned).collect())
                }
                Some(Json::String(all)) if all == "all" => Compared::All,
                other => {
                    let given = other.map_or_else(|| "nothing".to_owned(), Json::to_string);
                    return invalid(format!("Invalid value for 'check_cols': {given}"));
                }
            },
            Some(own) => return Err(Failure::unsupported(format_args!("snapshot strategy '{own}'"))),
            None => return invalid("Snapshots must be configured with a 'strategy' and 'unique_key'.".to_owned()),
        };
        let updated_at = match (text(node, "updated_at"), &compared) {
            (Some(updated_at), _) => updated_at.to_owned(),
            (None, Compared::All | Compared::These(_)) => now(request).to_owned(),
            (None, Compared::UpdatedAt) => {
                return invalid("A snapshot of the timestamp strategy needs the config 'updated_at'.".to_owned());
            }
        };
        Ok(Self {
            keys: node.config.unique_key.clone(),
            compared,
            updated_at,
            deletes: Deletes::of(node)?,
            current: text(node, "dbt_valid_to_current").map(|current| current.trim().to_owned()),
            names: Names::of(node),
        })
    }

    /// The rows of a snapshot's table when it is made: every row of the query is a version that holds.
    pub fn first_versions(&self, request: &Request<'_>) -> String {
        let Names { valid_from, valid_to, scd_id, updated_at, is_deleted } = &self.names;
        let at = &self.updated_at;
        let mut columns = vec![
            format!("{} as {scd_id}", self.version_id()),
            format!("{at} as {updated_at}"),
            format!("{at} as {valid_from}"),
            format!("{} as {valid_to}", self.holds()),
        ];
        if self.deletes == Deletes::NewRecord {
            columns.push(format!("'False' as {is_deleted}"));
        }
        format!("select *,\n    {}\nfrom (\n{}\n) as __dbt_sbq", columns.join(",\n    "), request.sql)
    }

    /// The query whose columns are compared: the warehouse knows how it spells them.
    pub fn check_query(&self, request: &Request<'_>) -> Option<String> {
        match &self.compared {
            Compared::These(columns) => {
                Some(format!("select {} from (\n{}\n) as __dbt_sbq", columns.join(", "), request.sql))
            }
            Compared::UpdatedAt | Compared::All => None,
        }
    }

    /// Refuses a table that is no snapshot, or one of another kind.
    pub fn check_table(&self, existing: &[Column]) -> Result<()> {
        let Names { valid_from, valid_to, scd_id, is_deleted, .. } = &self.names;
        let mut wanted = vec![scd_id, valid_from, valid_to];
        if self.deletes == Deletes::NewRecord {
            wanted.push(is_deleted);
        }
        let has = |name: &str| existing.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        let missing: Vec<&str> = wanted.into_iter().filter(|name| !has(name)).map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("Snapshot target is missing configured columns (missing \"{}\")", missing.join("\", \""));
        Err(Failure::user(Code::InvalidConfig, message))
    }

    /// The changes since the last time, one a row: versions to add (`insert`), and versions that are over (`update`, `delete`).
    pub fn changes(&self, request: &Request<'_>, sides: Sides<'_>) -> String {
        let now = now(request);
        let Names { valid_from, valid_to, scd_id, updated_at, is_deleted } = &self.names;
        let columns = |side: &str| {
            let each = sides.query.iter().map(|column| format!("{side}.{}, ", quote_identifier(&column.name)));
            each.collect::<String>()
        };
        let keyed = self.key_columns();
        let marks = self.deletes == Deletes::NewRecord;
        let (told_kept, told_deleted) = match marks {
            true => (format!(", 'False' as {is_deleted}"), format!(", 'True' as {is_deleted}")),
            false => Default::default(),
        };
        let changed = match marks {
            true => format!("({} or held.{is_deleted} = 'True')", self.is_another_version(sides)),
            false => self.is_another_version(sides),
        };
        let is_same = self.is_same_key();
        let mut parts = vec![
            // A row that is new, or a new version of a known one.
            format!(
                "select 'insert' as {CHANGE}, {}given.dbt_at as {updated_at}, given.dbt_at as {valid_from}, given.dbt_until as \
                 {valid_to}, given.dbt_version as {scd_id}{told_kept}\nfrom given left join held on {is_same}\nwhere \
                 held.dbt_key_1 is null or {changed}",
                columns("given")
            ),
            // The version that a new one follows ends where that begins.
            format!(
                "select 'update', {}given.dbt_at, given.dbt_at, given.dbt_at, held.{scd_id}{told_kept}\nfrom given join held on \
                 {is_same}\nwhere {changed}",
                columns("given")
            ),
        ];
        if self.deletes != Deletes::Ignore {
            let not_told = match marks {
                true => format!(" and not (held.{is_deleted} = 'True' and {})", self.still_holds("held.")),
                false => String::new(),
            };
            let gone = format!("from held left join given on {is_same}\nwhere given.dbt_key_1 is null{not_told}");
            parts.push(format!(
                "select 'delete', {}{now}, {now}, {now}, held.{scd_id}{told_kept}\n{gone}",
                columns("given")
            ));
            if marks {
                let kept = |column: &&Column| sides.existing.iter().any(|other| other.name == column.name);
                let last: String = sides
                    .query
                    .iter()
                    .map(|column| {
                        let side = if kept(&column) { "held" } else { "given" };
                        format!("{side}.{}, ", quote_identifier(&column.name))
                    })
                    .collect();
                let id = hash(&[format!("held.{scd_id}"), now.to_owned()]);
                parts.push(format!("select 'insert', {last}{now}, {now}, held.{valid_to}, {id}{told_deleted}\n{gone}"));
            }
        }
        format!(
            "with snapshot_query as (\n{}\n),\ngiven as (\n    select *, {keyed}, {} as dbt_at, {} as dbt_until, {} as \
             dbt_version\n    from snapshot_query\n),\nheld as (\n    select *, {keyed}\n    from {}\n    where {}\n)\n{}",
            request.sql,
            self.updated_at,
            self.holds(),
            self.version_id(),
            request.target,
            self.still_holds(""),
            parts.join("\nunion all\n")
        )
    }

    /// Whether the row given is another version than the one held. Where a column to check is new to the table, each is.
    fn is_another_version(&self, sides: Sides<'_>) -> String {
        let checked = match &self.compared {
            Compared::UpdatedAt => return format!("held.{} < given.dbt_at", self.names.valid_from),
            Compared::All => sides.query,
            Compared::These(_) => sides.checked,
        };
        let is_known = |column: &Column| sides.existing.iter().any(|other| other.name == column.name);
        if !checked.iter().all(is_known) {
            return "true".to_owned();
        }
        let differ: Vec<String> = checked
            .iter()
            .map(|column| quote_identifier(&column.name))
            .map(|name| format!("held.{name} is distinct from given.{name}"))
            .collect();
        format!("({})", differ.join(" or "))
    }

    fn key_columns(&self) -> String {
        let keys = self.keys.iter().zip(1..).map(|(key, position)| format!("{key} as dbt_key_{position}"));
        keys.collect::<Vec<_>>().join(", ")
    }

    fn is_same_key(&self) -> String {
        let keys = (1..=self.keys.len()).map(|position| format!("held.dbt_key_{position} = given.dbt_key_{position}"));
        keys.collect::<Vec<_>>().join(" and ")
    }

    /// Of all versions: what names this one.
    fn version_id(&self) -> String {
        hash(&self.keys.iter().cloned().chain([self.updated_at.clone()]).collect::<Vec<_>>())
    }

    /// `dbt_valid_to` of a version that holds, of the same type as the time at which one ends.
    fn holds(&self) -> String {
        let at = &self.updated_at;
        format!("coalesce(nullif({at}, {at}), {})", self.current.as_deref().unwrap_or("null"))
    }

    fn still_holds(&self, side: &str) -> String {
        let valid_to = &self.names.valid_to;
        match &self.current {
            Some(current) => format!("({side}{valid_to} = {current} or {side}{valid_to} is null)"),
            None => format!("{side}{valid_to} is null"),
        }
    }
}

impl Deletes {
    fn of(node: &Node) -> Result<Self> {
        let config = |key: &str| node.config.extra.get(key).filter(|value| !value.is_null());
        let invalid = |message: &str| Err(Failure::user(Code::InvalidConfig, message));
        match (config("invalidate_hard_deletes"), config("hard_deletes").map(|value| (value, value.as_str()))) {
            (Some(_), Some(_)) => invalid(
                "You cannot set both the invalidate_hard_deletes and hard_deletes config properties on the same snapshot.",
            ),
            (Some(Json::Bool(true)), None) | (None, Some((_, Some("invalidate")))) => Ok(Self::Invalidate),
            (None, Some((_, Some("new_record")))) => Ok(Self::NewRecord),
            (_, None) | (None, Some((_, Some("ignore")))) => Ok(Self::Ignore),
            (None, Some(_)) => invalid("Invalid setting for property hard_deletes."),
        }
    }
}

impl Names {
    fn of(node: &Node) -> Self {
        let given = node.config.extra.get("snapshot_meta_column_names");
        let name = |key: &str| {
            let own = given.and_then(|names| names.get(key)).and_then(Json::as_str).filter(|name| !name.is_empty());
            own.unwrap_or(key).to_owned()
        };
        Self {
            valid_from: name("dbt_valid_from"),
            valid_to: name("dbt_valid_to"),
            scd_id: name("dbt_scd_id"),
            updated_at: name("dbt_updated_at"),
            is_deleted: name("dbt_is_deleted"),
        }
    }
}

/// Statements that compute the changes, given their query.
pub fn stage(request: &Request<'_>, changes: &str, overrides: &mut dyn Overrides) -> Result<Plan> {
    let temporary = request.temporary();
    let request = Request { sql: changes, ..*request };
    let create = ddl::create_table(&request, &temporary, Creation::Temporary, overrides)?;
    Ok(Plan {
        staging: create.into_iter().map(other).collect(),
        cleanup: vec![format!("drop table if exists {temporary}")],
        ..Plan::default()
    })
}

/// Completes the plan of `stage` now that the columns of the changes are known.
pub fn publish(request: &Request<'_>, snapshot: &Snapshot, mut plan: Plan, columns: Columns<'_>) -> Result<Plan> {
    let target = request.target.clone().with_type(RelationType::Table);
    let temporary = request.temporary();
    let kept: Vec<Column> = columns.new.iter().filter(|column| column.name != CHANGE).cloned().collect();
    if request.dialect == AdapterType::Postgres {
        plan.publication.extend(schema_change::widen(&target, &kept, columns.existing).into_iter().map(other));
    }
    let added = kept.iter().filter(|column| !columns.existing.iter().any(|other| other.name == column.name));
    plan.publication.extend(
        added
            .map(|column| {
                format!("alter table {target} add column {} {}", quote_identifier(&column.name), column.data_type)
            })
            .map(other),
    );
    let Names { valid_to, scd_id, .. } = &snapshot.names;
    plan.publication.push(other(format!(
        "update {target} as held\nset {valid_to} = change.{valid_to}\nfrom {temporary} as change\nwhere change.{scd_id} = \
         held.{scd_id}\n    and change.{CHANGE} in ('update', 'delete')\n    and {}",
        snapshot.still_holds("held.")
    )));
    let names = quoted_names(&kept);
    plan.publication.push(main(format!(
        "insert into {target} ({names})\nselect {names}\nfrom {temporary}\nwhere {CHANGE} = 'insert'"
    )));
    let comments = docs::comments(request.node, request.target, RelationType::Table, request.columns)?;
    plan.publication.extend(grants::statements(request).into_iter().chain(comments).map(other));
    Ok(plan)
}

/// dbt's name of a version: the hash of its key and its time.
fn hash(parts: &[String]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("coalesce(cast({part} as varchar), '')")).collect();
    format!("md5({})", parts.join(" || '|' || "))
}

/// The time of the statement, as both adapters' `snapshot_get_time()` gives it.
fn now(request: &Request<'_>) -> &'static str {
    match request.dialect {
        AdapterType::Duckdb => "now()::timestamp",
        AdapterType::Postgres => "now()::timestamp without time zone",
    }
}

fn text<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    node.config.extra.get(key).and_then(Json::as_str).filter(|text| !text.trim().is_empty())
}

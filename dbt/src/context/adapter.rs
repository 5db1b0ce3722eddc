//! `adapter`: what templates may ask of the warehouse and of the project's dispatch rules.
//!
//! Invariant: while a project is parsed nothing here touches a warehouse; what would is answered with dbt's parse-time stand-ins.

use std::any::Any;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use common::relation::{Relation, quote_identifier};
use common::table::Response;
use common::target::AdapterType;
use md5::{Digest, Md5};

use super::agate::{ResponseObject, TableObject};
use super::arguments::{argument, text_of};
use super::column::{ColumnClass, ColumnObject};
use super::constraints;
use super::relation::{RelationClass, RelationObject};
use super::rendering::{Mode, Rendering, gone, raise, refused};
use crate::adapter::Adapter;
use crate::jinja::Interpreter;
use crate::jinja::error::{Error, ErrorKind, Result};
use crate::jinja::value::{Args, Object, Value};
use crate::jinja::{Resolver, access};

pub struct AdapterObject {
    pub context: Weak<Rendering>,
}

/// Methods that ask the warehouse. While parsing they give the value beside them.
const WAREHOUSE: &[(&str, Standin)] = &[
    ("execute", Standin::Result),
    ("get_relation", Standin::None),
    ("load_relation", Standin::None),
    ("already_exists", Standin::False),
    ("list_relations", Standin::List),
    ("list_relations_without_caching", Standin::List),
    ("list_schemas", Standin::List),
    ("check_schema_exists", Standin::False),
    ("get_columns_in_relation", Standin::List),
    ("get_columns_in_table", Standin::List),
    ("get_missing_columns", Standin::List),
    ("get_column_schema_from_query", Standin::List),
    ("create_schema", Standin::None),
    ("drop_schema", Standin::None),
    ("drop_relation", Standin::None),
    ("truncate_relation", Standin::None),
    ("rename_relation", Standin::None),
    ("expand_target_column_types", Standin::None),
    ("valid_snapshot_target", Standin::None),
    ("assert_valid_snapshot_target_given_strategy", Standin::None),
    ("get_incremental_strategy_macro", Standin::None),
    ("get_hard_deletes_behavior", Standin::None),
    ("add_query", Standin::Result),
];

#[derive(Clone, Copy)]
enum Standin {
    None,
    False,
    List,
    Result,
}

/// Methods that need no warehouse.
const PLAIN: &[&str] = &[
    "build_catalog_relation",
    "cache_added",
    "cache_dropped",
    "cache_renamed",
    "commit",
    "convert_type",
    "disable_transactions",
    "dispatch",
    "escape_sql_string",
    "get_binding_char",
    "is_ducklake",
    "is_motherduck",
    "parse_index",
    "quote",
    "quote_as_configured",
    "quote_seed_column",
    "render_raw_columns_constraints",
    "render_raw_model_constraints",
    "standardize_grants_dict",
    "type",
    "valid_incremental_strategies",
    "verify_database",
    "warn_once",
];

/// The prefixes that `adapter.dispatch` tries, best first.
pub fn prefixes(adapter: AdapterType) -> [&'static str; 2] {
    [adapter.as_str(), "default"]
}

/// Incremental strategies that the warehouse can do.
pub fn incremental_strategies(adapter: AdapterType) -> &'static [&'static str] {
    match adapter {
        AdapterType::Duckdb => &["append", "delete+insert", "merge", "microbatch"],
        AdapterType::Postgres => &["append", "delete+insert", "merge", "microbatch"],
    }
}

const BUILTIN_STRATEGIES: &[&str] = &["append", "delete+insert", "merge", "insert_overwrite", "microbatch"];

impl Object for AdapterObject {
    fn type_name(&self) -> &'static str {
        "RuntimeDatabaseWrapper"
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        let adapter_type = context.shared.target.adapter_type;
        Ok(Some(match name {
            "Relation" => Value::object(RelationClass { adapter: adapter_type, quoting: context.shared.quoting }),
            "Column" => Value::object(ColumnClass(adapter_type)),
            "behavior" => Value::object(Behavior { context: self.context.clone() }),
            "config" => Value::record([
                ("project_name", Value::str(context.shared.name.as_str())),
                ("credentials", context.resolve("target").unwrap_or(Value::None)),
            ]),
            method if PLAIN.contains(&method) || WAREHOUSE.iter().any(|(known, _)| *known == method) => {
                let method: Rc<str> = method.into();
                Value::function("adapter method", move |interpreter, args| {
                    self.clone().call_method(interpreter, &method, args)
                })
            }
            _ => return Ok(None),
        }))
    }

    fn call_method(self: Rc<Self>, interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        if let Some((_, standin)) = WAREHOUSE.iter().find(|(known, _)| *known == name) {
            return match context.adapter.clone() {
                Some(adapter) if context.mode == Mode::Run => ask(&context, &*adapter, interpreter, name, args),
                _ => Ok(stand_in(&context, *standin)),
            };
        }
        if PLAIN.contains(&name) {
            return plain(&context, interpreter, name, args);
        }
        let message = format!("'{}' object has no attribute '{name}'", self.type_name());
        Err(Error::new(ErrorKind::Undefined, message).into())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn stand_in(context: &Rendering, standin: Standin) -> Value {
    match standin {
        Standin::None => Value::None,
        Standin::False => Value::Bool(false),
        Standin::List => Value::list(Vec::new()),
        Standin::Result => Value::tuple(vec![
            Value::str(""),
            Value::object(TableObject::empty(Arc::clone(&context.shared.invocation.output))),
        ]),
    }
}

fn relation_argument(args: &Args, index: usize, name: &str, method: &str) -> Result<Relation> {
    let given = argument(args, index, name);
    match given.as_ref().and_then(RelationObject::of) {
        Some(object) => Ok(object.relation.clone()),
        None => {
            let kind = given.map_or("nothing", |value| value.type_name());
            Err(raise(format!("'adapter.{method}' expects argument '{name}' to be a relation, instead got {kind}")))
        }
    }
}

fn text_argument(args: &Args, index: usize, name: &str) -> String {
    argument(args, index, name).as_ref().and_then(text_of).unwrap_or_default()
}

/// Database and schema of a relation, the target's where it has none.
fn place(context: &Rendering, relation: &Relation) -> (String, String) {
    let target = &context.shared.target;
    let database = relation.database.clone().unwrap_or_else(|| target.database.clone());
    (database, relation.schema.clone().unwrap_or_else(|| target.schema.clone()))
}

fn ask(
    context: &Rc<Rendering>,
    adapter: &dyn Adapter,
    interpreter: &mut Interpreter,
    name: &str,
    args: Args,
) -> Result<Value> {
    let kind = context.shared.target.adapter_type;
    let object = |relation: Relation| RelationObject::new(relation, kind).into_value();
    Ok(match name {
        "execute" => {
            let sql = text_argument(&args, 0, "sql");
            let fetch = argument(&args, 2, "fetch").is_some_and(|fetch| fetch.is_true());
            let (response, table) = adapter.execute(&sql, fetch).map_err(refused)?;
            executed(context, response, &table)
        }
        "add_query" => {
            if argument(&args, 2, "bindings").is_some_and(|bindings| bindings.is_true()) {
                return Err(raise("adapter.add_query with bindings is not supported"));
            }
            let (response, table) = adapter.execute(&text_argument(&args, 0, "sql"), false).map_err(refused)?;
            executed(context, response, &table)
        }
        "get_relation" | "already_exists" => {
            let offset = usize::from(name == "get_relation");
            let database = if offset == 1 { text_argument(&args, 0, "database") } else { String::new() };
            let database = if database.is_empty() { context.shared.target.database.clone() } else { database };
            let schema = text_argument(&args, offset, "schema");
            let identifier = text_argument(&args, offset + 1, if offset == 1 { "identifier" } else { "name" });
            let found = adapter.get_relation(&database, &schema, &identifier).map_err(refused)?;
            if offset == 1 { found.map_or(Value::None, object) } else { Value::Bool(found.is_some()) }
        }
        "load_relation" => {
            let relation = relation_argument(&args, 0, "relation", name)?;
            let (database, schema) = place(context, &relation);
            let identifier = relation.identifier.unwrap_or_default();
            adapter.get_relation(&database, &schema, &identifier).map_err(refused)?.map_or(Value::None, object)
        }
        "list_relations" | "list_relations_without_caching" => {
            let (database, schema) = match argument(&args, 0, "schema_relation").as_ref().and_then(RelationObject::of) {
                Some(object) => place(context, &object.relation),
                None => (text_argument(&args, 0, "database"), text_argument(&args, 1, "schema")),
            };
            let found = adapter.list_relations(&database, &schema).map_err(refused)?;
            Value::list(found.into_iter().map(object).collect::<Vec<_>>())
        }
        "list_schemas" => {
            let found = adapter.list_schemas(&text_argument(&args, 0, "database")).map_err(refused)?;
            Value::list(found.into_iter().map(Value::from).collect::<Vec<_>>())
        }
        "check_schema_exists" => {
            let (database, schema) = (text_argument(&args, 0, "database"), text_argument(&args, 1, "schema"));
            let found = adapter.list_schemas(&database).map_err(refused)?;
            Value::Bool(found.iter().any(|name| name.eq_ignore_ascii_case(&schema)))
        }
        "get_columns_in_relation" => {
            columns_value(columns(adapter, &relation_argument(&args, 0, "relation", name)?, kind)?)
        }
        "get_columns_in_table" => {
            let relation = Relation::new(
                context.shared.target.database.clone(),
                text_argument(&args, 0, "schema"),
                text_argument(&args, 1, "identifier"),
            );
            columns_value(columns(adapter, &relation, kind)?)
        }
        "get_missing_columns" => {
            let from = columns(adapter, &relation_argument(&args, 0, "from_relation", name)?, kind)?;
            let to = columns(adapter, &relation_argument(&args, 1, "to_relation", name)?, kind)?;
            columns_value(from.into_iter().filter(|column| !to.iter().any(|other| other.name == column.name)).collect())
        }
        "get_column_schema_from_query" => {
            let (_, table) = adapter.execute(&text_argument(&args, 0, "sql"), true).map_err(refused)?;
            columns_value(
                table.columns.iter().map(|column| ColumnObject::new(&column.name, &column.data_type, kind)).collect(),
            )
        }
        "create_schema" | "drop_schema" => {
            let (database, schema) = place(context, &relation_argument(&args, 0, "relation", name)?);
            if name == "create_schema" {
                adapter.create_schema(&database, &schema).map_err(refused)?;
            } else {
                adapter.drop_schema(&database, &schema).map_err(refused)?;
            }
            Value::None
        }
        "drop_relation" => {
            adapter.drop_relation(&relation_argument(&args, 0, "relation", name)?).map_err(refused)?;
            Value::None
        }
        "truncate_relation" => {
            adapter.truncate_relation(&relation_argument(&args, 0, "relation", name)?).map_err(refused)?;
            Value::None
        }
        "rename_relation" => {
            let from = relation_argument(&args, 0, "from_relation", name)?;
            let to = relation_argument(&args, 1, "to_relation", name)?;
            adapter.rename_relation(&from, &to).map_err(refused)?;
            Value::None
        }
        "expand_target_column_types" => {
            let from = columns(adapter, &relation_argument(&args, 0, "from_relation", name)?, kind)?;
            let target = argument(&args, 1, "to_relation").unwrap_or(Value::None);
            let to = columns(adapter, &relation_argument(&args, 1, "to_relation", name)?, kind)?;
            for column in from {
                let Some(current) = to.iter().find(|other| other.name == column.name) else { continue };
                if current.can_grow_to(&column) {
                    let alter = context.resolve("alter_column_type").unwrap_or(Value::None);
                    let arguments =
                        vec![target.clone(), Value::str(column.name.as_str()), Value::from(column.data_type())];
                    interpreter.call(&alter, Args::new(arguments))?;
                }
            }
            Value::None
        }
        "get_incremental_strategy_macro" => strategy_macro(context, interpreter, &args)?,
        "get_hard_deletes_behavior" => {
            let config = argument(&args, 0, "config").unwrap_or(Value::None);
            hard_deletes(interpreter, &config)?
        }
        "valid_snapshot_target" | "assert_valid_snapshot_target_given_strategy" => {
            let found = columns(adapter, &relation_argument(&args, 0, "relation", name)?, kind)?;
            let required = ["dbt_scd_id", "dbt_valid_from", "dbt_valid_to"];
            let missing: Vec<&str> = required
                .into_iter()
                .filter(|name| !found.iter().any(|column| column.name.eq_ignore_ascii_case(name)))
                .collect();
            let renamed = argument(&args, 1, "column_names").is_some_and(|names| !names.is_none());
            if !missing.is_empty() && !renamed {
                let missing = missing.join("\", \"");
                return Err(raise(format!("Snapshot target is missing configured columns: \"{missing}\"")));
            }
            Value::None
        }
        _ => Value::None,
    })
}

fn executed(context: &Rendering, response: Response, table: &common::table::Table) -> Value {
    let table = TableObject::new(table, Arc::clone(&context.shared.invocation.output));
    Value::tuple(vec![Value::object(ResponseObject(response)), Value::object(table)])
}

fn columns(adapter: &dyn Adapter, relation: &Relation, kind: AdapterType) -> Result<Vec<ColumnObject>> {
    let found = adapter.get_columns_in_relation(relation).map_err(refused)?;
    Ok(found.iter().map(|column| ColumnObject::from_warehouse(column, kind)).collect())
}

fn columns_value(columns: Vec<ColumnObject>) -> Value {
    Value::list(columns.into_iter().map(ColumnObject::into_value).collect::<Vec<_>>())
}

fn strategy_macro(context: &Rc<Rendering>, interpreter: &mut Interpreter, args: &Args) -> Result<Value> {
    let scope = argument(args, 0, "model_context").unwrap_or(Value::None);
    let given = argument(args, 1, "strategy").as_ref().and_then(text_of);
    let strategy = given.unwrap_or_else(|| "default".to_owned());
    let valid = incremental_strategies(context.shared.target.adapter_type);
    if BUILTIN_STRATEGIES.contains(&strategy.as_str()) && !valid.contains(&strategy.as_str()) {
        return Err(raise(format!("The incremental strategy '{strategy}' is not valid for this adapter")));
    }
    let name = format!("get_incremental_{}_sql", strategy.replace('+', "_"));
    let found = access::find_item(interpreter, &scope, &Value::str(name.as_str()))?.or_else(|| context.resolve(&name));
    found.ok_or_else(|| {
        raise(format!("dbt could not find an incremental strategy macro with the name '{name}' in the project"))
    })
}

fn hard_deletes(interpreter: &mut Interpreter, config: &Value) -> Result<Value> {
    let mut get = |key: &str| access::call_method(interpreter, config, "get", Args::new(vec![Value::str(key)]));
    let (invalidate, chosen) = (get("invalidate_hard_deletes")?, get("hard_deletes")?);
    match text_of(&chosen).as_deref() {
        Some(_) if !invalidate.is_none() && !invalidate.is_undefined() => Err(raise(
            "You cannot set both the invalidate_hard_deletes and hard_deletes config properties on the same snapshot.",
        )),
        None if invalidate.is_true() => Ok(Value::str("invalidate")),
        None => Ok(Value::str("ignore")),
        Some(choice @ ("ignore" | "invalidate" | "new_record")) => Ok(Value::str(choice)),
        Some(_) => Err(raise("Invalid setting for property hard_deletes.")),
    }
}

fn plain(context: &Rc<Rendering>, interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
    let kind = context.shared.target.adapter_type;
    Ok(match name {
        "type" => Value::str(kind.as_str()),
        "dispatch" => return dispatch(context, &args),
        "quote" => Value::from(quote(&text_argument(&args, 0, "identifier"))),
        "quote_as_configured" => {
            let identifier = text_argument(&args, 0, "identifier");
            let quoted = match text_argument(&args, 1, "quote_key").as_str() {
                "database" => context.shared.quoting.database,
                "schema" => context.shared.quoting.schema,
                "identifier" => context.shared.quoting.identifier,
                _ => false,
            };
            Value::from(if quoted { quote(&identifier) } else { identifier })
        }
        "quote_seed_column" => {
            let column = text_argument(&args, 0, "column");
            match argument(&args, 1, "quote_config") {
                None | Some(Value::None | Value::Bool(true)) => Value::from(quote(&column)),
                Some(Value::Bool(false)) => Value::from(column),
                Some(other) => {
                    let kind = other.type_name();
                    return Err(raise(format!(
                        "The seed configuration value of \"quote_columns\" has an invalid type {kind}"
                    )));
                }
            }
        }
        "standardize_grants_dict" => {
            let table = argument(&args, 0, "grants_table").unwrap_or(Value::None);
            let mut grants: indexmap::IndexMap<String, Vec<Value>> = indexmap::IndexMap::new();
            for row in access::iterate(interpreter, &table)? {
                let grantee = access::get_item(interpreter, &row, &Value::str("grantee"))?;
                let privilege = access::get_item(interpreter, &row, &Value::str("privilege_type"))?;
                grants.entry(privilege.to_str().to_string()).or_default().push(grantee);
            }
            Value::record(grants.into_iter().map(|(name, grantees)| (name, Value::list(grantees))))
        }
        "valid_incremental_strategies" => {
            Value::list(incremental_strategies(kind).iter().map(|name| Value::str(*name)).collect::<Vec<_>>())
        }
        "convert_type" => {
            let table = argument(&args, 0, "agate_table").unwrap_or(Value::None);
            let index = argument(&args, 1, "col_idx")
                .and_then(|index| index.as_int())
                .and_then(|index| usize::try_from(index).ok());
            let column =
                table.downcast::<TableObject>().zip(index).map_or("Text", |(table, index)| table.column_type(index));
            Value::str(match column {
                "Integer" => "integer",
                "Number" => "float8",
                "Boolean" => "boolean",
                "Date" => "date",
                "DateTime" => "timestamp without time zone",
                _ => "text",
            })
        }
        "escape_sql_string" => Value::from(text_argument(&args, 0, "value").replace('\'', "''")),
        "get_binding_char" => Value::str("?"),
        "is_motherduck" | "is_ducklake" | "disable_transactions" => Value::Bool(false),
        "verify_database" => {
            let database = text_argument(&args, 0, "database");
            let database = database.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(&database);
            let own = &context.shared.target.database;
            if !database.eq_ignore_ascii_case(own) {
                return Err(raise(format!("Cross-db references not allowed in {kind} ({database} vs {own})")));
            }
            Value::str("")
        }
        "warn_once" => {
            context.shared.warn_once(&format!("DuckDB adapter: {}", text_argument(&args, 0, "msg")));
            Value::str("")
        }
        "parse_index" => index(kind, argument(&args, 0, "raw_index").unwrap_or(Value::None), interpreter)?,
        "render_raw_columns_constraints" => {
            let columns = argument(&args, 0, "raw_columns").unwrap_or(Value::None);
            constraints::of_columns(context, interpreter, &columns)?
        }
        "render_raw_model_constraints" => {
            let raw = argument(&args, 0, "raw_constraints").unwrap_or(Value::None);
            constraints::of_model(context, interpreter, &raw)?
        }
        // Transactions are the worker's, and there is no relation cache to keep.
        "commit" | "cache_added" | "cache_dropped" | "cache_renamed" => Value::str(""),
        _ => Value::None,
    })
}

fn quote(identifier: &str) -> String {
    quote_identifier(identifier)
}

/// `adapter.dispatch('name', 'namespace')`: the best implementation of a macro.
fn dispatch(context: &Rc<Rendering>, args: &Args) -> Result<Value> {
    let name = text_argument(args, 0, "macro_name");
    if let Some((namespace, name)) = name.split_once('.') {
        return Err(raise(format!(
            "In adapter.dispatch, got a macro name of \"{namespace}.{name}\", but \".\" is not a valid macro name component. Did \
             you mean `adapter.dispatch(\"{name}\", macro_namespace=\"{namespace}\")`?"
        )));
    }
    if argument(args, 2, "packages").is_some_and(|packages| !packages.is_none()) {
        return Err(raise(format!(
            "The \"packages\" argument of adapter.dispatch() has been deprecated, see macro '{name}'"
        )));
    }
    let namespace = argument(args, 1, "macro_namespace").as_ref().and_then(text_of);
    let search = context.search();
    let mut attempts = Vec::new();
    for package in search.dispatch_order(namespace.as_deref(), &context.shared.dispatch) {
        for prefix in prefixes(context.shared.target.adapter_type) {
            let candidate = format!("{prefix}__{name}");
            context.note_lookup(&candidate);
            if let Some(entry) = search.in_package(package.as_deref(), &candidate) {
                return Ok(context.bind(entry));
            }
            attempts.push(match &package {
                Some(package) => format!("'{package}.{candidate}'"),
                None => format!("'{candidate}'"),
            });
        }
    }
    let namespace = namespace.as_deref().unwrap_or("None");
    Err(raise(format!(
        "In dispatch: No macro named '{name}' found within namespace: '{namespace}'\n    Searched for: {}",
        attempts.join(", ")
    )))
}

/// An entry of `indexes:`. Its name is a digest, stable for a relation so that a repeated build finds it again.
fn index(kind: AdapterType, raw: Value, interpreter: &mut Interpreter) -> Result<Value> {
    if raw.is_none() {
        return Ok(Value::None);
    }
    let columns =
        access::find_item(interpreter, &raw, &Value::str("columns"))?.unwrap_or_else(|| Value::list(Vec::new()));
    let unique = access::find_item(interpreter, &raw, &Value::str("unique"))?.is_some_and(|unique| unique.is_true());
    let method = access::find_item(interpreter, &raw, &Value::str("type"))?.unwrap_or(Value::None);
    let parts: Vec<String> =
        access::iterate(interpreter, &columns)?.iter().map(|column| column.to_str().to_string()).collect();
    let described = format!("{}{unique}{}", parts.join("_"), method.to_str());
    let render = Value::function("render", move |_, args| {
        let [relation] = args.exact("render")?;
        let name =
            relation.downcast::<RelationObject>().map_or_else(|| relation.to_str().to_string(), RelationObject::render);
        let digest = Md5::digest(format!("{described}{name}").as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Value::from(if kind == AdapterType::Duckdb { format!("__dbt_index_{hex}") } else { hex }))
    });
    Ok(Value::record([("columns", columns), ("unique", Value::Bool(unique)), ("type", method), ("render", render)]))
}

/// `adapter.behavior`: dbt's behaviour flags, off unless the project sets them.
struct Behavior {
    context: Weak<Rendering>,
}

impl Object for Behavior {
    fn type_name(&self) -> &'static str {
        "Behavior"
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        let set = context.shared.invocation.flags.get(name).and_then(common::Json::as_bool).unwrap_or(false);
        Ok(Some(Value::object(Flag(set))))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

struct Flag(bool);

impl Object for Flag {
    fn type_name(&self) -> &'static str {
        "BehaviorFlag"
    }

    fn is_true(&self) -> bool {
        self.0
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok(matches!(name, "no_warn" | "setting").then_some(Value::Bool(self.0)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

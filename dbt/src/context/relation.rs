//! Relations as templates see them: `this`, what `ref` and `source` give, `api.Relation`.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use common::relation::{Quoting, Relation, RelationType};
use common::target::AdapterType;

use super::arguments::{bool_of, text_of};
use crate::jinja::Interpreter;
use crate::jinja::error::{Error, ErrorKind, Result};
use crate::jinja::value::{Args, Object, Value};

/// A relation with dbt's rendering options. Immutable: methods give changed copies.
#[derive(Clone, Debug, PartialEq)]
pub struct RelationObject {
    pub relation: Relation,
    /// Which of database, schema and identifier are rendered.
    pub include: [bool; 3],
    /// `--empty` and sampling: rendered as a subquery.
    pub limit: Option<i64>,
    pub adapter: AdapterType,
    /// SQL that stands in for the name (external files on DuckDB).
    pub external: Option<String>,
    /// Rendered as a subquery with the rows of one batch.
    pub event_time: Option<EventTimeFilter>,
}

/// The rows of a batch, of a relation that has an event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTimeFilter {
    /// The column, quoted where it has to be.
    pub column: String,
    pub start: String,
    /// Exclusive.
    pub end: String,
}

const RENAMEABLE: [RelationType; 3] = [RelationType::Table, RelationType::View, RelationType::MaterializedView];
const REPLACEABLE: [RelationType; 2] = [RelationType::Table, RelationType::View];

impl RelationObject {
    pub fn new(relation: Relation, adapter: AdapterType) -> Self {
        Self { relation, include: [true; 3], limit: None, adapter, external: None, event_time: None }
    }

    /// What an ephemeral model is called in the SQL that uses it.
    pub fn ephemeral(identifier: &str, adapter: AdapterType) -> Self {
        let relation = Relation {
            database: None,
            schema: None,
            identifier: Some(format!("__dbt__cte__{identifier}")),
            relation_type: Some(RelationType::Cte),
            quoting: Quoting { identifier: false, ..Quoting::default() },
        };
        Self::new(relation, adapter)
    }

    pub fn into_value(self) -> Value {
        Value::object(self)
    }

    /// The relation of a template's argument: a relation object.
    pub fn of(value: &Value) -> Option<&Self> {
        value.downcast::<Self>()
    }

    pub fn render(&self) -> String {
        if let Some(external) = &self.external {
            return external.clone();
        }
        let shown = Relation {
            database: self.relation.database.clone().filter(|_| self.include[0]),
            schema: self.relation.schema.clone().filter(|_| self.include[1]),
            identifier: self.relation.identifier.clone().filter(|_| self.include[2]),
            ..self.relation.clone()
        };
        shown.render()
    }

    fn render_limited(&self) -> String {
        let name = self.render();
        let query = match self.limit {
            None => return name,
            Some(0) => format!("(select * from {name} where false limit 0)"),
            Some(limit) => format!("(select * from {name} limit {limit})"),
        };
        self.as_subquery(query, "limit")
    }

    /// With the alias that the warehouse wants.
    fn as_subquery(&self, query: String, purpose: &str) -> String {
        match (self.adapter, &self.relation.identifier) {
            (AdapterType::Postgres, Some(identifier)) => format!("{query} _dbt_{purpose}_subq_{identifier}"),
            _ => query,
        }
    }

    fn is(&self, relation_type: RelationType) -> Value {
        Value::Bool(self.relation.relation_type == Some(relation_type))
    }

    /// `include(schema=False)` and `quote(…)`: three optional flags.
    fn flags(args: Args, name: &str) -> Result<[Option<bool>; 3]> {
        let given = args.bind(name, ["database", "schema", "identifier"], 0)?;
        Ok(given.map(|value| value.as_ref().and_then(bool_of)))
    }

    fn with_path(&self, fields: &Value) -> Result<Self> {
        let Value::Dict(fields) = fields else {
            return Err(Error::new(ErrorKind::Type, "path must be a dict").into());
        };
        let mut changed = self.clone();
        for (key, value) in fields.borrow().iter() {
            changed.set_part(key.as_str().unwrap_or_default(), value);
        }
        Ok(changed)
    }

    fn set_part(&mut self, part: &str, value: &Value) {
        let text = text_of(value);
        match part {
            "database" => self.relation.database = text,
            "schema" => self.relation.schema = text,
            "identifier" => self.relation.identifier = text,
            _ => {}
        }
    }

    fn incorporate(&self, args: Args) -> Result<Self> {
        let mut changed = self.clone();
        for (name, value) in args.keyword {
            match &*name {
                "path" => changed = changed.with_path(&value)?,
                "type" => changed.relation.relation_type = relation_type(&value)?,
                "quote_policy" => apply_policy(&mut changed.relation.quoting, &value),
                "include_policy" => {
                    if let Value::Dict(policy) = &value {
                        for (index, part) in ["database", "schema", "identifier"].iter().enumerate() {
                            if let Some(flag) = policy.borrow().get(*part).and_then(bool_of) {
                                changed.include[index] = flag;
                            }
                        }
                    }
                }
                "limit" => changed.limit = value.as_int(),
                _ => changed.set_part(&name, &value),
            }
        }
        Ok(changed)
    }
}

/// Overrides the parts of `quoting` that the dict `policy` names.
pub fn apply_policy(quoting: &mut Quoting, policy: &Value) {
    let Value::Dict(policy) = policy else { return };
    let policy = policy.borrow();
    let flag = |part: &str| policy.get(part).and_then(bool_of);
    quoting.database = flag("database").unwrap_or(quoting.database);
    quoting.schema = flag("schema").unwrap_or(quoting.schema);
    quoting.identifier = flag("identifier").unwrap_or(quoting.identifier);
}

/// The relation type a template names; `None` for `none`.
pub fn relation_type(value: &Value) -> Result<Option<RelationType>> {
    let Some(name) = text_of(value) else { return Ok(None) };
    let found = match name.as_str() {
        "table" => RelationType::Table,
        "view" => RelationType::View,
        "cte" => RelationType::Cte,
        "materialized_view" => RelationType::MaterializedView,
        "external" => RelationType::External,
        _ => {
            let message = format!("'{name}' is not a valid relation type");
            return Err(Error::new(ErrorKind::Compiler, message).into());
        }
    };
    Ok(Some(found))
}

impl Object for RelationObject {
    fn type_name(&self) -> &'static str {
        match self.adapter {
            AdapterType::Duckdb => "DuckDBRelation",
            AdapterType::Postgres => "PostgresRelation",
        }
    }

    fn to_str(&self) -> String {
        let limited = self.render_limited();
        let Some(EventTimeFilter { column, start, end }) = &self.event_time else { return limited };
        let query = format!("(select * from {limited} where {column} >= '{start}' and {column} < '{end}')");
        self.as_subquery(query, "et_filter")
    }

    fn to_repr(&self) -> String {
        format!("<{} {}>", self.type_name(), self.render())
    }

    /// dbt's relations are mappings by type, although they refuse to be read as one; packages tell relations by it.
    fn is_mapping(&self) -> bool {
        true
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let text = |text: &Option<String>| Value::from(text.as_deref());
        let kind = self.relation.relation_type;
        Ok(Some(match name {
            "database" => text(&self.relation.database),
            "schema" => text(&self.relation.schema),
            "identifier" | "name" | "table" => text(&self.relation.identifier),
            "type" => Value::from(kind.map(RelationType::as_str)),
            "is_table" => self.is(RelationType::Table),
            "is_view" => self.is(RelationType::View),
            "is_cte" => self.is(RelationType::Cte),
            "is_materialized_view" => self.is(RelationType::MaterializedView),
            "is_function" | "is_pointer" => Value::Bool(false),
            "can_be_renamed" => Value::Bool(
                self.adapter == AdapterType::Postgres && kind.is_some_and(|kind| RENAMEABLE.contains(&kind)),
            ),
            "can_be_replaced" => Value::Bool(
                self.adapter == AdapterType::Postgres && kind.is_some_and(|kind| REPLACEABLE.contains(&kind)),
            ),
            "limit" => Value::from(self.limit),
            "quote_character" => Value::str("\""),
            "path" => Value::record([
                ("database", text(&self.relation.database)),
                ("schema", text(&self.relation.schema)),
                ("identifier", text(&self.relation.identifier)),
            ]),
            "quote_policy" => {
                policy([self.relation.quoting.database, self.relation.quoting.schema, self.relation.quoting.identifier])
            }
            "include_policy" => policy(self.include),
            method if METHODS.contains(&method) => {
                let method: Rc<str> = method.into();
                Value::function("relation method", move |interpreter, args| {
                    self.clone().call_method(interpreter, &method, args)
                })
            }
            _ => return Ok(factory_attribute(name, self.adapter)),
        }))
    }

    fn call_method(self: Rc<Self>, interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        let mut changed = (*self).clone();
        match name {
            "render" => return Ok(Value::from(self.render())),
            "include" => {
                for (index, flag) in Self::flags(args, name)?.into_iter().enumerate() {
                    changed.include[index] = flag.unwrap_or(changed.include[index]);
                }
            }
            "quote" => {
                let [database, schema, identifier] = Self::flags(args, name)?;
                let quoting = &mut changed.relation.quoting;
                quoting.database = database.unwrap_or(quoting.database);
                quoting.schema = schema.unwrap_or(quoting.schema);
                quoting.identifier = identifier.unwrap_or(quoting.identifier);
            }
            "incorporate" | "replace" => changed = self.incorporate(args)?,
            "replace_path" => {
                for (part, value) in args.keyword {
                    changed.set_part(&part, &value);
                }
            }
            "without_identifier" => {
                changed.include[2] = false;
                changed.relation.identifier = None;
            }
            "information_schema" | "information_schema_only" => {
                let [view] = args.bind(name, ["view_name"], 0)?;
                let view = view.as_ref().and_then(text_of);
                return Ok(Value::object(InformationSchema {
                    database: self.relation.database.clone(),
                    quoted: self.relation.quoting.database,
                    view,
                }));
            }
            "relation_max_name_length" => return Ok(Value::Int(63)),
            "quoted" => {
                let [identifier] = args.exact("quoted")?;
                return Ok(Value::from(format!("\"{}\"", identifier.to_str())));
            }
            "matches" => {
                let given = args.bind(name, ["database", "schema", "identifier"], 0)?;
                let own = [&self.relation.database, &self.relation.schema, &self.relation.identifier];
                let same = given.iter().zip(own).all(|(given, own)| match given.as_ref().and_then(text_of) {
                    Some(given) => own.as_deref() == Some(given.as_str()),
                    None => true,
                });
                return Ok(Value::Bool(same));
            }
            "get" => {
                let [key, default] = args.bind(name, ["key", "default"], 1)?;
                let key = key.and_then(|key| text_of(&key)).unwrap_or_default();
                if key == "metadata" {
                    return Ok(Value::record([("type", Value::str(self.type_name()))]));
                }
                return Ok(self.get_attr(interpreter, &key)?.or(default).unwrap_or(Value::None));
            }
            _ => {
                return match factory_method(name, self.adapter, Quoting::default(), args)? {
                    Some(value) => Ok(value),
                    None => {
                        let message = format!("'{} object' has no attribute '{name}'", self.type_name());
                        Err(Error::new(ErrorKind::Undefined, message).into())
                    }
                };
            }
        }
        Ok(changed.into_value())
    }

    fn get_item(self: Rc<Self>, interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        match key.as_str() {
            Some(name) => self.get_attr(interpreter, name),
            None => Ok(None),
        }
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self == other)
    }

    fn hash_key(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.render().hash(&mut hasher);
        Some(hasher.finish())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

const METHODS: [&str; 13] = [
    "render",
    "include",
    "quote",
    "incorporate",
    "replace",
    "replace_path",
    "without_identifier",
    "information_schema",
    "information_schema_only",
    "relation_max_name_length",
    "quoted",
    "matches",
    "get",
];

fn policy(flags: [bool; 3]) -> Value {
    Value::record(["database", "schema", "identifier"].into_iter().zip(flags.map(Value::Bool)))
}

/// `api.Relation`: the class of relations.
pub struct RelationClass {
    pub adapter: AdapterType,
    /// The project's quoting.
    pub quoting: Quoting,
}

const FACTORY_METHODS: [&str; 4] = ["create", "scd_args", "add_ephemeral_prefix", "get_relation_type"];

fn factory_attribute(name: &str, adapter: AdapterType) -> Option<Value> {
    Some(match name {
        "Table" => Value::str("table"),
        "View" => Value::str("view"),
        "CTE" => Value::str("cte"),
        "External" => Value::str("external"),
        "MaterializedView" => Value::str("materialized_view"),
        method if FACTORY_METHODS.contains(&method) => {
            let method: Rc<str> = method.into();
            Value::function("relation method", move |_, args| {
                Ok(factory_method(&method, adapter, Quoting::default(), args)?.unwrap_or(Value::None))
            })
        }
        _ => return None,
    })
}

fn factory_method(name: &str, adapter: AdapterType, quoting: Quoting, args: Args) -> Result<Option<Value>> {
    Ok(Some(match name {
        "create" => create(adapter, quoting, args)?,
        "scd_args" => {
            let [key, updated_at] =
                args.bind(name, ["primary_key", "updated_at"], 2)?.map(|value| value.unwrap_or(Value::None));
            let mut items = match &key {
                Value::List(keys) => keys.borrow().clone(),
                _ => vec![key],
            };
            items.push(updated_at);
            Value::list(items)
        }
        "add_ephemeral_prefix" => {
            let [name] = args.exact("add_ephemeral_prefix")?;
            Value::from(format!("__dbt__cte__{}", name.to_str()))
        }
        "get_relation_type" => {
            let [name] = args.exact("get_relation_type")?;
            Value::from(relation_type(&name)?.map(RelationType::as_str))
        }
        _ => return Ok(None),
    }))
}

fn create(adapter: AdapterType, quoting: Quoting, args: Args) -> Result<Value> {
    let mut positional = args.positional.into_iter();
    let mut named: Vec<(Rc<str>, Value)> =
        ["database", "schema", "identifier", "type"].into_iter().map(Rc::from).zip(positional.by_ref()).collect();
    named.extend(args.keyword);
    let relation = Relation { database: None, schema: None, identifier: None, relation_type: None, quoting };
    let empty = RelationObject::new(relation, adapter);
    Ok(empty.incorporate(Args { positional: Vec::new(), keyword: named })?.into_value())
}

impl Object for RelationClass {
    fn type_name(&self) -> &'static str {
        "RelationProxy"
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        if name == "create" {
            return Ok(Some(Value::function("create", move |_, args| create(self.adapter, self.quoting, args))));
        }
        Ok(factory_attribute(name, self.adapter))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A view of a database's information schema.
pub struct InformationSchema {
    database: Option<String>,
    quoted: bool,
    view: Option<String>,
}

impl Object for InformationSchema {
    fn type_name(&self) -> &'static str {
        "InformationSchema"
    }

    fn to_str(&self) -> String {
        let database =
            self.database.as_ref().map(|name| if self.quoted { format!("\"{name}\"") } else { name.clone() });
        let parts = [database, Some("INFORMATION_SCHEMA".to_owned()), self.view.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(".")
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok(Some(match name {
            "database" => Value::from(self.database.as_deref()),
            "schema" => Value::None,
            "identifier" | "name" | "table" => Value::str("INFORMATION_SCHEMA"),
            "information_schema_view" => Value::from(self.view.as_deref()),
            "render" => Value::function("render", move |_, _| Ok(Value::from(self.to_str()))),
            "replace" | "incorporate" => Value::function("replace", move |_, mut args| {
                let view = args.take_keyword("information_schema_view").and_then(|view| text_of(&view));
                let view = view.or_else(|| self.view.clone());
                Ok(Value::object(Self { database: self.database.clone(), quoted: self.quoted, view }))
            }),
            _ => return Ok(None),
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> RelationObject {
        RelationObject::new(Relation::new("db", "sch", "tbl"), AdapterType::Postgres)
    }

    #[test]
    fn renders_included_and_quoted_parts() {
        let mut relation = object();
        assert_eq!(relation.to_str(), "\"db\".\"sch\".\"tbl\"");
        relation.include[0] = false;
        relation.relation.quoting.schema = false;
        assert_eq!(relation.to_str(), "sch.\"tbl\"");
    }

    #[test]
    fn an_empty_run_selects_no_rows() {
        let limited = RelationObject { limit: Some(0), ..object() };
        assert_eq!(limited.to_str(), "(select * from \"db\".\"sch\".\"tbl\" where false limit 0) _dbt_limit_subq_tbl");
        let duckdb = RelationObject { adapter: AdapterType::Duckdb, ..limited };
        assert_eq!(duckdb.to_str(), "(select * from \"db\".\"sch\".\"tbl\" where false limit 0)");
        assert_eq!(duckdb.render(), "\"db\".\"sch\".\"tbl\"");
    }

    #[test]
    fn a_batch_selects_its_rows() {
        let filter = EventTimeFilter { column: "at".to_owned(), start: "a".to_owned(), end: "b".to_owned() };
        let filtered = RelationObject { event_time: Some(filter), limit: Some(0), ..object() };
        let limited = "(select * from \"db\".\"sch\".\"tbl\" where false limit 0) _dbt_limit_subq_tbl";
        let expected = format!("(select * from {limited} where at >= 'a' and at < 'b') _dbt_et_filter_subq_tbl");
        assert_eq!(filtered.to_str(), expected);
        assert_eq!(filtered.render(), "\"db\".\"sch\".\"tbl\"");
    }

    #[test]
    fn ephemeral_models_are_named_bare() {
        assert_eq!(RelationObject::ephemeral("stg", AdapterType::Duckdb).to_str(), "__dbt__cte__stg");
    }

    #[test]
    fn information_schema_of_a_database() {
        let view = InformationSchema { database: Some("db".into()), quoted: true, view: Some("columns".into()) };
        assert_eq!(view.to_str(), "\"db\".INFORMATION_SCHEMA.columns");
    }
}

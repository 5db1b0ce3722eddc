//! Columns as templates see them: `adapter.get_columns_in_relation`, `api.Column`.

use std::any::Any;
use std::rc::Rc;

use common::target::AdapterType;

use super::arguments::text_of;
use crate::jinja::Interpreter;
use crate::jinja::error::{Error, ErrorKind, Result};
use crate::jinja::value::{Args, Object, Value};

/// A column with its type taken apart as far as the warehouse tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnObject {
    pub name: String,
    pub dtype: String,
    pub char_size: Option<i64>,
    pub numeric_precision: Option<i64>,
    pub numeric_scale: Option<i64>,
    pub adapter: AdapterType,
}

const STRINGS: &[&str] = &["text", "character varying", "character", "varchar"];
const NUMERICS: &[&str] = &["numeric", "decimal"];
const FLOATS: &[&str] = &["real", "float4", "float", "double precision", "float8", "double"];
const DUCKDB_FLOATS: &[&str] = &["real", "float", "float4", "float8", "double"];
const INTEGERS: &[&str] = &[
    "smallint",
    "integer",
    "bigint",
    "smallserial",
    "serial",
    "bigserial",
    "int2",
    "int4",
    "int8",
    "serial2",
    "serial4",
    "serial8",
];
const DUCKDB_INTEGERS: &[&str] = &[
    "tinyint",
    "smallint",
    "integer",
    "bigint",
    "hugeint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
    "int1",
    "int2",
    "int4",
    "int8",
    "short",
    "int",
    "signed",
    "long",
];

impl ColumnObject {
    pub fn new(name: impl Into<String>, dtype: impl Into<String>, adapter: AdapterType) -> Self {
        let (name, dtype) = (name.into(), dtype.into());
        Self { name, dtype, char_size: None, numeric_precision: None, numeric_scale: None, adapter }
    }

    /// From a warehouse's own words. PostgreSQL's information schema keeps sizes apart from the name; DuckDB's types are one
    /// text.
    pub fn from_warehouse(column: &common::table::Column, adapter: AdapterType) -> Self {
        match adapter {
            AdapterType::Duckdb => Self::new(&column.name, &column.data_type, adapter),
            AdapterType::Postgres => Self::from_description(&column.name, &column.data_type, adapter),
        }
    }

    /// Takes `numeric(10,2)` apart. A type whose parenthesis is not its end stays whole.
    pub fn from_description(name: &str, data_type: &str, adapter: AdapterType) -> Self {
        let mut column = Self::new(name, data_type, adapter);
        let Some((base, size)) = data_type.strip_suffix(')').and_then(|text| text.split_once('(')) else {
            return column;
        };
        let sizes: Option<Vec<i64>> = size.split(',').map(|part| part.trim().parse().ok()).collect();
        match sizes.as_deref() {
            Some([size]) => column.char_size = Some(*size),
            Some([precision, scale]) => {
                column.numeric_precision = Some(*precision);
                column.numeric_scale = Some(*scale);
            }
            _ => return column,
        }
        column.dtype = base.trim().to_owned();
        column
    }

    pub fn into_value(self) -> Value {
        Value::object(self)
    }

    fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.dtype.to_lowercase().as_str())
    }

    fn is_string(&self) -> bool {
        self.is_one_of(STRINGS)
    }

    fn is_numeric(&self) -> bool {
        self.is_one_of(NUMERICS)
    }

    fn is_float(&self) -> bool {
        self.is_one_of(if self.adapter == AdapterType::Duckdb { DUCKDB_FLOATS } else { FLOATS })
    }

    fn is_integer(&self) -> bool {
        self.is_one_of(if self.adapter == AdapterType::Duckdb { DUCKDB_INTEGERS } else { INTEGERS })
    }

    fn string_size(&self) -> Result<i64> {
        if !self.is_string() {
            return Err(Error::new(ErrorKind::Compiler, "Called string_size() on non-string field!").into());
        }
        Ok(if self.dtype == "text" { 256 } else { self.char_size.unwrap_or(256) })
    }

    pub fn data_type(&self) -> String {
        let bare_text = self.adapter == AdapterType::Postgres
            && (self.dtype.eq_ignore_ascii_case("text")
                || self.dtype.eq_ignore_ascii_case("character varying") && self.char_size.is_none());
        if bare_text {
            self.dtype.clone()
        } else if self.is_string() {
            string_type(if self.dtype == "text" { 256 } else { self.char_size.unwrap_or(256) })
        } else if self.is_numeric() {
            numeric_type(&self.dtype, self.numeric_precision, self.numeric_scale)
        } else {
            self.dtype.clone()
        }
    }

    /// Whether a value of `other` needs this column to be made wider, and that is possible.
    pub fn can_grow_to(&self, other: &Self) -> bool {
        matches!((self.string_size(), other.string_size()), (Ok(own), Ok(other)) if other > own)
    }

    fn can_expand_to(&self, other: &Self) -> Result<bool> {
        Ok(self.is_string() && other.is_string() && other.string_size()? > self.string_size()?)
    }

    fn method(&self, name: &str, args: Args) -> Result<Option<Value>> {
        Ok(Some(match name {
            "is_string" => Value::Bool(self.is_string()),
            "is_number" => Value::Bool(self.is_integer() || self.is_numeric() || self.is_float()),
            "is_float" => Value::Bool(self.is_float()),
            "is_integer" => Value::Bool(self.is_integer()),
            "is_numeric" => Value::Bool(self.is_numeric()),
            "is_struct" if self.adapter == AdapterType::Duckdb => {
                Value::Bool(self.dtype.to_lowercase().starts_with("struct"))
            }
            "string_size" => Value::Int(self.string_size()?),
            "can_expand_to" => {
                let [other] = args.bind(name, ["other_column"], 1)?;
                match other.as_ref().and_then(|other| other.downcast::<Self>()) {
                    Some(other) => Value::Bool(self.can_expand_to(other)?),
                    None => return Err(Error::new(ErrorKind::Type, "can_expand_to() wants a column").into()),
                }
            }
            "literal" => {
                let [value] = args.exact("literal")?;
                Value::from(format!("{}::{}", value.to_str(), self.data_type()))
            }
            _ => return class_method(name, self.adapter, args),
        }))
    }
}

fn string_type(size: i64) -> String {
    format!("character varying({size})")
}

fn numeric_type(dtype: &str, precision: Option<i64>, scale: Option<i64>) -> String {
    match (precision, scale) {
        (Some(precision), Some(scale)) => format!("{dtype}({precision},{scale})"),
        _ => dtype.to_owned(),
    }
}

const METHODS: &[&str] = &[
    "is_string",
    "is_number",
    "is_float",
    "is_integer",
    "is_numeric",
    "is_struct",
    "string_size",
    "can_expand_to",
    "literal",
];
const CLASS_METHODS: &[&str] = &["translate_type", "create", "string_type", "numeric_type", "from_description"];

fn class_method(name: &str, adapter: AdapterType, args: Args) -> Result<Option<Value>> {
    Ok(Some(match name {
        "translate_type" => {
            let [dtype] = args.bind(name, ["dtype"], 1)?;
            translate_type(&dtype.unwrap_or(Value::None).to_str()).into()
        }
        "create" => {
            let [column, dtype] =
                args.bind(name, ["name", "label_or_dtype"], 2)?.map(|value| value.unwrap_or(Value::None));
            ColumnObject::new(&*column.to_str(), translate_type(&dtype.to_str()), adapter).into_value()
        }
        "string_type" => {
            let [size] = args.bind(name, ["size"], 1)?;
            Value::from(format!("character varying({})", size.unwrap_or(Value::None).to_str()))
        }
        "numeric_type" => {
            let [dtype, precision, scale] =
                args.bind(name, ["dtype", "precision", "scale"], 3)?.map(|value| value.unwrap_or(Value::None));
            if precision.is_none() || scale.is_none() {
                dtype
            } else {
                Value::from(format!("{}({},{})", dtype.to_str(), precision.to_str(), scale.to_str()))
            }
        }
        "from_description" => {
            let [column, dtype] =
                args.bind(name, ["name", "raw_data_type"], 2)?.map(|value| value.unwrap_or(Value::None));
            ColumnObject::from_description(&column.to_str(), &dtype.to_str(), adapter).into_value()
        }
        _ => return Ok(None),
    }))
}

/// dbt's `STRING` is `TEXT`; every other name is the warehouse's own.
fn translate_type(dtype: &str) -> String {
    if dtype.eq_ignore_ascii_case("string") { "TEXT".to_owned() } else { dtype.to_owned() }
}

impl Object for ColumnObject {
    fn type_name(&self) -> &'static str {
        match self.adapter {
            AdapterType::Duckdb => "DuckDBColumn",
            AdapterType::Postgres => "PostgresColumn",
        }
    }

    fn to_str(&self) -> String {
        format!("<{} {} ({})>", self.type_name(), self.name, self.data_type())
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok(Some(match name {
            "name" | "column" => Value::str(self.name.as_str()),
            "quoted" => Value::from(format!("\"{}\"", self.name)),
            "dtype" => Value::str(self.dtype.as_str()),
            "data_type" | "expanded_data_type" => Value::from(self.data_type()),
            "char_size" => Value::from(self.char_size),
            "numeric_precision" => Value::from(self.numeric_precision),
            "numeric_scale" => Value::from(self.numeric_scale),
            method if METHODS.contains(&method) || CLASS_METHODS.contains(&method) => {
                let method: Rc<str> = method.into();
                Value::function("column method", move |_, args| Ok(self.method(&method, args)?.unwrap_or(Value::None)))
            }
            _ => return Ok(None),
        }))
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>().is_some_and(|other| self == other)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `api.Column`: the class of columns.
pub struct ColumnClass(pub AdapterType);

impl Object for ColumnClass {
    fn type_name(&self) -> &'static str {
        "type"
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        if !CLASS_METHODS.contains(&name) {
            return Ok(None);
        }
        let method: Rc<str> = name.into();
        Ok(Some(Value::function("column method", move |_, args| {
            Ok(class_method(&method, self.0, args)?.unwrap_or(Value::None))
        })))
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, _interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        let names = ["column", "dtype", "char_size", "numeric_precision", "numeric_scale"];
        let [column, dtype, size, precision, scale] = args.bind("Column", names, 2)?;
        let number = |value: Option<Value>| value.as_ref().and_then(text_of).and_then(|text| text.parse().ok());
        let text = |value: Option<Value>| value.as_ref().and_then(text_of).unwrap_or_default();
        Ok(ColumnObject {
            name: text(column),
            dtype: text(dtype),
            char_size: number(size),
            numeric_precision: number(precision),
            numeric_scale: number(scale),
            adapter: self.0,
        }
        .into_value())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(data_type: &str) -> ColumnObject {
        ColumnObject::from_description("c", data_type, AdapterType::Postgres)
    }

    #[test]
    fn types_are_taken_apart_and_put_together() {
        assert_eq!(postgres("numeric(10,2)").data_type(), "numeric(10,2)");
        assert_eq!(postgres("numeric(10,2)").dtype, "numeric");
        assert_eq!(postgres("character varying(20)").char_size, Some(20));
        assert_eq!(postgres("character varying").data_type(), "character varying");
        assert_eq!(postgres("timestamp(3) without time zone").data_type(), "timestamp(3) without time zone");
        assert_eq!(ColumnObject::new("c", "VARCHAR", AdapterType::Duckdb).data_type(), "character varying(256)");
        assert_eq!(ColumnObject::new("c", "DECIMAL(18,3)", AdapterType::Duckdb).data_type(), "DECIMAL(18,3)");
    }
}

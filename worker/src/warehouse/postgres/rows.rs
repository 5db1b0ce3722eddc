//! Rows as the server prints them, read by the type of their column.

use common::table::{Column, Datum};
use postgres::types::{Kind, Type};

/// The type's name as `format_type` spells it, without a modifier.
pub(super) fn type_name(t: &Type) -> String {
    if let Kind::Array(element) = t.kind() {
        return format!("{}[]", type_name(element));
    }
    match t.name() {
        "bool" => "boolean",
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "varchar" => "character varying",
        "bpchar" => "character",
        "time" => "time without time zone",
        "timetz" => "time with time zone",
        "timestamp" => "timestamp without time zone",
        "timestamptz" => "timestamp with time zone",
        "bit" => "bit",
        "varbit" => "bit varying",
        other => other,
    }
    .to_owned()
}

pub(super) fn columns(described: &[postgres::Column]) -> Vec<Column> {
    described
        .iter()
        .map(|column| Column { name: column.name().to_owned(), data_type: type_name(column.type_()) })
        .collect()
}

/// `text` is the server's own output for a value of type `t`, with dates in ISO style.
pub(super) fn datum(t: &Type, text: Option<&str>) -> Datum {
    let Some(text) = text else { return Datum::Null };
    let owned = || text.to_owned();
    let base = if let Kind::Domain(base) = t.kind() { base } else { t };
    match base.name() {
        "bool" => Datum::Bool(text == "t"),
        "int2" | "int4" | "int8" | "oid" => text.parse().map_or_else(|_| Datum::Decimal(owned()), Datum::Int),
        "float4" | "float8" => text.parse().map_or_else(|_| Datum::Other(owned()), Datum::Float),
        "numeric" => Datum::Decimal(owned()),
        "text" | "varchar" | "bpchar" | "name" | "char" | "unknown" | "citext" => Datum::Text(owned()),
        "bytea" => bytes(text).map_or_else(|| Datum::Other(owned()), Datum::Bytes),
        "date" => Datum::Date(owned()),
        "time" | "timetz" => Datum::Time(owned()),
        "timestamp" | "timestamptz" => Datum::Timestamp(owned()),
        _ if matches!(base.kind(), Kind::Enum(_)) => Datum::Text(owned()),
        _ => Datum::Other(owned()),
    }
}

/// `\x0aff`
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let [high, low] = <[u8; 2]>::try_from(pair).ok()?;
            u8::try_from(digit(high)? * 16 + digit(low)?).ok()
        })
        .collect()
}

//! Rows that a warehouse returned, in types both warehouses and templates understand.

use serde::{Deserialize, Serialize};

/// One cell. Numbers that do not fit a machine type, and types that SQL knows and Rust does not, travel as their SQL text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Datum {
    Null,
    Bool(bool),
    Int(i64),
    /// `double` and `real`.
    Float(f64),
    /// Exact numbers (`decimal`, `numeric`, `hugeint`) as decimal text.
    Decimal(String),
    Text(String),
    Bytes(Vec<u8>),
    /// ISO text, `2024-05-01`.
    Date(String),
    /// ISO text, `12:30:00.123456`.
    Time(String),
    /// ISO text, `2024-05-01 12:30:00.123456`, with an offset where the type has a time zone.
    Timestamp(String),
    /// Anything else (intervals, lists, structs, …) as the warehouse prints it.
    Other(String),
}

/// A column of a result or of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// The type as the warehouse names it, e.g. `character varying(20)` or `DECIMAL(18,3)`.
    pub data_type: String,
}

/// A whole result, in memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Datum>>,
}

/// dbt's `AdapterResponse`: what the warehouse says of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Shown in the console between `OK` and `in`: `SELECT 100`, `CREATE VIEW`, `OK`.
    pub message: String,
    /// `SELECT`, `INSERT`, … where the warehouse tells it.
    pub code: Option<String>,
    pub rows_affected: Option<i64>,
}

//! The type of a column, read once from the library into a plain tree.

use std::ffi::{CStr, c_char, c_void};

use super::ffi;
use super::library::Library;

/// How a value is stored in a vector, and how its type is spelled in SQL.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ValueType {
    Boolean,
    TinyInt,
    SmallInt,
    Integer,
    BigInt,
    UTinyInt,
    USmallInt,
    UInteger,
    UBigInt,
    HugeInt,
    UHugeInt,
    Float,
    Double,
    Date,
    Time,
    TimeNs,
    TimeTz,
    Timestamp,
    TimestampS,
    TimestampMs,
    TimestampNs,
    TimestampTz,
    Interval,
    Varchar,
    /// A VARCHAR under another name, such as JSON.
    Alias(String),
    Blob,
    Bit,
    Uuid,
    Decimal {
        width: u8,
        scale: u8,
        storage: Storage,
    },
    Enum {
        labels: Vec<String>,
        storage: Storage,
    },
    List(Box<ValueType>),
    Array(Box<ValueType>, u64),
    Map(Box<ValueType>, Box<ValueType>),
    Struct(Vec<(String, ValueType)>),
    Union(Vec<(String, ValueType)>),
    Null,
    /// A type this program does not decode, with the library's number for it.
    Unknown(u32),
}

/// The integer that holds a decimal or an enum's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    One,
    Two,
    Four,
    Eight,
    Sixteen,
}

impl Storage {
    fn of(type_id: u32) -> Self {
        match type_id {
            2 | 6 => Self::One,
            3 | 7 => Self::Two,
            4 | 8 => Self::Four,
            5 | 9 => Self::Eight,
            _ => Self::Sixteen,
        }
    }
}

/// Destroys the logical type it holds.
struct Handle<'a> {
    library: &'a Library,
    raw: ffi::LogicalType,
}

impl Drop for Handle<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from the library, is owned by this value and destroyed once.
        unsafe { (self.library.symbols.duckdb_destroy_logical_type)(&mut self.raw) }
    }
}

impl ValueType {
    /// Takes ownership of `raw`.
    pub(super) fn read(library: &Library, raw: ffi::LogicalType) -> Self {
        let handle = Handle { library, raw };
        let s = &library.symbols;
        // SAFETY: `handle.raw` is a live logical type; each function below is called on the kind of type it is for, as `id` says;
        // child types it returns are owned by the caller and passed on to `read`, which destroys them.
        unsafe {
            match (s.duckdb_get_type_id)(handle.raw) {
                1 => Self::Boolean,
                2 => Self::TinyInt,
                3 => Self::SmallInt,
                4 => Self::Integer,
                5 => Self::BigInt,
                6 => Self::UTinyInt,
                7 => Self::USmallInt,
                8 => Self::UInteger,
                9 => Self::UBigInt,
                10 => Self::Float,
                11 => Self::Double,
                12 => Self::Timestamp,
                13 => Self::Date,
                14 => Self::Time,
                15 => Self::Interval,
                16 => Self::HugeInt,
                17 => match take_text(library, (s.duckdb_logical_type_get_alias)(handle.raw)) {
                    Some(alias) => Self::Alias(alias),
                    None => Self::Varchar,
                },
                18 => Self::Blob,
                19 => Self::Decimal {
                    width: (s.duckdb_decimal_width)(handle.raw),
                    scale: (s.duckdb_decimal_scale)(handle.raw),
                    storage: Storage::of((s.duckdb_decimal_internal_type)(handle.raw)),
                },
                20 => Self::TimestampS,
                21 => Self::TimestampMs,
                22 => Self::TimestampNs,
                23 => Self::Enum {
                    labels: (0..u64::from((s.duckdb_enum_dictionary_size)(handle.raw)))
                        .map(|i| {
                            take_text(library, (s.duckdb_enum_dictionary_value)(handle.raw, i)).unwrap_or_default()
                        })
                        .collect(),
                    storage: Storage::of((s.duckdb_enum_internal_type)(handle.raw)),
                },
                24 => Self::List(Box::new(Self::read(library, (s.duckdb_list_type_child_type)(handle.raw)))),
                25 => Self::Struct(
                    (0..(s.duckdb_struct_type_child_count)(handle.raw))
                        .map(|i| {
                            let name = take_text(library, (s.duckdb_struct_type_child_name)(handle.raw, i));
                            let child = (s.duckdb_struct_type_child_type)(handle.raw, i);
                            (name.unwrap_or_default(), Self::read(library, child))
                        })
                        .collect(),
                ),
                26 => Self::Map(
                    Box::new(Self::read(library, (s.duckdb_map_type_key_type)(handle.raw))),
                    Box::new(Self::read(library, (s.duckdb_map_type_value_type)(handle.raw))),
                ),
                27 => Self::Uuid,
                28 => Self::Union(
                    (0..(s.duckdb_union_type_member_count)(handle.raw))
                        .map(|i| {
                            let name = take_text(library, (s.duckdb_union_type_member_name)(handle.raw, i));
                            let child = (s.duckdb_union_type_member_type)(handle.raw, i);
                            (name.unwrap_or_default(), Self::read(library, child))
                        })
                        .collect(),
                ),
                29 => Self::Bit,
                30 => Self::TimeTz,
                31 => Self::TimestampTz,
                32 => Self::UHugeInt,
                33 => Self::Array(
                    Box::new(Self::read(library, (s.duckdb_array_type_child_type)(handle.raw))),
                    (s.duckdb_array_type_array_size)(handle.raw),
                ),
                36 => Self::Null,
                39 => Self::TimeNs,
                other => Self::Unknown(other),
            }
        }
    }

    /// As DuckDB spells it: `DECIMAL(18,3)`, `INTEGER[]`, `STRUCT(a INTEGER)`.
    pub(super) fn sql(&self) -> String {
        let fields = |members: &[(String, ValueType)]| {
            let fields: Vec<_> = members.iter().map(|(name, t)| format!("{} {}", field_name(name), t.sql())).collect();
            fields.join(", ")
        };
        let fixed = match self {
            Self::Boolean => "BOOLEAN",
            Self::TinyInt => "TINYINT",
            Self::SmallInt => "SMALLINT",
            Self::Integer => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::UTinyInt => "UTINYINT",
            Self::USmallInt => "USMALLINT",
            Self::UInteger => "UINTEGER",
            Self::UBigInt => "UBIGINT",
            Self::HugeInt => "HUGEINT",
            Self::UHugeInt => "UHUGEINT",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::TimeNs => "TIME_NS",
            Self::TimeTz => "TIME WITH TIME ZONE",
            Self::Timestamp => "TIMESTAMP",
            Self::TimestampS => "TIMESTAMP_S",
            Self::TimestampMs => "TIMESTAMP_MS",
            Self::TimestampNs => "TIMESTAMP_NS",
            Self::TimestampTz => "TIMESTAMP WITH TIME ZONE",
            Self::Interval => "INTERVAL",
            Self::Varchar => "VARCHAR",
            Self::Blob => "BLOB",
            Self::Bit => "BIT",
            Self::Uuid => "UUID",
            Self::Null => "\"NULL\"",
            Self::Alias(name) => return name.clone(),
            Self::Decimal { width, scale, .. } => return format!("DECIMAL({width},{scale})"),
            Self::Enum { labels, .. } => {
                let labels: Vec<_> = labels.iter().map(|label| common::relation::quote_literal(label)).collect();
                return format!("ENUM({})", labels.join(", "));
            }
            Self::List(child) => return format!("{}[]", child.sql()),
            Self::Array(child, size) => return format!("{}[{size}]", child.sql()),
            Self::Map(key, value) => return format!("MAP({}, {})", key.sql(), value.sql()),
            Self::Struct(members) => return format!("STRUCT({})", fields(members)),
            Self::Union(members) => return format!("UNION({})", fields(members)),
            Self::Unknown(id) => return format!("type number {id}"),
        };
        fixed.to_owned()
    }
}

/// DuckDB quotes a field's name only where it must.
fn field_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { common::relation::quote_identifier(name) }
}

/// Copies a string that the library allocated, and frees it.
fn take_text(library: &Library, raw: *mut c_char) -> Option<String> {
    if raw.is_null() {
        return None;
    }
    // SAFETY: not null, ends with NUL, allocated by the library for the caller to free once.
    unsafe {
        let text = CStr::from_ptr(raw).to_string_lossy().into_owned();
        (library.symbols.duckdb_free)(raw.cast::<c_void>());
        Some(text)
    }
}

//! The part of DuckDB's C API that Kontiki calls, resolved at run time.
//!
//! Nothing here is safe by itself: the modules beside this one own the handles and keep the rules of `duckdb.h` (each handle
//! destroyed once, results outlive the chunks taken from them, one thread at a time on a connection but for `interrupt`).

use std::ffi::{c_char, c_void};

pub type Database = *mut c_void;
pub type Connection = *mut c_void;
pub type Config = *mut c_void;
pub type LogicalType = *mut c_void;
pub type DataChunk = *mut c_void;
pub type Vector = *mut c_void;
pub type Appender = *mut c_void;

/// `DuckDBSuccess`; anything else is an error.
pub const SUCCESS: u32 = 0;

/// `duckdb_result`: opaque but for its size; always passed back to the library.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Result {
    column_count: u64,
    row_count: u64,
    rows_changed: u64,
    columns: *mut c_void,
    error_message: *mut c_char,
    internal_data: *mut c_void,
}

impl Result {
    pub const EMPTY: Self = Self {
        column_count: 0,
        row_count: 0,
        rows_changed: 0,
        columns: std::ptr::null_mut(),
        error_message: std::ptr::null_mut(),
        internal_data: std::ptr::null_mut(),
    };
}

/// `duckdb_list_entry`: where a row's elements are in the child vector.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ListEntry {
    pub offset: u64,
    pub length: u64,
}

/// `duckdb_interval`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

/// Declares the functions once: the struct of pointers and its loader stay together.
macro_rules! symbols {
    ($(fn $name:ident($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        /// Pointers into the loaded library, with the names and signatures of `duckdb.h`.
        pub struct Symbols {
            $(pub $name: unsafe extern "C" fn($($arg),*) $(-> $ret)?,)*
        }

        impl Symbols {
            /// # Safety
            /// `library` must be DuckDB's C library, 1.4 or later, and must stay loaded for as long as the pointers are used.
            pub unsafe fn load(library: &libloading::Library) -> std::result::Result<Self, libloading::Error> {
                Ok(Self {
                    // SAFETY: the caller vouches that the library is DuckDB's, whose header has these signatures.
                    $($name: unsafe { *library.get(stringify!($name))? },)*
                })
            }
        }
    };
}

symbols! {
    fn duckdb_free(*mut c_void);

    fn duckdb_create_config(*mut Config) -> u32;
    fn duckdb_set_config(Config, *const c_char, *const c_char) -> u32;
    fn duckdb_destroy_config(*mut Config);
    fn duckdb_open_ext(*const c_char, *mut Database, Config, *mut *mut c_char) -> u32;
    fn duckdb_close(*mut Database);
    fn duckdb_connect(Database, *mut Connection) -> u32;
    fn duckdb_disconnect(*mut Connection);
    fn duckdb_interrupt(Connection);

    fn duckdb_query(Connection, *const c_char, *mut Result) -> u32;
    fn duckdb_destroy_result(*mut Result);
    fn duckdb_result_error(*mut Result) -> *const c_char;
    fn duckdb_result_error_type(*mut Result) -> u32;
    fn duckdb_column_count(*mut Result) -> u64;
    fn duckdb_column_name(*mut Result, u64) -> *const c_char;
    fn duckdb_column_logical_type(*mut Result, u64) -> LogicalType;
    fn duckdb_fetch_chunk(Result) -> DataChunk;
    fn duckdb_destroy_data_chunk(*mut DataChunk);
    fn duckdb_data_chunk_get_size(DataChunk) -> u64;
    fn duckdb_data_chunk_get_vector(DataChunk, u64) -> Vector;
    fn duckdb_vector_get_data(Vector) -> *mut c_void;
    fn duckdb_vector_get_validity(Vector) -> *mut u64;
    fn duckdb_list_vector_get_child(Vector) -> Vector;
    fn duckdb_array_vector_get_child(Vector) -> Vector;
    fn duckdb_struct_vector_get_child(Vector, u64) -> Vector;

    fn duckdb_get_type_id(LogicalType) -> u32;
    fn duckdb_destroy_logical_type(*mut LogicalType);
    fn duckdb_logical_type_get_alias(LogicalType) -> *mut c_char;
    fn duckdb_decimal_width(LogicalType) -> u8;
    fn duckdb_decimal_scale(LogicalType) -> u8;
    fn duckdb_decimal_internal_type(LogicalType) -> u32;
    fn duckdb_enum_internal_type(LogicalType) -> u32;
    fn duckdb_enum_dictionary_size(LogicalType) -> u32;
    fn duckdb_enum_dictionary_value(LogicalType, u64) -> *mut c_char;
    fn duckdb_list_type_child_type(LogicalType) -> LogicalType;
    fn duckdb_array_type_child_type(LogicalType) -> LogicalType;
    fn duckdb_array_type_array_size(LogicalType) -> u64;
    fn duckdb_map_type_key_type(LogicalType) -> LogicalType;
    fn duckdb_map_type_value_type(LogicalType) -> LogicalType;
    fn duckdb_struct_type_child_count(LogicalType) -> u64;
    fn duckdb_struct_type_child_name(LogicalType, u64) -> *mut c_char;
    fn duckdb_struct_type_child_type(LogicalType, u64) -> LogicalType;
    fn duckdb_union_type_member_count(LogicalType) -> u64;
    fn duckdb_union_type_member_name(LogicalType, u64) -> *mut c_char;
    fn duckdb_union_type_member_type(LogicalType, u64) -> LogicalType;

    fn duckdb_appender_create_ext(Connection, *const c_char, *const c_char, *const c_char, *mut Appender) -> u32;
    fn duckdb_appender_add_column(Appender, *const c_char) -> u32;
    fn duckdb_appender_error(Appender) -> *const c_char;
    fn duckdb_append_varchar_length(Appender, *const c_char, u64) -> u32;
    fn duckdb_append_null(Appender) -> u32;
    fn duckdb_appender_end_row(Appender) -> u32;
    fn duckdb_appender_close(Appender) -> u32;
    fn duckdb_appender_destroy(*mut Appender) -> u32;
}

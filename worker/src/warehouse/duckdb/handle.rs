//! A raw connection and the results it returns. The only place that runs statements.

use std::ffi::CStr;
use std::sync::Arc;

use common::diagnostic::Code;
use common::table::{Column, Table};
use common::task::FailureKind;

use super::database::{Database, c_text};
use super::error;
use super::ffi;
use super::library::Library;
use super::value_type::ValueType;
use super::vector::Vector;
use crate::warehouse::Error;

/// An open connection; disconnects when dropped.
pub(super) struct Handle {
    pub library: Arc<Library>,
    pub raw: ffi::Connection,
    /// Keeps the database open for as long as the connection is, whoever holds it last. None while the database is being prepared.
    _database: Option<Arc<Database>>,
}

// SAFETY: a connection may move between threads; DuckDB locks its context while a statement runs.
unsafe impl Send for Handle {}
// SAFETY: as above; what is shared while a statement runs is only `interrupt`, which sets an atomic flag.
unsafe impl Sync for Handle {}

impl Handle {
    pub(super) fn connect(
        library: &Arc<Library>,
        database: ffi::Database,
        owner: Option<Arc<Database>>,
    ) -> Result<Self, Error> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the database is open and `raw` a live place for the handle.
        if unsafe { (library.symbols.duckdb_connect)(database, &mut raw) } != ffi::SUCCESS {
            return Err(Error::new(
                FailureKind::System,
                Code::WarehouseUnavailable,
                "DuckDB could not open another connection",
            ));
        }
        Ok(Self { library: library.clone(), raw, _database: owner })
    }

    /// Runs one statement and drops what it returns.
    pub(super) fn run(&self, sql: &str) -> Result<(), Error> {
        self.query(sql).map(drop)
    }

    pub(super) fn query(&self, sql: &str) -> Result<QueryResult<'_>, Error> {
        let text = c_text(sql)?;
        let mut result = QueryResult { library: &self.library, raw: ffi::Result::EMPTY };
        // SAFETY: an open connection, a string that ends with NUL, a live place for the result, which `QueryResult` destroys
        // whether or not the statement succeeds.
        let state = unsafe { (self.library.symbols.duckdb_query)(self.raw, text.as_ptr(), &mut result.raw) };
        if state == ffi::SUCCESS { Ok(result) } else { Err(result.error(sql)) }
    }

    /// Asks the statement in flight to stop; without one it does nothing.
    pub(super) fn interrupt(&self) {
        // SAFETY: an open connection; the function may be called from any thread.
        unsafe { (self.library.symbols.duckdb_interrupt)(self.raw) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once; results borrow the handle, so none is left.
        unsafe { (self.library.symbols.duckdb_disconnect)(&mut self.raw) }
    }
}

/// A materialised result, destroyed when dropped.
pub(super) struct QueryResult<'a> {
    library: &'a Library,
    raw: ffi::Result,
}

impl Drop for QueryResult<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised by `duckdb_query`, destroyed once.
        unsafe { (self.library.symbols.duckdb_destroy_result)(&mut self.raw) }
    }
}

impl QueryResult<'_> {
    fn error(&mut self, sql: &str) -> Error {
        // SAFETY: the result of a failed statement; its message lives as long as the result.
        let (kind, message) = unsafe {
            let message = (self.library.symbols.duckdb_result_error)(&mut self.raw);
            let message = if message.is_null() {
                "DuckDB gave no reason".to_owned()
            } else {
                CStr::from_ptr(message).to_string_lossy().into_owned()
            };
            ((self.library.symbols.duckdb_result_error_type)(&mut self.raw), message)
        };
        error::of_statement(kind, message, sql)
    }

    /// All rows, decoded.
    pub(super) fn table(mut self) -> Result<Table, Error> {
        let library = self.library;
        let s = &library.symbols;
        // SAFETY: a live result; column indexes stay below its count; names live as long as the result; the logical type is ours
        // and `ValueType::read` destroys it.
        let (columns, types): (Vec<_>, Vec<_>) = unsafe {
            (0..(s.duckdb_column_count)(&mut self.raw))
                .map(|i| {
                    let name = (s.duckdb_column_name)(&mut self.raw, i);
                    let name = if name.is_null() {
                        String::new()
                    } else {
                        CStr::from_ptr(name).to_string_lossy().into_owned()
                    };
                    let value_type = ValueType::read(library, (s.duckdb_column_logical_type)(&mut self.raw, i));
                    (Column { name, data_type: value_type.sql() }, value_type)
                })
                .unzip()
        };
        let mut rows = Vec::new();
        while let Some(chunk) = self.next_chunk() {
            // SAFETY: the chunk is live until the end of this turn, the vectors not longer; indexes stay below the counts.
            unsafe {
                let size = (s.duckdb_data_chunk_get_size)(chunk.raw) as usize;
                let vectors: Vec<Vector<'_>> = types
                    .iter()
                    .enumerate()
                    .map(|(i, t)| Vector::new(library, t, (s.duckdb_data_chunk_get_vector)(chunk.raw, i as u64)))
                    .collect();
                for row in 0..size {
                    let mut cells = Vec::with_capacity(vectors.len());
                    for (vector, column) in vectors.iter().zip(&columns) {
                        cells.push(vector.datum(row).ok_or_else(|| undecodable(column))?);
                    }
                    rows.push(cells);
                }
            }
        }
        Ok(Table { columns, rows })
    }

    fn next_chunk(&mut self) -> Option<Chunk<'_>> {
        // SAFETY: a live result; the chunk is ours to destroy, null at the end.
        let raw = unsafe { (self.library.symbols.duckdb_fetch_chunk)(self.raw) };
        (!raw.is_null()).then_some(Chunk { library: self.library, raw })
    }
}

struct Chunk<'a> {
    library: &'a Library,
    raw: ffi::DataChunk,
}

impl Drop for Chunk<'_> {
    fn drop(&mut self) {
        // SAFETY: fetched once, destroyed once.
        unsafe { (self.library.symbols.duckdb_destroy_data_chunk)(&mut self.raw) }
    }
}

fn undecodable(column: &Column) -> Error {
    Error::new(
        FailureKind::User,
        Code::Unsupported,
        format!("column '{}' has a type ({}) that cannot be read: cast it to varchar", column.name, column.data_type),
    )
}

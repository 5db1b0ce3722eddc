//! Fills a table from rows of text through DuckDB's appender, which casts each cell to its column's type.

use std::ffi::CStr;

use common::diagnostic::Code;
use common::relation::Relation;
use common::table::Column;
use common::task::FailureKind;

use super::database::c_text;
use super::ffi;
use super::handle::Handle;
use crate::warehouse::Error;

struct Appender<'a> {
    handle: &'a Handle,
    raw: ffi::Appender,
}

impl Drop for Appender<'_> {
    fn drop(&mut self) {
        // SAFETY: created by the library (or null, which it takes), destroyed once. A failed flush was reported already.
        unsafe { (self.handle.library.symbols.duckdb_appender_destroy)(&mut self.raw) };
    }
}

impl<'a> Appender<'a> {
    fn open(handle: &'a Handle, relation: &Relation, columns: &[Column]) -> Result<Self, Error> {
        let part = |name: &Option<String>| name.as_deref().map(c_text).transpose();
        let (database, schema, table) =
            (part(&relation.database)?, part(&relation.schema)?, part(&relation.identifier)?);
        let pointer = |name: &Option<std::ffi::CString>| name.as_ref().map_or(std::ptr::null(), |name| name.as_ptr());
        let mut appender = Self { handle, raw: std::ptr::null_mut() };
        let s = &handle.library.symbols;
        // SAFETY: an open connection, names that end with NUL or null for the default, a live place for the handle.
        let state = unsafe {
            (s.duckdb_appender_create_ext)(
                handle.raw,
                pointer(&database),
                pointer(&schema),
                pointer(&table),
                &mut appender.raw,
            )
        };
        appender.check(state)?;
        for column in columns {
            let name = c_text(&column.name)?;
            // SAFETY: a live appender and a string that ends with NUL.
            let state = unsafe { (s.duckdb_appender_add_column)(appender.raw, name.as_ptr()) };
            appender.check(state)?;
        }
        Ok(appender)
    }

    fn check(&self, state: u32) -> Result<(), Error> {
        if state == ffi::SUCCESS {
            return Ok(());
        }
        // SAFETY: a live appender or null; the message lives as long as the appender.
        let message = unsafe {
            let message = (self.handle.library.symbols.duckdb_appender_error)(self.raw);
            if message.is_null() {
                "DuckDB gave no reason".to_owned()
            } else {
                CStr::from_ptr(message).to_string_lossy().into_owned()
            }
        };
        Err(Error::new(FailureKind::User, Code::SeedInvalid, message))
    }

    fn row(&self, cells: &[Option<String>]) -> Result<(), Error> {
        let s = &self.handle.library.symbols;
        for cell in cells {
            // SAFETY: a live appender; the text is copied before the call returns.
            let state = unsafe {
                match cell {
                    Some(text) => (s.duckdb_append_varchar_length)(self.raw, text.as_ptr().cast(), text.len() as u64),
                    None => (s.duckdb_append_null)(self.raw),
                }
            };
            self.check(state)?;
        }
        // SAFETY: a live appender.
        self.check(unsafe { (s.duckdb_appender_end_row)(self.raw) })
    }

    fn close(self) -> Result<(), Error> {
        // SAFETY: a live appender; dropping it afterwards only frees it.
        let state = unsafe { (self.handle.library.symbols.duckdb_appender_close)(self.raw) };
        self.check(state)
    }
}

/// Returns the number of rows. On an error some may have been written: the caller's transaction takes them back.
pub(super) fn append(
    handle: &Handle,
    relation: &Relation,
    columns: &[Column],
    rows: &mut dyn Iterator<Item = Vec<Option<String>>>,
) -> Result<u64, Error> {
    let appender = Appender::open(handle, relation, columns)?;
    let mut count = 0;
    for row in rows {
        if row.len() != columns.len() {
            return Err(Error::new(
                FailureKind::User,
                Code::SeedInvalid,
                format!("row {} has {} cells instead of {}", count + 1, row.len(), columns.len()),
            ));
        }
        appender
            .row(&row)
            .map_err(|error| Error { message: format!("row {}: {}", count + 1, error.message), ..error })?;
        count += 1;
    }
    appender.close()?;
    Ok(count)
}

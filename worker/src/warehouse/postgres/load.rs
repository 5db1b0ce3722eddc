//! Fills a table from rows of text by `COPY`, which casts each cell to its column's type and writes all or nothing.

use std::io::Write as _;

use common::diagnostic::Code;
use common::relation::{Relation, quote_identifier};
use common::table::Column;
use common::task::FailureKind;
use postgres::Client;

use super::error;
use crate::warehouse::Error;

const BUFFER_BYTES: usize = 64 * 1024;

pub(super) fn copy(
    client: &mut Client,
    relation: &Relation,
    columns: &[Column],
    rows: &mut dyn Iterator<Item = Vec<Option<String>>>,
) -> Result<u64, Error> {
    let names: Vec<String> = columns.iter().map(|column| quote_identifier(&column.name)).collect();
    let sql = format!("copy {} ({}) from stdin with (format csv)", relation.render(), names.join(", "));
    let failed = |error: &postgres::Error| {
        let error = error::of_statement(error, &sql);
        if error.kind == FailureKind::User { Error { code: Code::SeedInvalid, ..error } } else { error }
    };
    let mut writer = client.copy_in(&sql).map_err(|error| failed(&error))?;
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut count = 0;
    // A refused row ends the copy at the server's side; its reason arrives when the copy is finished.
    let mut broken = false;
    for row in rows {
        count += 1;
        if row.len() != columns.len() {
            // Dropping the writer aborts the copy.
            return Err(Error::new(
                FailureKind::User,
                Code::SeedInvalid,
                format!("row {count} has {} cells instead of {}", row.len(), columns.len()),
            ));
        }
        encode(&row, &mut buffer);
        if buffer.len() >= BUFFER_BYTES {
            broken = writer.write_all(&buffer).is_err();
            buffer.clear();
            if broken {
                break;
            }
        }
    }
    if !broken {
        broken = writer.write_all(&buffer).is_err();
    }
    let finished = writer.finish().map_err(|error| failed(&error))?;
    if broken {
        return Err(Error::new(FailureKind::Transient, Code::WarehouseUnavailable, "the server ended the copy early"));
    }
    Ok(finished)
}

/// In CSV an empty cell is NULL, and a quoted one is text, even if empty.
fn encode(row: &[Option<String>], buffer: &mut Vec<u8>) {
    for (at, cell) in row.iter().enumerate() {
        if at > 0 {
            buffer.push(b',');
        }
        if let Some(text) = cell {
            buffer.push(b'"');
            buffer.extend(text.replace('"', "\"\"").into_bytes());
            buffer.push(b'"');
        }
    }
    buffer.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_null_from_empty_text() {
        let mut buffer = Vec::new();
        encode(&[None, Some(String::new()), Some("a\"b,\nc".to_owned())], &mut buffer);
        assert_eq!(String::from_utf8(buffer).unwrap(), ",\"\",\"a\"\"b,\nc\"\n");
    }
}

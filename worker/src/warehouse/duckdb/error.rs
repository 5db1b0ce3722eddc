//! Gives DuckDB's errors their class.

use common::diagnostic::Code;
use common::task::FailureKind;

use crate::warehouse::Error;

/// The names of `duckdb_error_type`, by number: what DuckDB puts in front of ` Error:`.
const TYPES: [&str; 43] = [
    "Invalid",
    "Out of Range",
    "Conversion",
    "Unknown Type",
    "Decimal",
    "Mismatch Type",
    "Divide by Zero",
    "Object Size",
    "Invalid type",
    "Serialization",
    "TransactionContext",
    "Not implemented",
    "Expression",
    "Catalog",
    "Parser",
    "Planner",
    "Scheduler",
    "Executor",
    "Constraint",
    "Index",
    "Stat",
    "Connection",
    "Syntax",
    "Settings",
    "Binder",
    "Network",
    "Optimizer",
    "NullPointer",
    "IO",
    "INTERRUPT",
    "FATAL",
    "INTERNAL",
    "Invalid Input",
    "Out of Memory",
    "Permission",
    "Parameter Not Resolved",
    "Parameter Not Allowed",
    "Dependency",
    "HTTP",
    "Missing Extension",
    "Extension Autoloading",
    "Sequence",
    "Invalid Configuration",
];

const TRANSACTION: u32 = 10;
const INTERNAL: u32 = 31;
const NETWORK: u32 = 25;
const IO: u32 = 28;
const INTERRUPT: u32 = 29;
const FATAL: u32 = 30;
const OUT_OF_MEMORY: u32 = 33;
const HTTP: u32 = 38;

/// The error of a statement, from what the library says of it.
pub(super) fn of_statement(error_type: u32, message: String, sql: &str) -> Error {
    let (kind, code) = classify(error_type, &message);
    let position = position(&message, sql);
    let native = TYPES.get(error_type as usize).copied().unwrap_or("Unknown");
    Error {
        native_code: Some(native.to_owned()),
        sql: Some(sql.to_owned()),
        position,
        ..Error::new(kind, code, message)
    }
}

fn classify(error_type: u32, message: &str) -> (FailureKind, Code) {
    let has = |needle: &str| message.contains(needle);
    match error_type {
        INTERRUPT => (FailureKind::Canceled, Code::Canceled),
        OUT_OF_MEMORY => (FailureKind::System, Code::WarehouseResource),
        // Conflicts are worth another attempt; the rest of the class is misuse, such as a COMMIT without a transaction.
        TRANSACTION if has("onflict") => (FailureKind::Transient, Code::WarehouseConflict),
        NETWORK | HTTP => (FailureKind::Transient, Code::WarehouseUnavailable),
        FATAL | INTERNAL => (FailureKind::System, Code::WarehouseUnavailable),
        // A file that a statement names and that is not there is the user's; a disk that fails is not.
        IO if has("No space left") || has("Disk quota") || has("out of disk") => {
            (FailureKind::System, Code::WarehouseResource)
        }
        IO if has("No files found") || has("No such file") => (FailureKind::User, Code::SqlError),
        IO => (FailureKind::System, Code::WarehouseUnavailable),
        _ if has("write-write conflict") || has("Conflict on") => (FailureKind::Transient, Code::WarehouseConflict),
        _ => (FailureKind::User, Code::SqlError),
    }
}

/// Why the database could not be opened, in words that say what to do.
pub(super) fn of_open(message: &str, path: &str) -> Error {
    let has = |needle: &str| message.contains(needle);
    let (kind, code, hint) =
        if has("Could not set lock") || has("Conflicting lock") || has("being used by another process") {
            (
                FailureKind::Transient,
                Code::WarehouseBusy,
                "a DuckDB file has one writer at a time: wait for that process to end, or stop it",
            )
        } else if has("No space left") {
            (FailureKind::System, Code::WarehouseResource, "the disk is full")
        } else if has("Permission denied") || has("Read-only file system") {
            (FailureKind::System, Code::WarehouseUnavailable, "the file and its folder must be writable")
        } else if has("No such file or directory") {
            (FailureKind::System, Code::WarehouseUnavailable, "the folder of the database file must exist")
        } else if has("not a valid DuckDB") || has("checksum") || has("Corrupt") || has("WAL file") {
            (
                FailureKind::System,
                Code::WarehouseUnavailable,
                "the file is damaged, not a DuckDB database, or of another version of DuckDB; it was not changed",
            )
        } else {
            (FailureKind::System, Code::WarehouseUnavailable, "")
        };
    let mut text = format!("cannot open the database '{path}': {message}");
    if !hint.is_empty() {
        text.push_str(&format!("\n({hint})"));
    }
    Error::new(kind, code, text)
}

/// DuckDB ends a message with the line of the error and a caret below the place: `LINE 2: select x` and `        ^`. Long lines are
/// cut at either end, with `...` for what is missing; what is left is then looked up in the line.
fn position(message: &str, sql: &str) -> Option<usize> {
    let start = message.rfind("\nLINE ").map(|at| at + 1).or_else(|| message.starts_with("LINE ").then_some(0))?;
    let mut lines = message[start..].lines();
    let shown = lines.next()?;
    let caret = lines.next()?.find('^')?;
    let (number, text) = shown.strip_prefix("LINE ")?.split_once(": ")?;
    let number: usize = number.parse().ok()?;
    let prefix = shown.len() - text.len();
    // The caret is placed by characters shown, so count characters, not bytes.
    let column = caret.checked_sub(shown[..prefix].chars().count())?;
    let (cut, text, column) = match text.strip_prefix("...") {
        Some(rest) => (true, rest, column.checked_sub(3)?),
        None => (false, text, column),
    };
    let text = text.strip_suffix("...").unwrap_or(text);
    let within = text.char_indices().nth(column).map_or(text.len(), |(at, _)| at);
    let line_start = if number == 1 { 0 } else { sql.match_indices('\n').nth(number - 2)?.0 + 1 };
    let line = sql[line_start..].lines().next()?;
    let offset = if cut { line.find(text)? } else { 0 };
    Some((line_start + offset + within).min(sql.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of docs/reference/failures.md: types that are not named there are the user's SQL.
    #[test]
    fn every_type_of_error_has_its_kind() {
        use FailureKind::{Canceled, System, Transient, User};
        let others = [
            ("INTERRUPT", Canceled, Code::Canceled),
            ("Out of Memory", System, Code::WarehouseResource),
            ("Network", Transient, Code::WarehouseUnavailable),
            ("HTTP", Transient, Code::WarehouseUnavailable),
            ("FATAL", System, Code::WarehouseUnavailable),
            ("INTERNAL", System, Code::WarehouseUnavailable),
            ("IO", System, Code::WarehouseUnavailable),
        ];
        for (number, name) in TYPES.iter().enumerate() {
            let (kind, code) = others
                .iter()
                .find(|(other, ..)| other == name)
                .map_or((User, Code::SqlError), |(_, kind, code)| (*kind, *code));
            assert_eq!(classify(number as u32, "some words"), (kind, code), "{name}");
        }
        let said = |error_type, message| classify(error_type, message);
        assert_eq!(said(TRANSACTION, "Conflict on update!"), (Transient, Code::WarehouseConflict));
        assert_eq!(said(TRANSACTION, "cannot commit - no transaction is active"), (User, Code::SqlError));
        assert_eq!(said(13, "Catalog write-write conflict on create"), (Transient, Code::WarehouseConflict));
        assert_eq!(said(IO, "No files found that match the pattern"), (User, Code::SqlError));
        assert_eq!(said(IO, "Could not write: No space left on device"), (System, Code::WarehouseResource));
        assert_eq!(said(99, "a type of a later version"), (User, Code::SqlError));
    }

    #[test]
    fn finds_the_position_by_line_and_caret() {
        let sql = "select 1,\n  'é', nope\nfrom t";
        let message = "Binder Error: no column\n\nLINE 2:   'é', nope\n               ^";
        assert_eq!(position(message, sql), Some(sql.find("nope").unwrap()));
    }
}

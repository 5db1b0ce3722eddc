//! Gives PostgreSQL's errors their class, by SQLSTATE.

use common::diagnostic::Code;
use common::task::FailureKind;
use postgres::error::{DbError, ErrorPosition};

use crate::warehouse::Error;

/// Raised by `kontiki.enter`: a newer attempt owns the relation.
pub(super) const FENCED: &str = "KT001";

pub(super) fn of_statement(error: &postgres::Error, sql: &str) -> Error {
    let Some(database) = error.as_db_error() else {
        // Without an answer of the server, the connection is what failed.
        return Error {
            sql: Some(sql.to_owned()),
            ..Error::new(FailureKind::Transient, Code::WarehouseUnavailable, chain(error))
        };
    };
    let (kind, code) = classify(database.code().code(), database.message());
    let position = match database.position() {
        // Counted in characters, from 1.
        Some(ErrorPosition::Original(at)) => {
            Some(sql.char_indices().nth((*at as usize).saturating_sub(1)).map_or(sql.len(), |(byte, _)| byte))
        }
        _ => None,
    };
    Error {
        native_code: Some(database.code().code().to_owned()),
        sql: Some(sql.to_owned()),
        position,
        ..Error::new(kind, code, words(database))
    }
}

/// Why no connection could be made. The password is in none of these messages.
pub(super) fn of_connect(error: &postgres::Error) -> Error {
    let Some(database) = error.as_db_error() else {
        let (kind, code) = match is_refused_encryption(error) {
            true => (FailureKind::User, Code::ProfileInvalid),
            false => (FailureKind::Transient, Code::WarehouseUnavailable),
        };
        return Error::new(kind, code, format!("cannot connect to PostgreSQL: {}", chain(error)));
    };
    let state = database.code().code();
    let (kind, code) = match classify(state, database.message()) {
        (FailureKind::User, _) => (FailureKind::User, Code::ProfileInvalid),
        other => other,
    };
    Error {
        native_code: Some(state.to_owned()),
        ..Error::new(kind, code, format!("cannot connect to PostgreSQL: {}", words(database)))
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>; docs/reference/failures.md explains the choices.
fn classify(state: &str, message: &str) -> (FailureKind, Code) {
    const AWAY: (FailureKind, Code) = (FailureKind::Transient, Code::WarehouseUnavailable);
    const CONFLICT: (FailureKind, Code) = (FailureKind::Transient, Code::WarehouseConflict);
    match state {
        FENCED => (FailureKind::Fenced, Code::Fenced),
        "40001" | "40P01" | "55P03" | "72000" => CONFLICT,
        // Two sessions changed one catalog row at once: `grant` does that.
        "XX000" if message.contains("concurrently") => CONFLICT,
        "57014" if message.contains("timeout") => (FailureKind::Timeout, Code::Timeout),
        "25P04" => (FailureKind::Timeout, Code::Timeout),
        "57014" => (FailureKind::Canceled, Code::Canceled),
        "57P04" => (FailureKind::User, Code::ProfileInvalid),
        // No place for one more connection; a standby that has not taken over yet, or a server that is not the first any more; a
        // session that idled too long.
        "53300" | "25006" | "25P03" | "40003" => AWAY,
        _ if state.starts_with("08") || state.starts_with("57P") => AWAY,
        _ if state.starts_with("53") || state == "54000" => (FailureKind::System, Code::WarehouseResource),
        _ if ["58", "XX", "F0"].iter().any(|class| state.starts_with(class)) => {
            (FailureKind::System, Code::WarehouseUnavailable)
        }
        _ => (FailureKind::User, Code::SqlError),
    }
}

/// Whether the two sides cannot agree on encryption: a certificate that is not trusted, a server without TLS. No other attempt will
/// fare better, unlike after a connection that broke on the way.
fn is_refused_encryption(error: &postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        }
        source = cause.source();
    }
    error.to_string().contains("TLS handshake")
}

fn words(error: &DbError) -> String {
    let mut text = error.message().to_owned();
    for (label, part) in [("DETAIL", error.detail()), ("HINT", error.hint()), ("CONTEXT", error.where_())] {
        if let Some(part) = part {
            text.push_str(&format!("\n{label}:  {part}"));
        }
    }
    text
}

/// An error and what caused it: the crate keeps the operating system's words in the source.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(&format!(": {cause_text}"));
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of docs/reference/failures.md, at least one state of every class.
    #[test]
    fn every_class_of_sqlstates_has_its_kind() {
        use FailureKind::{Canceled, Fenced, System, Timeout, Transient, User};
        let expected: [(&str, FailureKind, Code); 52] = [
            ("03000", User, Code::SqlError),
            ("08000", Transient, Code::WarehouseUnavailable),
            ("08006", Transient, Code::WarehouseUnavailable),
            ("08P01", Transient, Code::WarehouseUnavailable),
            ("09000", User, Code::SqlError),
            ("0A000", User, Code::SqlError),
            ("0B000", User, Code::SqlError),
            ("0L000", User, Code::SqlError),
            ("0P000", User, Code::SqlError),
            ("20000", User, Code::SqlError),
            ("21000", User, Code::SqlError),
            ("22012", User, Code::SqlError),
            ("23505", User, Code::SqlError),
            ("24000", User, Code::SqlError),
            ("25001", User, Code::SqlError),
            ("25006", Transient, Code::WarehouseUnavailable),
            ("25P02", User, Code::SqlError),
            ("25P03", Transient, Code::WarehouseUnavailable),
            ("25P04", Timeout, Code::Timeout),
            ("26000", User, Code::SqlError),
            ("28P01", User, Code::SqlError),
            ("2BP01", User, Code::SqlError),
            ("34000", User, Code::SqlError),
            ("3B001", User, Code::SqlError),
            ("3D000", User, Code::SqlError),
            ("3F000", User, Code::SqlError),
            ("40001", Transient, Code::WarehouseConflict),
            ("40002", User, Code::SqlError),
            ("40003", Transient, Code::WarehouseUnavailable),
            ("40P01", Transient, Code::WarehouseConflict),
            ("42601", User, Code::SqlError),
            ("42501", User, Code::SqlError),
            ("44000", User, Code::SqlError),
            ("53100", System, Code::WarehouseResource),
            ("53200", System, Code::WarehouseResource),
            ("53300", Transient, Code::WarehouseUnavailable),
            ("54000", System, Code::WarehouseResource),
            ("54011", User, Code::SqlError),
            ("55006", User, Code::SqlError),
            ("55P03", Transient, Code::WarehouseConflict),
            ("57014", Canceled, Code::Canceled),
            ("57P01", Transient, Code::WarehouseUnavailable),
            ("57P03", Transient, Code::WarehouseUnavailable),
            ("57P04", User, Code::ProfileInvalid),
            ("57P05", Transient, Code::WarehouseUnavailable),
            ("58030", System, Code::WarehouseUnavailable),
            ("72000", Transient, Code::WarehouseConflict),
            ("F0001", System, Code::WarehouseUnavailable),
            ("HV000", User, Code::SqlError),
            ("P0001", User, Code::SqlError),
            ("XX001", System, Code::WarehouseUnavailable),
            (FENCED, Fenced, Code::Fenced),
        ];
        for (state, kind, code) in expected {
            assert_eq!(classify(state, "some words"), (kind, code), "{state}");
        }
        assert_eq!(classify("57014", "canceling statement due to statement timeout"), (Timeout, Code::Timeout));
        assert_eq!(classify("XX000", "tuple concurrently updated"), (Transient, Code::WarehouseConflict));
    }
}

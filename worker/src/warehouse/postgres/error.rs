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

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn classify(state: &str, message: &str) -> (FailureKind, Code) {
    match state {
        FENCED => (FailureKind::Fenced, Code::Fenced),
        "40001" | "40P01" | "55P03" => (FailureKind::Transient, Code::WarehouseConflict),
        // Two sessions changed one catalog row at once: `grant` does that.
        "XX000" if message.contains("concurrently") => (FailureKind::Transient, Code::WarehouseConflict),
        "57014" if message.contains("timeout") => (FailureKind::Timeout, Code::Timeout),
        "57014" => (FailureKind::Canceled, Code::Canceled),
        "57P04" => (FailureKind::User, Code::ProfileInvalid),
        "53300" => (FailureKind::Transient, Code::WarehouseUnavailable),
        _ if state.starts_with("08") || state.starts_with("57P") => {
            (FailureKind::Transient, Code::WarehouseUnavailable)
        }
        _ if state.starts_with("53") || state == "54000" => (FailureKind::System, Code::WarehouseResource),
        _ if state.starts_with("58") || state.starts_with("XX") => (FailureKind::System, Code::WarehouseUnavailable),
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

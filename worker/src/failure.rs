//! Why a task failed, in the words and layout that dbt users know.
//!
//! Invariant: the kind that the warehouse or the compiler gave is kept as it is until the report; text is laid out only once, in
//! `Failure::describe`.

use common::diagnostic::Code;
use common::manifest::Node;
use common::task::{FailureKind, TaskOutcome};

use dbt::adapter;

/// What failed, still typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    pub code: Code,
    pub heading: Heading,
    pub message: String,
    /// The statement that the warehouse refused.
    pub sql: Option<String>,
    /// Byte offset of the error in `sql`, where the warehouse tells it.
    pub position: Option<usize>,
}

/// The first words of dbt's error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// A template failed, or a configuration cannot be used.
    Compilation,
    /// The warehouse refused a statement (as PostgreSQL's adapter reports it).
    Database,
    /// Anything else that went wrong while the node ran.
    Runtime,
}

pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The user's project is wrong in a way that the materialization found out.
    pub fn user(code: Code, message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::User,
            code,
            heading: Heading::Compilation,
            message: message.into(),
            sql: None,
            position: None,
        }
    }

    /// A feature of dbt that is refused by name.
    pub fn unsupported(feature: impl std::fmt::Display) -> Self {
        Self::user(Code::Unsupported, format!("{feature} is not supported yet"))
    }

    pub fn system(code: Code, message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::System,
            code,
            heading: Heading::Runtime,
            message: message.into(),
            sql: None,
            position: None,
        }
    }

    pub fn canceled() -> Self {
        Self {
            kind: FailureKind::Canceled,
            code: Code::Canceled,
            heading: Heading::Runtime,
            message: "the run was canceled".to_owned(),
            sql: None,
            position: None,
        }
    }

    /// Points at the line of the compiled SQL that the warehouse complains about, if it is in there; `path` is where it is kept.
    pub fn locate(&mut self, compiled: &str, path: &str) {
        let (Some(sql), Some(position)) = (&self.sql, self.position) else { return };
        let Some(start) = sql.find(compiled).filter(|_| !compiled.is_empty()) else { return };
        if (start..start + compiled.len()).contains(&position) {
            let line = sql.as_bytes()[start..position].iter().filter(|byte| **byte == b'\n').count() + 1;
            self.message = format!("{}\n\n> {path}:{line}", self.message.trim_end());
        }
    }

    /// dbt's layout: `Runtime Error in model x (models/x.sql)`, then the message, indented.
    pub fn describe(&self, node: &Node) -> String {
        let heading = match self.heading {
            Heading::Compilation => "Compilation Error",
            Heading::Database => "Database Error",
            Heading::Runtime => "Runtime Error",
        };
        let mut text = format!("{heading} in {} {} ({})", node.resource_type, node.name, node.original_file_path);
        for line in self.message.trim_end().lines() {
            text.push_str("\n  ");
            text.push_str(line.trim_end());
        }
        text
    }

    pub fn outcome(&self, node: &Node) -> TaskOutcome {
        if self.kind == FailureKind::Canceled {
            TaskOutcome::Canceled
        } else if self.kind == FailureKind::TestFailed {
            TaskOutcome::Failure { kind: self.kind, code: self.code, message: self.message.clone() }
        } else {
            TaskOutcome::Failure { kind: self.kind, code: self.code, message: self.describe(node) }
        }
    }
}

impl From<adapter::Error> for Failure {
    fn from(error: adapter::Error) -> Self {
        // Five letters or digits are an SQLSTATE: dbt's PostgreSQL adapter says `Database Error`, DuckDB's says `Runtime Error`.
        let sqlstate = error.native_code.as_deref().is_some_and(|code| {
            code.len() == 5
                && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
                && code.bytes().any(|byte| byte.is_ascii_digit())
        });
        Self {
            kind: error.kind,
            code: error.code,
            heading: if sqlstate { Heading::Database } else { Heading::Runtime },
            message: error.message,
            sql: error.sql,
            position: error.position,
        }
    }
}

impl From<dbt::compile::Error> for Failure {
    fn from(error: dbt::compile::Error) -> Self {
        if let Some(warehouse) = error.warehouse {
            return Self::from(*warehouse);
        }
        let diagnostic = *error.diagnostic;
        if diagnostic.code == Code::Canceled {
            return Self::canceled();
        }
        let mut message = diagnostic.message;
        if let Some(location) = diagnostic.location.filter(|location| location.line > 0) {
            message.push_str(&format!("\n\n> {}:{}", location.file, location.line));
            if let Some(line) = location.source_line {
                message.push_str(&format!("\n    {}", line.trim_end()));
            }
        }
        if let Some(hint) = diagnostic.hint {
            message.push_str(&format!("\nhint: {hint}"));
        }
        Self::user(diagnostic.code, message)
    }
}

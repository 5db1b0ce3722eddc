//! How parsing or rendering a template ends when it does not end well.

use super::value::Value;

/// A place in a template: byte offsets into its source, and the line and column (from 1) of `start`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub end: u32,
    pub line: u32,
    pub column: u32,
}

/// The Python or jinja2 exception that dbt would have shown, or a limit of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// `TemplateSyntaxError`
    Syntax,
    /// `UndefinedError`
    Undefined,
    Type,
    Value,
    Key,
    Index,
    Attribute,
    ZeroDivision,
    Overflow,
    /// `SecurityError` of the sandbox.
    Security,
    /// `exceptions.raise_compiler_error` and other errors that dbt's own functions raise.
    Compiler,
    /// A statement that the template sent was refused; `source` has the warehouse's typed error.
    Database,
    /// Steps, depth, output or memory ran out.
    Budget,
    /// The run was canceled while the template was rendering.
    Canceled,
}

/// A failure with the place where it happened and the macros that led there.
#[derive(Debug)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
    /// The innermost place, within `template`.
    pub span: Option<Span>,
    /// Name of the template or macro the span is in (a `unique_id`, or a path).
    pub template: Option<std::sync::Arc<str>>,
    /// Callers, innermost first: name, and place of the call.
    pub trace: Vec<(std::sync::Arc<str>, Span)>,
    pub source: Option<Box<crate::adapter::Error>>,
}

/// Why evaluation stopped before the end of a block: an error, or one of Jinja's and dbt's ways out.
#[derive(Debug)]
pub enum Interrupt {
    Error(Box<Error>),
    /// dbt's `return(value)`: unwinds to the nearest macro call.
    Return(Value),
    Break,
    Continue,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { kind, message: message.into(), span: None, template: None, trace: Vec::new(), source: None })
    }
}

impl From<Box<Error>> for Interrupt {
    fn from(error: Box<Error>) -> Self {
        Self::Error(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The result of everything in the interpreter.
pub type Result<T> = std::result::Result<T, Interrupt>;

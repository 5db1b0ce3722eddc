//! How rendering ends when it does not end well, in terms of the project's files.

use common::Diagnostic;

/// A template failed. The diagnostic names the file and line; a refusal of the warehouse keeps its type.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", diagnostic.message)]
pub struct Error {
    pub diagnostic: Box<Diagnostic>,
    /// Set where a statement that the template sent was refused.
    pub warehouse: Option<Box<crate::adapter::Error>>,
}

impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostic: Box::new(diagnostic), warehouse: None }
    }
}

//! What arrived cannot be what was meant.

/// Names the field, as the proto files spell it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct Invalid {
    pub field: &'static str,
    pub problem: String,
}

impl Invalid {
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }

    pub fn missing(field: &'static str) -> Self {
        Self::new(field, "is missing")
    }
}

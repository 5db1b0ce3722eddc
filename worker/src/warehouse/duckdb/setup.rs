//! A statement that the profile asks for.
//!
//! Invariant: the values in it may be credentials, so no error of it shows them, whatever DuckDB says.

use super::handle::Handle;
use crate::warehouse::Error;

const CONCEALED: &str = "*****";

#[derive(Clone, PartialEq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Setup {
    pub sql: String,
    /// What an error must not repeat.
    values: Vec<String>,
}

impl Setup {
    pub(super) fn new(sql: String, values: Vec<String>) -> Self {
        Self { sql, values: values.into_iter().filter(|value| !value.is_empty()).collect() }
    }

    pub(super) fn run(&self, handle: &Handle) -> Result<(), Error> {
        handle.run(&self.sql).map_err(|error| self.conceal(error))
    }

    fn conceal(&self, error: Error) -> Error {
        // DuckDB quotes the line of the statement; what is asked of the profile is known without it.
        let reason = error.message.split("\n\nLINE ").next().unwrap_or_default().to_owned();
        let message = self.values.iter().fold(reason, |text, value| text.replace(value.as_str(), CONCEALED));
        Error { message, sql: None, position: None, ..error }
    }
}

#[cfg(test)]
mod tests {
    use common::diagnostic::Code;
    use common::task::FailureKind;

    use super::*;

    #[test]
    fn conceals_values_in_errors() {
        let setup = Setup::new("SET threads = 'hunter2'".to_owned(), vec!["hunter2".to_owned(), String::new()]);
        let message = "Could not convert string 'hunter2' to INT64\n\nLINE 1: SET threads = 'hunt...\n        ^";
        let sql = Some(setup.sql.clone());
        let error = Error { sql, position: Some(4), ..Error::new(FailureKind::User, Code::SqlError, message) };
        let error = setup.conceal(error);
        assert_eq!(error.message, "Could not convert string '*****' to INT64");
        assert_eq!((error.sql, error.position), (None, None));
    }
}

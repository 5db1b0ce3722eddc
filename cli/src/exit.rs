//! Exit codes, which are dbt's.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked for succeeded; warnings allowed.
    Success,
    /// The verb ran, and at least one node failed.
    NodeFailed,
    /// The command line, the project or the profile could not be used; nothing, or not everything, ran.
    Unusable,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::NodeFailed => Self::from(1),
            Exit::Unusable => Self::from(2),
        }
    }
}

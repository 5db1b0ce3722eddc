//! What an attempt leaves for people to read: the SQL that came out of its templates, the SQL that built the node, and its log.
//!
//! A transcript travels packed beside the report of its attempt; only `proto::transcript` looks inside.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::task::Assignment;

/// Longest packed transcript that is kept, in bytes.
pub const PACKED_BYTES_MAX: usize = 256 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// SQL after Jinja: what a laptop writes to `target/compiled`.
    pub compiled_code: Option<String>,
    /// What built the node: what a laptop writes to `target/run`.
    pub run_code: Option<String>,
    /// In the order of their times.
    pub log: Vec<LogLine>,
}

impl Transcript {
    pub fn is_empty(&self) -> bool {
        self.compiled_code.is_none() && self.run_code.is_none() && self.log.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub at: Timestamp,
    pub level: Level,
    pub message: String,
}

/// How much a line matters, as dbt's logs tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// A transcript as it travels and is stored; empty where there is nothing to tell.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed(pub Vec<u8>);

impl Packed {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The transcript of an attempt, and which attempt that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub assignment: Assignment,
    pub packed: Packed,
}

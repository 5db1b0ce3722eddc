//! Ids that nobody had before.
//!
//! Invariant: they are drawn here, by the replica that proposes, and never where a command is applied.

use uuid::Uuid;

/// Later ids sort after earlier ones, as far as clocks agree.
#[expect(clippy::disallowed_methods, reason = "whoever proposes draws the ids")]
pub fn id() -> Uuid {
    Uuid::now_v7()
}

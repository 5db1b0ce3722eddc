//! Schedules, as those see them who know time zones and projects: the calendar of ticks, which of them are due, what they run.
//!
//! ```text
//!   state (what is next) ──▶ due ──▶ plan ──▶ Command::DecideTick ──▶ state (the run, and what is next)
//! ```
//!
//! Invariants:
//! - Everything here is pure: the time, the state and the calendar decide, the same on every replica with the same time zones.
//! - Ticks are known by their nominal time in UTC. Local time is only how people say which they are.

pub mod calendar;
pub mod due;
pub mod vars;
mod zone;

pub use calendar::Ticks;

//! What the attempt under way on this thread leaves for people to read. On a laptop nobody asks for it: SQL goes to the target folder,
//! and what templates say to the console.
//!
//! Invariant: a transcript under way takes no more memory than its attempt's SQL and [`LOG_BYTES_MAX`].

use std::cell::RefCell;
use std::time::Duration;

use common::Timestamp;
use common::transcript::{Level, LogLine, Packed, Transcript};
use dbt::context::Output;

/// Longest log of an attempt, in bytes of its messages.
const LOG_BYTES_MAX: usize = 64 * 1024;
/// What each line counts beside its message.
const LINE_BYTES: usize = 32;

thread_local! {
    static CURRENT: RefCell<Option<Writing>> = const { RefCell::new(None) };
}

/// A transcript that is not finished.
#[derive(Default)]
pub(crate) struct Writing {
    transcript: Transcript,
    log_bytes: usize,
    left_out: u64,
}

impl Writing {
    pub fn note(&mut self, level: Level, message: impl Into<String>) {
        let message = message.into();
        let bytes = message.len() + LINE_BYTES;
        if self.log_bytes + bytes > LOG_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        self.log_bytes += bytes;
        self.transcript.log.push(LogLine { at: now(), level, message });
    }

    /// Ends it with how the attempt ended, which is told however long the log is.
    pub fn finish(mut self, compiled_code: Option<String>, level: Level, ending: String) -> Packed {
        if self.left_out > 0 {
            let message = format!("{} lines more than fit were left out", self.left_out);
            self.transcript.log.push(LogLine { at: now(), level: Level::Warn, message });
        }
        self.transcript.log.push(LogLine { at: now(), level, message: ending });
        self.transcript.compiled_code = compiled_code;
        proto::transcript::pack(&self.transcript)
    }
}

/// Goes on with a transcript on this thread, until [`pause`].
pub(crate) fn resume(writing: Option<Writing>) {
    CURRENT.set(writing);
}

pub(crate) fn pause() -> Option<Writing> {
    CURRENT.take()
}

/// Adds a line, where this thread keeps a transcript; `message` is asked only then.
pub(crate) fn note<M: Into<String>>(level: Level, message: impl FnOnce() -> M) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(writing) = current {
            writing.note(level, message());
        }
    });
}

/// Keeps what builds the node.
pub(crate) fn keep_run_code(sql: &str) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(writing) = current {
            writing.transcript.run_code = Some(sql.to_owned());
        }
    });
}

/// As people read it.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}

/// What templates say belongs to the attempt that renders them.
pub(crate) struct ToTranscript;

impl Output for ToTranscript {
    fn print(&self, text: &str) {
        note(Level::Info, || text);
    }

    fn log(&self, text: &str, info: bool) {
        note(if info { Level::Info } else { Level::Debug }, || text);
    }

    fn warn(&self, text: &str) {
        note(Level::Warn, || text);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_log_that_is_too_long_tells_how_it_ended() {
        resume(Some(Writing::default()));
        ToTranscript.log(&"x".repeat(60_000), false);
        for _ in 0..1_000 {
            ToTranscript.print("one more");
        }
        let packed = pause().unwrap().finish(Some("select 1".to_owned()), Level::Error, "it failed".to_owned());
        let read = proto::transcript::unpack(&packed.0).unwrap();
        let messages: Vec<&str> = read.log.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages.len(), 1 + (LOG_BYTES_MAX - 60_032) / 40 + 2);
        let left_out = 1_000 - (messages.len() - 3);
        let last = format!("{left_out} lines more than fit were left out");
        assert_eq!(messages[messages.len() - 2..], [last.as_str(), "it failed"]);
        assert_eq!(read.compiled_code.as_deref(), Some("select 1"));
    }

    #[test]
    fn nothing_is_kept_where_nobody_asks() {
        resume(None);
        note(Level::Info, || -> String { panic!("nobody reads it") });
        keep_run_code("select 1");
        assert!(pause().is_none());
    }
}

//! Console lines: dbt's words, dbt's padding, dbt's event codes.
//!
//! Wrappers grep the text lines and parse the JSON ones, so both follow dbt: `HH:MM:SS  message` in text, and one object with
//! `info` and `data` a line with `--log-format json`. Everything the program prints goes through `Console`.
//!
//! Invariant: the value of a `DBT_ENV_SECRET…` variable is on no line.

mod difference;
mod event;
mod log_file;
mod secrets;
mod style;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use serde_json::json;

pub use event::{BatchLine, BatchState, Ended, Event, NodeKind, NodeLine, counted};
pub use style::Style;

use secrets::Secrets;

use crate::args::{Global, LogFormat, LogLevel};
use crate::progress::Progress;
use log_file::LogFile;

/// Where lines go and how they look. Cheap to clone; all clones write to the same place.
#[derive(Clone)]
pub struct Console {
    inner: Arc<Inner>,
}

struct Inner {
    format: LogFormat,
    level: LogLevel,
    style: Style,
    width: usize,
    print: bool,
    invocation_id: String,
    secrets: Secrets,
    log_level: LogLevel,
    log: Option<Mutex<LogFile>>,
    /// Lines that are ready and not printed yet, while somebody holds them back.
    held: Mutex<Option<String>>,
    progress: Mutex<Option<Progress>>,
}

impl Console {
    /// With `log_dir`, every line is written into its `dbt.log` as well.
    pub fn new(global: &Global, invocation_id: String, log_dir: Option<&Path>) -> Self {
        let log = log_dir
            .filter(|_| global.log_level_file != LogLevel::None)
            .and_then(|dir| LogFile::open(dir, &invocation_id, Utc::now()).ok())
            .map(Mutex::new);
        let level = match (global.quiet, global.debug) {
            (true, _) => LogLevel::Error,
            (false, true) => LogLevel::Debug,
            (false, false) => global.log_level,
        };
        let wants_colors = if global.no_use_colors {
            false
        } else {
            global.use_colors.unwrap_or_else(|| {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            })
        };
        let style = Style { colors: wants_colors && global.log_format != LogFormat::Json };
        Self {
            inner: Arc::new(Inner {
                format: global.log_format,
                level,
                style,
                width: global.printer_width,
                print: global.print(),
                invocation_id,
                secrets: Secrets::of_environment(),
                log_level: global.log_level_file,
                log,
                held: Mutex::new(None),
                progress: Mutex::new(None),
            }),
        }
    }

    /// Writes the line of an event, if its level is wanted.
    pub fn emit(&self, event: &Event) {
        let now = Utc::now();
        if let Some(log) = self.inner.log.as_ref().filter(|_| event.level() >= self.inner.log_level) {
            let message = event.message(Style { colors: false }, self.inner.width);
            let mut log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            log.write(event.level_name(), &self.inner.secrets.conceal(&message), now);
            if self.held().is_none() {
                log.flush();
            }
        }
        if event.level() < self.inner.level {
            return;
        }
        let message = event.message(self.inner.style, self.inner.width);
        let line = match self.inner.format {
            LogFormat::Json => self.json_line(event, &message, now),
            LogFormat::Debug => format!("{} [{:<5}] {message}", now.format("%H:%M:%S%.6f"), event.level_name()),
            LogFormat::Default | LogFormat::Text if event.is_bare() => message,
            LogFormat::Default | LogFormat::Text => format!("{}  {message}", now.format("%H:%M:%S")),
        };
        self.write(&line);
    }

    /// Keeps lines back until the guard is dropped, and then writes them at once: a thousand lines that come together cost one write.
    pub fn hold(&self) -> Held<'_> {
        self.held().get_or_insert_default();
        Held { console: self }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.inner.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What a verb was asked to print (`ls`, `show`, `compile`) and what templates `print()`: no time before it, and not silenced by
    /// `--quiet`.
    pub fn output(&self, text: &str) {
        self.write(text);
    }

    /// `print()` in a template.
    pub fn print(&self, text: &str) {
        if self.inner.print {
            self.emit_print(text);
        }
    }

    fn emit_print(&self, text: &str) {
        match self.inner.format {
            LogFormat::Json => {
                let event = Event::Note(text.to_owned());
                let line = self.json_line(&event, text, Utc::now());
                self.write(&line);
            }
            _ => self.write(text),
        }
    }

    /// Shows a progress bar below the lines where standard error is a terminal; returns whether it does.
    pub fn start_progress(&self, total: u64) -> bool {
        let wanted = self.inner.format != LogFormat::Json
            && self.inner.level <= LogLevel::Info
            && std::io::stdout().is_terminal()
            && std::io::stderr().is_terminal();
        if wanted {
            *self.progress() = Some(Progress::new(total, self.inner.style));
        }
        wanted
    }

    pub fn progress_started(&self, name: &str) {
        if let Some(progress) = self.progress().as_mut() {
            progress.started(name);
        }
    }

    pub fn progress_finished(&self, name: &str) {
        if let Some(progress) = self.progress().as_mut() {
            progress.finished(name);
        }
    }

    pub fn end_progress(&self) {
        if let Some(progress) = self.progress().take() {
            progress.clear();
        }
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Option<Progress>> {
        self.inner.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn json_line(&self, event: &Event, message: &str, now: DateTime<Utc>) -> String {
        let thread = std::thread::current().name().unwrap_or("MainThread").to_owned();
        json!({
            "data": event.data(),
            "info": {
                "category": "",
                "code": event.code(),
                "extra": {},
                "invocation_id": self.inner.invocation_id,
                "level": event.level_name(),
                "msg": message,
                "name": event.name(),
                "pid": std::process::id(),
                "thread": if thread == "main" { "MainThread".to_owned() } else { thread },
                "ts": now.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            }
        })
        .to_string()
    }

    fn write(&self, line: &str) {
        let line = self.inner.secrets.conceal(line);
        let mut held = self.held();
        if let Some(held) = held.as_mut() {
            held.push_str(&line);
            held.push('\n');
            return;
        }
        drop(held);
        self.write_out(&format!("{line}\n"));
    }

    /// A reader that went away (`kontiki ls | head`) is no reason to fail the run.
    fn write_out(&self, lines: &str) {
        let progress = self.progress();
        let print = || {
            let mut out = std::io::stdout().lock();
            let _reader_gone = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
        };
        match progress.as_ref() {
            Some(progress) => progress.suspend(print),
            None => print(),
        }
    }
}

/// Holds lines back while it lives.
pub struct Held<'a> {
    console: &'a Console,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let lines = self.console.held().take();
        if let Some(lines) = lines.filter(|lines| !lines.is_empty()) {
            self.console.write_out(&lines);
        }
        if let Some(log) = &self.console.inner.log {
            log.lock().unwrap_or_else(std::sync::PoisonError::into_inner).flush();
        }
    }
}

//! The progress bar and the running nodes, shown on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::Style;

/// Running names shown at most; the rest is counted.
const NAMES_SHOWN_MAX: usize = 3;

/// A bar with the finished share and the names of what runs.
pub struct Progress {
    bar: ProgressBar,
    running: Vec<String>,
}

impl Progress {
    pub fn new(total: u64, style: Style) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let template = if style.colors {
            "{bar:30.green/dim} {pos}/{len} {elapsed} {wide_msg:.dim}"
        } else {
            "{bar:30} {pos}/{len} {elapsed} {wide_msg}"
        };
        let look = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(look.progress_chars("━━─"));
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, running: Vec::new() }
    }

    pub fn started(&mut self, name: &str) {
        self.running.push(name.to_owned());
        self.show();
    }

    pub fn finished(&mut self, name: &str) {
        if let Some(at) = self.running.iter().position(|running| running == name) {
            self.running.remove(at);
        }
        self.bar.inc(1);
        self.show();
    }

    /// Runs `print` with the bar out of the way.
    pub fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self) {
        let mut message = self.running.iter().take(NAMES_SHOWN_MAX).cloned().collect::<Vec<_>>().join(", ");
        if self.running.len() > NAMES_SHOWN_MAX {
            message.push_str(&format!(" and {} more", self.running.len() - NAMES_SHOWN_MAX));
        }
        self.bar.set_message(message);
    }
}

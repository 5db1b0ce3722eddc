//! Ctrl-C: the first asks the run to stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

type Action = Box<dyn Fn() + Send>;

/// What Ctrl-C and SIGTERM do.
#[derive(Clone)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    action: Arc<Mutex<Option<Action>>>,
}

/// dbt's shell convention for a process that a second Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

impl Interrupt {
    pub fn install() -> Result<Self> {
        let interrupt = Self { flag: Arc::default(), action: Arc::default() };
        let installed = interrupt.clone();
        ctrlc::set_handler(move || {
            if installed.flag.swap(true, Ordering::SeqCst) {
                std::process::exit(EXIT_INTERRUPTED);
            }
            match installed.action.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                Some(action) => action(),
                // Nothing runs that would have to be left resumable.
                None => std::process::exit(EXIT_INTERRUPTED),
            }
        })?;
        Ok(interrupt)
    }

    /// From now on the first Ctrl-C calls `action` instead of ending the process.
    pub fn on_first(&self, action: impl Fn() + Send + 'static) {
        *self.action.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
    }

    pub fn happened(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }

    /// Templates watch this flag.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }
}

//! Ctrl-C: the first asks the run to stop, the second ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

type Action = Box<dyn FnOnce() + Send>;

/// What Ctrl-C and SIGTERM do.
#[derive(Clone)]
pub struct Interrupt {
    flag: Arc<AtomicBool>,
    action: Arc<Mutex<Option<Action>>>,
}

/// 128 + SIGINT, as shells report a process that the signal ended.
const EXIT_INTERRUPTED: i32 = 130;

impl Interrupt {
    pub fn install() -> Result<Self> {
        let interrupt = Self { flag: Arc::default(), action: Arc::default() };
        let installed = interrupt.clone();
        ctrlc::set_handler(move || {
            if installed.flag.swap(true, Ordering::SeqCst) {
                exit_now();
            }
            match installed.action.lock().unwrap_or_else(PoisonError::into_inner).take() {
                // On a thread of its own: while it waits, a second Ctrl-C must still be heard.
                Some(action) => drop(std::thread::spawn(action)),
                // Nothing runs that would have to be left resumable.
                None => exit_now(),
            }
        })?;
        Ok(interrupt)
    }

    /// From now on the first Ctrl-C calls `action` instead of ending the process.
    pub fn on_first(&self, action: impl FnOnce() + Send + 'static) {
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

/// Ends the process without running exit handlers: those of a library whose statement is in flight may wait for that statement.
fn exit_now() -> ! {
    // SAFETY: `_exit` takes no pointers, keeps nothing of the process alive and does not return.
    unsafe { libc::_exit(EXIT_INTERRUPTED) }
}

//! Somebody who reads all the time what is being replaced.
//!
//! Invariant: a build that makes the same anew changes nothing that a reader sees, at no moment: no relation is missing, empty, or half
//! of one and half of another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::warehouse::Warehouse;

/// Stops when dropped.
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Reads relations again and again, and compares.
    pub fn begin(warehouse: Arc<Warehouse>, wanted: BTreeMap<String, String>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let read = move || {
            let mut client = warehouse.client();
            while !stopped.load(Ordering::Relaxed) {
                for (relation, content) in &wanted {
                    let seen = Warehouse::content(&mut client, relation);
                    assert_eq!(seen.as_ref(), Ok(content), "what a reader sees of {relation}");
                }
            }
        };
        Self { stop, thread: Some(std::thread::spawn(read)) }
    }

    /// Fails where anything else was seen than what was wanted.
    pub fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it ends once");
        thread.join().unwrap_or_else(|failure| std::panic::resume_unwind(failure));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

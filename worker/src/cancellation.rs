//! Stopping the work of one attempt, from any thread.
//!
//! Invariant: a cancellation never hits the attempt that follows on the same connection: whoever interrupts holds the same lock
//! that ends an attempt.

use std::sync::{Arc, Mutex, PoisonError};

use crate::warehouse::Canceller;

/// Shared between the slot that works and whoever may stop it.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    canceled: bool,
    /// Set while the attempt may have a statement in flight.
    canceller: Option<Arc<dyn Canceller>>,
}

impl Cancellation {
    /// Interrupts the statement in flight, if any, and lets none follow.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.canceled = true;
        if let Some(canceller) = &state.canceller {
            canceller.cancel();
        }
    }

    pub fn is_canceled(&self) -> bool {
        self.state().canceled
    }

    /// The attempt works over the connection that `canceller` interrupts.
    pub(crate) fn arm(&self, canceller: Arc<dyn Canceller>) {
        self.state().canceller = Some(canceller);
    }

    /// The attempt is over: later calls of `cancel` do nothing.
    pub(crate) fn disarm(&self) {
        self.state().canceller = None;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is two plain fields: a panic elsewhere cannot have left it half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

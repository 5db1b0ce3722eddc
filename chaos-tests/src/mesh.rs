//! Between replicas: messages are lost, repeated and out of order; a replica may be cut off from the others.

use std::collections::BTreeSet;

use crate::consensus::Message;
use crate::dice::Dice;

/// Messages under way; the oldest is lost beyond that.
const UNDER_WAY_MAX: usize = 200;

#[derive(Debug, Default)]
pub struct Mesh {
    under_way: Vec<Envelope>,
    /// Replicas that nobody reaches.
    pub isolated: BTreeSet<u64>,
    /// Stops losing, repeating and reordering.
    pub healed: bool,
}

#[derive(Clone, Debug)]
pub struct Envelope {
    pub from: u64,
    pub to: u64,
    pub message: Message,
}

impl Mesh {
    pub fn send(&mut self, from: u64, messages: Vec<(u64, Message)>) {
        for (to, message) in messages {
            if !self.isolated.contains(&from) && !self.isolated.contains(&to) {
                self.under_way.push(Envelope { from, to, message });
            }
        }
        let excess = self.under_way.len().saturating_sub(UNDER_WAY_MAX);
        self.under_way.drain(..excess);
    }

    /// The next to arrive.
    pub fn arrive(&mut self, dice: &mut Dice) -> Option<Envelope> {
        if self.under_way.is_empty() {
            return None;
        }
        if self.healed {
            return Some(self.under_way.remove(0));
        }
        let place = if dice.percent(60) { 0 } else { dice.below(self.under_way.len()) };
        match dice.below(100) {
            0..=4 => {
                self.under_way.remove(place);
                None
            }
            5..=9 => self.under_way.get(place).cloned(),
            _ => Some(self.under_way.remove(place)),
        }
    }
}

//! Ports for servers that will be started again.
//!
//! Invariants: none is in the range from which the system takes the ports of outgoing connections (from 32768 on Linux, from 49152
//! elsewhere), so nobody can take one while its server is down. A process is given none twice.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// Ports that this process has looked at.
static SEEN: AtomicU32 = AtomicU32::new(0);

/// So many different ports of loopback that nobody listens on.
pub fn free(count: usize) -> Vec<u16> {
    // Where a test begins to look depends on its process, so that those that run side by side look at different ports.
    let start = std::process::id().wrapping_mul(2_654_435_761) % COUNT;
    let candidates = std::iter::repeat_with(|| {
        let seen = SEEN.fetch_add(1, Ordering::Relaxed);
        assert!(seen < COUNT, "no port of loopback is free");
        (FIRST + (start + seen) % COUNT) as u16
    });
    candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect()
}

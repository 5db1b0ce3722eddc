//! Ports for servers that will be started again.
//!
//! Invariant: none is in the range from which the system takes the ports of outgoing connections (from 32768 on Linux, from 49152
//! elsewhere), so nobody can take one while its server is down.

use std::net::TcpListener;

const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// So many different ports of loopback that nobody listens on.
pub fn free(count: usize) -> Vec<u16> {
    // Where a test begins to look depends on its process, so that those that run side by side look at different ports.
    let start = std::process::id().wrapping_mul(2_654_435_761) % COUNT;
    let candidates = (0..COUNT).map(|step| (FIRST + (start + step) % COUNT) as u16);
    // Held until all are chosen, so that a test that looks at the same time in the same process finds others.
    let held: Vec<TcpListener> =
        candidates.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).take(count).collect();
    held.iter().map(|listener| listener.local_addr().expect("a bound address").port()).collect()
}

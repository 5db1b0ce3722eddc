//! A way to the server that breaks where the test says.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Which side of the server's work the connection breaks on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The message never arrives.
    Request,
    /// The server does what it is told; nobody hears of it.
    Reply,
}

/// Breaks one connection at the first message that contains `text`; afterwards everything passes.
struct Trap {
    text: &'static str,
    lost: Lost,
}

pub struct Proxy {
    pub port: u16,
    trap: Arc<Mutex<Option<Trap>>>,
}

impl Proxy {
    pub fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), trap: Arc::default() };
        let trap = proxy.trap.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, trap) = (client.unwrap(), trap.clone());
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                Wire::connect(client, server, trap);
            }
        });
        proxy
    }

    pub fn lose(&self, lost: Lost, text: &'static str) {
        *self.trap.lock().unwrap() = Some(Trap { text, lost });
    }

    /// Whether the trap has been sprung.
    pub fn has_lost(&self) -> bool {
        self.trap.lock().unwrap().is_none()
    }
}

struct Wire {
    client: TcpStream,
    server: TcpStream,
    is_deaf: AtomicBool,
}

impl Wire {
    fn connect(client: TcpStream, server: TcpStream, trap: Arc<Mutex<Option<Trap>>>) {
        let wire = Arc::new(Self { client, server, is_deaf: AtomicBool::new(false) });
        let up = wire.clone();
        std::thread::spawn(move || {
            up.pump(&up.client, &up.server, |message| up.passes(message, &trap));
        });
        std::thread::spawn(move || {
            wire.pump(&wire.server, &wire.client, |_| !wire.is_deaf.load(Ordering::SeqCst));
        });
    }

    /// Whether a message of the client goes on to the server.
    fn passes(&self, message: &[u8], trap: &Mutex<Option<Trap>>) -> bool {
        let mut trap = trap.lock().unwrap();
        let hit = trap
            .as_ref()
            .is_some_and(|trap| message.windows(trap.text.len()).any(|window| window == trap.text.as_bytes()));
        let Some(sprung) = trap.take_if(|_| hit) else { return true };
        self.is_deaf.store(true, Ordering::SeqCst);
        sprung.lost == Lost::Reply
    }

    /// Passes on what comes until either side ends, or `passes` says no: then both are cut.
    fn pump(&self, mut from: &TcpStream, mut to: &TcpStream, passes: impl Fn(&[u8]) -> bool) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if !passes(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        // A side that is gone already needs no cut.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

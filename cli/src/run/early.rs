//! What a run needs besides the parsed project, opened while the project is still being parsed: the warehouse with a first
//! connection, and the local state with its leader. Both wait for disks and dynamic linkers more than they compute.
//!
//! Invariant: what went wrong here is told when, and only when, the run asks for it; the order of messages does not depend on threads.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use common::diagnostic::Code;
use common::target::Connection as Settings;
use scheduler::local::{self, Handle};
use worker::warehouse::{self, Connection, Warehouse};

use super::{STATE_DIR, refuse_warehouse, state_corrupt};
use crate::project::{Call, Opened, Refused};

/// A thread that opens something; `None` once it was asked for.
type Opening<T, E> = Option<JoinHandle<Result<T, E>>>;

/// A warehouse and a connection to it.
pub type Connected = (Arc<dyn Warehouse>, Box<dyn Connection>);

pub struct Early {
    warehouse: Opening<Connected, Unopened>,
    leader: Opening<Handle, local::Error>,
}

enum Unopened {
    Origin(PathBuf, std::io::Error),
    Warehouse(warehouse::Error),
}

impl Early {
    /// Begins only where the project was run before: a project that turns out not to parse gets no new files.
    pub fn begin_again(opened: &Opened) -> Option<Self> {
        opened.root.join(STATE_DIR).exists().then(|| Self::begin(opened)).flatten()
    }

    /// `None` where there are no threads to be had.
    pub fn begin(opened: &Opened) -> Option<Self> {
        let state_dir = opened.root.join(STATE_DIR);
        let settings = opened.connection.clone();
        let (for_leader, thread) = (state_dir.clone(), || std::thread::Builder::new().name("opening".to_owned()));
        let mut early = Self { warehouse: None, leader: None };
        early.warehouse = Some(thread().spawn(move || connect(&state_dir, &settings)).ok()?);
        early.leader = Some(thread().spawn(move || local::start(local::Config::new(for_leader))).ok()?);
        Some(early)
    }

    pub fn warehouse(&mut self, call: &Call, opened: &Opened) -> Result<Connected, Refused> {
        match take(&mut self.warehouse) {
            Some(connected) => connected.map_err(|unopened| unopened.refuse(call, opened)),
            None => Err(call.refuse_with(Code::Internal, &"opening the warehouse ended without an answer")),
        }
    }

    /// What is wrong is for the caller to tell, with `refuse_local`.
    pub fn leader(&mut self) -> anyhow::Result<Handle> {
        match take(&mut self.leader) {
            Some(opened) => Ok(opened?),
            None => Err(anyhow::anyhow!("opening the local state ended without an answer")),
        }
    }
}

impl Drop for Early {
    /// A process must not end while a library is still starting on another thread.
    fn drop(&mut self) {
        drop(take(&mut self.warehouse));
        if let Some(Ok(leader)) = take(&mut self.leader) {
            leader.shutdown();
        }
    }
}

/// What the thread came to; `None` where it panicked, which has printed why, or was asked before.
fn take<T, E>(opening: &mut Opening<T, E>) -> Option<Result<T, E>> {
    opening.take()?.join().ok()
}

/// The warehouse alone, at once.
pub fn open(call: &Call, opened: &Opened) -> Result<Connected, Refused> {
    let connected = connect(&opened.root.join(STATE_DIR), &opened.connection);
    connected.map_err(|unopened| unopened.refuse(call, opened))
}

impl Unopened {
    fn refuse(self, call: &Call, opened: &Opened) -> Refused {
        match self {
            Self::Warehouse(error) => refuse_warehouse(call, opened, error),
            Self::Origin(file, error) => {
                let message = format!("{}: {error}", file.display());
                match error.kind() {
                    ErrorKind::InvalidData => call.refuse(state_corrupt(message)),
                    _ => call.refuse_with(Code::Io, &message),
                }
            }
        }
    }
}

fn connect(state_dir: &Path, settings: &Settings) -> Result<Connected, Unopened> {
    let origin = origin(state_dir).map_err(|error| Unopened::Origin(state_dir.join("origin"), error))?;
    let warehouse = warehouse::open(settings, &origin).map_err(Unopened::Warehouse)?;
    let connection = warehouse.connect().map_err(Unopened::Warehouse)?;
    Ok((warehouse, connection))
}

/// Names this state's log to the warehouse's fence, so that epochs of different logs are never compared.
fn origin(state_dir: &Path) -> std::io::Result<String> {
    let file = state_dir.join("origin");
    match std::fs::read_to_string(&file) {
        Ok(origin) => Ok(origin.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::fs::create_dir_all(state_dir)?;
            let origin = uuid::Uuid::now_v7().to_string();
            let partial = state_dir.join("origin.partial");
            std::fs::write(&partial, &origin)?;
            std::fs::rename(&partial, &file)?;
            Ok(origin)
        }
        Err(error) => Err(error),
    }
}

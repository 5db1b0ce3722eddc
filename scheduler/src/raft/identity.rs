//! Who a replica is, in a file on its volume.
//!
//! Invariants: once written, cluster and replica never change; a volume that was lost comes back as a new replica. Each start
//! of the process is a new incarnation, so what two processes propose under one replica id is never taken for one another's.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::Error;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The form of this file.
    version: u32,
    /// Drawn once, by the replica that made the cluster.
    pub cluster: String,
    pub replica: u64,
    /// Counts the starts of the process.
    pub incarnation: u64,
}

const VERSION: u32 = 1;

impl Identity {
    pub fn new(cluster: String, replica: u64) -> Self {
        Self { version: VERSION, cluster, replica, incarnation: 1 }
    }

    /// The identity on a volume as of this start of the process; none on a fresh volume.
    pub fn load(directory: &Path) -> Result<Option<Self>, Error> {
        let path = path(directory);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { path, source }),
        };
        let mut identity: Self = serde_json::from_slice(&bytes).map_err(|error| {
            let source = std::io::Error::new(ErrorKind::InvalidData, error);
            Error::Io { path: path.clone(), source }
        })?;
        if identity.version != VERSION {
            return Err(Error::TooNew { path });
        }
        identity.incarnation += 1;
        identity.save(directory)?;
        Ok(Some(identity))
    }

    /// Durable on return.
    pub fn save(&self, directory: &Path) -> Result<(), Error> {
        let (path, aside) = (path(directory), directory.join("identity.new"));
        let save = || {
            let mut file = File::create(&aside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)?;
            File::open(directory)?.sync_all()
        };
        save().map_err(|source| Error::Io { path: path.clone(), source })
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join("identity.json")
}

//! The state in a plain file, replaced as a whole: written aside, synced, renamed, and the folder synced.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::{Damage, Error, codec};
use crate::state::State;

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("snapshot")
}

pub(super) fn read(directory: &Path) -> Result<Option<Vec<u8>>, Error> {
    let path = path(directory);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path, source }),
    }
}

pub(super) fn write(directory: &Path, state: &State) -> Result<(), Error> {
    let (path, aside) = (path(directory), directory.join("snapshot.new"));
    let save = || {
        let mut file = File::create(&aside)?;
        file.write_all(&codec::encode_snapshot(state))?;
        file.sync_all()?;
        std::fs::rename(&aside, &path)?;
        File::open(directory)?.sync_all()
    };
    save().map_err(|source| Error::Io { path: path.clone(), source })
}

pub(super) fn damaged(directory: &Path, damage: Damage) -> Error {
    let path = path(directory);
    match damage {
        Damage::Version(_) => Error::TooNew { path },
        _ => Error::CorruptSnapshot { path, reason: damage.to_string() },
    }
}

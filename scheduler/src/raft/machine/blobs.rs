//! The bytes beside the state, each kind in files of its own: a blob in one that is named by its digest, the transcripts of a run in one
//! that is named by the run. The state knows which there are and how much of each has arrived.
//!
//! Invariant: the bytes are on disk before the snapshot that covers the commands that brought them; until then the log brings them
//! again.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use common::RunId;

use crate::state::State;

#[derive(Clone, Debug)]
pub struct Blobs {
    directory: PathBuf,
}

/// Whether a name is that of a blob or of a run's transcripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Blob,
    Transcripts(RunId),
}

impl Kind {
    /// None of what could be any other file.
    pub fn of(name: &str) -> Option<Self> {
        if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(Self::Blob);
        }
        name.parse().ok().filter(|run: &RunId| run.to_string() == name).map(Self::Transcripts)
    }
}

impl Blobs {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.join("blobs") }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a file is, by the hexadecimal form of its digest or by its run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a piece of a file. Not durable before it is synced for a snapshot.
    pub fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        let file = match self.open(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::create_dir_all(&self.directory)?;
                self.open(name)?
            }
            opened => opened?,
        };
        file.write_all_at(bytes, offset)
    }

    fn open(&self, name: &str) -> std::io::Result<File> {
        File::options().write(true).create(true).truncate(false).open(self.path(name))
    }

    /// Forgets a file.
    pub fn remove(&self, name: &str) -> std::io::Result<()> {
        match std::fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Name of each file that the state holds, and how much of it is there.
    pub(super) fn needed(state: &State) -> Vec<(String, u64)> {
        let blobs = state.projects().blobs().map(|(digest, blob)| (digest.to_string(), blob.received));
        let transcripts = state.transcripts().map(|(run, transcripts)| (run.to_string(), transcripts.length()));
        blobs.chain(transcripts.filter(|(_, length)| *length > 0)).collect()
    }

    /// Makes what the state holds durable. What is gone was collected since: the log tells so to whoever gets the state.
    pub(super) fn sync(&self, state: &State) -> std::io::Result<Vec<(String, u64)>> {
        let mut held = Self::needed(state);
        held.retain(|(name, _)| self.path(name).exists());
        for (name, length) in &held {
            let file = File::options().write(true).open(self.path(name))?;
            // A piece at the end that could not be written leaves a hole: whoever reads there is told.
            if matches!(Kind::of(name), Some(Kind::Transcripts(_))) && file.metadata()?.len() < *length {
                file.set_len(*length)?;
            }
            file.sync_all()?;
        }
        if !held.is_empty() {
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(held)
    }

    /// Removes what the state does not hold: its removal was missed by a replica that got a snapshot instead. What comes after the state
    /// in the log is brought again by the log.
    pub(super) fn sweep(&self, state: &State) -> std::io::Result<()> {
        let files = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            files => files?,
        };
        let needed: std::collections::HashSet<String> = Self::needed(state).into_iter().map(|(name, _)| name).collect();
        for file in files {
            let file = file?;
            let is_needed = file.file_name().to_str().is_some_and(|name| needed.contains(name));
            if !is_needed && file.file_type()?.is_file() {
                std::fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::{ContentDigest, Timestamp};

    use super::*;
    use crate::state::Command;

    #[test]
    fn what_the_state_does_not_hold_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path());
        let digest = ContentDigest([7; 32]);
        let mut state = State::default();
        state.apply(1, Timestamp(1), Command::PutBlob { digest, size: 3, offset: 0, bytes: vec![1] });
        let gone = RunId(uuid::Uuid::from_u128(7)).to_string();
        for name in [&digest.to_string(), &gone, "left.received"] {
            blobs.write(name, 0, &[1]).unwrap();
        }
        blobs.sweep(&state).unwrap();
        let left: Vec<_> =
            std::fs::read_dir(blobs.directory()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, [digest.to_string().as_str()]);
        Blobs::new(&folder.path().join("nowhere")).sweep(&state).unwrap();
    }

    #[test]
    fn a_name_says_what_a_file_is() {
        let run = RunId(uuid::Uuid::from_u128(7));
        assert_eq!(Kind::of(&run.to_string()), Some(Kind::Transcripts(run)));
        assert_eq!(Kind::of(&"ab".repeat(32)), Some(Kind::Blob));
        for other in ["", "snapshot", "../identity", &run.0.simple().to_string(), &run.0.urn().to_string()] {
            assert_eq!(Kind::of(other), None, "{other}");
        }
        // What could be spelled in two ways would be two files.
        let capital = RunId(uuid::Uuid::from_u128(0xabc)).to_string().to_uppercase();
        assert_eq!(Kind::of(&capital), None);
    }
}

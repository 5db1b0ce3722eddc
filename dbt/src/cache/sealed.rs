//! Files of the cache: a payload behind the name of the compiler that wrote it and a digest.
//!
//! Invariant: what `read` gives is what the same compiler wrote, whole; a file that is damaged, foreign or of another version reads
//! as nothing.

use std::fs;
use std::io::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Sum;

const MAGIC: &[u8; 16] = b"kontiki cache\0\0\x02";
/// Digest of this compiler's sources, in hexadecimal.
const COMPILER: &[u8] = env!("KONTIKI_COMPILER").as_bytes();
const DIGEST_AT: usize = MAGIC.len() + COMPILER.len();
const PAYLOAD_AT: usize = DIGEST_AT + size_of::<Sum>();

/// A file that was read.
pub struct Sealed {
    bytes: Vec<u8>,
    pub digest: Sum,
}

impl Sealed {
    pub fn payload(&self) -> &[u8] {
        &self.bytes[PAYLOAD_AT..]
    }
}

pub fn read(path: &Path) -> Option<Sealed> {
    let bytes = fs::read(path).ok()?;
    let (head, payload) = bytes.split_at_checked(PAYLOAD_AT)?;
    let names_us = head.starts_with(MAGIC) && head[MAGIC.len()..].starts_with(COMPILER);
    let digest = Sum::try_from(&head[DIGEST_AT..]).ok()?;
    (names_us && super::sum(payload) == digest).then_some(Sealed { bytes, digest })
}

/// Replaces the file in one step, so that no reader sees half of it; an error leaves the old one in place. Returns the digest.
pub fn write(path: &Path, payload: &[u8]) -> Option<Sum> {
    let digest: Sum = Sha256::digest(payload).into();
    let partial = path.with_extension("bin.partial");
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        let mut file = fs::File::create(&partial)?;
        for part in [MAGIC.as_slice(), COMPILER, &digest, payload] {
            file.write_all(part)?;
        }
        fs::rename(&partial, path)
    });
    if written.is_err() {
        // What is left over is overwritten by the next parse, if it cannot be removed now.
        let _ = fs::remove_file(partial);
        return None;
    }
    Some(digest)
}

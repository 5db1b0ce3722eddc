//! Writes `manifest.json`, building only its head where the rest is as it was.
//!
//! A note beside the file says from what it was built and what the file looked like then. Where both still hold, only `metadata`
//! is new: who called, and when. As with dbt's partial parsing, `created_at` stays the time of the parse. A head of the same length
//! is written over the old one, which costs neither reading megabytes nor flushing them. Invariants: what is kept was touched by
//! nobody else; whatever is wrong with the note merely costs building the document; the file is the whole document at any moment,
//! though who reads while its head is being written may see the ids and times of two calls.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use common::Manifest;
use sha2::{Digest, Sha256};

use super::Metadata;
use super::manifest::{Document, manifest};
use crate::parse::Fingerprint;

const NOTE_NAME: &str = "kontiki_manifest.txt";
const HEAD: &[u8] = b"{\"metadata\":";
/// The end of `metadata` and what follows. Nothing inside of it can look like this: quotes within strings are escaped.
const AFTER_METADATA: &[u8] = b"},\"nodes\":";

/// Writes the document of a parse; `fingerprint` names that parse.
pub fn write_manifest(
    path: &Path,
    found: &Manifest,
    metadata: &Metadata,
    fingerprint: Option<&Fingerprint>,
) -> io::Result<()> {
    let document = manifest(found, metadata);
    let note = path.with_file_name(NOTE_NAME);
    let content = fingerprint.map(|fingerprint| content(found, fingerprint)).transpose()?;
    let is_kept = content.as_ref().is_some_and(|content| is_as_noted(path, &note, content));
    if !is_kept || !renew_head(path, &document)? {
        super::replace(path, |out| document.write_to(out))?;
    }
    if let Some(text) = content.and_then(|content| describe(path, &content)) {
        // Without the note the next call builds the document again, which is no error.
        let _ = fs::write(note, text);
    }
    Ok(())
}

/// Names everything but `metadata`. Selectors are read beside the parse.
fn content(found: &Manifest, fingerprint: &Fingerprint) -> io::Result<Vec<u8>> {
    let mut hasher = Sha256::new();
    hasher.update(fingerprint.0);
    hasher.update(serde_json::to_vec(&found.selectors)?);
    Ok(hasher.finalize().to_vec())
}

/// Whether the file was built from that parse and is as it was written.
fn is_as_noted(path: &Path, note: &Path, content: &[u8]) -> bool {
    describe(path, content).is_some_and(|described| fs::read_to_string(note).is_ok_and(|noted| noted == described))
}

/// Writes `metadata` over what stands there; false where it has another length, or the file is not ours to write to.
fn renew_head(path: &Path, document: &Document<'_>) -> io::Result<bool> {
    let mut head = HEAD.to_vec();
    serde_json::to_writer(&mut head, &document.metadata_entry())?;
    let Ok(mut file) = fs::File::options().read(true).write(true).open(path) else { return Ok(false) };
    let mut old = vec![0; head.len() - 1 + AFTER_METADATA.len()];
    let fits = file.read_exact(&mut old).is_ok() && old.starts_with(HEAD) && old.ends_with(AFTER_METADATA);
    if fits {
        file.rewind()?;
        file.write_all(&head)?;
    }
    Ok(fits)
}

/// The content and what tells without reading it that the file is the one that was written.
fn describe(path: &Path, content: &[u8]) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    let modified = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let mut text = String::new();
    for byte in content {
        write!(text, "{byte:02x}").expect("writing to a string succeeds");
    }
    writeln!(text, " {} {}", file.len(), modified.as_nanos()).expect("writing to a string succeeds");
    Some(text)
}

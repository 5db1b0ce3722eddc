//! Writes `manifest.json`, building only its head where the rest is as it was.
//!
//! A note beside the file says from what it was built and what the file looked like then. Where both still hold, only `metadata`
//! is new: who called, and when. As with dbt's partial parsing, `created_at` stays the time of the parse. Invariant: the file is read
//! again only if nobody else has touched it, and whatever is wrong with the note merely costs building the document.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use common::Manifest;
use sha2::{Digest, Sha256};

use super::Metadata;
use super::manifest::{Document, manifest};
use crate::parse::Fingerprint;

const NOTE_NAME: &str = "kontiki_manifest.txt";
/// What follows `metadata`. Nothing inside of it can look like this: quotes within strings are escaped.
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
    let kept = content.as_ref().and_then(|content| rest(path, &note, content));
    match kept {
        Some(rest) => replace_head(path, &document, &rest)?,
        None => super::replace(path, |out| document.write_to(out))?,
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

/// What follows `metadata` in the file, if it was built from that parse.
fn rest(path: &Path, note: &Path, content: &[u8]) -> Option<Vec<u8>> {
    let described = describe(path, content)?;
    if fs::read_to_string(note).ok()? != described {
        return None;
    }
    let mut bytes = fs::read(path).ok()?;
    let end = bytes.windows(AFTER_METADATA.len()).position(|window| window == AFTER_METADATA)?;
    bytes.drain(..=end);
    Some(bytes)
}

fn replace_head(path: &Path, document: &Document<'_>, rest: &[u8]) -> io::Result<()> {
    let mut bytes = b"{\"metadata\":".to_vec();
    serde_json::to_writer(&mut bytes, &document.metadata_entry())?;
    bytes.extend_from_slice(rest);
    let partial = path.with_extension("json.partial");
    fs::write(&partial, bytes)?;
    fs::rename(partial, path)
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

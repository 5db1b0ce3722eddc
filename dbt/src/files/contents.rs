//! Reading a file, and checksums as dbt takes them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use common::manifest::Checksum;
use sha2::{Digest, Sha256};

/// Text files larger than this are refused.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;
/// Seeds larger than this are known by their path. Source: dbt's `MAXIMUM_SEED_SIZE`.
const SEED_BYTES_HASHED_MAX: u64 = 1 << 20;

/// The text of a file, without a byte order mark. `display` names it in the diagnostic.
pub fn read_text(path: &Path, display: &str) -> Result<Arc<str>, Box<Diagnostic>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(unreadable(display, &error.to_string()));
    }
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(unreadable(display, &format!("it is larger than {} MiB", TEXT_BYTES_MAX >> 20)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::from(text.strip_prefix('\u{feff}').unwrap_or(&text))),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|&&byte| byte == b'\n').count() as u32 + 1;
            let column = valid.iter().rev().take_while(|&&byte| byte != b'\n').count() as u32 + 1;
            let mut diagnostic = unreadable(display, "it is not UTF-8");
            diagnostic.location = Some(Location { file: display.into(), line, column, source_line: None });
            diagnostic.hint = Some("save it as UTF-8".to_owned());
            Err(diagnostic)
        }
    }
}

/// SHA-256 of the text without white space around it.
pub fn text_checksum(text: &str) -> Checksum {
    sha256(Sha256::digest(text.trim()).as_slice())
}

/// A small seed is known by its contents, a large one by its path.
pub fn seed_checksum(path: &Path, original: &str, display: &str, size: u64) -> Result<Checksum, Box<Diagnostic>> {
    if size > SEED_BYTES_HASHED_MAX {
        return Ok(Checksum { name: "path".to_owned(), checksum: original.to_owned() });
    }
    let bytes = std::fs::read(path).map_err(|error: io::Error| unreadable(display, &error.to_string()))?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text_checksum(text)),
        Err(_) => Err(unreadable(display, "it is not UTF-8")),
    }
}

fn sha256(digest: &[u8]) -> Checksum {
    use std::fmt::Write;
    let mut checksum = String::with_capacity(64);
    for byte in digest {
        write!(checksum, "{byte:02x}").expect("writing to a string succeeds");
    }
    Checksum { name: "sha256".to_owned(), checksum }
}

fn unreadable(display: &str, reason: &str) -> Box<Diagnostic> {
    Box::new(
        Diagnostic::error(Code::FileUnreadable, format!("'{display}' cannot be read: {reason}"))
            .at(Location::file(display)),
    )
}

//! A short name for the content of a manifest.

use std::fmt::Write;

use common::Manifest;
use sha2::{Digest, Sha256};

/// SHA-256, in hexadecimal, of the manifest's canonical encoding: equal digests mean equal manifests, on any machine.
pub fn digest(manifest: &Manifest) -> String {
    let bytes = postcard::to_stdvec(manifest).expect("a manifest is plain data, which postcard can always encode");
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
    }
    text
}

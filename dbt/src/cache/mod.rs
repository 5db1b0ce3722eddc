//! Results of earlier parses, so that an unchanged project need not be parsed again.
//!
//! One file in the target folder holds the whole result with everything it depends on. Invariants: a result is only used where
//! all of that is the same, edits that `parse::edits` can apply apart (files by content, rendered project settings, target, variables, environment variables that templates
//! name, version of the program); a file that is damaged, foreign or from another version is ignored and written anew; no value of
//! the environment is stored, only digests.

mod inputs;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use common::target::Target;
use common::{Diagnostic, Manifest};
use sha2::{Digest, Sha256};

use crate::files::ProjectFiles;
use crate::parse::{Fingerprint, ParseOptions, Parsed, edits};
use inputs::{Changes, Inputs};

const FILE_NAME: &str = "kontiki_parse.bin";
/// Of what follows it; a new one for every change of the types that are stored.
const MAGIC: &[u8; 16] = b"kontiki parse\0\0\x01";
const DIGEST_LENGTH: usize = 32;

/// The cache in one folder.
pub struct Cache {
    path: PathBuf,
}

impl Cache {
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join(FILE_NAME) }
    }

    /// The result of the last parse, if everything it depends on is unchanged, or if files were edited in ways that are easily
    /// applied to it.
    pub fn load(&self, files: &ProjectFiles, target: &Target, options: &ParseOptions) -> Option<Parsed> {
        let written_ns = modified_ns(&self.path)?;
        let bytes = fs::read(&self.path).ok()?;
        let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
        let (digest, payload) = rest.split_at_checked(DIGEST_LENGTH)?;
        if magic != MAGIC || Sha256::digest(payload).as_slice() != digest {
            return None;
        }
        let (inputs, result) = postcard::take_from_bytes::<Inputs>(payload).ok()?;
        let Changes::Files { edited, restamped } = inputs.compare(files, target, options, written_ns) else {
            return None;
        };
        if !edited.iter().all(|(_, file)| edits::may_apply(file)) {
            return None;
        }
        let fingerprint = Some(Fingerprint(digest.try_into().ok()?));
        let (manifest, diagnostics) = postcard::from_bytes::<(Manifest, Vec<Diagnostic>)>(result).ok()?;
        let mut parsed = Parsed { manifest, diagnostics, fingerprint };
        if !edited.is_empty() {
            edits::apply(&mut parsed, &edited)?;
        }
        if restamped || !edited.is_empty() {
            parsed.fingerprint = inputs.updated(files, &edited).and_then(|inputs| self.write(&inputs, &parsed));
        }
        Some(parsed)
    }

    /// Keeps a result. Failing to is no error: the next parse merely starts from nothing.
    pub fn store(
        &self,
        files: &ProjectFiles,
        target: &Target,
        options: &ParseOptions,
        parsed: &Parsed,
    ) -> Option<Fingerprint> {
        self.write(&Inputs::of(files, target, options)?, parsed)
    }

    fn write(&self, inputs: &Inputs, parsed: &Parsed) -> Option<Fingerprint> {
        let payload = postcard::to_stdvec(inputs).ok()?;
        let payload = postcard::to_extend(&(&parsed.manifest, &parsed.diagnostics), payload).ok()?;
        let digest = Sha256::digest(&payload);
        // Written under another name first, so that no reader sees half of it. An error leaves the old file in place.
        let partial = self.path.with_extension("bin.partial");
        let written = self.path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            let mut file = fs::File::create(&partial)?;
            file.write_all(MAGIC)?;
            file.write_all(&digest)?;
            file.write_all(&payload)?;
            fs::rename(&partial, &self.path)
        });
        if written.is_err() {
            let _ = fs::remove_file(partial);
            return None;
        }
        Some(Fingerprint(digest.into()))
    }
}

fn modified_ns(path: &Path) -> Option<i64> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

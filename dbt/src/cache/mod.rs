//! Results of earlier parses, so that what did not change need not be parsed again.
//!
//! Two files in the target folder. One holds the last whole result with everything it depends on, for the parse that finds nothing
//! changed. The other is the `Memo`: results of single steps, for the parse that finds some files changed. Invariants: a result is
//! only used where all that it depends on is the same (files by content, rendered project settings, target, variables,
//! environment variables that templates name, the compiler itself); a file that is damaged, foreign or from another compiler is
//! ignored and written anew; no value of the environment is stored, only digests.

pub mod environment;
mod inputs;
pub mod memo;
mod sealed;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use common::target::Target;
use common::{Diagnostic, Manifest};
use sha2::{Digest, Sha256};

use crate::files::ProjectFiles;
use crate::parse::{Fingerprint, ParseOptions, Parsed};
use inputs::{Comparison, Inputs};
pub use memo::{Key, KeyBuilder, Memo};

const RESULT_FILE: &str = "kontiki_parse.bin";
const MEMO_FILE: &str = "kontiki_steps.bin";

/// SHA-256.
pub type Sum = [u8; 32];

pub fn sum(bytes: &[u8]) -> Sum {
    Sha256::digest(bytes).into()
}

/// The cache in one folder.
pub struct Cache {
    result: PathBuf,
    memo: PathBuf,
}

impl Cache {
    pub fn new(folder: &Path) -> Self {
        Self { result: folder.join(RESULT_FILE), memo: folder.join(MEMO_FILE) }
    }

    /// The result of the last parse, if everything it depends on is unchanged.
    pub fn load(&self, files: &ProjectFiles, target: &Target, options: &ParseOptions) -> Option<Parsed> {
        let written_ns = modified_ns(&self.result)?;
        let file = sealed::read(&self.result)?;
        let (inputs, result) = postcard::take_from_bytes::<Inputs>(file.payload()).ok()?;
        let comparison = inputs.compare(files, target, options, written_ns);
        if comparison == Comparison::Changed {
            return None;
        }
        let (manifest, diagnostics) = postcard::from_bytes::<(Manifest, Vec<Diagnostic>)>(result).ok()?;
        let mut parsed = Parsed { manifest, diagnostics, fingerprint: Some(Fingerprint(file.digest)) };
        if comparison == Comparison::Restamped {
            parsed.fingerprint = self.write(&inputs.restamped(files), &parsed);
        }
        Some(parsed)
    }

    /// Keeps a result. Failing to is no error: the next parse merely does more.
    pub fn store(
        &self,
        files: &ProjectFiles,
        target: &Target,
        options: &ParseOptions,
        parsed: &Parsed,
    ) -> Option<Fingerprint> {
        self.write(&Inputs::of(files, target, options)?, parsed)
    }

    /// The steps of the last parse.
    pub fn memo(&self) -> Memo {
        Memo::open(&self.memo)
    }

    pub fn keep_memo(&self, memo: Memo) {
        memo.write(&self.memo);
    }

    fn write(&self, inputs: &Inputs, parsed: &Parsed) -> Option<Fingerprint> {
        let payload = postcard::to_stdvec(inputs).ok()?;
        let payload = postcard::to_extend(&(&parsed.manifest, &parsed.diagnostics), payload).ok()?;
        sealed::write(&self.result, &payload).map(Fingerprint)
    }
}

fn modified_ns(path: &Path) -> Option<i64> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

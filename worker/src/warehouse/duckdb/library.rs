//! Finds and loads DuckDB's C library.
//!
//! Invariant: one library a process. Two copies would each keep their own open databases, and the lock on a file does not stop a
//! second copy in the same process from writing to it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use common::diagnostic::Code;
use common::task::FailureKind;

use super::ffi::Symbols;
use crate::warehouse::Error;

/// Names the library's file, before any other place is searched.
pub const LIBRARY_ENV: &str = "KONTIKI_DUCKDB_LIBRARY";

/// The loaded library. Its functions stay valid for as long as it lives.
pub struct Library {
    pub(super) symbols: Symbols,
    /// Unloaded after the last use of `symbols`: fields drop in order, and pointers need no drop.
    _handle: libloading::Library,
}

static LOADED: Mutex<Option<Arc<Library>>> = Mutex::new(None);

impl Library {
    /// The process's library; the first call decides where it comes from.
    pub fn load(configured: Option<&Path>) -> Result<Arc<Self>, Error> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*loaded {
            return Ok(library.clone());
        }
        let mut tried = Vec::new();
        for path in candidates(configured) {
            // A bare name is left to the system's loader; a path must be there.
            if path.components().count() > 1 && !path.is_file() {
                tried.push(format!("{} (no such file)", path.display()));
                continue;
            }
            match Self::open(&path) {
                Ok(library) => {
                    let library = Arc::new(library);
                    *loaded = Some(library.clone());
                    return Ok(library);
                }
                Err(error) => tried.push(format!("{} ({error})", path.display())),
            }
        }
        Err(Error::new(FailureKind::System, Code::LibraryMissing, missing(&tried)))
    }

    fn open(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: loading runs the library's initialisers; DuckDB's have no precondition. That the file is DuckDB's is what
        // whoever named or installed it vouches for, and a library without its symbols is refused below.
        let handle = unsafe { libloading::Library::new(path)? };
        // SAFETY: as above, and `handle` is kept beside the pointers.
        let symbols = unsafe { Symbols::load(&handle)? };
        Ok(Self { symbols, _handle: handle })
    }
}

/// Where the library may be, in the order of search.
fn candidates(configured: Option<&Path>) -> Vec<PathBuf> {
    let file = libloading::library_filename("duckdb");
    // What is named outright is the only place searched: falling back to another copy would hide the mistake.
    if let Some(path) = configured.map(Path::to_owned).or_else(|| std::env::var_os(LIBRARY_ENV).map(PathBuf::from)) {
        return vec![path];
    }
    let mut paths = Vec::new();
    if let Some(folder) = std::env::current_exe().ok().as_deref().and_then(Path::parent) {
        paths.push(folder.join(&file));
        paths.push(folder.join("lib").join(&file));
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    if let Some(cache) = cache {
        paths.push(cache.join("kontiki").join(&file));
    }
    paths.push(PathBuf::from(file));
    paths
}

fn missing(tried: &[String]) -> String {
    format!(
        "the DuckDB library cannot be loaded; looked at:\n  {}\nGet it with `npm install @duckdb/node-bindings-{}` and set \
         {LIBRARY_ENV} to the `libduckdb` file inside, or put that file next to the kontiki program",
        tried.join("\n  "),
        platform()
    )
}

/// The platform's part of the npm package's name.
fn platform() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "darwin-arm64",
        ("macos", _) => "darwin-x64",
        ("windows", _) => "win32-x64",
        (_, "aarch64") => "linux-arm64",
        _ => "linux-x64",
    }
}

//! Open databases.
//!
//! Invariant: a file is open at most once in this process, whatever path it was named by. DuckDB's lock on the file keeps other
//! processes out, not a second instance in this one, and two instances over one file lose data.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use common::diagnostic::Code;
use common::task::FailureKind;

use super::error;
use super::ffi;
use super::handle::Handle;
use super::ledger::Ledger;
use super::library::Library;
use super::profile::Profile;
use crate::warehouse::Error;

/// One instance of DuckDB over one file, or in memory.
pub(super) struct Database {
    raw: ffi::Database,
    pub library: Arc<Library>,
    /// Its key in `OPEN`; `None` in memory.
    file: Option<PathBuf>,
    pub ledger: Ledger,
}

// SAFETY: `duckdb_database` may be used from any thread: `duckdb_connect` synchronises itself, and closing needs `&mut`.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}

/// The files open now. An entry whose `Weak` is dead is being closed; whoever wants the file waits for `CLOSED`.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Database>>>> = Mutex::new(None);
static CLOSED: Condvar = Condvar::new();

fn open_files() -> MutexGuard<'static, Option<HashMap<PathBuf, Weak<Database>>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Database {
    /// The instance over the profile's file, opened if it is not open yet; always a new one in memory.
    pub(super) fn open(profile: &Profile) -> Result<Arc<Self>, Error> {
        let library = Library::load(profile.library.as_deref())?;
        let Some(path) = &profile.path else {
            return Self::start(library, None, profile).map(Arc::new);
        };
        let key = canonical(path)?;
        let mut open = open_files();
        loop {
            match open.get_or_insert_default().get(&key).map(Weak::upgrade) {
                Some(Some(database)) => return Ok(database),
                Some(None) => open = CLOSED.wait(open).unwrap_or_else(PoisonError::into_inner),
                None => break,
            }
        }
        // The registry stays locked meanwhile, so nobody else opens the same file.
        let database = Arc::new(Self::start(library, Some(key.clone()), profile)?);
        open.get_or_insert_default().insert(key, Arc::downgrade(&database));
        Ok(database)
    }

    fn start(library: Arc<Library>, file: Option<PathBuf>, profile: &Profile) -> Result<Self, Error> {
        let shown = file.as_deref().map_or(":memory:".to_owned(), |path| path.display().to_string());
        let path = c_text(&shown)?;
        let mut config = Config::new(&library)?;
        for (name, value) in &profile.config_options {
            config.set(name, value)?;
        }
        let mut raw = std::ptr::null_mut();
        let mut message: *mut c_char = std::ptr::null_mut();
        // SAFETY: all pointers are live; on failure the library sets `message` to a string that is ours to free.
        let state = unsafe { (library.symbols.duckdb_open_ext)(path.as_ptr(), &mut raw, config.raw, &mut message) };
        if state != ffi::SUCCESS {
            let text = if message.is_null() {
                "no reason given".to_owned()
            } else {
                // SAFETY: not null, ends with NUL, freed once.
                unsafe {
                    let text = CStr::from_ptr(message).to_string_lossy().into_owned();
                    (library.symbols.duckdb_free)(message.cast());
                    text
                }
            };
            return Err(error::of_open(&text, &shown));
        }
        drop(config);
        let database = Unregistered { raw, library };
        if !profile.prepare.is_empty() {
            let handle = Handle::connect(&database.library, database.raw, None)?;
            for setup in &profile.prepare {
                setup.run(&handle)?;
            }
        }
        let (raw, library) = database.into_parts();
        Ok(Self { raw, library, file, ledger: Ledger::default() })
    }

    pub(super) fn connect(self: &Arc<Self>) -> Result<Handle, Error> {
        Handle::connect(&self.library, self.raw, Some(self.clone()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Closed under the registry's lock: whoever waits for the file finds it either open or gone.
        let mut open = self.file.is_some().then(open_files);
        // SAFETY: connections hold an `Arc` of the database, so none is left; closed once.
        unsafe { (self.library.symbols.duckdb_close)(&mut self.raw) }
        if let (Some(open), Some(file)) = (&mut open, &self.file) {
            open.get_or_insert_default().remove(file);
        }
        CLOSED.notify_all();
    }
}

/// A database while it is being prepared: closed again if that fails, without a look at the registry, which is locked.
struct Unregistered {
    raw: ffi::Database,
    library: Arc<Library>,
}

impl Unregistered {
    fn into_parts(mut self) -> (ffi::Database, Arc<Library>) {
        (std::mem::replace(&mut self.raw, std::ptr::null_mut()), self.library.clone())
    }
}

impl Drop for Unregistered {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: opened, not handed on, closed once.
            unsafe { (self.library.symbols.duckdb_close)(&mut self.raw) }
        }
    }
}

struct Config<'a> {
    library: &'a Library,
    raw: ffi::Config,
}

impl<'a> Config<'a> {
    fn new(library: &'a Library) -> Result<Self, Error> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: `raw` is a live place for the handle.
        if unsafe { (library.symbols.duckdb_create_config)(&mut raw) } != ffi::SUCCESS {
            return Err(Error::new(
                FailureKind::System,
                Code::WarehouseResource,
                "DuckDB could not allocate its configuration",
            ));
        }
        Ok(Self { library, raw })
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let (c_name, c_value) = (c_text(name)?, c_text(value)?);
        // SAFETY: a live configuration and two strings that end with NUL.
        let state = unsafe { (self.library.symbols.duckdb_set_config)(self.raw, c_name.as_ptr(), c_value.as_ptr()) };
        if state != ffi::SUCCESS {
            return Err(Error::new(
                FailureKind::User,
                Code::ProfileInvalid,
                format!("DuckDB does not take the value given for the config option '{name}', or has no such option"),
            ));
        }
        Ok(())
    }
}

impl Drop for Config<'_> {
    fn drop(&mut self) {
        // SAFETY: created by the library, destroyed once.
        unsafe { (self.library.symbols.duckdb_destroy_config)(&mut self.raw) }
    }
}

/// The one name of a file, which need not exist yet: links in its folder's path resolved.
fn canonical(path: &Path) -> Result<PathBuf, Error> {
    if let Ok(canonical) = path.canonicalize() {
        return Ok(canonical);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder =
        folder.canonicalize().map_err(|error| error::of_open(&error.to_string(), &path.display().to_string()))?;
    let file =
        path.file_name().ok_or_else(|| error::of_open("the path names a folder", &path.display().to_string()))?;
    Ok(folder.join(file))
}

/// For the library: SQL and names cannot hold a NUL.
pub(super) fn c_text(text: &str) -> Result<CString, Error> {
    CString::new(text)
        .map_err(|_| Error::new(FailureKind::User, Code::SqlError, "text for the warehouse holds a NUL character"))
}

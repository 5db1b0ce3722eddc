//! The bundles of this worker: files by their digest, and for each bundle a folder of links to them.
//!
//! ```text
//! <cache>/files/<sha256>            each file once
//! <cache>/bundles/<sha256>/models/… hard links into files/
//! ```
//!
//! Invariants: a file or folder appears under its name only when it is complete and has the digest it is named by; no path of a bundle
//! leads out of its folder; what a run uses is not evicted.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use common::ContentDigest;
use common::bundle::BundleFile;
use sha2::{Digest, Sha256};

/// Files of one bundle.
pub const FILES_MAX: usize = 20_000;

/// The bundles on this machine's disk. One process has a folder at a time.
pub struct Cache {
    folder: PathBuf,
    bytes_max: u64,
    /// Bundles that some run uses.
    used: Mutex<Vec<Weak<Bundle>>>,
    _lock: File,
}

/// A bundle's folder. It stays on disk as long as this lives.
#[derive(Debug)]
pub struct Bundle {
    pub digest: ContentDigest,
    pub folder: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another process uses the cache {0}")]
    Locked(PathBuf),
    #[error("{0}: {1}", path.display(), source)]
    Io { path: PathBuf, source: io::Error },
    #[error("the bundle {0} has {1} files; {FILES_MAX} are the most")]
    TooManyFiles(ContentDigest, usize),
    #[error("the bundle {digest} needs {bytes} bytes; the cache holds {bytes_max}")]
    TooLarge { digest: ContentDigest, bytes: u64, bytes_max: u64 },
    #[error("the bundle {0} has a file of the path '{1}', which leads nowhere inside it")]
    Path(ContentDigest, String),
    #[error("the file {expected} arrived with other content: {found}, {size} bytes")]
    Content { expected: ContentDigest, found: ContentDigest, size: u64 },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { path: path.to_owned(), source }
}

impl Cache {
    /// Opens the folder, made if missing, and removes what a process that died left half done.
    pub fn open(folder: &Path, bytes_max: u64) -> Result<Self, Error> {
        for part in ["files", "bundles", "partial"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(io_error(&path))?;
        }
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(io_error(&path))?;
        lock.try_lock().map_err(|_| Error::Locked(folder.to_owned()))?;
        let partial = folder.join("partial");
        fs::remove_dir_all(&partial).and_then(|()| fs::create_dir(&partial)).map_err(io_error(&partial))?;
        Ok(Self { folder: folder.to_owned(), bytes_max, used: Mutex::default(), _lock: lock })
    }

    /// The bundle, where it is here.
    pub fn get(&self, digest: ContentDigest) -> Option<Arc<Bundle>> {
        let mut used = self.used();
        let known = used.iter().filter_map(Weak::upgrade).find(|bundle| bundle.digest == digest);
        if known.is_some() {
            return known;
        }
        let folder = self.bundle_path(digest);
        // The time of the folder tells when the bundle was last begun to be used.
        let touched = File::open(&folder).and_then(|folder| folder.set_modified(SystemTime::now()));
        touched.ok()?;
        let bundle = Arc::new(Bundle { digest, folder });
        used.push(Arc::downgrade(&bundle));
        Some(bundle)
    }

    /// Which of the files have to be fetched, each once. Refuses a bundle that is not fit to be stored.
    pub fn missing(&self, bundle: ContentDigest, entries: &[BundleFile]) -> Result<Vec<BundleFile>, Error> {
        if entries.len() > FILES_MAX {
            return Err(Error::TooManyFiles(bundle, entries.len()));
        }
        if let Some(entry) = entries.iter().find(|entry| !is_inside(&entry.path)) {
            return Err(Error::Path(bundle, entry.path.clone()));
        }
        let bytes = entries.iter().fold(0_u64, |bytes, entry| bytes.saturating_add(entry.size));
        if bytes > self.bytes_max {
            return Err(Error::TooLarge { digest: bundle, bytes, bytes_max: self.bytes_max });
        }
        let mut seen = BTreeSet::new();
        let is_missing = |entry: &&BundleFile| seen.insert(entry.digest) && !self.file_path(entry.digest).is_file();
        Ok(entries.iter().filter(is_missing).cloned().collect())
    }

    /// Keeps a file that was fetched, after checking that it is the one that was asked for.
    pub fn put(&self, entry: &BundleFile, content: &[u8]) -> Result<(), Error> {
        let found = of(content);
        if found != entry.digest || content.len() as u64 != entry.size {
            return Err(Error::Content { expected: entry.digest, found, size: content.len() as u64 });
        }
        let partial = self.partial_path();
        let write = || {
            let mut file = File::create_new(&partial)?;
            file.write_all(content)?;
            drop(file);
            fs::rename(&partial, self.file_path(entry.digest))
        };
        write().map_err(io_error(&partial))
    }

    /// Makes the folder of a bundle whose files are all here, and lets go of what no run uses where the cache is too large.
    pub fn assemble(&self, digest: ContentDigest, entries: &[BundleFile]) -> Result<Arc<Bundle>, Error> {
        let partial = self.partial_path();
        let link = || {
            fs::create_dir(&partial)?;
            for entry in entries {
                let path = partial.join(&entry.path);
                fs::create_dir_all(path.parent().unwrap_or(&partial))?;
                fs::hard_link(self.file_path(entry.digest), path)?;
            }
            match fs::rename(&partial, self.bundle_path(digest)) {
                // Somebody else made it in the meantime.
                Err(_) if self.bundle_path(digest).is_dir() => fs::remove_dir_all(&partial),
                outcome => outcome,
            }
        };
        link().map_err(io_error(&partial))?;
        let bundle = self.get(digest).ok_or_else(|| Error::Io {
            path: self.bundle_path(digest),
            source: io::Error::from(io::ErrorKind::NotFound),
        })?;
        // Too large a cache is no reason to fail a task; the next bundle tries again.
        if let Err(error) = self.evict() {
            tracing::warn!(%error, "cannot make room in the cache");
        }
        Ok(bundle)
    }

    /// Removes bundles that nobody uses, those used longest ago first, until the files fit; then the files that no bundle has.
    fn evict(&self) -> Result<(), Error> {
        let mut used = self.used();
        used.retain(|bundle| bundle.strong_count() > 0);
        let files = self.folder.join("files");
        let bundles = self.folder.join("bundles");
        let mut bytes = self.sweep(&files)?;
        let mut idle: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&bundles).map_err(io_error(&bundles))? {
            let entry = entry.map_err(io_error(&bundles))?;
            let is_used = used.iter().filter_map(Weak::upgrade).any(|bundle| bundle.folder == entry.path());
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            if !is_used {
                idle.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            }
        }
        idle.sort();
        for (_, path) in idle {
            if bytes <= self.bytes_max {
                break;
            }
            // Out of the way first, so that a half removed folder is never taken for a bundle.
            let partial = self.partial_path();
            fs::rename(&path, &partial).and_then(|()| fs::remove_dir_all(&partial)).map_err(io_error(&path))?;
            bytes = self.sweep(&files)?;
        }
        Ok(())
    }

    /// Bytes of all files; while there are too many, those that no bundle links to are removed.
    fn sweep(&self, files: &Path) -> Result<u64, Error> {
        let mut bytes = 0;
        let mut loose = Vec::new();
        for entry in fs::read_dir(files).map_err(io_error(files))? {
            let entry = entry.map_err(io_error(files))?;
            let metadata = entry.metadata().map_err(io_error(files))?;
            bytes += metadata.len();
            if links(&metadata) <= 1 {
                loose.push((metadata.len(), entry.path()));
            }
        }
        for (size, path) in loose {
            if bytes <= self.bytes_max {
                break;
            }
            fs::remove_file(&path).map_err(io_error(&path))?;
            bytes -= size;
        }
        Ok(bytes)
    }

    fn file_path(&self, digest: ContentDigest) -> PathBuf {
        self.folder.join("files").join(digest.to_string())
    }

    fn bundle_path(&self, digest: ContentDigest) -> PathBuf {
        self.folder.join("bundles").join(digest.to_string())
    }

    fn partial_path(&self) -> PathBuf {
        self.folder.join("partial").join(uuid::Uuid::new_v4().to_string())
    }

    fn used(&self) -> MutexGuard<'_, Vec<Weak<Bundle>>> {
        // The list is only ever pushed to and filtered: a panic elsewhere leaves it whole.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
fn links(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(metadata)
}

#[cfg(not(unix))]
fn links(_metadata: &fs::Metadata) -> u64 {
    1
}

fn of(content: &[u8]) -> ContentDigest {
    ContentDigest(Sha256::digest(content).into())
}

/// Whether the path names a file below the bundle's folder, whatever the platform reads into it.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0', ':'])
        && path.split('/').all(|part| !part.is_empty())
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
        && !path.split('/').any(|part| part == ".")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn entry(path: &str, content: &str) -> BundleFile {
        BundleFile { path: path.to_owned(), digest: of(content.as_bytes()), size: content.len() as u64 }
    }

    /// Fetches what is missing from `contents` and makes the folder.
    fn store(cache: &Cache, name: &str, contents: &[(&str, &str)]) -> Arc<Bundle> {
        let entries: Vec<BundleFile> = contents.iter().map(|(path, content)| entry(path, content)).collect();
        let digest = of(name.as_bytes());
        for missing in cache.missing(digest, &entries).unwrap() {
            let (_, content) = contents.iter().find(|(path, _)| *path == missing.path).unwrap();
            cache.put(&missing, content.as_bytes()).unwrap();
        }
        cache.assemble(digest, &entries).unwrap()
    }

    #[test]
    fn a_bundle_becomes_a_folder_and_files_are_shared() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1_000).unwrap();
        let first = store(&cache, "1", &[("models/a.sql", "select 1"), ("models/b/c.sql", "select 1"), ("d.yml", "x")]);
        assert_eq!(fs::read_to_string(first.folder.join("models/b/c.sql")).unwrap(), "select 1");
        let next = [entry("models/a.sql", "select 1"), entry("new.sql", "select 2")];
        let missing = cache.missing(of(b"2"), &next).unwrap();
        assert_eq!(missing, [entry("new.sql", "select 2")]);
        assert!(Arc::ptr_eq(&cache.get(first.digest).unwrap(), &first));
        assert!(cache.get(of(b"2")).is_none());
    }

    #[test]
    fn other_content_than_announced_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1_000).unwrap();
        let wanted = entry("a", "right");
        assert!(matches!(cache.put(&wanted, b"wrong"), Err(Error::Content { .. })));
        assert_eq!(cache.missing(of(b"1"), std::slice::from_ref(&wanted)).unwrap(), [wanted]);
    }

    #[test]
    fn paths_that_lead_out_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 1_000).unwrap();
        for path in ["../a", "/a", "a/../../b", "", "a//b", "./a", "a/.", "a\\..\\b", "c:/a", "a\0b", "a/"] {
            let refused = cache.missing(of(b"1"), &[entry(path, "x")]);
            assert!(matches!(refused, Err(Error::Path(..))), "{path:?}");
        }
    }

    #[test]
    fn more_than_the_cache_holds_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 10).unwrap();
        let entries = [entry("a", "123456"), entry("b", "1234567")];
        assert!(matches!(cache.missing(of(b"1"), &entries), Err(Error::TooLarge { bytes: 13, .. })));
    }

    #[test]
    fn what_nobody_uses_goes_when_room_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), 10).unwrap();
        let first = store(&cache, "1", &[("a", "111111")]);
        let second = store(&cache, "2", &[("a", "222222")]);
        assert!(first.folder.is_dir() && second.folder.is_dir(), "both are in use");
        drop(first);
        let third = store(&cache, "3", &[("a", "3")]);
        assert!(cache.get(of(b"1")).is_none());
        assert!(second.folder.is_dir() && third.folder.is_dir());
        assert_eq!(cache.missing(of(b"4"), &[entry("a", "111111")]).unwrap().len(), 1);
    }

    #[test]
    fn a_folder_has_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let first = Cache::open(folder.path(), 10).unwrap();
        assert!(matches!(Cache::open(folder.path(), 10), Err(Error::Locked(_))));
        drop(first);
        assert!(Cache::open(folder.path(), 10).is_ok());
    }
}

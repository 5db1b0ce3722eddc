//! SmartPizza's project, in a folder of its own.

use std::path::{Path, PathBuf};

/// Deleted with the value, unless the test fails: then processes' logs are in it.
pub struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    pub fn new() -> Self {
        let project = Self { folder: tempfile::Builder::new().prefix("kontiki-chaos-").tempdir().unwrap() };
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/smartpizza"), project.root());
        project
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn file(&self, path: &str, text: &str) {
        std::fs::write(self.path(path), text).unwrap();
    }

    /// Lets a model wait for another one, without reading it.
    pub fn depend(&self, model: &str, upstream: &str) {
        let path = format!("models/{model}.sql");
        let sql = std::fs::read_to_string(self.path(&path)).unwrap();
        self.file(&path, &format!("-- depends_on: {{{{ ref('{upstream}') }}}}\n{sql}"));
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("what the processes said is in {}", self.root().display());
        }
    }
}

/// What a build leaves in the example's folder, when somebody has built it there, stays where it is.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let is_source = !matches!(name.to_str(), Some("target" | "raw" | "logs" | ".kontiki"));
        if entry.file_type().unwrap().is_dir() {
            if is_source {
                copy(&entry.path(), &to.join(name));
            }
        } else if matches!(
            entry.path().extension().and_then(|ending| ending.to_str()),
            Some("sql" | "yml" | "csv" | "md")
        ) {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

//! A small disk of a test's own.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system, gone with the value.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts it on a folder, with options as `size=6m`; `None` without the right to.
    pub fn new(folder: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder to mount on");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }

    pub fn remount(&self, options: &str) {
        let mut command = Command::new("mount");
        let status = command.args(["-o", &format!("remount,{options}")]).arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "{} can be remounted", self.0.display());
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let file = || OpenOptions::new().append(true).create(true).open(self.ballast());
        while file().and_then(|mut file| file.write_all(&[0; 4096])).is_ok() {}
    }

    /// Gives back what [`Mount::fill`] took.
    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What cannot be unmounted is left to the machine; the test has its result.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

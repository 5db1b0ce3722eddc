//! Wall clocks of replicas that a test shifts while they run, each by itself. libfaketime does the like, but hangs where jemalloc is the
//! allocator.

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Clocks {
    shim: PathBuf,
    folder: PathBuf,
}

impl Clocks {
    pub fn new(folder: &Path) -> Self {
        let shim = folder.join("shift.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/processes/clock/shift.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).status();
        assert!(compiled.unwrap().success(), "a C compiler is needed; ./setup installs one");
        Self { shim, folder: folder.to_owned() }
    }

    /// Gives a replica a clock of its own that goes right until it is shifted.
    pub fn attach(&self, command: &mut Command, replica: &str) {
        let file = self.folder.join(format!("{replica}.shift"));
        if !file.exists() {
            std::fs::write(&file, 0i64.to_ne_bytes()).unwrap();
        }
        command.env("LD_PRELOAD", &self.shim).env("CLOCK_SHIFT", file);
    }

    /// From now on the replica's clock is so many seconds off.
    pub fn shift(&self, replica: usize, seconds: i64) {
        use std::io::Write;
        let file = self.folder.join(format!("replica-{replica}.shift"));
        // In place: the replica has the file mapped.
        let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        file.write_all(&seconds.to_ne_bytes()).unwrap();
    }
}

//! One raw file.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A CSV file that appears under its name only when complete.
pub struct Csv {
    out: BufWriter<File>,
    partial: PathBuf,
    path: PathBuf,
}

impl Csv {
    pub fn create(folder: &Path, name: &str, header: &str) -> Result<Self> {
        let path = folder.join(format!("{name}.csv"));
        let partial = folder.join(format!("{name}.csv.partial"));
        let file = File::create(&partial).with_context(|| format!("cannot write {}", partial.display()))?;
        let mut csv = Self { out: BufWriter::with_capacity(1 << 20, file), partial, path };
        csv.row(format_args!("{header}"))?;
        Ok(csv)
    }

    pub fn row(&mut self, cells: Arguments<'_>) -> Result<()> {
        self.out.write_fmt(cells)?;
        self.out.write_all(b"\n")?;
        Ok(())
    }

    pub fn finish(mut self) -> Result<()> {
        self.out.flush()?;
        std::fs::rename(&self.partial, &self.path).with_context(|| format!("cannot write {}", self.path.display()))
    }
}

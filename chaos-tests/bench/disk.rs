//! What the disk itself needs: the floor under every commit.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::figures::Samples;

const REPETITIONS: usize = 500;

/// Appends 1 KiB and syncs it, as a log does.
pub fn sync(folder: &Path) -> Result<Samples> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut samples = Samples::default();
    for _ in 0..REPETITIONS {
        let began = Instant::now();
        file.write_all(&[7; 1024])?;
        file.sync_data()?;
        samples.push(began.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(samples)
}

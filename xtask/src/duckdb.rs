//! Gets DuckDB's shared library, which Kontiki loads at run time.
//!
//! Building DuckDB takes half an hour; the npm package of its Node bindings carries the very library.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::{npm_install, target};

const VERSION: &str = "1.5.6-r.1";

/// The path of the library; fetches it the first time. `KONTIKI_DUCKDB_LIBRARY` names another one.
pub fn library() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KONTIKI_DUCKDB_LIBRARY") {
        return Ok(path.into());
    }
    let folder = target().join("duckdb");
    let (package, file) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => ("@duckdb/node-bindings-linux-x64", "libduckdb.so"),
        ("linux", "aarch64") => ("@duckdb/node-bindings-linux-arm64", "libduckdb.so"),
        ("macos", "aarch64") => ("@duckdb/node-bindings-darwin-arm64", "libduckdb.dylib"),
        (os, arch) => bail!("no DuckDB library is packaged for {os} on {arch}; set KONTIKI_DUCKDB_LIBRARY to its path"),
    };
    let library = folder.join(file);
    if library.exists() {
        put_beside_programs(&library)?;
        return Ok(library);
    }
    std::fs::create_dir_all(&folder)?;
    let staging = folder.join("npm");
    std::fs::create_dir_all(&staging)?;
    npm_install(&staging, &[&format!("{package}@{VERSION}")])
        .context("cannot fetch the DuckDB library; KONTIKI_DUCKDB_LIBRARY may name one that is there")?;
    // Under its final name only when complete: an interrupted copy must not be taken for the library.
    let partial = folder.join(format!("{file}.partial"));
    std::fs::copy(staging.join("node_modules").join(package).join(file), &partial)?;
    std::fs::rename(&partial, &library)?;
    std::fs::remove_dir_all(&staging)?;
    put_beside_programs(&library)?;
    Ok(library)
}

/// Kontiki looks beside itself: a binary of this checkout needs no setting.
fn put_beside_programs(library: &Path) -> Result<()> {
    for profile in ["debug", "release"] {
        let folder = target().join(profile);
        let Some(beside) = library.file_name().map(|name| folder.join(name)) else { continue };
        if !beside.exists() {
            std::fs::create_dir_all(&folder)?;
            std::fs::hard_link(library, &beside).or_else(|_| std::fs::copy(library, &beside).map(drop))?;
        }
    }
    Ok(())
}

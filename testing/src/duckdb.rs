//! Where tests find DuckDB's library.

use std::path::{Path, PathBuf};

/// The file named by `KONTIKI_DUCKDB_LIBRARY`, or the one that `cargo xtask` put into `target/duckdb`.
pub fn duckdb_library() -> PathBuf {
    if let Some(path) = std::env::var_os("KONTIKI_DUCKDB_LIBRARY") {
        return PathBuf::from(path);
    }
    let file = format!("{}duckdb{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/duckdb").join(file);
    assert!(path.is_file(), "tests need DuckDB's library: set KONTIKI_DUCKDB_LIBRARY, or put it at {}", path.display());
    path
}

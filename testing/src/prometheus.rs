//! Prometheus and its tool.

use std::path::{Path, PathBuf};

/// The program `prometheus` or `promtool`: of the machine, or as `./setup` unpacked it.
pub fn prometheus_tool(name: &str) -> PathBuf {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/prometheus/usr/bin").join(name);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&paths).map(|folder| folder.join(name)).chain([unpacked]);
    places.find(|path| path.is_file()).unwrap_or_else(|| panic!("{name} is missing; ./setup gets it"))
}

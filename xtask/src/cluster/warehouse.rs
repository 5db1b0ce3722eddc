//! The cluster's PostgreSQL.

use std::path::Path;

use anyhow::Result;

use super::process::Process;

/// What SmartPizza's profile reads to find it.
pub fn environment(port: u16) -> [(&'static str, String); 5] {
    [
        ("SMARTPIZZA_TARGET", "postgres".to_owned()),
        ("PGHOST", "127.0.0.1".to_owned()),
        ("PGPORT", port.to_string()),
        ("PGUSER", "postgres".to_owned()),
        ("PGDATABASE", "postgres".to_owned()),
    ]
}

/// Superuser `postgres` without a password, on loopback only.
pub fn start(cluster: &Path, port: u16) -> Result<()> {
    let folder = cluster.join("postgres");
    std::fs::create_dir_all(&folder)?;
    let mut server = testing::Postgres::command(&folder, port);
    Process::new(cluster, "postgres").start(&mut server)?;
    Ok(())
}

//! Generates the messages and services of `kontiki.v1`, without a protoc.

use std::path::{Path, PathBuf};

const FILES: [&str; 8] = [
    "alert_service",
    "common",
    "project_service",
    "run_service",
    "schedule_service",
    "worker_service",
    "cluster_service",
    "raft_service",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    let files: Vec<PathBuf> = FILES.iter().map(|file| root.join(format!("kontiki/v1/{file}.proto"))).collect();
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("kontiki.v1.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".kontiki.v1").compile_fds(descriptors)?;
    Ok(())
}

//! Generates the messages and services of `kontiki.v1`, and of KEDA's protocol, without a protoc.

use std::path::{Path, PathBuf};

const FILES: [&str; 9] = [
    "externalscaler",
    "kontiki/v1/alert_service",
    "kontiki/v1/common",
    "kontiki/v1/project_service",
    "kontiki/v1/run_service",
    "kontiki/v1/schedule_service",
    "kontiki/v1/worker_service",
    "kontiki/v1/cluster_service",
    "kontiki/v1/raft_service",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new("proto");
    let files: Vec<PathBuf> = FILES.iter().map(|file| root.join(format!("{file}.proto"))).collect();
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("kontiki.v1.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".kontiki.v1").compile_fds(descriptors)?;
    Ok(())
}

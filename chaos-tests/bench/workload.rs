//! Projects of a certain shape, deployed and run through the program's own command line.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::cluster::Cluster;

/// Columns of each model in [`tested`]; each has one test.
const TESTS_OF_A_MODEL: usize = 499;

/// Models that depend on nothing.
pub fn wide(cluster: &Cluster, models: usize) -> Result<PathBuf> {
    let project = begin(cluster, "wide")?;
    for index in 0..models {
        fs::write(project.join(format!("models/m{index}.sql")), "select 1 as id\n")?;
    }
    Ok(project)
}

/// Models that depend each on the one before.
pub fn chain(cluster: &Cluster, models: usize) -> Result<PathBuf> {
    let project = begin(cluster, "chain")?;
    fs::write(project.join("models/m0.sql"), "select 1 as id\n")?;
    for index in 1..models {
        let sql = format!("select * from {{{{ ref('m{}') }}}}\n", index - 1);
        fs::write(project.join(format!("models/m{index}.sql")), sql)?;
    }
    Ok(project)
}

/// Models that depend on nothing, and tests of each: so many tasks in few files.
pub fn tested(cluster: &Cluster, tasks: usize) -> Result<PathBuf> {
    let project = begin(cluster, "tested")?;
    for index in 0..tasks.div_ceil(TESTS_OF_A_MODEL + 1) {
        fs::write(project.join(format!("models/m{index}.sql")), "select 1 as id\n")?;
        let mut properties = format!("models:\n  - name: m{index}\n    columns:\n");
        for column in 0..TESTS_OF_A_MODEL {
            let _ = writeln!(properties, "      - {{name: c{column}, data_tests: [not_null]}}");
        }
        fs::write(project.join(format!("models/m{index}.yml")), properties)?;
    }
    Ok(project)
}

fn begin(cluster: &Cluster, name: &str) -> Result<PathBuf> {
    let project = cluster.folder.join("projects").join(name);
    if project.exists() {
        fs::remove_dir_all(&project)?;
    }
    fs::create_dir_all(project.join("models"))?;
    let dbt_project = format!("name: {name}\nversion: '1.0'\nprofile: bench\nmodels:\n  +materialized: view\n");
    fs::write(project.join("dbt_project.yml"), dbt_project)?;
    // Nobody connects: the workers of a benchmark do nothing. A target's threads bound what runs at once on a cluster.
    let profiles = "bench:\n  target: dev\n  outputs:\n    dev: {type: postgres, host: 127.0.0.1, port: 1, user: nobody, password: none, dbname: bench, schema: public, threads: 1024}\n";
    fs::write(project.join("profiles.yml"), profiles)?;
    Ok(project)
}

/// Deploys and submits; gives back the run's id. A large project takes longer to parse than a call is patient: what was uploaded and
/// parsed is there when it is asked for again.
pub async fn submit(cluster: &Cluster, project: &Path, verb: &str) -> Result<String> {
    const TRIES: usize = 5;
    let mut said = Vec::new();
    for _ in 0..TRIES {
        let mut command = Command::new(&cluster.kontiki);
        command.args(["--quiet", "--server", &cluster.servers(), verb, "--detach", "--project-dir"]).arg(project);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        if output.status.success() {
            let text = String::from_utf8(output.stdout)?;
            return Ok(text.lines().last().unwrap_or_default().trim().to_owned());
        }
        said = [output.stdout, output.stderr].concat();
        if !String::from_utf8_lossy(&said).contains("it did not answer in time") {
            break;
        }
    }
    bail!("the run was refused: {}", String::from_utf8_lossy(&said))
}

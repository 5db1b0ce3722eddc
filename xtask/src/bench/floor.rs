//! What the warehouse itself takes for the statements of a run, sent without any engine in between.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value as Json, json};

use crate::run::{cargo, run, target};

/// The statements of a run, for `worker/examples/floor.rs`.
pub struct Statements {
    file: PathBuf,
}

/// A statement that creates, fills or asks something, and which others come before it.
struct Statement {
    node: String,
    sql: String,
    after: Vec<String>,
    seconds: f64,
}

/// Builds the program that sends them.
pub fn build() -> Result<()> {
    run(cargo().args(["build", "--release", "--quiet", "--package", "kontiki-worker", "--example", "floor"]))
}

impl Statements {
    /// Takes the compiled SQL of the last run in `project`, and writes it as plain statements in the best order: by what is longest
    /// from there to the end. `first` are sent before all others.
    pub fn of_last_run(project: &Path, first: &[String]) -> Result<Self> {
        let manifest = read(&project.join("target/manifest.json"))?;
        let results = read(&project.join("target/run_results.json"))?;
        let mut statements: Vec<Statement> = first
            .iter()
            .enumerate()
            .map(|(index, sql)| Statement {
                node: format!("first {index}"),
                sql: sql.clone(),
                after: vec![],
                seconds: 0.0,
            })
            .collect();
        for result in results["results"].as_array().context("run_results.json has results")? {
            let id = result["unique_id"].as_str().context("a result has a unique_id")?;
            let node = &manifest["nodes"][id];
            let Some(sql) = statement(project, node, result)? else { continue };
            let mut after = ancestors(&manifest, id);
            after.extend((0..first.len()).map(|index| format!("first {index}")));
            let seconds = result["execution_time"].as_f64().unwrap_or_default();
            statements.push(Statement { node: id.to_owned(), sql, after, seconds });
        }
        let file = project.join("target/floor.json");
        std::fs::write(&file, serde_json::to_string(&best_order(statements))?)?;
        Ok(Self { file })
    }

    /// Seconds from the first statement to the end of the last.
    pub fn send(&self, adapter: &str, settings: &Json, threads: usize, library: &Path, folder: &Path) -> Result<f64> {
        let output = std::process::Command::new(target().join("release/examples/floor"))
            .env("KONTIKI_DUCKDB_LIBRARY", library)
            .current_dir(folder)
            .args([adapter, &settings.to_string()])
            .arg(&self.file)
            .arg(threads.to_string())
            .output()?;
        if !output.status.success() {
            bail!("the floor could not be measured: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
    }
}

fn read(path: &Path) -> Result<Json> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// What one would type for a node; `None` for what a person would not run.
fn statement(project: &Path, node: &Json, result: &Json) -> Result<Option<String>> {
    let relation = node["relation_name"].as_str().unwrap_or_default();
    let kind = node["resource_type"].as_str().unwrap_or_default();
    if kind == "seed" {
        let file = node["original_file_path"].as_str().context("a seed has a path")?;
        let path = project.join(file);
        return Ok(Some(format!("create or replace table {relation} as select * from read_csv('{}')", path.display())));
    }
    let Some(sql) = result["compiled_code"].as_str() else { return Ok(None) };
    Ok(match (kind, node["config"]["materialized"].as_str()) {
        ("model", Some("view")) => Some(format!("create or replace view {relation} as (\n{sql}\n)")),
        ("model", Some("table" | "incremental")) => Some(format!("create or replace table {relation} as (\n{sql}\n)")),
        ("test", _) => Some(format!("select count(*) from (\n{sql}\n) as failures")),
        (kind, materialized) => bail!("no plain statement is known for a {kind} with materialization {materialized:?}"),
    })
}

/// What a node reads, ephemeral models seen through.
fn ancestors(manifest: &Json, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for parent in manifest["nodes"][id]["depends_on"]["nodes"].as_array().into_iter().flatten().filter_map(Json::as_str)
    {
        if manifest["nodes"][parent]["config"]["materialized"] == "ephemeral" {
            found.extend(ancestors(manifest, parent));
        } else {
            found.push(parent.to_owned());
        }
    }
    found
}

/// Orders statements by the time from their beginning to the end of the longest chain that follows, and names predecessors by position.
fn best_order(mut statements: Vec<Statement>) -> Json {
    let known: HashMap<String, usize> =
        statements.iter().enumerate().map(|(index, statement)| (statement.node.clone(), index)).collect();
    let mut to_the_end: Vec<f64> = statements.iter().map(|statement| statement.seconds).collect();
    // Results are in the order in which they finished: followers come after what they read.
    for index in (0..statements.len()).rev() {
        for before in &statements[index].after {
            if let Some(&before) = known.get(before) {
                to_the_end[before] = to_the_end[before].max(statements[before].seconds + to_the_end[index]);
            }
        }
    }
    let mut order: Vec<usize> = (0..statements.len()).collect();
    order.sort_by(|&left, &right| to_the_end[right].total_cmp(&to_the_end[left]).then(left.cmp(&right)));
    let mut position = vec![0; order.len()];
    for (place, &index) in order.iter().enumerate() {
        position[index] = place;
    }
    let written = order.iter().map(|&index| {
        let statement = std::mem::replace(
            &mut statements[index],
            Statement { node: String::new(), sql: String::new(), after: vec![], seconds: 0.0 },
        );
        let after: std::collections::BTreeSet<usize> =
            statement.after.iter().filter_map(|before| known.get(before)).map(|&before| position[before]).collect();
        json!({ "sql": statement.sql, "after": after })
    });
    Json::Array(written.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(node: &str, after: &[&str], seconds: f64) -> Statement {
        let after = after.iter().map(|&node| node.to_owned()).collect();
        Statement { node: node.to_owned(), sql: node.to_owned(), after, seconds }
    }

    #[test]
    fn puts_the_longest_chain_first() {
        let statements =
            vec![statement("short", &[], 1.0), statement("a", &[], 1.0), statement("b", &["a", "unknown"], 2.0)];
        let expected = json!([
            {"sql": "a", "after": []},
            {"sql": "b", "after": [0]},
            {"sql": "short", "after": []},
        ]);
        assert_eq!(best_order(statements), expected);
    }
}

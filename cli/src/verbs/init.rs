//! `kontiki init`: a small project that builds as it is.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::args::{AdapterChoice, Init};
use crate::console::{Console, Event};
use crate::exit::Exit;

pub fn init(init: &Init, profiles_dir: Option<&Path>, console: &Console) -> Result<Exit> {
    let name = &init.project_name;
    if !is_project_name(name) {
        bail!("'{name}' is not a project name: letters, digits and underscores only, and no digit at the start");
    }
    let root = Path::new(name);
    if root.exists() {
        bail!("a folder '{name}' exists here already");
    }
    let example = root.join("models/example");
    for folder in [example.as_path(), &root.join("seeds"), &root.join("macros"), &root.join("tests")] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    write(&root.join("dbt_project.yml"), &project_file(name))?;
    write(&root.join(".gitignore"), "target/\ndbt_packages/\nlogs/\n.kontiki/\n*.duckdb\n")?;
    write(&example.join("first_model.sql"), FIRST_MODEL)?;
    write(&example.join("second_model.sql"), SECOND_MODEL)?;
    write(&example.join("schema.yml"), SCHEMA)?;
    if !init.skip_profile_setup {
        let folder = profiles_dir.map_or_else(|| root.to_owned(), Path::to_owned);
        let profiles = folder.join("profiles.yml");
        if profiles.exists() {
            console.emit(&Event::Note(format!(
                "{} exists and is left as it is; add the profile '{name}' to it.",
                profiles.display()
            )));
        } else {
            write(&profiles, &profile(name, init.adapter))?;
        }
    }
    console.emit(&Event::Note(format!("Your new project \"{name}\" was created. Next: cd {name} && kontiki build")));
    Ok(Exit::Success)
}

/// dbt's rule for project names.
fn is_project_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn project_file(name: &str) -> String {
    format!(
        "name: {name}\nversion: \"1.0.0\"\nprofile: {name}\n\nmodel-paths: [models]\nseed-paths: [seeds]\nmacro-paths: \
         [macros]\ntest-paths: [tests]\nclean-targets: [target, dbt_packages]\n\nmodels:\n  {name}:\n    example:\n      \
         +materialized: view\n"
    )
}

fn profile(name: &str, adapter: AdapterChoice) -> String {
    let output = match adapter {
        AdapterChoice::Duckdb => format!("      type: duckdb\n      path: {name}.duckdb\n      threads: 4\n"),
        AdapterChoice::Postgres => format!(
            "      type: postgres\n      host: localhost\n      port: 5432\n      user: \"{{{{ env_var('PGUSER') \
             }}}}\"\n      password: \"{{{{ env_var('DBT_ENV_SECRET_PGPASSWORD') }}}}\"\n      dbname: {name}\n      schema: \
             public\n      threads: 4\n"
        ),
    };
    format!("{name}:\n  target: dev\n  outputs:\n    dev:\n{output}")
}

const FIRST_MODEL: &str = "{{ config(materialized='table') }}\n\nselect 1 as id\nunion all\nselect 2 as id\n";
const SECOND_MODEL: &str = "select *\nfrom {{ ref('first_model') }}\nwhere id = 1\n";
const SCHEMA: &str = "version: 2

models:
  - name: first_model
    description: A table to start from
    columns:
      - name: id
        data_tests: [unique, not_null]
  - name: second_model
    description: A view of it
    columns:
      - name: id
        data_tests: [unique, not_null]
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_follow_dbt() {
        assert!(is_project_name("smart_pizza2"));
        assert!(["", "2nd", "a-b", "a b", "../x"].iter().all(|name| !is_project_name(name)));
    }
}

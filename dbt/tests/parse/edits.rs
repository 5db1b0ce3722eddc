//! Whatever is edited, parsing with what was kept gives what parsing from nothing gives.

use std::fs;
use std::path::Path;

use dbt::{ParseOptions, Parsed};
use proptest::prelude::*;

use super::project::parse_with;

const FILES: [&str; 6] = [
    "models/a.sql",
    "models/b.sql",
    "models/marts/c.sql",
    "analyses/look.sql",
    "tests/no_rows.sql",
    "models/later.sql",
];

/// Some differ in code only, some in what they refer to, call or configure.
const CODES: [&str; 12] = [
    "select 1 as id",
    "\n\nselect 2 as id -- moved down",
    "select * from {{ ref('base') }}",
    "-- other words\nselect id from {{ ref('base') }} where id > 1",
    "select * from {{ ref('other') }}",
    "{{ config(materialized='table') }} select 1",
    "{{ config(materialized='table') }}\nselect 2",
    "{{ config(materialized='incremental') }} select 3 {% if is_incremental() %} where {{ this }} {% endif %}",
    "{% set x = 1 %} select {{ x }} from {{ ref('base') }}",
    "select {{ shout('x') }}",
    "select '{{ env_var('REGION', 'none') }}'",
    "{{ config(enabled=false) }} select 1",
];

const BROKEN: [&str; 2] = ["select * from {{ ref('nowhere') }}", "select {{ broken"];

const PROPERTIES: [&str; 3] = [
    "models: [{name: a, description: one}]\n",
    "models: [{name: a, columns: [{name: id, tests: [unique, not_null]}]}]\n",
    "models: [{name: nothing_of_that_name}]\n",
];

const MACROS: [&str; 5] = [
    "{% macro shout(x) %}{{ x }}{% endmacro %}",
    "{% macro shout(x) %}{{ ref('other') }}{% endmacro %}",
    "{% macro shout(x) %}{% endmacro %}{% macro ref(name) %}{{ return(builtins.ref('other')) }}{% endmacro %}",
    "{% macro generate_schema_name(custom, node) %}{{ node.name }}_s{% endmacro %}",
    "{% macro generate_alias_name(custom, node) %}n{{ node['raw_code'] | length }}{% endmacro %}",
];

#[derive(Clone, Debug)]
enum Edit {
    Code { file: usize, code: usize },
    Break { file: usize, code: usize },
    Remove { file: usize },
    Properties(usize),
    Macros(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        8 => (0..FILES.len(), 0..CODES.len()).prop_map(|(file, code)| Edit::Code { file, code }),
        1 => (0..FILES.len(), 0..BROKEN.len()).prop_map(|(file, code)| Edit::Break { file, code }),
        1 => (0..FILES.len()).prop_map(|file| Edit::Remove { file }),
        1 => (0..PROPERTIES.len()).prop_map(Edit::Properties),
        1 => (0..MACROS.len()).prop_map(Edit::Macros),
    ]
}

fn apply(folder: &Path, edit: &Edit) {
    match *edit {
        Edit::Code { file, code } => write(folder, FILES[file], CODES[code]),
        Edit::Break { file, code } => write(folder, FILES[file], BROKEN[code]),
        // It may not be there.
        Edit::Remove { file } => drop(fs::remove_file(folder.join(FILES[file]))),
        Edit::Properties(at) => write(folder, "models/schema.yml", PROPERTIES[at]),
        Edit::Macros(at) => write(folder, "macros/own.sql", MACROS[at]),
    }
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is made");
    fs::write(path, text).expect("the file is written");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_kept_result_never_shows(edits in prop::collection::vec(prop::collection::vec(edit(), 1..3), 1..6)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        write(folder, "dbt_project.yml", "name: kept\nprofile: fixture\nmodels: {kept: {marts: {+schema: marts}}}\n");
        write(folder, "macros/own.sql", MACROS[0]);
        for file in FILES.into_iter().chain(["models/base.sql", "models/other.sql"]) {
            write(folder, file, CODES[0]);
        }
        let keeping = ParseOptions { cache: Some(folder.join("target")), ..ParseOptions::default() };
        parse_with(folder, &keeping);
        for step in edits {
            for edit in &step {
                apply(folder, edit);
            }
            let cold = parse_with(folder, &ParseOptions::default());
            let kept = Parsed { fingerprint: None, ..parse_with(folder, &keeping) };
            prop_assert_eq!(kept, cold, "after {:?}", step);
        }
    }
}

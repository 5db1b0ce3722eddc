//! Whatever is edited, parsing with what was kept gives what parsing from nothing gives.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{Json, JsonMap};
use dbt::{ParseOptions, Parsed};
use proptest::prelude::*;

use super::project::parse_with;

/// Each may be any of `CODES`.
const FILES: [&str; 6] = [
    "models/a.sql",
    "models/b.sql",
    "models/marts/c.sql",
    "analyses/look.sql",
    "tests/no_rows.sql",
    "models/later.sql",
];

/// Each may be any of its own texts.
const DECLARING: [(&str, &[&str]); 8] = [
    ("models/schema.yml", &PROPERTIES),
    ("models/sources.yml", &SOURCES),
    ("models/about.md", &DOCS),
    ("snapshots/kept.sql", &SNAPSHOTS),
    ("seeds/rows.csv", &["id\n1\n", "id\n2\n"]),
    ("macros/own.sql", &MACROS),
    ("macros/names.sql", &NAMING),
    ("tests/generic/checks.sql", &TESTS),
];

/// Some differ in code only, some in what they refer to, call or configure.
const CODES: [&str; 15] = [
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
    "{{ config(tags=[var('label', 'none')], post_hook='{{ shout(1) }}') }} select 1",
    "{{ config(tags=[helped()]) }} select {{ 'loud' if shout is defined }}",
    "{{ config(meta={'macros': context.keys() | list | length}) }} select 1",
];

const BROKEN: [&str; 2] = ["select * from {{ ref('nowhere') }}", "select {{ broken"];

const PROPERTIES: [&str; 7] = [
    "models: [{name: a, description: one}]\n",
    "models: [{name: a, columns: [{name: id, tests: [unique, not_null]}]}]\n",
    "models: [{name: nothing_of_that_name}]\n",
    "models: [{name: base, description: \"{{ doc('about') }}\", tests: [{checked: {arguments: {by: loud}}}]}]\n",
    "models: [{name: base, config: {tags: \"{{ var('label', 'plain') }}\"}, columns: [{name: id, tests: [checked]}]}]\n",
    "models:\n  - name: base\n    config: {alias: \"{{ env_var('REGION', 'nowhere') }}\"}\n",
    "models: [{name: base, latest: 1, versions: [{v: 1, defined_in: base}]}]\nmodels: []\n",
];

const SOURCES: [&str; 3] = [
    "sources: [{name: raw, tables: [{name: orders}]}]\n",
    "sources: [{name: raw, schema: \"{{ target.name }}\", tables: [{name: orders, columns: [{name: id, tests: [unique]}]}]}]\n",
    "groups: [{name: sales, owner: {name: x}}]\n",
];

const DOCS: [&str; 3] =
    ["{% docs about %}one{% enddocs %}", "{% docs about %}two {{ 1 + 1 }}{% enddocs %}", "no block"];

const SNAPSHOTS: [&str; 3] = [
    "{% snapshot kept %}{{ config(unique_key='id', strategy='check', check_cols='all') }} select * from {{ ref('base') }}{% endsnapshot %}",
    "\n{% snapshot kept %}{{ config(unique_key='id', strategy='check', check_cols=[helped()]) }} select 1{% endsnapshot %}",
    "{% snapshot other %}{{ config(unique_key='id', strategy='timestamp', updated_at='at') }} select 1{% endsnapshot %}",
];

const MACROS: [&str; 6] = [
    "{% macro shout(x) %}{{ x }}{% endmacro %}{% macro helped() %}{{ return(help()) }}{% endmacro %}\
     {% macro help() %}one{% endmacro %}",
    "{% macro shout(x) %}{{ ref('other') }}{% endmacro %}{% macro helped() %}{{ return(help()) }}{% endmacro %}\
     {% macro help() %}two{% endmacro %}",
    "{% macro shout(x) %}{% endmacro %}{% macro ref(name) %}{{ return(builtins.ref('other')) }}{% endmacro %}",
    "{% macro helped() %}{{ return(adapter.dispatch('help')()) }}{% endmacro %}{% macro duckdb__help() %}duck{% endmacro %}",
    "{% macro helped() %}{{ return(env_var('REGION', var('label', 'x'))) }}{% endmacro %}\
     {% macro is_incremental() %}{{ return(true) }}{% endmacro %}",
    "{% macro unused() %}{% endmacro %}",
];

const NAMING: [&str; 4] = [
    "{% macro generate_schema_name(custom, node) %}{{ node.name }}_s{% endmacro %}",
    "{% macro generate_alias_name(custom, node) %}n{{ node['raw_code'] | length }}{% endmacro %}",
    "{% macro generate_schema_name(custom, node) %}{{ env_var('REGION', 'main') }}{{ suffix() }}{% endmacro %}\
     {% macro suffix() %}_x{% endmacro %}",
    "{% macro suffix() %}_y{% endmacro %}",
];

const TESTS: [&str; 3] = [
    "{% test checked(model, column_name, by) %}select * from {{ model }} {{ shout(by) }}{% endtest %}",
    "{% test checked(model, column_name, by) %}{{ config(severity='warn') }} select * from {{ ref('other') }}{% endtest %}",
    "{% macro test_checked(model, by) %}{{ config(tags=[var('label', 'none')]) }} select 1{% endmacro %}",
];

const SETTINGS: [&str; 4] = [
    "",
    "vars: {label: fruit}\n",
    "models: {kept: {+materialized: table}}\non-run-start: [\"{{ shout('start') }}\"]\n",
    "vars: {label: \"{{ 'computed' }}\", kept: {label: own}}\ndispatch: [{macro_namespace: dbt, search_order: [kept, dbt]}]\n",
];

#[derive(Clone, Debug)]
enum Edit {
    Code {
        file: usize,
        code: usize,
    },
    Break {
        file: usize,
        code: usize,
    },
    Declare {
        file: usize,
        text: usize,
    },
    Remove {
        file: usize,
    },
    /// To a name of its own, or into the other's place.
    Rename {
        file: usize,
        to: usize,
    },
    Settings(usize),
    Variable(Option<&'static str>),
    Environment(Option<&'static str>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let files = FILES.len() + DECLARING.len();
    let value = || prop_oneof![Just(None), Just(Some("here")), Just(Some("there"))];
    prop_oneof![
        8 => (0..FILES.len(), 0..CODES.len()).prop_map(|(file, code)| Edit::Code { file, code }),
        1 => (0..FILES.len(), 0..BROKEN.len()).prop_map(|(file, code)| Edit::Break { file, code }),
        8 => (0..DECLARING.len(), 0..7usize).prop_map(|(file, text)| Edit::Declare { file, text }),
        1 => (0..files).prop_map(|file| Edit::Remove { file }),
        1 => (0..FILES.len(), 0..=FILES.len()).prop_map(|(file, to)| Edit::Rename { file, to }),
        1 => (0..SETTINGS.len()).prop_map(Edit::Settings),
        1 => value().prop_map(Edit::Variable),
        1 => value().prop_map(Edit::Environment),
    ]
}

/// The project and how it is parsed.
struct World<'a> {
    folder: &'a Path,
    options: ParseOptions,
}

impl World<'_> {
    fn apply(&mut self, edit: &Edit) {
        match *edit {
            Edit::Code { file, code } => self.write(FILES[file], CODES[code]),
            Edit::Break { file, code } => self.write(FILES[file], BROKEN[code]),
            Edit::Declare { file, text } => {
                let (file, texts) = DECLARING[file];
                self.write(file, texts[text % texts.len()]);
            }
            // What is removed or renamed may not be there.
            Edit::Remove { file } => {
                let mut files = FILES.into_iter().chain(DECLARING.map(|(file, _)| file));
                drop(fs::remove_file(self.folder.join(files.nth(file).expect("a file of the two lists"))));
            }
            Edit::Rename { file, to } => {
                let to = FILES.get(to).copied().unwrap_or("models/renamed.sql");
                drop(fs::rename(self.folder.join(FILES[file]), self.folder.join(to)));
            }
            Edit::Settings(at) => self.settings(at),
            Edit::Variable(value) => {
                let vars = value.map(|value| ("label".to_owned(), Json::from(value)));
                self.options.invocation.vars = Arc::new(JsonMap::from_iter(vars));
            }
            Edit::Environment(value) => {
                let env = value.map(|value| ("REGION".to_owned(), value.to_owned()));
                self.options.invocation.env = Arc::new(BTreeMap::from_iter(env));
            }
        }
    }

    fn settings(&self, at: usize) {
        self.write("dbt_project.yml", &format!("name: kept\nprofile: fixture\n{}", SETTINGS[at]));
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is made");
        fs::write(path, text).expect("the file is written");
    }

    fn cold(&self) -> Parsed {
        parse_with(self.folder, &ParseOptions { cache: None, ..self.options.clone() })
    }

    fn kept(&self) -> Parsed {
        Parsed { fingerprint: None, ..parse_with(self.folder, &self.options) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_kept_result_never_shows(edits in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..8)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = ParseOptions { cache: Some(folder.path().join("target")), ..ParseOptions::default() };
        let mut world = World { folder: folder.path(), options };
        world.settings(0);
        for (file, texts) in DECLARING {
            world.write(file, texts[0]);
        }
        for file in FILES.into_iter().chain(["models/base.sql", "models/other.sql"]) {
            world.write(file, CODES[0]);
        }
        world.kept();
        for step in edits {
            for edit in &step {
                world.apply(edit);
            }
            prop_assert_eq!(world.kept(), world.cold(), "after {:?}", step);
            prop_assert_eq!(world.kept(), world.cold(), "once more after {:?}", step);
        }
    }
}

//! A kept result is used exactly as long as nothing it depends on changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{Json, JsonMap, Timestamp};
use dbt::artifacts;
use dbt::context::Invocation;
use dbt::{ParseOptions, Parsed};

use super::project::parse_with;

const MODEL: &str = "models/a.sql";

/// A project in a temporary folder, with a cache beside it.
struct Project {
    folder: tempfile::TempDir,
    invocation: Invocation,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let project = Self { folder, invocation: Invocation::default() };
        project.write("dbt_project.yml", "name: kept\nprofile: fixture\n");
        project.write(MODEL, "select 1 as id");
        project.write("models/b.sql", "select '{{ env_var('REGION', 'none') }}' from {{ ref('a') }} {{ var('n', 0) }}");
        project
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is made");
        fs::write(path, text).expect("the file is written");
    }

    fn parse(&self) -> Parsed {
        let cache = Some(self.path().join("target"));
        parse_with(self.path(), &ParseOptions { invocation: self.invocation.clone(), cache })
    }

    fn cache_file(&self) -> std::path::PathBuf {
        self.path().join("target/kontiki_parse.bin")
    }

    fn memo_file(&self) -> std::path::PathBuf {
        self.path().join("target/kontiki_steps.bin")
    }

    /// Changes the kept result so that a later parse shows whether it was used.
    fn mark(&self) {
        let mut parsed = self.parse();
        parsed.manifest.project_id = "kept".to_owned();
        let options = ParseOptions { invocation: self.invocation.clone(), cache: None };
        let mut diagnostics = Vec::new();
        let files = super::project::discover(self.path(), &mut diagnostics);
        dbt::cache::Cache::new(&self.path().join("target")).store(&files, &super::project::target(), &options, &parsed);
    }

    fn uses_what_was_kept(&self) -> bool {
        self.parse().manifest.project_id == "kept"
    }
}

#[test]
fn a_result_is_read_back_whole() {
    let project = Project::new();
    let first = project.parse();
    assert!(project.cache_file().exists());
    assert_eq!(project.parse(), first);
    project.mark();
    assert!(project.uses_what_was_kept());
}

#[test]
fn every_input_counts() {
    let project = Project::new();
    project.mark();
    project.write("models/b.sql", "select '{{ env_var('REGION', 'some') }}' from {{ ref('a') }} {{ var('n', 0) }}");
    assert!(!project.uses_what_was_kept(), "a file of equal length changed");
    project.mark();
    project.write("models/c.sql", "select 3");
    assert!(!project.uses_what_was_kept(), "a file came");
    project.mark();
    fs::remove_file(project.path().join("models/c.sql")).expect("it is there");
    assert!(!project.uses_what_was_kept(), "a file went");
    project.mark();
    project.write("dbt_project.yml", "name: kept\nprofile: fixture\nvars: {n: 2}\n");
    assert!(!project.uses_what_was_kept(), "the project's settings changed");
}

#[test]
fn variables_and_the_environment_count() {
    let mut project = Project::new();
    project.mark();
    let env = |name: &str| Arc::new(BTreeMap::from([(name.to_owned(), "x".to_owned())]));
    project.invocation.env = env("UNRELATED");
    assert!(project.uses_what_was_kept(), "no template names this variable");
    project.invocation.env = env("REGION");
    assert!(!project.uses_what_was_kept(), "a template names this variable");
    project.mark();
    project.invocation.vars = Arc::new(JsonMap::from_iter([("n".to_owned(), 1.into())]));
    assert!(!project.uses_what_was_kept(), "a variable of the command line");
}

#[test]
fn damage_is_ignored_and_mended() {
    let project = Project::new();
    let whole = project.parse();
    for (file, needs_result) in [(project.cache_file(), true), (project.memo_file(), false)] {
        let bytes = fs::read(&file).expect("it was written");
        let mut positions: Vec<usize> = vec![0, 15, 20, 33, 60, bytes.len() / 2, bytes.len() - 1];
        let damage = |position: usize| {
            let mut damaged = bytes.clone();
            damaged[position] ^= 0x40;
            damaged
        };
        let mut states: Vec<Vec<u8>> = positions.drain(..).map(damage).collect();
        states.extend([0, 10, 48, bytes.len() / 2].map(|length| bytes[..length].to_vec()));
        for (at, state) in states.into_iter().enumerate() {
            fs::write(&file, state).expect("it is written");
            if !needs_result {
                // The memo is read only where there is no whole result.
                fs::remove_file(project.cache_file()).expect("it is there");
            }
            assert_eq!(project.parse(), whole, "{} {at}", file.display());
            assert_eq!(fs::read(&file).expect("it was mended"), bytes, "{} {at}", file.display());
        }
    }
}

#[test]
fn a_project_with_errors_is_parsed_again() {
    let project = Project::new();
    project.write(MODEL, "select * from {{ ref('nothing') }}");
    assert!(project.parse().diagnostics[0].is_error());
    assert!(!project.cache_file().exists());
}

fn metadata(invocation: &str) -> artifacts::Metadata {
    artifacts::Metadata {
        generated_at: Timestamp::from_micros(1_000_000),
        invocation_id: invocation.to_owned(),
        invocation_started_at: Timestamp::from_micros(0),
        env: BTreeMap::from([("nodes".to_owned(), "},\"nodes\":".to_owned())]),
    }
}

#[test]
fn a_kept_manifest_gets_a_new_head_and_a_touched_one_is_built_again() {
    let project = Project::new();
    let path = project.path().join("target/manifest.json");
    let write_with = |invocation: &str, selectors: &[&str]| {
        let mut parsed = project.parse();
        parsed.manifest.selectors = selectors.iter().map(|name| ((*name).to_owned(), Json::Null)).collect();
        artifacts::write_manifest(&path, &parsed.manifest, &metadata(invocation), parsed.fingerprint.as_ref())
            .expect("it is written");
        serde_json::from_slice::<Json>(&fs::read(&path).expect("it is there")).expect("it is JSON")
    };
    let write = |invocation: &str| write_with(invocation, &[]);
    let built = write("first");
    assert_eq!(built["metadata"]["invocation_id"], "first");
    let mut expected = built.clone();
    expected["metadata"]["invocation_id"] = "other".into();
    assert_eq!(write("other"), expected);

    // Only what is kept can show that the document was not built again.
    let marked = fs::read_to_string(&path).expect("it is there").replace("model.kept.a", "model.kept.x");
    let stamp = fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
    fs::write(&path, marked).expect("it is written");
    let file = fs::File::options().write(true).open(&path).expect("it opens");
    file.set_modified(stamp).expect("its time is set");
    let renewed = write("third");
    assert_eq!(renewed["metadata"]["invocation_id"], "third");
    assert!(renewed["nodes"].get("model.kept.x").is_some());
    // A head of another length does not fit.
    assert!(write("of another length")["nodes"].get("model.kept.x").is_none());

    fs::write(&path, "touched").expect("it is written");
    assert_eq!(write("first"), built);
    assert!(write_with("first", &["nightly"])["selectors"].get("nightly").is_some());
    project.write(MODEL, "select 7 as id");
    assert_eq!(write("first")["nodes"]["model.kept.a"]["raw_code"], "select 7 as id");
}

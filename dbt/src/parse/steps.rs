//! The steps of a parse whose results are kept: what a template asks for, and the names that the project's macros make.
//!
//! Most templates can be read off their tree; that depends on their text alone. Rendering depends on the node, on what every
//! template can see, on the macros it looked for and on the variables of the environment it read. Invariant: a kept result is used
//! only where all of these are the same, so it equals what rendering would give.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use common::manifest::{Macro, Node, PackageSettings};
use common::relation::Quoting;
use common::target::Target;
use common::{Diagnostic, NodeId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ParseOptions;
use super::extract::Overrides;
use crate::cache::environment::{self, Names};
use crate::cache::{KeyBuilder, Memo, Sum};
use crate::context::{NamePart, Parsing, Recorded, Rendered};

/// The environment of the invocation.
type Environment = Arc<BTreeMap<String, String>>;

pub struct Steps<'p> {
    memo: &'p Memo,
    /// What every template can see, besides macros and environment.
    context: Sum,
    env: Environment,
    macros: MacroSums,
}

/// What `Steps` are made of.
pub struct Seen<'a> {
    pub target: &'a Target,
    pub options: &'a ParseOptions,
    pub root: &'a str,
    pub packages: &'a BTreeMap<String, PackageSettings>,
    pub dispatch: &'a BTreeMap<String, Vec<String>>,
    pub quoting: Quoting,
    pub macros: &'a BTreeMap<NodeId, Macro>,
}

/// A result of rendering and what it depends on besides its key.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    result: T,
    /// Names of the macros that were looked for.
    looked_up: Vec<String>,
    /// Of all macros of these names.
    macros: Sum,
    /// Of all macros there are, where a template listed them.
    all_macros: Option<Sum>,
    env: Vec<(String, Option<Sum>)>,
}

impl<'p> Steps<'p> {
    pub fn new(memo: &'p Memo, seen: &Seen<'_>) -> Self {
        if !memo.is_on() {
            let (context, macros) = (Sum::default(), MacroSums::default());
            return Self { memo, context, env: Environment::default(), macros };
        }
        let invocation = &seen.options.invocation;
        let context = KeyBuilder::new("context")
            .with(format!("{:?}", seen.target))
            .with(format!("{:?}{:?}{}", invocation.vars, invocation.flags, invocation.store_failures))
            .with(format!("{:?}{:?}{:?}{:?}", seen.root, seen.packages, seen.dispatch, seen.quoting));
        let mut packages: Vec<&str> = seen.macros.values().map(|found| found.package_name.as_str()).collect();
        packages.dedup();
        let context = context.with(packages.join("\n")).key().sum();
        Self { memo, context, env: invocation.env.clone(), macros: MacroSums::of(seen.macros) }
    }

    /// The memo, for steps that depend on nothing but a file.
    pub fn memo(&self) -> &'p Memo {
        self.memo
    }

    /// Adds to a key what strings of a properties file can depend on, where any of them is a template.
    pub fn with_yaml_context(&self, key: KeyBuilder, package: &str, text: &str) -> KeyBuilder {
        if !super::draft::has_jinja(text) {
            return key;
        }
        let mut names = Names::default();
        names.scan(text);
        let read: Vec<_> = names.literal.iter().map(|name| (name, environment::value(&self.env, name))).collect();
        let whole = names.computed.then(|| environment::whole(&self.env));
        key.with(self.context).with(package).with(format!("{read:?}{whole:?}"))
    }

    /// What a template asks for as far as its tree tells; `read` looks.
    pub fn read(
        &self,
        code: &str,
        overrides: Overrides,
        read: impl FnOnce() -> Result<Option<Recorded>, Diagnostic>,
    ) -> Result<Option<Recorded>, Diagnostic> {
        let overrides = [u8::from(overrides.calls), u8::from(overrides.is_incremental)];
        self.memo.step(|| KeyBuilder::new("read").with(overrides).with(code).key(), read)
    }

    /// What rendering a template of `node` records.
    pub fn render(&self, parsing: &Parsing, node: &Node, code: &str) -> Result<Recorded, Diagnostic> {
        let key = || self.of_node("render", node).map(|key| key.with(code));
        let render = || parsing.render(node, code).map_err(|error| *error.diagnostic);
        self.kept(key, render, |rendered| rendered.recorded)
    }

    /// A part of the node's name, as the project's macro makes it.
    pub fn name(
        &self,
        parsing: &Parsing,
        part: NamePart,
        custom: Option<&str>,
        node: &Node,
    ) -> Result<String, Diagnostic> {
        let key = || self.of_node("name", node).map(|key| key.with(format!("{part:?}{custom:?}")));
        let render = || parsing.generate_name(part, custom, node).map_err(|error| *error.diagnostic);
        self.kept(key, render, |rendered| rendered.text)
    }

    fn of_node(&self, step: &str, node: &Node) -> Option<KeyBuilder> {
        let node = postcard::to_stdvec(node).ok()?;
        Some(KeyBuilder::new(step).with(self.context).with(node))
    }

    fn kept<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        key: impl FnOnce() -> Option<KeyBuilder>,
        render: impl FnOnce() -> Result<Rendered, Diagnostic>,
        result: impl FnOnce(Rendered) -> T,
    ) -> Result<T, Diagnostic> {
        let key = if self.memo.is_on() { key().map(KeyBuilder::key) } else { None };
        let Some(key) = key else { return render().map(result) };
        if let Some(kept) = self.memo.get::<Kept<T>>(key)
            && self.still_holds(&kept)
        {
            return Ok(kept.result);
        }
        let mut rendered = render()?;
        let lookups = std::mem::take(&mut rendered.lookups);
        let looked_up: Vec<String> = lookups.names.into_iter().collect();
        let env = rendered.recorded.env_vars.keys();
        let kept = Kept {
            macros: self.macros.of_names(&looked_up),
            all_macros: lookups.all.then_some(self.macros.all),
            env: env.map(|name| (name.clone(), environment::value(&self.env, name))).collect(),
            looked_up,
            result: result(rendered),
        };
        self.memo.put(key, &kept);
        Ok(kept.result)
    }

    fn still_holds<T>(&self, kept: &Kept<T>) -> bool {
        kept.all_macros.is_none_or(|all| all == self.macros.all)
            && kept.macros == self.macros.of_names(&kept.looked_up)
            && kept.env.iter().all(|(name, value)| *value == environment::value(&self.env, name))
    }
}

/// Digests of macros.
#[derive(Default)]
struct MacroSums {
    /// Of all macros of one name, whichever package they are in.
    by_name: HashMap<String, Sum>,
    all: Sum,
}

impl MacroSums {
    fn of(macros: &BTreeMap<NodeId, Macro>) -> Self {
        let mut by_name: HashMap<&str, Sha256> = HashMap::new();
        let mut all = Sha256::new();
        for (id, found) in macros {
            let hasher = by_name.entry(&found.name).or_default();
            for hasher in [hasher, &mut all] {
                for part in [id.as_str(), &found.macro_sql] {
                    hasher.update((part.len() as u64).to_le_bytes());
                    hasher.update(part);
                }
            }
        }
        let by_name = by_name.into_iter().map(|(name, hasher)| (name.to_owned(), hasher.finalize().into())).collect();
        Self { by_name, all: all.finalize().into() }
    }

    /// A name that no macro has counts as such, so that one which gets it later is seen.
    fn of_names(&self, names: &[String]) -> Sum {
        let mut hasher = Sha256::new();
        for name in names {
            match self.by_name.get(name) {
                Some(sum) => hasher.update(sum),
                None => hasher.update([0]),
            }
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use common::JsonMap;
    use common::target::AdapterType;

    use super::*;
    use crate::files::{File, FileKind, PackageFiles, ProjectFiles};
    use crate::parse::job;
    use crate::project::RawProject;

    const FILES: [(FileKind, &str, &str, &str); 7] = [
        (FileKind::Macro, "macros", "shout.sql", "{% macro shout() %}{{ inner() }}{% endmacro %}"),
        (FileKind::Macro, "macros", "inner.sql", "{% macro inner() %}x{% endmacro %}"),
        (FileKind::Macro, "macros", "other.sql", "{% macro other() %}{{ env_var('REGION', 'x') }}{% endmacro %}"),
        (FileKind::Model, "models", "plain.sql", "{{ config(materialized='table') }} select 1"),
        (FileKind::Model, "models", "shouts.sql", "select {{ shout() }} from {{ ref('plain') }}"),
        (FileKind::Model, "models", "others.sql", "select {{ other() }} from {{ ref('plain') }}"),
        (FileKind::Properties, "models", "schema.yml", "models: [{name: plain, description: text}]"),
    ];

    struct World {
        folder: tempfile::TempDir,
        files: Vec<(FileKind, &'static str, String, String)>,
        options: ParseOptions,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::write(folder.path().join("dbt_project.yml"), "name: shop\n").expect("it is written");
            let files = FILES.map(|(kind, folder, name, text)| (kind, folder, name.to_owned(), text.to_owned()));
            Self { folder, files: files.into(), options: ParseOptions::default() }
        }

        fn edit(&mut self, name: &str, text: &str) {
            let file = self.files.iter_mut().find(|(_, _, file, _)| file == name).expect("a file of that name");
            text.clone_into(&mut file.3);
        }

        /// Parses and tells how many steps that took.
        fn steps(&self) -> usize {
            let path = self.folder.path().join("memo.bin");
            let memo = Memo::open(&path);
            let parsed = job::run(&self.project(), &target(), &self.options, &memo);
            assert_eq!(parsed.diagnostics, []);
            let steps = memo.steps_run();
            memo.write(&path);
            steps
        }

        fn project(&self) -> ProjectFiles {
            let mut diagnostics = Vec::new();
            let raw = RawProject::load(Path::new(self.folder.path()), "", &mut diagnostics).expect("a project file");
            let project = raw.render(&|text| Ok(text.into()), true, &mut diagnostics).expect("a valid project");
            let files = self.files.iter().map(|(kind, folder, name, text)| File::in_memory(*kind, folder, name, text));
            ProjectFiles { packages: vec![PackageFiles { project: Arc::new(project), files: files.collect() }] }
        }
    }

    fn target() -> Target {
        Target {
            profile_name: "p".into(),
            name: "dev".into(),
            adapter_type: AdapterType::Duckdb,
            database: "db".into(),
            schema: "main".into(),
            threads: 1,
            extra: JsonMap::new(),
        }
    }

    /// Reading a file is a step, rendering a template that cannot be read off its tree is another.
    #[test]
    fn only_what_changed_is_parsed_again() {
        let mut world = World::new();
        assert!(world.steps() > FILES.len());
        assert_eq!(world.steps(), 0, "nothing changed");
        world.edit("plain.sql", "{{ config(materialized='view') }} select 1");
        assert_eq!(world.steps(), 1, "the model itself");
        world.edit("shouts.sql", "select {{ shout() }} + 1 from {{ ref('plain') }}");
        assert_eq!(world.steps(), 2, "reading and rendering it");
        world.edit("inner.sql", "{% macro inner() %}y{% endmacro %}");
        assert_eq!(world.steps(), 2, "the macro's file and the one model whose macro calls it");
        world.edit("schema.yml", "models: [{name: plain, description: words}]");
        assert_eq!(world.steps(), 1, "the properties");
        world.files[3].2 = "renamed.sql".to_owned();
        world.edit("schema.yml", "models: [{name: renamed, description: words}]");
        world.edit("shouts.sql", "select 1");
        world.edit("others.sql", "select {{ other() }} from {{ ref('renamed') }}");
        assert_eq!(world.steps(), 3, "what says the old name, but not the file that bore it");
    }

    #[test]
    fn what_templates_see_counts() {
        let mut world = World::new();
        world.steps();
        let env = |name: &str| Arc::new(BTreeMap::from([(name.to_owned(), "v".to_owned())]));
        world.options.invocation.env = env("UNRELATED");
        assert_eq!(world.steps(), 0, "no template reads it");
        world.options.invocation.env = env("REGION");
        assert_eq!(world.steps(), 1, "one model's macro reads it");
        world.options.invocation.vars = Arc::new(JsonMap::from_iter([("n".to_owned(), 1.into())]));
        assert_eq!(world.steps(), 2, "both rendered models could read it");
        let own = "{% macro env_var(name, default) %}z{% endmacro %}";
        world.files.push((FileKind::Macro, "macros", "env.sql".to_owned(), own.to_owned()));
        assert_eq!(world.steps(), 2, "the new macro takes the place of what one model's macro calls");
    }
}

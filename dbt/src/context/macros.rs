//! All macros of all packages, and how a name finds its macro.
//!
//! Invariant: the index never changes once it is made; a macro is parsed when it is first needed, once for all threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use common::NodeId;
use common::manifest::Macro;

use crate::builtin;
use crate::jinja::MacroDef;
use crate::jinja::error::{Error, ErrorKind, Span};

/// A macro, and its syntax tree once that is needed.
pub struct Entry {
    pub definition: Macro,
    parsed: OnceLock<Result<Arc<MacroDef>, Unparsed>>,
}

/// Why a macro could not be parsed; errors themselves cannot be cloned.
#[derive(Clone)]
struct Unparsed {
    kind: ErrorKind,
    message: String,
    span: Option<Span>,
}

/// Macros by package and name.
#[derive(Default)]
pub struct Index {
    packages: HashMap<String, HashMap<String, Arc<Entry>>>,
    by_id: HashMap<NodeId, Arc<Entry>>,
}

/// `dispatch:` of the root project and what else decides where a macro is looked up.
pub struct Search<'a> {
    pub index: &'a Index,
    pub root: &'a str,
    /// Package of the node that is rendered; its macros win.
    pub local: &'a str,
}

impl Entry {
    pub fn parsed(&self) -> Result<Arc<MacroDef>, Box<Error>> {
        let parsed = self.parsed.get_or_init(|| {
            let name: Arc<str> = self.definition.unique_id.as_str().into();
            let source: Arc<str> = self.definition.macro_sql.as_str().into();
            match MacroDef::parse_file(&name, &source) {
                Ok(found) => found.into_iter().next().ok_or_else(|| Unparsed {
                    kind: ErrorKind::Syntax,
                    message: "no macro found in its block".to_owned(),
                    span: None,
                }),
                Err(error) => Err(Unparsed { kind: error.kind, message: error.message.clone(), span: error.span }),
            }
        });
        parsed.clone().map_err(|unparsed| {
            let mut error = Error::new(unparsed.kind, unparsed.message);
            error.span = unparsed.span;
            error.template = Some(self.definition.unique_id.as_str().into());
            error
        })
    }
}

impl Index {
    pub fn new(macros: impl IntoIterator<Item = Macro>) -> Self {
        let mut index = Self::default();
        for definition in macros {
            let id = definition.unique_id.clone();
            let package = definition.package_name.clone();
            let name = definition.name.clone();
            let entry = Arc::new(Entry { definition, parsed: OnceLock::new() });
            index.by_id.insert(id, entry.clone());
            index.packages.entry(package).or_default().insert(name, entry);
        }
        index
    }

    pub fn get(&self, package: &str, name: &str) -> Option<&Arc<Entry>> {
        self.packages.get(package)?.get(name)
    }

    pub fn by_id(&self, id: &str) -> Option<&Arc<Entry>> {
        self.by_id.get(id)
    }

    pub fn has_package(&self, package: &str) -> bool {
        self.packages.contains_key(package)
    }

    pub fn names(&self, package: &str) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.packages.get(package).into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Whether a package other than the built-in one defines `name`, or an implementation of it with one of `prefixes`.
    pub fn defined_outside(&self, name: &str, prefixes: &[&str]) -> bool {
        let names: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}__{name}")).collect();
        self.packages.iter().any(|(package, macros)| {
            package != builtin::PACKAGE
                && (macros.contains_key(name) || names.iter().any(|name| macros.contains_key(name)))
        })
    }
}

impl<'a> Search<'a> {
    /// A macro called by its bare name: the node's package first, then the root project, then the built-in package.
    pub fn bare(&self, name: &str) -> Option<&'a Arc<Entry>> {
        self.index
            .get(self.local, name)
            .or_else(|| self.index.get(self.root, name))
            .or_else(|| self.index.get(builtin::PACKAGE, name))
    }

    /// A macro that `adapter.dispatch` finds in `package`, or by its bare name.
    pub fn in_package(&self, package: Option<&str>, name: &str) -> Option<&'a Arc<Entry>> {
        match package {
            Some(package) => self.index.get(package, name),
            None => self.bare(name),
        }
    }

    /// Packages that `adapter.dispatch` searches for a namespace, in order; `None` stands for the bare name.
    pub fn dispatch_order(
        &self,
        namespace: Option<&str>,
        configured: &BTreeMap<String, Vec<String>>,
    ) -> Vec<Option<String>> {
        let Some(namespace) = namespace else { return vec![None] };
        match configured.get(namespace) {
            Some(order) => order.iter().cloned().map(Some).collect(),
            // dbt's own namespace is not among the installed packages: the bare name finds overrides in the project too.
            None if namespace != builtin::PACKAGE && (self.index.has_package(namespace) || namespace == self.root) => {
                vec![Some(self.root.to_owned()), Some(namespace.to_owned())]
            }
            None => vec![None],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(package: &str, name: &str) -> Macro {
        Macro {
            unique_id: format!("macro.{package}.{name}").into(),
            name: name.to_owned(),
            package_name: package.to_owned(),
            path: String::new(),
            original_file_path: String::new(),
            macro_sql: format!("{{% macro {name}() %}}{package}{{% endmacro %}}"),
            line: 1,
            depends_on: Default::default(),
            description: String::new(),
            meta: Default::default(),
            docs: Default::default(),
            patch_path: None,
            arguments: Vec::new(),
            supported_languages: None,
        }
    }

    #[test]
    fn the_nodes_package_wins_over_root_and_builtin() {
        let index =
            Index::new([("dbt", "m"), ("root", "m"), ("pkg", "m"), ("dbt", "only")].map(|(p, n)| definition(p, n)));
        let search = |local| Search { index: &index, root: "root", local };
        let package = |local, name| search(local).bare(name).map(|entry| entry.definition.package_name.as_str());
        assert_eq!(package("pkg", "m"), Some("pkg"));
        assert_eq!(package("other", "m"), Some("root"));
        assert_eq!(package("pkg", "only"), Some("dbt"));
        assert_eq!(package("pkg", "none"), None);
    }

    #[test]
    fn dispatch_follows_the_configured_order_then_root_and_namespace() {
        let index = Index::new([definition("dbt_utils", "m")]);
        let search = Search { index: &index, root: "root", local: "root" };
        let configured = BTreeMap::from([("x".to_owned(), vec!["a".to_owned(), "x".to_owned()])]);
        assert_eq!(search.dispatch_order(Some("x"), &configured), [Some("a".to_owned()), Some("x".to_owned())]);
        assert_eq!(
            search.dispatch_order(Some("dbt_utils"), &configured),
            [Some("root".to_owned()), Some("dbt_utils".to_owned())]
        );
        assert_eq!(search.dispatch_order(Some("dbt"), &configured), [None]);
        assert_eq!(search.dispatch_order(None, &configured), [None]);
    }

    #[test]
    fn overrides_of_an_implementation_count() {
        let index = Index::new([definition("root", "duckdb__create_table_as"), definition("dbt", "create_view_as")]);
        assert!(index.defined_outside("create_table_as", &["duckdb", "default"]));
        assert!(!index.defined_outside("create_table_as", &["postgres", "default"]));
        assert!(!index.defined_outside("create_view_as", &["duckdb", "default"]));
    }
}

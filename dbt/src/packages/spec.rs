//! `packages.yml` and `dependencies.yml`.

use std::fmt;

use common::Diagnostic;
use common::diagnostic::{Code, Location};

use crate::files;
use crate::project::Project;
use crate::yaml::{self, Mapping, Node, Source, Value};

/// One entry of `packages:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PackageSpec {
    /// A folder, relative to the project's.
    Local(String),
    /// A package of the hub, `dbt-labs/dbt_utils`.
    Hub(String),
    /// A repository's address.
    Git(String),
    Tarball(String),
    /// A private package of dbt's platform.
    Private(String),
}

/// What a project asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    /// `packages.yml` or `dependencies.yml`
    pub file: String,
    pub packages: Vec<PackageSpec>,
}

impl fmt::Display for PackageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) | Self::Hub(name) | Self::Git(name) | Self::Tarball(name) | Self::Private(name) => {
                f.write_str(name)
            }
        }
    }
}

impl Requested {
    /// Reads both files; `packages:` may stand in one of them only. Templates are rendered in `packages.yml` alone, as in dbt.
    pub fn load(project: &Project, template: &yaml::Render<'_>, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let packages = read(project, "packages.yml", diagnostics);
        let dependencies = read(project, "dependencies.yml", diagnostics);
        let list = |file: &Option<(Source, Node)>| file.as_ref().and_then(|(_, root)| root.get("packages").cloned());
        if let Some((source, root)) = &dependencies
            && let Some(projects) = root.get("projects").filter(|node| !node.is_null())
        {
            diagnostics.push(
                Diagnostic::error(Code::Unsupported, "'projects' (dependencies across projects) are not supported")
                    .at(source.at(projects.span))
                    .hint("install the other project as a package"),
            );
        }
        if let Some((source, root)) = &packages
            && let Some(projects) = root.get("projects")
        {
            diagnostics.push(
                Diagnostic::error(Code::YamlShape, "'projects' cannot be given in packages.yml")
                    .at(source.at(projects.span)),
            );
        }
        match (&packages, list(&packages), &dependencies, list(&dependencies)) {
            (Some((source, _)), Some(own), _, Some(_)) => {
                diagnostics.push(
                    Diagnostic::error(
                        Code::YamlShape,
                        "'packages' cannot be given both in packages.yml and in dependencies.yml",
                    )
                    .at(source.at(own.span)),
                );
                Self::default()
            }
            (Some((source, _)), Some(own), _, None) => {
                let rendered = yaml::render(&own, source, template, &|_| false, diagnostics);
                Self { file: "packages.yml".to_owned(), packages: specs(source, &rendered, diagnostics) }
            }
            (_, None, Some((source, _)), Some(own)) => {
                Self { file: "dependencies.yml".to_owned(), packages: specs(source, &own, diagnostics) }
            }
            _ => Self::default(),
        }
    }
}

fn read(project: &Project, name: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<(Source, Node)> {
    let path = project.dir.join(name);
    if !path.exists() {
        return None;
    }
    let display = project.display_path(name);
    let text = match files::read_text(&path, &display) {
        Ok(text) => text,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    let source = Source::new(display, text);
    let root = yaml::load(&source, diagnostics)?;
    if !matches!(root.value, Value::Null | Value::Mapping(_)) {
        diagnostics.push(
            Diagnostic::error(Code::YamlShape, format!("{name} must hold a mapping, not {}", root.kind()))
                .at(Location::file(source.file.clone())),
        );
    }
    Some((source, root))
}

fn specs(source: &Source, list: &Node, diagnostics: &mut Vec<Diagnostic>) -> Vec<PackageSpec> {
    let items = match &list.value {
        Value::Sequence(items) => items.as_slice(),
        Value::Null => &[],
        _ => {
            let message = format!("'packages' must be a list, not {}", list.kind());
            diagnostics.push(Diagnostic::error(Code::YamlShape, message).at(source.at(list.span)));
            &[]
        }
    };
    let mut specs = Vec::new();
    for item in items {
        match item.as_mapping().and_then(spec) {
            Some(spec) => specs.push(spec),
            None => diagnostics.push(
                Diagnostic::error(Code::YamlShape, "a package needs 'package', 'local', 'git', 'tarball' or 'private'")
                    .at(source.at(item.span)),
            ),
        }
    }
    specs
}

fn spec(mapping: &Mapping) -> Option<PackageSpec> {
    let text = |key: &str| mapping.get(key).and_then(Node::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    text("local")
        .map(PackageSpec::Local)
        .or_else(|| text("package").map(PackageSpec::Hub))
        .or_else(|| text("git").map(PackageSpec::Git))
        .or_else(|| text("tarball").map(PackageSpec::Tarball))
        .or_else(|| text("private").map(PackageSpec::Private))
}

//! Strings of YAML files: `dbt_project.yml`, `profiles.yml`, `packages.yml` and properties files.
//!
//! Invariant: secrets (`DBT_ENV_SECRET_…`) are readable only where profiles and packages are rendered.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use common::Json;
use common::manifest::PackageSettings;
use common::target::Target;

use super::arguments::{argument, json_of, text_of};
use super::rendering::{has_jinja, raise};
use super::variables::{SECRET_PREFIX, required, scoped};
use super::{Invocation, members};
use crate::jinja::functions::dbt_functions;
use crate::jinja::value::Value;
use crate::jinja::{Interpreter, Limits, Resolver, Template, UndefinedMode};

/// The settings of all packages, by name.
type Packages = Arc<BTreeMap<String, PackageSettings>>;

/// Renders the strings of one kind of YAML file. Shared between threads.
#[derive(Clone)]
pub struct Yaml {
    invocation: Invocation,
    secrets: bool,
    target: Option<Arc<Target>>,
    /// The root project's name and the settings of all packages; not known where projects and profiles are read.
    project: Option<(Arc<str>, Packages)>,
    /// Whose variables count besides the root project's.
    package: Arc<str>,
}

/// A rendered string and the environment variables it read.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedYaml {
    pub value: Json,
    pub env_vars: BTreeMap<String, Option<String>>,
}

impl Yaml {
    /// `profiles.yml` and `packages.yml`: `env_var`, secrets included, and variables of the command line.
    pub fn secret(invocation: Invocation) -> Self {
        Self { invocation, secrets: true, target: None, project: None, package: "".into() }
    }

    /// `dbt_project.yml`: `env_var`, variables of the command line, and `target` once the profile is known.
    pub fn configuration(invocation: Invocation, target: Option<Target>) -> Self {
        Self { target: target.map(Arc::new), secrets: false, ..Self::secret(invocation) }
    }

    /// Properties files of `package`: as a configuration, with the variables of the projects.
    pub fn properties(
        invocation: Invocation,
        target: Target,
        root: &str,
        packages: Arc<BTreeMap<String, PackageSettings>>,
        package: &str,
    ) -> Self {
        let project = Some((root.into(), packages));
        Self { project, package: package.into(), ..Self::configuration(invocation, Some(target)) }
    }

    /// The value of a template, natively: a single expression keeps its type. The error is a message for people.
    pub fn render(&self, text: &str) -> Result<RenderedYaml, String> {
        if !has_jinja(text) {
            return Ok(RenderedYaml { value: Json::from(text), env_vars: BTreeMap::new() });
        }
        let scope = Rc::new(Scope { yaml: self.clone(), env_vars: Rc::default() });
        let resolver: Rc<dyn Resolver> = scope.clone();
        let rendered = Template::parse("<yaml>".into(), text.into()).and_then(|template| {
            Interpreter::new(Limits::default()).render_native(&template, &resolver, UndefinedMode::Default)
        });
        let value = json_of(&rendered.map_err(|error| error.message)?);
        Ok(RenderedYaml { value, env_vars: scope.env_vars.take() })
    }

    /// As `yaml::Render` wants it.
    pub fn value(&self, text: &str) -> Result<Json, String> {
        self.render(text).map(|rendered| rendered.value)
    }

    /// Command line, then root project, then the package itself.
    fn find(&self, name: &str) -> Option<&Json> {
        if let Some(value) = self.invocation.vars.get(name) {
            return Some(value);
        }
        let (root, packages) = self.project.as_ref()?;
        let projects = [packages.get(&**root), packages.get(&*self.package)];
        projects.into_iter().flatten().find_map(|project| scoped(&project.vars, &self.package, name))
    }
}

type EnvVars = Rc<RefCell<BTreeMap<String, Option<String>>>>;

struct Scope {
    yaml: Yaml,
    env_vars: EnvVars,
}

impl Resolver for Scope {
    fn resolve(&self, name: &str) -> Option<Value> {
        let yaml = self.yaml.clone();
        Some(match name {
            "var" => Value::function("var", move |_, args| {
                let [name, default] = args.bind("var", ["var_name", "default"], 1)?;
                let name = name.as_ref().and_then(text_of).unwrap_or_default();
                match (yaml.find(&name), default) {
                    (Some(value), _) => Ok(Value::from(value)),
                    (None, Some(default)) => Ok(default),
                    (None, None) => Err(required(&name, "<Configuration>", &yaml.invocation.vars)),
                }
            }),
            "env_var" => {
                let read = self.env_vars.clone();
                Value::function("env_var", move |_, args| {
                    let name = argument(&args, 0, "var").as_ref().and_then(text_of).unwrap_or_default();
                    let secret = name.starts_with(SECRET_PREFIX);
                    if secret && !yaml.secrets {
                        let message = "Secret env vars are allowed only in profiles.yml or packages.yml.";
                        return Err(raise(format!("{message} Found '{name}' referenced elsewhere.")));
                    }
                    let found = yaml.invocation.env.get(&name);
                    let default = argument(&args, 1, "default").filter(|default| !default.is_none());
                    if !secret && (found.is_some() || default.is_some()) {
                        read.borrow_mut().insert(name.clone(), found.cloned());
                    }
                    match (found, default) {
                        (Some(value), _) => Ok(Value::str(value.as_str())),
                        (None, Some(default)) => Ok(default),
                        (None, None) => Err(raise(format!("Env var required but not provided: '{name}'"))),
                    }
                })
            }
            "target" => members::target(self.yaml.target.as_deref()?),
            "project_name" => Value::str(&*self.yaml.project.as_ref()?.0),
            "dbt_version" => Value::str(crate::project::DBT_VERSION),
            "flags" => members::flags(&self.yaml.invocation),
            "invocation_id" => Value::str(self.yaml.invocation.invocation_id.as_str()),
            "run_started_at" => super::time::from_timestamp(self.yaml.invocation.run_started_at),
            _ => return dbt_functions().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation() -> Invocation {
        let env = [("SET", "x"), ("DBT_ENV_SECRET_KEY", "s3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let vars = common::JsonMap::from_iter([("n".to_owned(), Json::from(3))]);
        Invocation { env: Arc::new(env.into()), vars: Arc::new(vars), ..Invocation::default() }
    }

    #[test]
    fn native_values_keep_their_type() {
        let yaml = Yaml::configuration(invocation(), None);
        assert_eq!(yaml.value("{{ var('n') }}"), Ok(Json::from(3)));
        assert_eq!(yaml.value("{{ env_var('SET') }}-1"), Ok(Json::from("x-1")));
        assert_eq!(yaml.value("plain"), Ok(Json::from("plain")));
    }

    #[test]
    fn secrets_stay_in_profiles() {
        assert_eq!(Yaml::secret(invocation()).value("{{ env_var('DBT_ENV_SECRET_KEY') }}"), Ok(Json::from("s3")));
        let refused = Yaml::configuration(invocation(), None).value("{{ env_var('DBT_ENV_SECRET_KEY') }}");
        assert_eq!(
            refused.unwrap_err(),
            "Secret env vars are allowed only in profiles.yml or packages.yml. Found 'DBT_ENV_SECRET_KEY' referenced elsewhere."
        );
    }

    #[test]
    fn read_variables_are_told_but_not_secrets() {
        let rendered = Yaml::secret(invocation())
            .render("{{ env_var('SET') }}{{ env_var('NO', 'd') }}{{ env_var('DBT_ENV_SECRET_KEY') }}");
        let expected = [("NO".to_owned(), None), ("SET".to_owned(), Some("x".to_owned()))];
        assert_eq!(rendered.unwrap().env_vars, BTreeMap::from(expected));
    }

    #[test]
    fn a_missing_environment_variable_is_dbts_error() {
        let message = Yaml::configuration(invocation(), None).value("{{ env_var('NO') }}").unwrap_err();
        assert_eq!(message, "Env var required but not provided: 'NO'");
    }

    #[test]
    fn package_variables_come_after_the_root_projects() {
        let settings = |name: &str, vars: Json| {
            let vars = vars.as_object().cloned().unwrap_or_default();
            (name.to_owned(), PackageSettings { name: name.to_owned(), vars, ..PackageSettings::default() })
        };
        let packages = BTreeMap::from([
            settings("root", serde_json::json!({ "a": 1, "pkg": { "b": 2 } })),
            settings("pkg", serde_json::json!({ "a": 10, "b": 20, "c": 30 })),
        ]);
        let shared = super::super::rendering::tests::target();
        let yaml = Yaml::properties(invocation(), shared, "root", Arc::new(packages), "pkg");
        assert_eq!(yaml.value("{{ [var('a'), var('b'), var('c')] }}"), Ok(serde_json::json!([1, 2, 30])));
    }
}

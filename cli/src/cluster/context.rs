//! The clusters that a user works with, by name: `~/.config/kontiki/contexts.toml`.
//!
//! Invariant: `local` is no cluster: it stands for this machine, and cannot be redefined.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use proto::client::Replicas;
use proto::tls::{Files, Tls};
use serde::{Deserialize, Serialize};

use super::args;
use crate::args::Global;
use crate::exit::Exit;
use crate::project::{Call, Refused};

/// This machine.
const LOCAL: &str = "local";

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contexts {
    /// The name of the one in use; none for this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

/// Where a cluster is, and who calls it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Addresses of replicas.
    pub servers: Vec<String>,
    /// The certificate that is shown there; where there is none, what the settings say. Only where its files are is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Files>,
    /// Where the token is that is told there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// The files that flags name, as they are found from any folder.
fn files(given: &args::Certificate) -> Result<Option<Files>, Diagnostic> {
    let Some(ca) = &given.tls_ca else { return Ok(None) };
    let [cert, key] = [&given.tls_cert, &given.tls_key].map(|path| path.as_deref().map(absolute).transpose());
    Ok(Some(Files { ca: absolute(ca)?, cert: cert?, key: key? }))
}

fn absolute(path: &Path) -> Result<PathBuf, Diagnostic> {
    let found = std::fs::canonicalize(path);
    found.map_err(|error| Diagnostic::error(Code::Usage, format!("cannot read {}: {error}", path.display())))
}

/// The cluster that a call is meant for; `None` for this machine. `--server` goes before `--context`, flags before variables, and all of
/// them before what is in use.
pub fn destination(global: &Global) -> Result<Option<Context>, Diagnostic> {
    let is_overruled = global.given.context && !global.given.server;
    if !global.server.is_empty() && !is_overruled {
        return Ok(Some(Context { servers: global.server.clone(), tls: None, token_file: None }));
    }
    match &global.context {
        Some(name) if name == LOCAL => Ok(None),
        Some(name) => find(&mut load()?, name).map(Some),
        None => {
            let mut contexts = load()?;
            let Some(current) = contexts.current.clone() else { return Ok(None) };
            find(&mut contexts, &current).map(Some)
        }
    }
}

fn find(contexts: &mut Contexts, name: &str) -> Result<Context, Diagnostic> {
    contexts.contexts.remove(name).ok_or_else(|| {
        let known = contexts.contexts.keys().map(String::as_str).chain([LOCAL]).collect::<Vec<_>>().join(", ");
        Diagnostic::error(Code::Usage, format!("there is no context '{name}'"))
            .hint(format!("there is: {known}; 'kontiki context set {name} HOST:PORT' makes it"))
    })
}

/// `kontiki context …`
pub fn context(call: &Call, verb: &args::Context) -> Result<Exit, Refused> {
    change(call, verb).map_err(|diagnostic| call.refuse(diagnostic))
}

fn change(call: &Call, verb: &args::Context) -> Result<Exit, Diagnostic> {
    let mut contexts = load()?;
    match verb {
        args::Context::Set { name, servers, certificate, token_file } => {
            if name == LOCAL {
                return Err(Diagnostic::error(Code::Usage, "'local' stands for this machine and cannot be set"));
            }
            // Wrong addresses and certificates are told now rather than at the first use.
            let token_file = token_file.as_deref().map(absolute).transpose()?;
            let context = Context { servers: servers.clone(), tls: files(certificate)?, token_file };
            let tls = context.tls.clone().map(Tls::load).transpose();
            let tls = tls.map_err(|error| Diagnostic::error(Code::Usage, error.to_string()))?;
            let check = Replicas::new(servers.iter().map(String::as_str), std::time::Duration::ZERO, tls);
            check.map_err(|error| Diagnostic::error(Code::Usage, error.to_string()))?;
            contexts.contexts.insert(name.clone(), context);
            save(&contexts)?;
        }
        args::Context::Use { name } if name == LOCAL => {
            contexts.current = None;
            save(&contexts)?;
        }
        args::Context::Use { name } => {
            let found = find(&mut contexts, name)?;
            contexts.contexts.insert(name.clone(), found);
            contexts.current = Some(name.clone());
            save(&contexts)?;
        }
        args::Context::List => {
            let mark = |is_current: bool| if is_current { "*" } else { " " };
            call.console.output(&format!("{} {LOCAL}", mark(contexts.current.is_none())));
            for (name, context) in &contexts.contexts {
                let is_current = contexts.current.as_ref() == Some(name);
                call.console.output(&format!("{} {name}  {}", mark(is_current), context.servers.join(",")));
            }
        }
    }
    Ok(Exit::Success)
}

fn path() -> Result<PathBuf, Diagnostic> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let folder = folder.ok_or_else(|| Diagnostic::error(Code::Io, "there is no home folder to keep contexts in"))?;
    Ok(folder.join("kontiki").join("contexts.toml"))
}

fn load() -> Result<Contexts, Diagnostic> {
    let Ok(path) = path() else { return Ok(Contexts::default()) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Contexts::default()),
        Err(error) => return Err(Diagnostic::error(Code::Io, format!("cannot read {}: {error}", path.display()))),
    };
    toml::from_str(&text).map_err(|error| {
        let finding = Diagnostic::error(Code::ConfigInvalid, error.message().to_owned());
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        finding.at(Location::in_text(path.display().to_string(), &text, line as u32, 0))
    })
}

fn save(contexts: &Contexts) -> Result<(), Diagnostic> {
    let path = path()?;
    let write = || {
        let text = toml::to_string(contexts).map_err(std::io::Error::other)?;
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        let partial = path.with_extension("toml.partial");
        std::fs::write(&partial, text)?;
        std::fs::rename(partial, &path)
    };
    write().map_err(|error| Diagnostic::error(Code::Io, format!("cannot write {}: {error}", path.display())))
}

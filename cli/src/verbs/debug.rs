//! `kontiki debug`: what is configured, and whether the warehouse answers.

use common::Json;
use common::diagnostic::Code;
use common::target::Target;

use crate::args::Debug;
use crate::console::{Console, Event};
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub fn debug(call: &Call, debug: &Debug) -> Result<Exit, Refused> {
    let console = &call.console;
    let project_dir = call.project_dir();
    let profiles_dir = call.profiles_dir(&project_dir);
    if debug.config_dir {
        note(console, &format!("To view your profiles.yml file, open: {}", profiles_dir.display()));
        return Ok(Exit::Success);
    }
    if !debug.connection {
        note(console, &format!("kontiki version: {}", env!("CARGO_PKG_VERSION")));
        note(console, &format!("Using profiles dir at {}", profiles_dir.display()));
        note(console, &format!("Using profiles.yml file at {}", profiles_dir.join("profiles.yml").display()));
        note(console, &format!("Using dbt_project.yml file at {}", project_dir.join("dbt_project.yml").display()));
    }
    let opened = call.open()?;
    if !debug.connection {
        note(console, "Configuration:");
        note(console, "  profiles.yml file [OK found and valid]");
        note(console, "  dbt_project.yml file [OK found and valid]");
    }
    note(console, "Connection:");
    for (key, value) in shown(&opened.target) {
        note(console, &format!("  {key}: {value}"));
    }
    let checked = worker::warehouse::open(&opened.connection, "debug").and_then(|warehouse| warehouse.check());
    match checked {
        Ok(()) => {
            note(console, "  Connection test: [OK connection ok]");
            console.emit(&Event::Blank);
            note(console, "All checks passed!");
            Ok(Exit::Success)
        }
        Err(error) => {
            note(console, "  Connection test: [ERROR]");
            let code = if error.code == Code::SqlError { Code::WarehouseUnavailable } else { error.code };
            call.refuse(common::Diagnostic::error(code, error.message));
            Ok(Exit::NodeFailed)
        }
    }
}

/// What may be known of the connection: `Target` holds no credentials, whatever keys a warehouse has for them.
fn shown(target: &Target) -> impl Iterator<Item = (&str, String)> {
    let common = [
        ("type", target.adapter_type.to_string()),
        ("database", target.database.clone()),
        ("schema", target.schema.clone()),
        ("threads", target.threads.to_string()),
    ];
    let own = target.extra.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
        let text = match value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        (key.as_str(), text)
    });
    common.into_iter().chain(own)
}

fn note(console: &Console, text: &str) {
    console.emit(&Event::Note(text.to_owned()));
}

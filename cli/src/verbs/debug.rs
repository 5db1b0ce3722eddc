//! `kontiki debug`: what is configured, and whether the warehouse answers.

use common::Json;
use common::diagnostic::Code;

use crate::args::Debug;
use crate::console::{Console, Event};
use crate::exit::Exit;
use crate::project::{Call, Refused};

/// Keys whose values are never shown.
const SECRET_KEYS: &[&str] = &["password", "pass", "token", "secret", "secrets", "sslkey", "key", "private_key"];

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
    for (key, value) in &opened.connection.settings {
        if SECRET_KEYS.contains(&key.as_str()) {
            continue;
        }
        let shown = match value {
            Json::String(text) => text.clone(),
            other => other.to_string(),
        };
        note(console, &format!("  {key}: {shown}"));
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

fn note(console: &Console, text: &str) {
    console.emit(&Event::Note(text.to_owned()));
}

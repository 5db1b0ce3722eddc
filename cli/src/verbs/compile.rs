//! `kontiki compile`: compiled SQL into the target folder, and of the nodes that were named onto the console. Nodes are compiled on
//! this machine, whatever cluster is named.

use common::run::Verb;
use serde_json::json;

use super::{inline, ready, select};
use crate::args::{Compile, ShowFormat};
use crate::console::Event;
use crate::exit::Exit;
use crate::project::{Call, Refused};
use crate::run::{self, Probe, Request};

pub fn compile(call: &Call, compile: &Compile) -> Result<Exit, Refused> {
    let mut ready = ready(call)?;
    if let Some(sql) = &compile.inline {
        let id = inline(&mut ready, sql);
        let probe = Probe::new(call, &ready.opened, &ready.manifest, Verb::Compile)?;
        return match probe.compile(&id) {
            Ok(compiled) => {
                call.console.output(&match compile.output {
                    ShowFormat::Text => format!("Compiled inline node is:\n{compiled}"),
                    ShowFormat::Json => json!({ "compiled": compiled }).to_string(),
                });
                Ok(Exit::Success)
            }
            Err(failure) => {
                let message = ready.manifest.nodes.get(&id).map(|node| failure.describe(node));
                call.console.emit(&Event::EncounteredError(message.unwrap_or_default()));
                call.console.emit(&Event::ResultCode(failure.code));
                Ok(Exit::NodeFailed)
            }
        };
    }
    let selected = select(call, &ready, &compile.selection, Verb::Compile)?;
    let is_named = !compile.selection.select.is_empty();
    let named = if is_named { selected.clone() } else { Vec::new() };
    let options = run::options(Verb::Compile, call, compile.full_refresh, false, false);
    let request = Request { options, selected, resume: None };
    let finished = run::compile(call, &ready.opened, &ready.manifest, &ready.graph, request)?;
    for outcome in finished.outcomes.all.iter().filter(|outcome| named.contains(&outcome.node)) {
        let (Some(node), Some(compiled)) =
            (ready.manifest.nodes.get(&outcome.node), outcome.result.compiled_code.as_deref())
        else {
            continue;
        };
        call.console.output(&match compile.output {
            ShowFormat::Text => format!("Compiled node '{}' is:\n{compiled}", node.name),
            ShowFormat::Json => json!({ "node": node.name, "compiled": compiled }).to_string(),
        });
    }
    Ok(finished.exit)
}

//! `kontiki ls`: the selected resources, a line each.

use common::{JsonMap, NodeId};
use dbt::artifacts;
use dbt::select::{self, Purpose};

use super::{ready, select_for};
use crate::args::{List, ListFormat};
use crate::console::Event;
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub fn list(call: &Call, list: &List) -> Result<Exit, Refused> {
    let ready = ready(call)?;
    let selected = select_for(call, &ready, &list.selection, Purpose::List)?;
    if selected.is_empty() {
        call.console.emit(&Event::NoNodesSelected);
        return Ok(Exit::Success);
    }
    let format = match list.output {
        ListFormat::Json => select::ListFormat::Json,
        ListFormat::Name => select::ListFormat::Name,
        ListFormat::Path => select::ListFormat::Path,
        ListFormat::Selector => select::ListFormat::Selector,
    };
    let manifest = &ready.manifest;
    let json = |id: &NodeId| -> Option<JsonMap> {
        let node = manifest.nodes.get(id).map(|node| match node.unit_test {
            Some(_) => artifacts::unit_test(node, 0.0),
            None => artifacts::node(node, 0.0),
        });
        let source = || manifest.sources.get(id).map(|source| artifacts::source(source, 0.0));
        let exposure = || manifest.exposures.get(id).map(|exposure| artifacts::exposure(exposure, 0.0));
        node.or_else(source).or_else(exposure)
    };
    for line in select::list(manifest, &selected, format, &list.output_keys, &json) {
        call.console.output(&line);
    }
    Ok(Exit::Success)
}

//! What dbt demands of microbatch models.

use common::diagnostic::{Code, Location};
use common::manifest::{Macro, Node, ResourceType};
use common::microbatch::Microbatch;
use common::{Diagnostic, Manifest, NodeId};

use super::config::Problem;

/// The strategy's macro.
const MACRO: &str = "get_incremental_microbatch_sql";
/// The flag that gives batches to a project with a macro of its own.
pub const FLAG: &str = "require_batched_execution_for_custom_microbatch_strategy";

/// Whether a project or a package brings the strategy's macro itself: its models have no batches then, as before there were any.
pub fn is_overridden<'m>(mut macros: impl Iterator<Item = &'m Macro>) -> bool {
    macros.any(|known| known.name == MACRO && known.package_name != crate::builtin::PACKAGE)
}

/// Configs of a microbatch model that cannot be used.
pub fn problems(node: &Node) -> Vec<Problem> {
    if node.resource_type != ResourceType::Model || !node.config.enabled {
        return Vec::new();
    }
    let bad = Microbatch::of(&node.config).and_then(Result::err);
    bad.map(|bad| Problem { key: bad.key.to_owned(), message: bad.message }).into_iter().collect()
}

/// Warns of models whose batches would all read the same: nothing that they select from has an event time.
pub fn warn_of_unfiltered(manifest: &Manifest, diagnostics: &mut Vec<Diagnostic>) {
    for node in manifest.nodes.values().filter(|node| manifest.microbatch(node).is_some()) {
        if node.depends_on.nodes.iter().any(|input| has_event_time(manifest, input)) {
            continue;
        }
        let message = format!(
            "The microbatch model '{}' has no 'ref' or 'source' input with an 'event_time' configuration. This means no filtering \
             can be applied and can result in unexpected duplicate records in the resulting microbatch model.",
            node.name
        );
        let place = Location::file(node.original_file_path.as_str());
        let hint = "give an input the config 'event_time': the name of its column with the event time";
        diagnostics.push(Diagnostic::warning(Code::InvalidConfig, message).at(place).hint(hint));
    }
}

fn has_event_time(manifest: &Manifest, input: &NodeId) -> bool {
    let of_node = || manifest.nodes.get(input).and_then(|node| node.config.event_time.as_ref());
    let of_source = || manifest.sources.get(input).and_then(|source| source.config.get("event_time"));
    of_node().or_else(of_source).is_some_and(|event_time| event_time.as_str().is_some_and(|name| !name.is_empty()))
}

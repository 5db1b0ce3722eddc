//! The verbs, one file each where they are more than a few lines.

mod clean;
mod compile;
mod debug;
mod init;
mod list;
mod retry;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::diagnostic::Code;
use common::run::{RunOptions, Verb};
use common::{Diagnostic, Manifest, NodeId};
use dbt::graph::Graph;
use dbt::select::{self, IndirectSelection, Purpose};

use crate::args::{self, Execute};
use crate::cluster;
use crate::console::Event;
use crate::exit::Exit;
use crate::project::{Call, Opened, Refused};
use crate::run::{self, Early, Request};

pub use compile::compile;
pub use debug::debug;
pub use init::init;
pub use list::list;
pub use retry::retry;
pub use show::show;

/// A parsed project with its graph.
pub struct Ready {
    pub opened: Opened,
    pub manifest: Arc<Manifest>,
    pub graph: Graph,
}

/// Opens and parses the project, tells what it holds, writes `manifest.json`.
pub fn ready(call: &Call) -> Result<Ready, Refused> {
    ready_from(call, call.open()?)
}

fn ready_from(call: &Call, opened: Opened) -> Result<Ready, Refused> {
    call.console.emit(&Event::AdapterRegistered {
        adapter: opened.target.adapter_type.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let (manifest, fingerprint) = call.parse(&opened)?;
    let graph = Graph::new(&manifest);
    if call.global.write_json() {
        crate::artifacts::write_manifest(call, &opened, &manifest, fingerprint.as_ref())?;
    }
    call.console.emit(&Event::FoundStats(run::found(&manifest)));
    Ok(Ready { opened, manifest, graph })
}

/// `build`, `run`, `test`, `seed`
pub fn execute(call: &Call, verb: Verb, execute: &Execute) -> Result<Exit, Refused> {
    let destination = destination(call)?;
    if let (None, Some(flag)) = (&destination, execute.submit.given()) {
        let finding = Diagnostic::error(Code::Usage, format!("{flag} is for a run on a cluster, and none was named"));
        let hint = "give --server HOST:PORT, or choose one with 'kontiki context use NAME'";
        return Err(call.refuse(finding.hint(hint)));
    }
    let opened = call.open()?;
    let early = if destination.is_none() { Early::begin_again(&opened) } else { None };
    let ready = ready_from(call, opened)?;
    let selected = select(call, &ready, &execute.selection, verb)?;
    let event_time = execute.event_time();
    if let (Some(start), Some(end)) = (event_time.start, event_time.end)
        && start >= end
    {
        let message = "the value of --event-time-start must be less than that of --event-time-end";
        return Err(call.refuse(Diagnostic::error(Code::Usage, message)));
    }
    let options = run::options(verb, call, execute.full_refresh, execute.store_failures, execute.empty);
    let options = RunOptions { event_time, ..options };
    let request = Request { options, selected, resume: None };
    let exit = match destination {
        Some(cluster) => cluster::submit(call, &cluster, &ready, &request, (&execute.selection, &execute.submit)),
        None => run::run(call, &ready.opened, &ready.manifest, &ready.graph, request, early),
    };
    // The program ends here. Taking a large manifest apart would only make the shell wait.
    std::mem::forget(ready);
    exit
}

/// `source freshness`
pub fn freshness(call: &Call, freshness: &args::Freshness) -> Result<Exit, Refused> {
    let execute = Execute {
        selection: freshness.selection.clone(),
        full_refresh: false,
        store_failures: false,
        empty: false,
        show: false,
        event_time_start: None,
        event_time_end: None,
        submit: freshness.submit.clone(),
    };
    self::execute(call, Verb::Freshness, &execute)
}

/// The cluster that a call is meant for, if it is.
fn destination(call: &Call) -> Result<Option<cluster::Context>, Refused> {
    cluster::destination(&call.global).map_err(|diagnostic| call.refuse(diagnostic))
}

/// `parse`
pub fn parse(call: &Call) -> Result<Exit, Refused> {
    ready(call).map(|_| Exit::Success)
}

/// The nodes that a verb works on, by id.
pub fn select(call: &Call, ready: &Ready, selection: &args::Selection, verb: Verb) -> Result<Vec<NodeId>, Refused> {
    Ok(select_for(call, ready, selection, Purpose::Run(verb))?.into_iter().collect())
}

fn select_for(
    call: &Call,
    ready: &Ready,
    selection: &args::Selection,
    purpose: Purpose,
) -> Result<BTreeSet<NodeId>, Refused> {
    let selection = select::Selection {
        purpose,
        select: selection.select.clone(),
        exclude: selection.exclude.clone(),
        selector: selection.selector.clone(),
        indirect: match selection.indirect_selection {
            args::IndirectSelection::Eager => IndirectSelection::Eager,
            args::IndirectSelection::Cautious => IndirectSelection::Cautious,
            args::IndirectSelection::Buildable => IndirectSelection::Buildable,
            args::IndirectSelection::Empty => IndirectSelection::Empty,
        },
        resource_types: selection.resource_type.clone(),
        exclude_resource_types: selection.exclude_resource_type.clone(),
        results: earlier_results(&ready.opened, selection),
    };
    let mut diagnostics = Vec::new();
    let selected = select::select(&ready.manifest, &ready.graph, &selection, &mut diagnostics);
    call.report_selection(&diagnostics)?;
    selected.ok_or(Refused)
}

/// What `--state` says of an earlier run: dbt's statuses by node.
pub fn earlier_results(opened: &Opened, selection: &args::Selection) -> Option<BTreeMap<NodeId, String>> {
    let path = opened.root.join(selection.state.as_ref()?).join("run_results.json");
    let (_, statuses) = dbt::artifacts::read_statuses(&path)?;
    let spelled = |(id, status)| Some((id, serde_json::to_value(status).ok()?.as_str()?.to_owned()));
    Some(statuses.into_iter().filter_map(spelled).collect())
}

/// Adds the query of `--inline` to the manifest, as a node of the root project.
fn inline(ready: &mut Ready, sql: &str) -> NodeId {
    let node = dbt::compile::inline_node(&ready.manifest, &ready.opened.target, sql);
    let id = node.unique_id.clone();
    Arc::make_mut(&mut ready.manifest).nodes.insert(id.clone(), node);
    id
}

/// `clean`
pub fn clean(call: &Call, clean: &args::Clean) -> Result<Exit, Refused> {
    let opened = call.open()?;
    let paths = &opened.project.paths;
    let sources: Vec<String> =
        [&paths.model, &paths.seed, &paths.macros, &paths.test, &paths.analysis, &paths.snapshot]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
    let project_only = !clean.no_clean_project_files_only;
    clean::clean(&opened.root, &paths.clean_targets, &sources, project_only, &call.console)
        .map_err(|error| call.refuse_with(Code::Io, &format!("{error:#}")))
}

//! A selection meets a graph: criteria become sets of ids, tests come along, sets are combined.
//!
//! Tests that are not selected themselves but test what is (`indirect`) are carried beside the selection, because another part
//! of a union may select what they still miss.

use std::collections::BTreeSet;

use common::diagnostic::Code;
use common::manifest::{Node, ResourceType};
use common::{Diagnostic, NodeId};

use super::methods::Catalog;
use super::spec::{Criterion, IndirectSelection, Operator, Spec};

type Ids = BTreeSet<NodeId>;

/// What is selected, and the tests that would be if more was.
struct Selected {
    direct: Ids,
    indirect: Ids,
}

/// Evaluates `spec`; warnings go to `diagnostics`, an error ends the evaluation.
pub fn evaluate(catalog: Catalog<'_>, spec: &Spec, diagnostics: &mut Vec<Diagnostic>) -> Result<Ids, Box<Diagnostic>> {
    select(catalog, spec, diagnostics).map(|selected| selected.direct)
}

fn select(catalog: Catalog<'_>, spec: &Spec, diagnostics: &mut Vec<Diagnostic>) -> Result<Selected, Box<Diagnostic>> {
    let (operator, parts, indirect, expected) = match spec {
        Spec::Criterion(criterion) => return select_criterion(catalog, criterion),
        Spec::Group { operator, parts, indirect, expected } => (*operator, parts, *indirect, expected),
    };
    let mut direct_sets = Vec::with_capacity(parts.len());
    let mut indirect_sets = Vec::with_capacity(parts.len());
    for part in parts {
        let selected = select(catalog, part, diagnostics)?;
        indirect_sets.push(&selected.direct | &selected.indirect);
        direct_sets.push(selected.direct);
    }
    let direct = combine(operator, direct_sets);
    let indirect_tests = combine(operator, indirect_sets);
    let direct = complete(catalog, direct, &indirect_tests, indirect);
    if let Some(raw) = expected
        && direct.is_empty()
    {
        diagnostics.push(Diagnostic::warning(
            Code::NothingSelected,
            format!("the selection criterion '{raw}' does not match any enabled nodes"),
        ));
    }
    Ok(Selected { direct, indirect: indirect_tests })
}

fn combine(operator: Operator, sets: Vec<Ids>) -> Ids {
    let combined = sets.into_iter().reduce(|left, right| match operator {
        Operator::Union => &left | &right,
        Operator::Intersection => &left & &right,
        Operator::Difference => &left - &right,
    });
    combined.unwrap_or_default()
}

fn select_criterion(catalog: Catalog<'_>, criterion: &Criterion) -> Result<Selected, Box<Diagnostic>> {
    let graph = catalog.graph;
    let named = catalog.search(criterion)?;
    let mut selected = named.clone();
    if criterion.childrens_parents {
        let below = &graph.descendants(&named, None) | &named;
        selected.extend(graph.ancestors(&below, None));
        selected.extend(below);
    }
    if let Some(depth) = criterion.parents {
        selected.extend(graph.ancestors(&named, depth));
    }
    if let Some(depth) = criterion.children {
        selected.extend(graph.descendants(&named, depth));
    }
    Ok(with_tests(catalog, selected, criterion.indirect))
}

/// Adds the tests of what is selected, as far as `indirect` allows; the others are kept aside.
fn with_tests(catalog: Catalog<'_>, selected: Ids, indirect: IndirectSelection) -> Selected {
    let mut aside = Ids::new();
    if indirect == IndirectSelection::Empty {
        return Selected { direct: selected, indirect: aside };
    }
    let buildable = (indirect == IndirectSelection::Buildable).then(|| {
        let mut buildable = &selected | &catalog.graph.ancestors(&selected, None);
        buildable.extend(catalog.manifest.sources.keys().cloned());
        buildable
    });
    let mut direct = selected.clone();
    for test in selected.iter().flat_map(|id| catalog.graph.downstreams(id)) {
        if !is_test(catalog, test) {
            continue;
        }
        let tests_only = |ids: &Ids| catalog.manifest.upstreams(test).iter().all(|upstream| ids.contains(upstream));
        let comes_along =
            indirect == IndirectSelection::Eager || tests_only(&selected) || buildable.as_ref().is_some_and(tests_only);
        if comes_along {
            direct.insert(test.clone());
        } else {
            aside.insert(test.clone());
        }
    }
    Selected { direct, indirect: aside }
}

/// Takes in the tests kept aside whose tested nodes are all selected by now.
fn complete(catalog: Catalog<'_>, direct: Ids, aside: &Ids, indirect: IndirectSelection) -> Ids {
    let complete: Ids = match indirect {
        IndirectSelection::Eager | IndirectSelection::Empty => return direct,
        IndirectSelection::Cautious => direct.clone(),
        IndirectSelection::Buildable => &direct | &catalog.graph.ancestors(&direct, None),
    };
    let mut selected = direct;
    for id in aside.iter().filter(|id| catalog.manifest.nodes.get(*id).is_some_and(|node| node.unit_test.is_none())) {
        if catalog.manifest.upstreams(id).iter().all(|upstream| complete.contains(upstream)) {
            selected.insert(id.clone());
        }
    }
    selected
}

fn is_test(catalog: Catalog<'_>, id: &NodeId) -> bool {
    let is_test = |node: &Node| matches!(node.resource_type, ResourceType::Test | ResourceType::UnitTest);
    catalog.manifest.nodes.get(id).is_some_and(is_test)
}

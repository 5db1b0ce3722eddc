//! `--select` and `--exclude`: spaces unite, commas intersect.

use super::spec::{Criterion, IndirectSelection, Operator, Spec};

/// What is selected where nothing is said.
const EVERYTHING: &[&str] = &["fqn:*", "source:*", "exposure:*"];

/// Reads both flags; all problems are returned at once.
pub fn parse(select: &[String], exclude: &[String], indirect: IndirectSelection) -> Result<Spec, Vec<String>> {
    let mut problems = Vec::new();
    let included = if select.is_empty() {
        let everything: Vec<String> = EVERYTHING.iter().map(|&all| all.to_owned()).collect();
        union(&everything, false, indirect, &mut problems)
    } else {
        union(select, true, indirect, &mut problems)
    };
    let excluded = union(exclude, true, indirect, &mut problems);
    if problems.is_empty() { Ok(Spec::group(Operator::Difference, vec![included, excluded])) } else { Err(problems) }
}

fn union(raw: &[String], is_expected: bool, indirect: IndirectSelection, problems: &mut Vec<String>) -> Spec {
    let parts = raw
        .iter()
        .flat_map(|argument| argument.split(' '))
        .filter(|part| !part.is_empty())
        .map(|part| intersection(part, is_expected, indirect, problems))
        .collect();
    Spec::Group { operator: Operator::Union, parts, indirect, expected: None }
}

fn intersection(raw: &str, is_expected: bool, indirect: IndirectSelection, problems: &mut Vec<String>) -> Spec {
    let mut parts = Vec::new();
    for criterion in raw.split(',') {
        match Criterion::parse(criterion, indirect) {
            Ok(criterion) => parts.push(Spec::Criterion(criterion)),
            Err(problem) => problems.push(problem),
        }
    }
    Spec::Group { operator: Operator::Intersection, parts, indirect, expected: is_expected.then(|| raw.to_owned()) }
}

//! What is found in broken projects: all of it at once, each finding with its place and a hint.

use super::project::{fixture, parse};

/// Every finding of a fixture, as the console shows it.
fn check(name: &str) -> String {
    let parsed = parse(&fixture(name));
    let findings: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
    findings.join("\n\n")
}

#[test]
fn all_findings_at_once() {
    insta::assert_snapshot!(check("findings"));
}

#[test]
fn a_cycle_prints_its_path() {
    insta::assert_snapshot!(check("cycle"));
}

#[test]
fn who_may_reference_whom() {
    insta::assert_snapshot!(check("access"));
}

#[test]
fn unit_tests_that_cannot_be_run() {
    insta::assert_snapshot!(check("unit_tests"));
}

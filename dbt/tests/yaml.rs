//! YAML compared with PyYAML's `SafeLoader`: `cases.json` has texts, and what it makes of each. `error` also stands for values
//! that have no counterpart in JSON (sets, bytes) and are refused here.

use common::{Diagnostic, Json};
use dbt::yaml::{Source, load};

/// Where this parser and PyYAML's differ by design, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("v: 0x_\n", "PyYAML fails on a number without digits; it is text here"),
    ("a:\n\t\n  b: 1\n", "a line of nothing but a tab is an empty line here"),
    ("\ta: 1\n", "a tab before the first key is white space here"),
    ("a: <<\n", "PyYAML has no value for a merge key outside of a mapping; it is text here"),
    ("a: =\n", "PyYAML has no value for the value key; it is text here"),
];

#[test]
fn reads_what_pyyaml_reads() {
    let cases: Vec<(String, Json)> = serde_json::from_str(include_str!("yaml/cases.json")).expect("valid cases");
    let mut differences = Vec::new();
    for (text, expected) in cases.iter().filter(|(text, _)| !DIFFERENT.iter().any(|(known, _)| known == text)) {
        let mut diagnostics = Vec::new();
        let node = load(&Source::new("case.yml", text.as_str()), &mut diagnostics);
        let actual = match node {
            Some(node) => serde_json::json!({"value": node.to_json()}),
            None => {
                assert!(diagnostics.iter().any(Diagnostic::is_error), "{text:?} is refused without a reason");
                serde_json::json!({"error": true})
            }
        };
        if actual != *expected {
            differences.push(format!("{text:?}\n  PyYAML: {expected}\n  here:   {actual}"));
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

//! Places of nodes, and what is refused in YAML.

use common::{Diagnostic, Json, Severity};
use serde_json::json;

use super::*;

fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let node = load(&Source::new("models/schema.yml", text), &mut diagnostics);
    (node, diagnostics)
}

#[track_caller]
fn check(text: &str, expected: Json) {
    let (node, diagnostics) = read(text);
    assert_eq!(diagnostics, []);
    assert_eq!(node.expect("the text is valid").to_json(), expected);
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let (node, diagnostics) = read(text);
    assert_eq!(node, None);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
    assert_eq!(diagnostics[0].to_string(), expected);
}

#[test]
fn scalars_resolve_as_in_yaml_1_1() {
    check(
        "[yes, No, on, OFF, true, y, n, ~, null, '']",
        json!([true, false, true, false, true, "y", "n", null, null, ""]),
    );
    check(
        "[0, 12, -3, +4, 1_000, 0o14, 014, 0x1F, 0b101, 08, 1:30, 190:20:30]",
        json!([0, 12, -3, 4, 1000, "0o14", 12, 31, 5, "08", 90, 685_230]),
    );
    check(
        "[1.5, .5, 1., 1e3, 1.0e+3, 1.0e3, -2.5, 1_0.5, 1:30.5, '1.5', 1.2.3]",
        json!([1.5, 0.5, 1.0, "1e3", 1000.0, "1.0e3", -2.5, 10.5, 90.5, "1.5", "1.2.3"]),
    );
    check(
        "[2024-05-01, 2024-5-1, 2024-05-01 1:02:03.5 -5, 2024-05-01T10:00:00Z]",
        json!(["2024-05-01", "2024-5-1", "2024-05-01T01:02:03.500000-05:00", "2024-05-01T10:00:00+00:00"]),
    );
    check(
        "[123456789012345678901234567890, !!str 12, !!int '12', '12', \"yes\"]",
        json!(["123456789012345678901234567890", "12", 12, "12", "yes"]),
    );
}

#[test]
fn an_empty_file_is_null() {
    check("", Json::Null);
    check("# only a comment\n", Json::Null);
    check("\u{feff}a: 1\r\nb: x y\r\n", json!({"a": 1, "b": "x y"}));
}

#[test]
fn merge_keys_come_first_and_yield() {
    check(
        "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nx:\n  <<: [*base, *other]\n  b: 5\n  d: 6\n",
        json!({"base": {"a": 1, "b": 2}, "other": {"b": 3, "c": 4}, "x": {"b": 5, "c": 4, "a": 1, "d": 6}}),
    );
}

#[test]
fn a_key_given_twice_warns_and_the_last_wins() {
    let (node, diagnostics) = read("a: 1\nb: 2\na: 3\n");
    assert_eq!(node.expect("valid").to_json(), json!({"a": 3, "b": 2}));
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].severity, Severity::Warning);
    assert_eq!(
        diagnostics[0].to_string(),
        "warning[K1003]: duplicate key 'a': the value given last is used\n  --> models/schema.yml:3:1\n   |\n 3 | a: 3\n   | ^\n  \
         hint: it is first given on line 1"
    );
}

#[test]
fn values_know_their_place() {
    let (node, _) = read("models:\n  - name: orders\n    columns:\n      - name: id\n");
    let node = node.expect("valid");
    let model = &node.get("models").and_then(Node::as_sequence).expect("a list")[0];
    let name = model.get("name").expect("a name");
    assert_eq!((name.span.line, name.span.column), (2, 11));
    assert_eq!(model.as_mapping().and_then(|model| model.entry("columns")).map(|entry| entry.key_span.line), Some(3));
}

#[test]
fn errors_show_the_line() {
    let (node, diagnostics) = read("a:\n  b: 1\n\tc: 2\n");
    assert_eq!(node, None);
    assert_eq!(diagnostics[0].location.as_ref().map(|location| location.line), Some(3));
    assert_eq!(diagnostics[0].hint.as_deref(), Some("YAML does not allow tabs for indentation; use spaces"));
    check_error(
        "a: 1\n---\nb: 2\n",
        "error[K1002]: expected a single document, found another one\n  --> models/schema.yml:2:1\n   |\n 2 | ---\n   | ^\n  hint: \
         split the documents into files; remove the line '---'",
    );
    check_error(
        "a: !custom 1\n",
        "error[K1003]: the tag '!custom' is not known here\n  --> models/schema.yml:1:4\n   |\n 1 | a: !custom 1\n   |    ^",
    );
}

#[test]
fn aliases_are_bounded() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", ")));
    }
    let (node, diagnostics) = read(&text);
    assert_eq!(node, None);
    assert_eq!(diagnostics[0].message, "aliases expand to more than 250000 values");
    let (node, diagnostics) = read(&format!("{}{}", "[".repeat(200), "]".repeat(200)));
    assert_eq!(node, None);
    assert_eq!(diagnostics[0].message, "values are nested deeper than 100 levels");
}

#[test]
fn renders_all_but_what_is_rendered_late() {
    let source = Source::new(
        "dbt_project.yml",
        "a: '{{ one }}'\nb: ['{{ two }}', plain, \"lines\\n\\n\"]\nhook: '{{ late }}'\nbad: '{{ bad }}'\n",
    );
    let mut diagnostics = Vec::new();
    let node = load(&source, &mut diagnostics).expect("valid");
    let rendered = render(
        &node,
        &source,
        &|text| match text {
            "{{ one }}" => Ok(json!(1)),
            "{{ two }}" => Ok(json!({"k": [2]})),
            other => Err(format!("no {other}")),
        },
        &|path| path[0] == KeyPart::Key("hook"),
        &mut diagnostics,
    );
    assert_eq!(
        rendered.to_json(),
        json!({"a": 1, "b": [{"k": [2]}, "plain", "lines\n"], "hook": "{{ late }}", "bad": "{{ bad }}"})
    );
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].location.as_ref().map(|location| location.line), Some(4));
}

#[test]
fn brackets_may_close_further_left_than_they_opened() {
    let text = "a:\n  b: [\n    {x: 1},\n  {y: 'one\n two # 2'}\n]\nc: |\n  [\ne:\t[1] # [\n";
    let (node, diagnostics) = read(text);
    assert_eq!(diagnostics, []);
    let node = node.expect("valid");
    assert_eq!(node.to_json(), json!({"a": {"b": [{"x": 1}, {"y": "one two # 2"}]}, "c": "[\n", "e": [1]}));
    let second = &node.get("a").and_then(|a| a.get("b")).and_then(Node::as_sequence).expect("a list")[1];
    let y = second.as_mapping().and_then(|mapping| mapping.entry("y")).expect("a key");
    assert_eq!((y.key_span.line, y.key_span.column), (4, 4));
    // What cannot be mended keeps its own error.
    let (node, diagnostics) = read("a: [\n1\nb: 2\n");
    assert_eq!((node, diagnostics.len()), (None, 1));
}

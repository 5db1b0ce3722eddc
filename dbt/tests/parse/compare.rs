//! Manifests against what dbt-core made of the same projects (`golden.json`, written by `goldens.py`).
//!
//! Every field of the golden is compared, except those that Kontiki keeps in another form on purpose: the reasons stand beside
//! them. The artifact writer is what is compared, since its form is dbt's.

use std::collections::BTreeSet;

use common::{Json, Manifest, Timestamp};
use dbt::artifacts;

use super::project::{fixture, parse};

/// What differs, one line each.
fn differences(name: &str) -> Vec<String> {
    let parsed = parse(&fixture(name));
    let errors: Vec<String> =
        parsed.diagnostics.iter().filter(|finding| finding.is_error()).map(ToString::to_string).collect();
    assert_eq!(errors, Vec::<String>::new());
    let text = std::fs::read_to_string(fixture(name).join("golden.json")).expect("goldens.py wrote it");
    let mut golden: Json = serde_json::from_str(&text).expect("it is JSON");
    let ours = artifact(&parsed.manifest);
    let mut found = Vec::new();
    let disabled = take_disabled(&mut golden);
    let our_disabled: BTreeSet<String> =
        ours["disabled"].as_object().into_iter().flat_map(|map| map.keys().cloned()).collect();
    if disabled != our_disabled {
        found.push(format!("disabled: dbt {disabled:?}, ours {our_disabled:?}"));
    }
    for section in ["nodes", "sources", "exposures", "groups", "docs"] {
        compare(&golden[section], &ours[section], &mut vec![section.to_owned()], &mut found);
    }
    for (id, expected) in golden["macros"].as_object().into_iter().flatten() {
        compare(expected, &ours["macros"][id], &mut vec![id.clone()], &mut found);
    }
    found
}

fn artifact(manifest: &Manifest) -> Json {
    let metadata = artifacts::Metadata {
        generated_at: Timestamp(0),
        invocation_id: String::new(),
        invocation_started_at: Timestamp(0),
        env: std::collections::BTreeMap::new(),
    };
    let mut text = Vec::new();
    artifacts::manifest(manifest, &metadata).write_to(&mut text).expect("memory can be written");
    serde_json::from_slice(&text).expect("a manifest is JSON")
}

/// dbt leaves tests of disabled nodes among the others, disabled; Kontiki puts them where disabled nodes are.
fn take_disabled(golden: &mut Json) -> BTreeSet<String> {
    let mut disabled: BTreeSet<String> =
        golden["disabled"].as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect();
    if let Some(nodes) = golden["nodes"].as_object_mut() {
        nodes.retain(|id, node| {
            let enabled = node["config"]["enabled"] == Json::Bool(true);
            if !enabled {
                disabled.insert(id.clone());
            }
            enabled
        });
    }
    disabled
}

/// Whether Kontiki's value differs on purpose, or has no counterpart.
fn is_skipped(path: &[String]) -> bool {
    let end: Vec<&str> = path.iter().rev().take(2).map(String::as_str).collect();
    matches!(
        end.as_slice(),
        ["created_at" | "build_path" | "compiled_path" | "root_path", ..]
            // A digest of our own over the same columns.
            | ["checksum", "contract"]
            // Only dbt's comparison of states reads them.
            | ["unrendered_database" | "unrendered_schema", ..]
    ) || path.first().is_some_and(|section| section == "exposures") && path.iter().any(|key| key == "unrendered_config")
        // dbt applies the tree of models to groups, which its documentation does not mention.
        || path.first().is_some_and(|section| section == "groups") && end[0] == "tags"
}

fn compare(expected: &Json, ours: &Json, path: &mut Vec<String>, found: &mut Vec<String>) {
    match (expected, ours) {
        (Json::Object(expected), Json::Object(ours)) => {
            let keys: BTreeSet<&String> = expected.keys().chain(ours.keys()).collect();
            for key in keys {
                path.push(key.clone());
                if is_skipped(path) {
                    path.pop();
                    continue;
                }
                match (expected.get(key), ours.get(key)) {
                    (Some(expected), Some(ours)) => compare(expected, ours, path, found),
                    (Some(expected), None) => found.push(format!("{}: missing, dbt has {expected}", path.join("/"))),
                    (None, Some(ours)) => found.push(format!("{}: dbt has no such key, ours {ours}", path.join("/"))),
                    (None, None) => {}
                }
                path.pop();
            }
        }
        // dbt lists a reference as often as it is written; Kontiki once.
        (Json::Array(_), Json::Array(_)) if path.last().is_some_and(|key| key == "refs" || key == "sources") => {
            let (expected, ours) = (without_repeats(expected), without_repeats(ours));
            if expected != ours {
                found.push(format!("{}: dbt {expected:?}, ours {ours:?}", path.join("/")));
            }
        }
        _ if expected != ours => found.push(format!("{}: dbt {expected}, ours {ours}", path.join("/"))),
        _ => {}
    }
}

fn without_repeats(list: &Json) -> Vec<String> {
    let mut kept = Vec::new();
    for item in list.as_array().into_iter().flatten() {
        let text = item.to_string();
        if !kept.contains(&text) {
            kept.push(text);
        }
    }
    kept
}

#[test]
fn a_project_with_every_kind_of_resource() {
    assert_eq!(differences("manifest"), Vec::<String>::new());
}

#[test]
fn packages_and_the_root_projects_overrides() {
    assert_eq!(differences("packages"), Vec::<String>::new());
}

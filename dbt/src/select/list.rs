//! What `ls` prints: a line for each selected node.

use std::collections::BTreeSet;

use common::{Json, JsonMap, Manifest, NodeId};

use super::member::Member;

/// The formats of `ls --output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListFormat {
    /// What selects just this node.
    #[default]
    Selector,
    Name,
    /// The file, relative to its package.
    Path,
    Json,
}

impl std::str::FromStr for ListFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "selector" => Ok(Self::Selector),
            "name" => Ok(Self::Name),
            "path" => Ok(Self::Path),
            "json" => Ok(Self::Json),
            _ => Err(format!("'{text}' is not an output format: expected selector, name, path or json")),
        }
    }
}

/// Keys of `--output json` where `--output-keys` is not given.
const DEFAULT_KEYS: &[&str] = &[
    "alias",
    "name",
    "package_name",
    "depends_on",
    "tags",
    "config",
    "resource_type",
    "source_name",
    "original_file_path",
    "unique_id",
];

/// The lines for `selected`, by id. `json` gives a node as `manifest.json` has it; `keys` are those of `--output-keys`.
pub fn list(
    manifest: &Manifest,
    selected: &BTreeSet<NodeId>,
    format: ListFormat,
    keys: &[String],
    json: &dyn Fn(&NodeId) -> Option<JsonMap>,
) -> Vec<String> {
    let members = selected.iter().filter_map(|id| Some((id, Member::of(manifest, id)?)));
    members
        .map(|(id, member)| match format {
            ListFormat::Selector => selector(member),
            ListFormat::Name => name(member),
            ListFormat::Path => member.original_file_path().to_owned(),
            ListFormat::Json => python_json(&Json::Object(pick(json(id).unwrap_or_default(), keys))),
        })
        .collect()
}

fn selector(member: Member<'_>) -> String {
    match member {
        Member::Source(source) => format!("source:{}.{}.{}", source.package_name, source.source_name, source.name),
        Member::Exposure(exposure) => format!("exposure:{}.{}", exposure.package_name, exposure.name),
        Member::Node(node) => match &node.unit_test {
            Some(test) => format!("unit_test:{}.{}", node.package_name, test.versioned_name(&node.name)),
            None => node.fqn.join("."),
        },
    }
}

fn name(member: Member<'_>) -> String {
    match member {
        Member::Source(source) => format!("{}.{}", source.source_name, source.name),
        Member::Node(node) => match node.model.as_ref().and_then(|model| model.version.as_ref()) {
            Some(Json::String(version)) => format!("{}.v{version}", node.name),
            Some(version) => format!("{}.v{version}", node.name),
            None => node.name.clone(),
        },
        Member::Exposure(exposure) => exposure.name.clone(),
    }
}

/// The chosen keys in the order they are asked for, else the default ones in the order of the node.
fn pick(node: JsonMap, keys: &[String]) -> JsonMap {
    if keys.is_empty() {
        return node.into_iter().filter(|(key, _)| DEFAULT_KEYS.contains(&key.as_str())).collect();
    }
    let mut picked = JsonMap::new();
    for key in keys {
        if key.contains('.') {
            let mut parts = key.split('.');
            let first = parts.next().and_then(|part| node.get(part));
            let value = parts.try_fold(first, |value, part| value.map(|value| value.get(part)));
            if let Some(value) = value.flatten().filter(|value| !value.is_null()) {
                picked.insert(key.clone(), value.clone());
            }
        } else if let Some(value) = node.get(key) {
            picked.insert(key.clone(), value.clone());
        }
    }
    picked
}

/// JSON as Python's `json.dumps` spaces and escapes it.
fn python_json(value: &Json) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Json, out: &mut String) {
    match value {
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Json::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_text(key, out);
                out.push_str(": ");
                write_json(item, out);
            }
            out.push('}');
        }
        Json::String(text) => write_text(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn write_text(text: &str, out: &mut String) {
    let quoted = Json::from(text).to_string();
    for c in quoted.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

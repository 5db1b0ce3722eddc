//! How the value of a key from a stronger layer combines with the value from weaker ones.
//!
//! Source of the rules: dbt's documentation of "Configuration precedence": most keys are replaced, tags and hooks add up,
//! dictionaries are merged key by key, grants replace unless their key starts with `+`.

use common::{Json, JsonMap};

use super::{Kind, Problem};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behavior {
    Clobber,
    /// Lists add up; a single value counts as a list of one.
    Append,
    /// Keys of a dictionary replace those of the same name.
    Update,
    /// Like `Update` over lists; a key with `+` extends its list.
    AppendByKey,
}

fn behavior(kind: Kind, key: &str) -> Behavior {
    match (kind, key) {
        (Kind::Source | Kind::Exposure, "meta") => Behavior::Update,
        (Kind::Source | Kind::Exposure, _) => Behavior::Clobber,
        (_, "tags") => Behavior::Append,
        (_, "meta") => Behavior::Update,
        (Kind::Test | Kind::UnitTest, _) => Behavior::Clobber,
        (_, "pre-hook" | "post-hook" | "packages") => Behavior::Append,
        (_, "quoting" | "column_types" | "docs" | "contract") => Behavior::Update,
        (_, "grants") => Behavior::AppendByKey,
        _ => Behavior::Clobber,
    }
}

/// The spelling under which a key is kept.
pub fn canonical_key(key: &str) -> &str {
    match key.trim() {
        "pre_hook" => "pre-hook",
        "post_hook" => "post-hook",
        key => key,
    }
}

/// Puts a stronger layer over `config`.
pub fn apply(config: &mut JsonMap, layer: &JsonMap, kind: Kind, problems: &mut Vec<Problem>) {
    for (key, value) in layer {
        let key = canonical_key(key);
        let behavior = behavior(kind, key);
        if behavior == Behavior::Clobber {
            config.insert(key.to_owned(), value.clone());
            continue;
        }
        let present = config.get_mut(key).map(Json::take);
        match combine(behavior, present.as_ref(), value) {
            Ok(combined) => {
                config.insert(key.to_owned(), combined);
            }
            Err(found) => {
                problems.push(Problem {
                    key: key.to_owned(),
                    message: format!("expected a dictionary, got {}", super::super::python_text::repr_of(&found)),
                });
                config.insert(key.to_owned(), present.unwrap_or_else(|| Json::Object(JsonMap::new())));
            }
        }
    }
}

/// Adds the arguments of a `{{ config() }}` call to those of earlier calls in the same file.
pub fn add_call(calls: &mut JsonMap, call: &JsonMap) {
    if calls.is_empty() {
        calls.extend(call.iter().map(|(key, value)| (key.clone(), value.clone())));
        return;
    }
    for (key, value) in call {
        let combined = match key.as_str() {
            "pre-hook" | "pre_hook" | "post-hook" | "post_hook" | "tags" | "packages" => {
                combine(Behavior::Append, calls.get(key), value)
            }
            "quoting" | "column_types" | "meta" | "docs" | "contract" => {
                combine(Behavior::Update, calls.get(key), value)
            }
            "grants" => Ok(add_grants(calls.get(key), value)),
            _ => Ok(value.clone()),
        };
        // A value of the wrong type is kept as it is: the layer it becomes part of reports it.
        calls.insert(key.clone(), combined.unwrap_or_else(|_| value.clone()));
    }
}

/// Grants of several calls in one file: `+` stays on the key, since the layers below still need it.
fn add_grants(present: Option<&Json>, value: &Json) -> Json {
    let (Some(Json::Object(present)), Json::Object(value)) = (present, value) else { return value.clone() };
    let mut grants: JsonMap = present.iter().map(|(key, value)| (key.clone(), Json::Array(listed(value)))).collect();
    for (key, value) in value {
        match grants.get_mut(key) {
            Some(Json::Array(list)) if key.starts_with('+') => list.extend(listed(value)),
            _ => {
                grants.insert(key.clone(), Json::Array(listed(value)));
            }
        }
    }
    Json::Object(grants)
}

/// The combined value, or the operand that should have been a dictionary.
fn combine(behavior: Behavior, present: Option<&Json>, value: &Json) -> Result<Json, Json> {
    match behavior {
        Behavior::Clobber => Ok(value.clone()),
        Behavior::Append => {
            let mut list = present.map(listed).unwrap_or_default();
            list.extend(listed(value));
            Ok(Json::Array(list))
        }
        Behavior::Update => {
            let mut map = dictionary(present)?;
            map.extend(dictionary(Some(value))?);
            Ok(Json::Object(map))
        }
        Behavior::AppendByKey => {
            let mut map = dictionary(present)?;
            for value in map.values_mut() {
                *value = Json::Array(listed(value));
            }
            for (key, value) in dictionary(Some(value))? {
                let name = key.trim_start_matches('+');
                match map.get_mut(name) {
                    Some(Json::Array(list)) if key.starts_with('+') => list.extend(listed(&value)),
                    _ => {
                        map.insert(name.to_owned(), Json::Array(listed(&value)));
                    }
                }
            }
            Ok(Json::Object(map))
        }
    }
}

fn listed(value: &Json) -> Vec<Json> {
    match value {
        Json::Array(items) => items.clone(),
        single => vec![single.clone()],
    }
}

fn dictionary(value: Option<&Json>) -> Result<JsonMap, Json> {
    match value {
        None => Ok(JsonMap::new()),
        Some(Json::Object(map)) => Ok(map.clone()),
        Some(other) => Err(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(kind: Kind, layers: &[Json]) -> Json {
        let mut config = JsonMap::new();
        for layer in layers {
            apply(&mut config, layer.as_object().expect("layers are objects"), kind, &mut Vec::new());
        }
        Json::Object(config)
    }

    #[test]
    fn each_key_combines_by_its_rule() {
        let layers = [
            json!({"tags": "a", "meta": {"x": 1, "y": 1}, "schema": "s", "pre_hook": "one", "grants": {"select": "a"}}),
            json!({"tags": ["b", "a"], "meta": {"y": 2}, "schema": null, "pre-hook": ["two"],
                   "grants": {"+select": ["b"], "insert": "c"}}),
        ];
        assert_eq!(
            merged(Kind::Model, &layers),
            json!({"tags": ["a", "b", "a"], "meta": {"x": 1, "y": 2}, "schema": null, "pre-hook": ["one", "two"],
                   "grants": {"select": ["a", "b"], "insert": ["c"]}})
        );
    }

    #[test]
    fn a_plain_grant_replaces() {
        let layers = [json!({"grants": {"select": ["a"]}}), json!({"grants": {"select": "b"}})];
        assert_eq!(merged(Kind::Model, &layers), json!({"grants": {"select": ["b"]}}));
    }

    #[test]
    fn source_tags_replace() {
        let layers = [json!({"tags": ["a"]}), json!({"tags": ["b"]})];
        assert_eq!(merged(Kind::Source, &layers), json!({"tags": ["b"]}));
    }

    #[test]
    fn calls_in_one_file_add_up() {
        let mut calls = JsonMap::new();
        for call in [json!({"tags": "a", "alias": "x"}), json!({"tags": "b", "alias": "y"})] {
            add_call(&mut calls, call.as_object().expect("an object"));
        }
        assert_eq!(Json::Object(calls), json!({"tags": ["a", "b"], "alias": "y"}));
    }

    #[test]
    fn a_wrong_type_is_a_problem_and_keeps_what_was_there() {
        let mut config = JsonMap::new();
        let mut problems = Vec::new();
        apply(&mut config, json!({"meta": {"a": 1}}).as_object().expect("an object"), Kind::Model, &mut problems);
        apply(&mut config, json!({"meta": "b"}).as_object().expect("an object"), Kind::Model, &mut problems);
        assert_eq!(Json::Object(config), json!({"meta": {"a": 1}}));
        assert_eq!(problems, [Problem { key: "meta".into(), message: "expected a dictionary, got 'b'".into() }]);
    }
}

//! `selectors.yml`: selections that are written down and named.
//!
//! A definition is a criterion as on the command line, a mapping of one method to its value, a mapping with `method` and `value`,
//! or a `union` or `intersection` of definitions, each with at most one `exclude`.

use std::collections::BTreeMap;

use common::{Json, JsonMap};

use super::spec::{Criterion, IndirectSelection, Operator, Spec};

/// The selectors defined so far, which later ones may name.
pub type Known = BTreeMap<String, Spec>;

/// Reads a definition. `indirect` is what holds unless a criterion says otherwise.
pub fn parse(definition: &Json, known: &Known, indirect: IndirectSelection) -> Result<Spec, String> {
    if let Json::Object(map) = definition
        && (map.contains_key("union") || map.contains_key("intersection"))
        && map.len() > 1
    {
        let keys: Vec<&str> = map.keys().map(String::as_str).collect();
        return Err(format!(
            "a definition may have a single 'union' or 'intersection' key at its root, but has {}",
            keys.join(", ")
        ));
    }
    Reader { known, indirect }.definition(definition)
}

struct Reader<'a> {
    known: &'a Known,
    indirect: IndirectSelection,
}

impl Reader<'_> {
    fn definition(&self, definition: &Json) -> Result<Spec, String> {
        match definition {
            Json::String(raw) => Ok(Spec::Criterion(Criterion::parse(raw, self.indirect)?)),
            Json::Object(map) if map.contains_key("union") => self.group(map, "union", Operator::Union),
            Json::Object(map) if map.contains_key("intersection") => {
                self.group(map, "intersection", Operator::Intersection)
            }
            Json::Object(map) => self.mapping(map),
            other => Err(format!("expected a union, an intersection, text or a mapping, but found {other}")),
        }
    }

    fn group(&self, map: &JsonMap, key: &str, operator: Operator) -> Result<Spec, String> {
        let mut parts = Vec::new();
        let mut excluded = None;
        for part in list(map, key)? {
            match part {
                // As in dbt, whatever else such an entry holds has no effect.
                Json::Object(inner) if inner.contains_key("exclude") => {
                    if excluded.is_some() {
                        return Err(format!("'{key}' has more than one 'exclude'"));
                    }
                    excluded = Some(self.exclusions(inner)?);
                }
                part => parts.push(self.definition(part)?),
            }
        }
        let group = Spec::group(operator, parts);
        Ok(match excluded.flatten() {
            Some(excluded) => Spec::group(Operator::Difference, vec![group, excluded]),
            None => group,
        })
    }

    fn exclusions(&self, map: &JsonMap) -> Result<Option<Spec>, String> {
        let parts: Vec<Spec> =
            list(map, "exclude")?.iter().map(|part| self.definition(part)).collect::<Result<_, _>>()?;
        Ok(match parts.len() {
            0 => None,
            1 => parts.into_iter().next(),
            _ => Some(Spec::group(Operator::Union, parts)),
        })
    }

    fn mapping(&self, map: &JsonMap) -> Result<Spec, String> {
        if map.len() == 1
            && let Some((method, value)) = map.iter().next()
        {
            return self.criterion(Some(method), value, &JsonMap::new()).map(Spec::Criterion);
        }
        let (Some(method), Some(value)) = (map.get("method").and_then(Json::as_str), map.get("value")) else {
            let keys: Vec<&str> = map.keys().map(String::as_str).collect();
            return Err(format!("expected one key, or 'method' and 'value', but found {}", keys.join(", ")));
        };
        if method == "selector" {
            let name = value.as_str().unwrap_or_default();
            return self
                .known
                .get(name)
                .cloned()
                .ok_or_else(|| format!("no selector named '{name}' is defined before this one"));
        }
        let criterion = Spec::Criterion(self.criterion(Some(method), value, map)?);
        let excluded = if map.contains_key("exclude") { self.exclusions(map)? } else { None };
        Ok(match excluded {
            Some(excluded) => Spec::group(Operator::Difference, vec![criterion, excluded]),
            None => criterion,
        })
    }

    fn criterion(&self, method: Option<&str>, value: &Json, map: &JsonMap) -> Result<Criterion, String> {
        let unknown = map.keys().find(|key| !KEYS.contains(&key.as_str()));
        if let Some(key) = unknown {
            return Err(format!("unknown key '{key}' in a selector; expected one of {}", KEYS.join(", ")));
        }
        if value.is_array() || value.is_object() {
            return Err(format!("the value of method '{}' must be a scalar, not {value}", method.unwrap_or_default()));
        }
        let is_set = |key: &str| map.get(key).is_some_and(is_truthy);
        let depth = |flag: &str, key: &str| -> Result<Option<Option<usize>>, String> {
            Ok(if is_set(flag) { Some(steps(map.get(key), key)?) } else { None })
        };
        let indirect = match map.get("indirect_selection") {
            Some(given) => given.as_str().unwrap_or_default().parse()?,
            None => self.indirect,
        };
        Criterion {
            method: super::spec::Method::Fqn,
            arguments: Vec::new(),
            value: value.clone(),
            childrens_parents: is_set("childrens_parents"),
            parents: depth("parents", "parents_depth")?,
            children: depth("children", "children_depth")?,
            indirect,
        }
        .with_method(method)?
        .checked(&value.to_string())
    }
}

const KEYS: &[&str] = &[
    "method",
    "value",
    "parents",
    "parents_depth",
    "children",
    "children_depth",
    "childrens_parents",
    "indirect_selection",
    "exclude",
];

fn list<'a>(map: &'a JsonMap, key: &str) -> Result<&'a Vec<Json>, String> {
    map.get(key).and_then(Json::as_array).ok_or_else(|| format!("'{key}' of a selector must be a list"))
}

fn is_truthy(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(map) => !map.is_empty(),
    }
}

/// A number of steps; none, zero and empty mean no limit, as in dbt.
fn steps(value: Option<&Json>, key: &str) -> Result<Option<usize>, String> {
    let Some(value) = value.filter(|value| is_truthy(value)) else { return Ok(None) };
    let number = match value {
        Json::Number(number) => number.as_u64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .and_then(|number| usize::try_from(number).ok())
        .map(Some)
        .ok_or_else(|| format!("'{key}' must be a number, not {value}"))
}

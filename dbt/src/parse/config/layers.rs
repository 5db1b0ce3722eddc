//! Which parts of a `dbt_project.yml` tree apply to a node.
//!
//! A tree mixes folders and settings: keys with `+` are settings, keys without are settings unless their value is a dictionary,
//! in which case they name a folder (or the node itself). The levels that apply are those on the way from the root along the
//! node's fqn.

use common::{Json, JsonMap};

/// The levels of `tree` that apply to `fqn`, weakest first, as dictionaries whose folder keys must be skipped with `settings`.
pub fn levels<'t>(tree: &'t JsonMap, fqn: &[String]) -> Vec<&'t JsonMap> {
    let mut levels = vec![tree];
    let mut level = tree;
    for part in fqn {
        match level.get(part) {
            Some(Json::Object(next)) => level = next,
            _ => break,
        }
        levels.push(level);
    }
    levels
}

/// The settings of one level, without its folders.
pub fn settings(level: &JsonMap) -> JsonMap {
    level
        .iter()
        .filter_map(|(key, value)| match key.strip_prefix('+') {
            Some(key) => Some((key.trim().to_owned(), value.clone())),
            None if value.is_object() => None,
            None => Some((key.clone(), value.clone())),
        })
        .collect()
}

/// The paths of `tree` that hold settings, as dbt lists them when no resource uses them.
pub fn paths(tree: &JsonMap) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect_paths(tree, &mut Vec::new(), &mut found);
    found
}

fn collect_paths(level: &JsonMap, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let mut has_settings = false;
    for (key, value) in level {
        match value {
            Json::Object(next) if !key.starts_with('+') => {
                path.push(key.clone());
                collect_paths(next, path, found);
                path.pop();
            }
            _ => has_settings = true,
        }
    }
    if has_settings || level.is_empty() {
        found.push(path.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Json) -> JsonMap {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn follows_the_fqn_and_skips_folders() {
        let tree = map(json!({
            "+materialized": "view", "+meta": {"a": 1}, "meta": {"folder": {}},
            "shop": {"materialized": "table", "staging": {"+ tags": ["s"], "stg_orders": {"alias": "o"}}}
        }));
        let fqn = ["shop", "staging", "stg_orders"].map(str::to_owned);
        let found: Vec<Json> = levels(&tree, &fqn).into_iter().map(|level| Json::Object(settings(level))).collect();
        assert_eq!(
            found,
            [
                json!({"materialized": "view", "meta": {"a": 1}}),
                json!({"materialized": "table"}),
                json!({"tags": ["s"]}),
                json!({"alias": "o"})
            ]
        );
    }

    #[test]
    fn lists_paths_with_settings() {
        let tree = map(json!({"+enabled": true, "shop": {"a": {"+x": 1}, "b": {"c": {"y": 2}}}}));
        assert_eq!(paths(&tree), [vec!["shop", "a"], vec!["shop", "b", "c"], vec![]]);
    }
}

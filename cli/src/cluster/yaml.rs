//! JSON values as YAML, for `-o yaml`.

use serde_json::Value as Json;

/// Block style; every string that is not a plain word is quoted as JSON quotes it, which YAML reads alike.
pub fn yaml(value: &Json) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text.trim_end().to_owned()
}

fn write(value: &Json, indent: usize, text: &mut String) {
    let pad = "  ".repeat(indent);
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                text.push_str(&format!("{pad}{}:", scalar(&Json::String(key.clone()))));
                nested(value, indent + 1, text);
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for item in items {
                text.push_str(&format!("{pad}-"));
                match item {
                    Json::Object(map) if !map.is_empty() => {
                        // The first key stands beside the dash, where it is as deep as the others below it.
                        let mut block = String::new();
                        write(item, indent + 1, &mut block);
                        text.push_str(&format!(" {}", block.trim_start()));
                    }
                    other => nested(other, indent + 1, text),
                }
            }
        }
        other => text.push_str(&format!("{pad}{}\n", scalar(other))),
    }
}

fn nested(value: &Json, indent: usize, text: &mut String) {
    let is_block = match value {
        Json::Object(map) => !map.is_empty(),
        Json::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        text.push('\n');
        write(value, indent, text);
    } else {
        text.push_str(&format!(" {}\n", scalar(value)));
    }
}

fn scalar(value: &Json) -> String {
    match value {
        Json::String(text) if is_plain(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether YAML would read the bare word as this very string.
fn is_plain(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let is_reserved =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_word) && !is_reserved
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_lists_and_words_that_need_quotes() {
        let value = json!({
            "name": "a_b", "id": "1", "on": true, "empty": [], "none": null,
            "tasks": [{"node": "model.p.a", "up": [1, 2]}, "x: y"],
        });
        assert_eq!(
            yaml(&value),
            "name: a_b\nid: \"1\"\n\"on\": true\nempty: []\nnone: null\ntasks:\n  - node: model.p.a\n    up:\n      - 1\n      - 2\n  - \
             \"x: y\""
        );
    }
}

//! JSON values as Python prints them: dbt puts `str()` and `repr()` of YAML values into test names, ids and test code.
//!
//! Invariant: for values that YAML can hold, the text equals CPython's, since ids of generic tests are hashes of it.

use common::{Json, JsonMap};

/// `str(value)`
pub fn str_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => repr_of(other),
    }
}

/// `repr(value)`
pub fn repr_of(value: &Json) -> String {
    let mut text = String::new();
    write_repr(value, &mut text);
    text
}

/// `repr` of a string.
pub fn repr_of_str(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    write_str_repr(value, &mut text);
    text
}

fn write_repr(value: &Json, out: &mut String) {
    match value {
        Json::Null => out.push_str("None"),
        Json::Bool(true) => out.push_str("True"),
        Json::Bool(false) => out.push_str("False"),
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&float_repr(float)),
            _ => out.push_str(&number.to_string()),
        },
        Json::String(text) => write_str_repr(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(item, out);
            }
            out.push(']');
        }
        Json::Object(map) => write_map_repr(map, out),
    }
}

fn write_map_repr(map: &JsonMap, out: &mut String) {
    out.push('{');
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_str_repr(key, out);
        out.push_str(": ");
        write_repr(value, out);
    }
    out.push('}');
}

/// Single quotes unless the text holds one and no double quote; unprintable characters are escaped.
fn write_str_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || (0x7f..0xa1).contains(&(c as u32)) || c as u32 == 0xad => {
                out.push_str(&format!("\\x{:02x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// The shortest digits that read back equal, with an exponent below 1e-4 and from 1e16 on.
fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Expected texts are CPython 3.11's.
    #[test]
    fn prints_values_as_python_does() {
        let cases = [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(-3), "-3"),
            (json!(1.0), "1.0"),
            (json!(0.1), "0.1"),
            (json!(1e16), "1e+16"),
            (json!(1.5e-5), "1.5e-05"),
            (json!(123456789012345.6), "123456789012345.6"),
            (json!("it's"), "\"it's\""),
            (json!("say \"it's\""), "'say \"it\\'s\"'"),
            (json!("a\nb\\"), "'a\\nb\\\\'"),
            (json!("\u{7}é"), "'\\x07é'"),
            (json!(["a", 1, null]), "['a', 1, None]"),
            (json!({"k": [true], "x": {}}), "{'k': [True], 'x': {}}"),
        ];
        for (value, expected) in cases {
            assert_eq!(repr_of(&value), expected);
        }
        assert_eq!(str_of(&json!("it's")), "it's");
        assert_eq!(str_of(&json!(["it's"])), "[\"it's\"]");
    }
}

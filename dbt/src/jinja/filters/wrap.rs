//! `wordwrap` and `pprint`: text broken into lines.

use std::rc::Rc;

use super::super::Interpreter;
use super::super::arguments::{Args, expect_int, value_error};
use super::super::compare::sort_by_key;
use super::super::error::Result;
use super::super::repr::repr;
use super::super::strings::lines;
use super::super::value::Value;

/// Each line of the text wrapped by itself, as Python's `textwrap` does it.
pub fn wordwrap(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [width, break_words, separator, break_hyphens] =
        args.bind("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"], 0)?;
    let width = width.as_ref().map(expect_int).transpose()?.unwrap_or(79);
    let width = usize::try_from(width).ok().filter(|width| *width > 0);
    let width = width.ok_or_else(|| value_error("invalid width (must be > 0)"))?;
    let break_words = break_words.is_none_or(|flag| flag.is_true());
    let break_hyphens = break_hyphens.is_none_or(|flag| flag.is_true());
    let separator = match &separator {
        None | Some(Value::None) => Rc::from("\n"),
        Some(separator) => separator.to_str(),
    };
    let text = value.to_str();
    let paragraphs: Vec<String> = lines(&text, false)
        .into_iter()
        .map(|line| wrap(chunks(line, break_hyphens), width, break_words).join(&separator))
        .collect();
    Ok(Value::from(paragraphs.join(&separator)))
}

fn is_blank(chunk: &str) -> bool {
    chunk.chars().all(|c| matches!(c, ' ' | '\t' | '\x0b' | '\x0c'))
}

/// Words, runs of blanks, and parts of words that end in a hyphen between letters.
fn chunks(line: &str, break_hyphens: bool) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    let chars: Vec<char> = line.chars().collect();
    let blank = |c: char| matches!(c, ' ' | '\t' | '\x0b' | '\x0c');
    for (index, &c) in chars.iter().enumerate() {
        let starts_new = match index.checked_sub(1).map(|before| chars[before]) {
            None => true,
            Some(before) if blank(before) != blank(c) => true,
            Some('-') if break_hyphens => {
                index >= 3
                    && chars[index - 2].is_alphabetic()
                    && chars[index - 3].is_alphanumeric()
                    && c.is_alphabetic()
                    && chars.get(index + 1).is_some_and(|next| next.is_alphanumeric())
            }
            Some(_) => false,
        };
        match chunks.last_mut() {
            Some(chunk) if !starts_new => chunk.push(c),
            _ => chunks.push(c.to_string()),
        }
    }
    chunks
}

fn wrap(chunks: Vec<String>, width: usize, break_words: bool) -> Vec<String> {
    let size = |chunk: &str| chunk.chars().count();
    let mut lines: Vec<String> = Vec::new();
    let mut rest: std::collections::VecDeque<String> = chunks.into();
    while !rest.is_empty() {
        if !lines.is_empty() && rest.front().is_some_and(|chunk| is_blank(chunk)) {
            rest.pop_front();
        }
        let mut line: Vec<String> = Vec::new();
        let mut used = 0;
        while let Some(chunk) = rest.pop_front() {
            if used + size(&chunk) > width {
                rest.push_front(chunk);
                break;
            }
            used += size(&chunk);
            line.push(chunk);
        }
        if rest.front().is_some_and(|chunk| size(chunk) > width) {
            if break_words {
                let chunk = rest.pop_front().unwrap_or_default();
                let room = (width - used).max(1);
                line.push(chunk.chars().take(room).collect());
                rest.push_front(chunk.chars().skip(room).collect());
            } else if line.is_empty() {
                line.extend(rest.pop_front());
            }
        }
        if line.last().is_some_and(|chunk| is_blank(chunk)) {
            line.pop();
        }
        if !line.is_empty() {
            lines.push(line.concat());
        }
    }
    lines
}

const PRINT_WIDTH: usize = 80;

/// `pprint.pformat`: dicts sorted by key, and one item a line where the value does not fit 80 columns.
pub fn pprint(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("pprint")?;
    Ok(Value::from(pretty(&sorted_dicts(&value, 0), 0, 0)))
}

/// Containers deeper than this keep their order.
const DEPTH_MAX: usize = 100;

fn sorted_dicts(value: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return value.clone();
    }
    let inner = |item: &Value| sorted_dicts(item, depth + 1);
    match value {
        Value::List(items) => Value::list(items.borrow().iter().map(inner).collect::<Vec<_>>()),
        Value::Tuple(items) => Value::tuple(items.iter().map(inner).collect::<Vec<_>>()),
        Value::Dict(dict) => {
            let dict = dict.borrow();
            let keyed = dict.iter().map(|(key, item)| (key.value().clone(), inner(item))).collect::<Vec<_>>();
            let sorted = sort_by_key(keyed.clone(), false).unwrap_or(keyed);
            let entries =
                sorted.into_iter().filter_map(|(key, item)| Some((super::super::value::Key::new(key).ok()?, item)));
            Value::dict(entries.collect())
        }
        _ => value.clone(),
    }
}

fn pretty(value: &Value, indent: usize, allowance: usize) -> String {
    let flat = repr(value);
    if flat.chars().count() + indent + allowance <= PRINT_WIDTH {
        return flat;
    }
    let (open, close, parts): (&str, &str, Vec<(String, Value)>) = match value {
        Value::List(items) => ("[", "]", items.borrow().iter().map(|item| (String::new(), item.clone())).collect()),
        Value::Tuple(items) => ("(", ")", items.iter().map(|item| (String::new(), item.clone())).collect()),
        Value::Dict(dict) => (
            "{",
            "}",
            dict.borrow().iter().map(|(key, item)| (format!("{}: ", repr(key.value())), item.clone())).collect(),
        ),
        _ => return flat,
    };
    let last = parts.len().saturating_sub(1);
    let separator = format!(",\n{}", " ".repeat(indent + 1));
    let lines: Vec<String> = parts
        .iter()
        .enumerate()
        .map(|(index, (key, item))| {
            let allowance = if index == last { allowance + 1 } else { 1 };
            format!("{key}{}", pretty(item, indent + 1 + key.chars().count(), allowance))
        })
        .collect();
    format!("{open}{}{close}", lines.join(&separator))
}

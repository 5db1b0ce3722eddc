//! `str()` and `repr()` of every value, to the character as Python prints them.

use std::fmt::Write;

use super::number;
use super::value::Value;

/// Deeper nesting prints as `...`; Python raises `RecursionError`.
const DEPTH_MAX: usize = 500;

/// `str(x)`
pub fn to_str(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        Value::Undefined(_) => String::new(),
        Value::Object(object) => object.to_str(),
        Value::Decimal(number) => number::decimal_str(number),
        _ => repr(value),
    }
}

/// `repr(x)`
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, &mut Vec::new());
    out
}

/// Writes a repr; `open` holds the containers being written, so that one which contains itself ends in `[...]`.
fn write(out: &mut String, value: &Value, open: &mut Vec<*const ()>) {
    if open.len() > DEPTH_MAX {
        out.push_str("...");
        return;
    }
    match value {
        Value::Undefined(_) => out.push_str(UNDEFINED),
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => push(out, number),
        Value::BigInt(number) => push(out, number),
        Value::Float(number) => out.push_str(&number::float_repr(*number)),
        Value::Decimal(number) => push(out, format_args!("Decimal('{}')", number::decimal_str(number))),
        Value::Str(text) => write_quoted(out, text),
        Value::Bytes(bytes) => write_bytes(out, bytes),
        Value::List(items) => {
            let address = std::rc::Rc::as_ptr(items).cast();
            if open.contains(&address) {
                out.push_str("[...]");
                return;
            }
            open.push(address);
            out.push('[');
            write_items(out, &items.borrow(), open);
            out.push(']');
            open.pop();
        }
        Value::Tuple(items) => {
            open.push(std::rc::Rc::as_ptr(items).cast());
            out.push('(');
            write_items(out, items, open);
            out.push_str(if items.len() == 1 { ",)" } else { ")" });
            open.pop();
        }
        Value::Dict(dict) => {
            let address = std::rc::Rc::as_ptr(dict).cast();
            if open.contains(&address) {
                out.push_str("{...}");
                return;
            }
            open.push(address);
            out.push('{');
            for (index, (key, item)) in dict.borrow().iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(out, key.value(), open);
                out.push_str(": ");
                write(out, item, open);
            }
            out.push('}');
            open.pop();
        }
        Value::Set(set) => {
            let set = set.borrow();
            if set.is_empty() {
                out.push_str("set()");
                return;
            }
            out.push('{');
            for (index, key) in set.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(out, key.value(), open);
            }
            out.push('}');
        }
        Value::Range(range) if range.step == 1 => push(out, format_args!("range({}, {})", range.start, range.stop)),
        Value::Range(range) => push(out, format_args!("range({}, {}, {})", range.start, range.stop, range.step)),
        Value::Object(object) => out.push_str(&object.to_repr()),
    }
}

/// What jinja2 prints for an undefined value inside a list.
const UNDEFINED: &str = "Undefined";

fn push(out: &mut String, item: impl std::fmt::Display) {
    write!(out, "{item}").expect("writing to a string does not fail");
}

fn write_items(out: &mut String, items: &[Value], open: &mut Vec<*const ()>) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(out, item, open);
    }
}

/// `repr` of a string.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_quoted(&mut out, text);
    out
}

fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if (c as u32) <= 0xff => push(out, format_args!("\\x{:02x}", c as u32)),
            c if (c as u32) <= 0xffff => push(out, format_args!("\\u{:04x}", c as u32)),
            c => push(out, format_args!("\\U{:08x}", c as u32)),
        }
    }
    out.push(quote);
}

/// `str.isprintable` of one character. Unassigned code points, which need Unicode's tables, are taken as printable.
pub fn is_printable(c: char) -> bool {
    match c {
        ' ' => true,
        c if c.is_ascii() => c.is_ascii_graphic(),
        c if c.is_control() || c.is_whitespace() => false,
        c => !matches!(c as u32,
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e | 0x200b..=0x200f
            | 0x202a..=0x202e | 0x2060..=0x206f | 0xe000..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xfffe..=0xffff
            | 0xe0000..=0xe0fff | 0xf0000..=0x10_ffff),
    }
}

fn write_bytes(out: &mut String, bytes: &[u8]) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    out.push('b');
    out.push(char::from(quote));
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            byte if byte == quote => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            byte => push(out, format_args!("\\x{byte:02x}")),
        }
    }
    out.push(char::from(quote));
}

/// How messages name a value: `'dict object'`, or `None`.
pub fn object_type(value: &Value) -> String {
    match value {
        Value::None => "None".to_owned(),
        _ => format!("{} object", value.type_name()),
    }
}

/// What jinja2 says of a missing attribute or item of `value`.
pub fn missing(value: &Value, key: &Value) -> String {
    match key {
        Value::Str(name) => format!("{} has no attribute {}", quote(&object_type(value)), quote(name)),
        _ => format!("{} has no element {}", object_type(value), repr(key)),
    }
}

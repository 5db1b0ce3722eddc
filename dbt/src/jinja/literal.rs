//! `ast.literal_eval`, which native rendering ends with.

use num_traits::Signed;

use super::number::{parse_float, parse_int, to_bigint};
use super::value::{Dict, Key, Set, Value};

/// Deeper nesting is no literal.
const DEPTH_MAX: usize = 100;

/// The value of a Python literal: strings, bytes, numbers, tuples, lists, dicts, sets, `True`, `False`, `None`. `None` where the
/// text is anything else.
pub fn literal_eval(text: &str) -> Option<Value> {
    let text = text.trim_start_matches([' ', '\t']);
    let mut reader = Reader { rest: text, depth: 0, in_brackets: false };
    reader.skip_space();
    let first = reader.value()?;
    let value = reader.tuple_tail(first)?;
    reader.rest = reader.rest.trim_start_matches(['\n', '\r', ' ', '\t', '\x0c']);
    (reader.rest.is_empty() || reader.rest.starts_with('#') && !reader.rest.contains('\n')).then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    /// Inside brackets a newline is blank.
    in_brackets: bool,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        loop {
            let in_brackets = self.in_brackets;
            self.rest = self
                .rest
                .trim_start_matches(|c| matches!(c, ' ' | '\t' | '\x0c') || in_brackets && matches!(c, '\n' | '\r'));
            if in_brackets && self.rest.starts_with('#') {
                self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
                continue;
            }
            if let Some(rest) = self.rest.strip_prefix("\\\n") {
                self.rest = rest;
                continue;
            }
            return;
        }
    }

    fn eat(&mut self, token: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// `first, second, …` without parentheses.
    fn tuple_tail(&mut self, first: Value) -> Option<Value> {
        if !self.eat(',') {
            return Some(first);
        }
        let mut items = vec![first];
        loop {
            self.skip_space();
            if self.rest.is_empty() || self.rest.starts_with(['\n', '\r', '#']) {
                return Some(Value::tuple(items));
            }
            items.push(self.value()?);
            if !self.eat(',') {
                return Some(Value::tuple(items));
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let value = self.operand();
        self.depth -= 1;
        value
    }

    fn operand(&mut self) -> Option<Value> {
        self.skip_space();
        match self.rest.chars().next()? {
            sign @ ('+' | '-') => {
                self.rest = &self.rest[1..];
                let value = self.value()?;
                match value {
                    Value::Int(_) | Value::BigInt(_) => {
                        let number = to_bigint(&value)?;
                        Some(Value::integer(if sign == '-' { -number } else { number }))
                    }
                    Value::Float(number) => Some(Value::Float(if sign == '-' { -number } else { number })),
                    _ => None,
                }
            }
            '(' => self.bracketed(')'),
            '[' => self.bracketed(']'),
            '{' => self.bracketed('}'),
            '\'' | '"' => self.strings(),
            c if c.is_ascii_digit() || c == '.' => self.number(),
            _ => self.word(),
        }
    }

    fn bracketed(&mut self, close: char) -> Option<Value> {
        self.rest = &self.rest[1..];
        let outer = std::mem::replace(&mut self.in_brackets, true);
        let value = match close {
            '}' => self.braces(),
            _ => self.items(close).map(|(mut items, comma)| match close {
                ']' => Value::list(items),
                _ if items.len() == 1 && !comma => items.remove(0),
                _ => Value::tuple(items),
            }),
        };
        self.in_brackets = outer;
        value
    }

    /// Items up to the closing bracket, and whether the last one had a comma.
    fn items(&mut self, close: char) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.eat(close) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.value()?);
            comma = self.eat(',');
        }
    }

    fn braces(&mut self) -> Option<Value> {
        if self.eat('}') {
            return Some(Value::dict(Dict::new()));
        }
        let first = self.value()?;
        if !self.eat(':') {
            let mut set = Set::from_iter([Key::new(first).ok()?]);
            while self.eat(',') {
                if self.eat('}') {
                    return Some(Value::set(set));
                }
                set.insert(Key::new(self.value()?).ok()?);
            }
            return self.eat('}').then(|| Value::set(set));
        }
        let mut dict = Dict::new();
        let value = self.value()?;
        dict.insert(Key::new(first).ok()?, value);
        while self.eat(',') {
            if self.eat('}') {
                return Some(Value::dict(dict));
            }
            let key = Key::new(self.value()?).ok()?;
            if !self.eat(':') {
                return None;
            }
            let value = self.value()?;
            dict.insert(key, value);
        }
        self.eat('}').then(|| Value::dict(dict))
    }

    fn number(&mut self) -> Option<Value> {
        let is_hex = self.rest.len() > 1 && self.rest[..2].eq_ignore_ascii_case("0x");
        let mut end = 0;
        let bytes = self.rest.as_bytes();
        while let Some(&byte) = bytes.get(end) {
            let signed = matches!(byte, b'+' | b'-') && !is_hex && end > 0 && matches!(bytes[end - 1], b'e' | b'E');
            if !(byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || signed) {
                break;
            }
            end += 1;
        }
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Some(integer) = parse_int(text, 0) {
            return (!integer.is_negative()).then(|| Value::integer(integer));
        }
        let is_float = text.contains(['.', 'e', 'E']) && !is_hex;
        parse_float(text).filter(|_| is_float).map(Value::Float)
    }

    fn word(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        match (word, rest.chars().next()) {
            ("set", Some('(')) => {
                self.rest = &rest[1..];
                return self.eat(')').then(|| Value::set(Set::new()));
            }
            (_, Some('\'' | '"')) => return self.strings(),
            _ => {}
        }
        self.rest = rest;
        match word {
            "None" => Some(Value::None),
            "True" => Some(Value::Bool(true)),
            "False" => Some(Value::Bool(false)),
            _ => None,
        }
    }

    /// One or more string literals side by side.
    fn strings(&mut self) -> Option<Value> {
        let mut text = String::new();
        let mut bytes: Option<Vec<u8>> = None;
        let mut first = true;
        loop {
            let prefix_end = self.rest.find(['\'', '"']).filter(|at| *at <= 2);
            let prefix = match prefix_end.map(|at| self.rest[..at].to_ascii_lowercase()) {
                Some(prefix) if matches!(prefix.as_str(), "" | "r" | "u" | "b" | "br" | "rb") => prefix,
                _ if first => return None,
                _ => break,
            };
            self.rest = &self.rest[prefix.len()..];
            let is_bytes = prefix.contains('b');
            if !first && bytes.is_some() != is_bytes {
                return None;
            }
            let part = self.quoted(prefix.contains('r'), is_bytes)?;
            if is_bytes {
                let part: Option<Vec<u8>> = part.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                bytes.get_or_insert_default().extend(part?);
            } else {
                text.push_str(&part);
            }
            first = false;
            self.skip_space();
        }
        Some(match bytes {
            Some(bytes) => Value::bytes(bytes),
            None => Value::from(text),
        })
    }

    fn quoted(&mut self, raw: bool, is_bytes: bool) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let triple = quote.to_string().repeat(3);
        let end: &str = if self.rest.starts_with(&triple) { &triple } else { &triple[..1] };
        self.rest = &self.rest[end.len()..];
        let mut out = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(end) {
                self.rest = rest;
                return Some(out);
            }
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '\n' if end.len() == 1 => return None,
                '\\' if raw => {
                    let next = self.rest.chars().next()?;
                    self.rest = &self.rest[next.len_utf8()..];
                    out.extend(['\\', next]);
                }
                '\\' => self.escape(&mut out, is_bytes)?,
                c if is_bytes && !c.is_ascii() => return None,
                c => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String, is_bytes: bool) -> Option<()> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        let digits = match c {
            '\n' => return Some(()),
            '\\' | '\'' | '"' => {
                out.push(c);
                return Some(());
            }
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'v' => 0x0b,
            '0'..='7' => {
                let more = self.rest.bytes().take(2).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                let (tail, rest) = self.rest.split_at(more);
                let code = u32::from_str_radix(&format!("{c}{tail}"), 8).ok()?;
                self.rest = rest;
                code
            }
            'x' => self.hex(2)?,
            'u' if !is_bytes => self.hex(4)?,
            'U' if !is_bytes => self.hex(8)?,
            c => {
                out.extend(['\\', c]);
                return Some(());
            }
        };
        out.push(char::from_u32(digits)?);
        Some(())
    }

    fn hex(&mut self, length: usize) -> Option<u32> {
        let code = u32::from_str_radix(self.rest.get(..length)?, 16).ok()?;
        self.rest = &self.rest[length..];
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::literal_eval;

    fn check(text: &str, wanted: Option<&str>) {
        assert_eq!(literal_eval(text).map(|value| value.repr()).as_deref(), wanted, "{text}");
    }

    #[test]
    fn literals_are_values() {
        check("1", Some("1"));
        check("-1_000.5", Some("-1000.5"));
        check("0x1f", Some("31"));
        check(" [1, 'a', None, True]", Some("[1, 'a', None, True]"));
        check("(1,)", Some("(1,)"));
        check("(1)", Some("1"));
        check("1, 2", Some("(1, 2)"));
        check("{'a': {1, 2}, 3: ()}", Some("{'a': {1, 2}, 3: ()}"));
        check("'a' \"b\"", Some("'ab'"));
        check(r"'\x41\u00e9\n'", Some(r"'Aé\n'"));
        check(r"b'\xff'", Some(r"b'\xff'"));
        check("[1,\n 2]", Some("[1, 2]"));
    }

    #[test]
    fn anything_else_is_no_literal() {
        for text in
            ["", "abc", "true", "1 2", "[1", "select 1", "007", "1 + 'a'", "f()", "'a", "{[1]: 2}", "2020-01-01"]
        {
            check(text, None);
        }
    }
}

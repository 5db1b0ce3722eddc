//! Splits a template into tokens as jinja2's lexer does with dbt's settings: no line statements, `trim_blocks` and
//! `lstrip_blocks` off, one trailing newline dropped, every kind of line end read as `\n`.
//!
//! The lexer never fails: what it cannot read becomes a `Kind::Failure` token, which the parser reports when it gets there, so that
//! an earlier syntax error wins.

use std::ops::Range;

use super::error::{Error, ErrorKind, Span};

#[derive(Debug)]
pub struct Token<'a> {
    pub kind: Kind<'a>,
    pub span: Span,
}

#[derive(Debug)]
pub enum Kind<'a> {
    Data(String),
    VariableBegin,
    VariableEnd,
    BlockBegin,
    BlockEnd,
    Name(&'a str),
    Str(String),
    Int(i64),
    /// Decimal digits of an integer beyond 64 bits.
    BigInt(String),
    Float(f64),
    Operator(&'static str),
    End,
    Failure(Box<Error>),
}

/// Longest first, so that the first match is the right one.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

/// All tokens of the range, ending with `End` or `Failure`.
pub fn tokenize(source: &str, range: Range<usize>) -> Vec<Token<'_>> {
    let mut end = range.end;
    let text = &source[..end];
    if range.start < end {
        end -= if text.ends_with("\r\n") { 2 } else { usize::from(text.ends_with(['\n', '\r'])) };
    }
    let mut lexer = Lexer {
        text: &source[..end],
        pos: 0,
        line: 1,
        column: 1,
        start: range.start,
        tokens: Vec::with_capacity((end - range.start.min(end)) / 8 + 2),
    };
    lexer.advance(range.start.min(end));
    if let Err(error) = lexer.root() {
        let span = lexer.span_here();
        lexer.tokens.push(Token { kind: Kind::Failure(error), span });
    } else {
        let span = lexer.span_here();
        lexer.tokens.push(Token { kind: Kind::End, span });
    }
    lexer.tokens
}

/// What Python's `\s` and `str.strip` take for a space.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

struct Lexer<'a> {
    /// Up to the end of the range; offsets count from the start of the file.
    text: &'a str,
    pos: usize,
    line: u32,
    column: u32,
    start: usize,
    tokens: Vec<Token<'a>>,
}

/// Whitespace control after an opening delimiter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Minus,
    Plus,
    Absent,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.pos..]
    }

    fn span_here(&self) -> Span {
        let at = u32::try_from(self.pos).unwrap_or(u32::MAX);
        Span { start: at, end: at, line: self.line, column: self.column }
    }

    /// Moves on to `to`, counting lines and columns.
    fn advance(&mut self, to: usize) {
        let bytes = self.text.as_bytes();
        for index in self.pos..to {
            match bytes[index] {
                b'\r' if bytes.get(index + 1) == Some(&b'\n') => {}
                b'\n' | b'\r' => {
                    self.line += 1;
                    self.column = 1;
                }
                byte if byte & 0xC0 != 0x80 => self.column += 1,
                _ => {}
            }
        }
        self.pos = to;
    }

    fn skip_spaces(&mut self) {
        let to = self.text.len() - self.rest().trim_start_matches(is_space).len();
        self.advance(to);
    }

    /// Emits the token that reaches from here to `to`, and moves there.
    fn push(&mut self, kind: Kind<'a>, to: usize) {
        let mut span = self.span_here();
        self.advance(to);
        span.end = u32::try_from(to).unwrap_or(u32::MAX);
        self.tokens.push(Token { kind, span });
    }

    /// Emits the text up to `to`, without spaces at its end where the tag that follows starts with `-`.
    fn push_data(&mut self, to: usize, sign: Sign) {
        let mut data = &self.text[self.pos..to];
        if sign == Sign::Minus {
            data = data.trim_end_matches(is_space);
        }
        if data.is_empty() {
            self.advance(to);
        } else {
            self.push(Kind::Data(normalize_newlines(data)), to);
        }
    }

    fn sign_at(&self, at: usize) -> Sign {
        match self.text.as_bytes().get(at) {
            Some(b'-') => Sign::Minus,
            Some(b'+') => Sign::Plus,
            _ => Sign::Absent,
        }
    }

    fn root(&mut self) -> Result<(), Box<Error>> {
        while let Some(open) = self.next_opening() {
            let sign = self.sign_at(open + 2);
            let inside = open + 2 + usize::from(sign != Sign::Absent);
            self.push_data(open, sign);
            match self.text.as_bytes()[open + 1] {
                b'#' => self.comment(inside)?,
                b'{' => {
                    self.push(Kind::VariableBegin, inside);
                    self.tag(true)?;
                }
                _ => match raw_tag(&self.text[inside..], "raw", false) {
                    Some(length) => {
                        self.advance(inside + length);
                        self.raw()?;
                    }
                    None => {
                        self.push(Kind::BlockBegin, inside);
                        self.tag(false)?;
                    }
                },
            }
        }
        self.push_data(self.text.len(), Sign::Absent);
        Ok(())
    }

    fn next_opening(&self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut from = self.pos;
        while let Some(found) = self.text[from..].find('{') {
            let at = from + found;
            if matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }

    fn comment(&mut self, inside: usize) -> Result<(), Box<Error>> {
        let Some(found) = self.text[inside..].find("#}") else {
            return Err(Error::new(ErrorKind::Syntax, "Missing end of comment tag"));
        };
        let close = inside + found;
        self.advance(close + 2);
        if close > inside && self.sign_at(close - 1) == Sign::Minus {
            self.skip_spaces();
        }
        Ok(())
    }

    fn raw(&mut self) -> Result<(), Box<Error>> {
        let mut from = self.pos;
        while let Some(found) = self.text[from..].find("{%") {
            let open = from + found;
            let sign = self.sign_at(open + 2);
            let inside = open + 2 + usize::from(sign != Sign::Absent);
            if let Some(length) = raw_tag(&self.text[inside..], "endraw", true) {
                self.push_data(open, sign);
                self.advance(inside + length);
                return Ok(());
            }
            from = open + 2;
        }
        Err(Error::new(ErrorKind::Syntax, "Missing end of raw directive"))
    }

    /// The inside of `{{ … }}` or `{% … %}`, with its end. Ends silently at the end of the template: the parser knows what it
    /// misses.
    fn tag(&mut self, variable: bool) -> Result<(), Box<Error>> {
        let mut open_brackets: Vec<u8> = Vec::new();
        loop {
            if open_brackets.is_empty() && self.tag_end(variable) {
                return Ok(());
            }
            let rest = self.rest();
            let Some(first) = rest.chars().next() else { return Ok(()) };
            if is_space(first) {
                self.skip_spaces();
            } else if first.is_ascii_digit() {
                self.number();
            } else if first.is_alphanumeric() || first == '_' {
                let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                if !(first.is_alphabetic() || first == '_') {
                    return Err(Error::new(ErrorKind::Syntax, "Invalid character in identifier"));
                }
                self.push(Kind::Name(&rest[..length]), self.pos + length);
            } else if let Some(length) = string_length(rest) {
                let text = unescape(&normalize_newlines(&rest[1..length - 1]))?;
                self.push(Kind::Str(text), self.pos + length);
            } else if let Some(operator) = OPERATORS.iter().find(|operator| rest.starts_with(**operator)) {
                match first {
                    '(' => open_brackets.push(b')'),
                    '[' => open_brackets.push(b']'),
                    '{' => open_brackets.push(b'}'),
                    ')' | ']' | '}' => match open_brackets.pop() {
                        None => return Err(Error::new(ErrorKind::Syntax, format!("unexpected '{first}'"))),
                        Some(expected) if char::from(expected) != first => {
                            let message = format!("unexpected '{first}', expected '{}'", char::from(expected));
                            return Err(Error::new(ErrorKind::Syntax, message));
                        }
                        Some(_) => {}
                    },
                    _ => {}
                }
                self.push(Kind::Operator(operator), self.pos + operator.len());
            } else {
                let quoted = if first == '\'' { "\"'\"".into() } else { format!("'{first}'") };
                let at = self.text[self.start..self.pos].chars().count();
                return Err(Error::new(ErrorKind::Syntax, format!("unexpected char {quoted} at {at}")));
            }
        }
    }

    fn tag_end(&mut self, variable: bool) -> bool {
        let rest = self.rest();
        let (close, kind) = if variable { ("}}", Kind::VariableEnd) } else { ("%}", Kind::BlockEnd) };
        if rest.starts_with(close) {
            self.push(kind, self.pos + 2);
            true
        } else if rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(close)) {
            self.push(kind, self.pos + 3);
            self.skip_spaces();
            true
        } else if !variable && rest.starts_with("+%}") {
            self.push(kind, self.pos + 3);
            true
        } else {
            false
        }
    }

    fn number(&mut self) {
        let rest = self.rest().as_bytes();
        let after_dot = self.pos > self.start && self.text.as_bytes()[self.pos - 1] == b'.';
        if let Some(length) = float_length(rest).filter(|_| !after_dot) {
            let digits: String = self.rest()[..length].chars().filter(|c| *c != '_').collect();
            // Python reads what does not fit as infinity, as Rust does.
            self.push(Kind::Float(digits.parse().unwrap_or(f64::INFINITY)), self.pos + length);
            return;
        }
        let (radix, prefix) = match rest.get(1).map(u8::to_ascii_lowercase) {
            Some(b'x') if rest[0] == b'0' => (16, 2),
            Some(b'o') if rest[0] == b'0' => (8, 2),
            Some(b'b') if rest[0] == b'0' => (2, 2),
            _ => (10, 0),
        };
        let mut length = digits_length(&rest[prefix..], radix, prefix > 0);
        let (radix, prefix) = if length == 0 { (10, 0) } else { (radix, prefix) };
        if length == 0 {
            length = digits_length(rest, 10, false);
        }
        if prefix == 0 && rest[0] == b'0' {
            // A decimal integer other than zero does not start with 0: `012` is 0 followed by 12.
            length = rest.iter().take(length).take_while(|byte| matches!(byte, b'0' | b'_')).count();
            while rest[length - 1] == b'_' {
                length -= 1;
            }
        }
        let text = &self.rest()[prefix..prefix + length];
        let digits: String = text.chars().filter(|c| *c != '_').collect();
        let kind = match i64::from_str_radix(&digits, radix) {
            Ok(value) => Kind::Int(value),
            Err(_) => {
                let value = num_bigint::BigInt::parse_bytes(digits.as_bytes(), radix);
                Kind::BigInt(value.unwrap_or_default().to_string())
            }
        };
        self.push(kind, self.pos + prefix + length);
    }
}

/// Length of digits of that radix with single underscores between them (and, after a prefix, before them).
fn digits_length(bytes: &[u8], radix: u32, leading_underscore: bool) -> usize {
    let mut length = 0;
    loop {
        let underscore = usize::from(bytes.get(length) == Some(&b'_') && (length > 0 || leading_underscore));
        match bytes.get(length + underscore) {
            Some(byte) if char::from(*byte).is_digit(radix) => length += underscore + 1,
            _ => return length,
        }
    }
}

/// Length of a float literal at the start: digits, then a fraction, an exponent or both.
fn float_length(bytes: &[u8]) -> Option<usize> {
    let mut length = digits_length(bytes, 10, false);
    let mut is_float = false;
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits_length(&bytes[length + 1..], 10, false);
        if fraction > 0 {
            length += 1 + fraction;
            is_float = true;
        }
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits_length(bytes.get(length + 1 + sign..).unwrap_or_default(), 10, false);
        if exponent > 0 {
            length += 1 + sign + exponent;
            is_float = true;
        }
    }
    is_float.then_some(length)
}

/// Length of a quoted string at the start, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let quote = *bytes.first().filter(|byte| matches!(byte, b'\'' | b'"'))?;
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match *byte {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Length of the rest of `{% raw %}` or `{% endraw %}` after the opening and its sign.
fn raw_tag(text: &str, word: &str, plus_allowed: bool) -> Option<usize> {
    let after_word = text.trim_start_matches(is_space).strip_prefix(word)?;
    let close = after_word.trim_start_matches(is_space);
    let rest = if let Some(rest) = close.strip_prefix("%}") {
        rest
    } else if let Some(rest) = close.strip_prefix("-%}") {
        rest.trim_start_matches(is_space)
    } else {
        close.strip_prefix("+%}").filter(|_| plus_allowed)?
    };
    Some(text.len() - rest.len())
}

fn normalize_newlines(text: &str) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.to_owned() }
}

/// Python's `unicode-escape` codec as jinja2 applies it: unknown escapes stay as they are.
fn unescape(text: &str) -> Result<String, Box<Error>> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            return Err(Error::new(ErrorKind::Syntax, "\\ at end of string"));
        };
        rest = &rest[c.len_utf8()..];
        let simple = match c {
            '\n' => continue,
            '\\' | '\'' | '"' => c,
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '0'..='7' => {
                let more = rest.bytes().take(2).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
                let digits = format!("{c}{}", &rest[..more]);
                rest = &rest[more..];
                out.push(code_point(u32::from_str_radix(&digits, 8).unwrap_or(u32::MAX))?);
                continue;
            }
            'x' | 'u' | 'U' => {
                let (length, name) = match c {
                    'x' => (2, "\\xXX"),
                    'u' => (4, "\\uXXXX"),
                    _ => (8, "\\UXXXXXXXX"),
                };
                let digits = rest.get(..length).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let Some(digits) = digits else {
                    return Err(Error::new(ErrorKind::Syntax, format!("truncated {name} escape")));
                };
                rest = &rest[length..];
                out.push(code_point(u32::from_str_radix(digits, 16).unwrap_or(u32::MAX))?);
                continue;
            }
            'N' => {
                let message = "the escape \\N{…} is not supported; write the character itself";
                return Err(Error::new(ErrorKind::Syntax, message));
            }
            c if c.is_ascii() => {
                out.push('\\');
                c
            }
            // jinja2 escapes what is not ASCII before it decodes, so that the backslash swallows the escape.
            c => {
                let code = u32::from(c);
                let escaped = match code {
                    0..=0xFF => format!("\\x{code:02x}"),
                    0x100..=0xFFFF => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                };
                out.push_str(&escaped);
                continue;
            }
        };
        out.push(simple);
    }
    out.push_str(rest);
    Ok(out)
}

fn code_point(code: u32) -> Result<char, Box<Error>> {
    char::from_u32(code).ok_or_else(|| {
        let message = match code {
            0xD800..=0xDFFF => "surrogates are not allowed in strings",
            _ => "illegal Unicode character",
        };
        Error::new(ErrorKind::Syntax, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<String> {
        tokenize(source, 0..source.len()).iter().map(|token| format!("{:?}", token.kind)).collect()
    }

    #[test]
    fn numbers_follow_python() {
        let cases = [
            ("{{ 1_000 }}", "Int(1000)"),
            ("{{ 0x_1F }}", "Int(31)"),
            ("{{ 0b101 }}", "Int(5)"),
            ("{{ 0o17 }}", "Int(15)"),
            ("{{ 00_0 }}", "Int(0)"),
            ("{{ 1e3 }}", "Float(1000.0)"),
            ("{{ 1_0.2_5E-1 }}", "Float(1.025)"),
            ("{{ 9223372036854775808 }}", "BigInt(\"9223372036854775808\")"),
        ];
        for (source, expected) in cases {
            assert_eq!(kinds(source)[1], expected, "{source}");
        }
        assert_eq!(kinds("{{ 012 }}")[1..3], ["Int(0)", "Int(12)"]);
        assert_eq!(
            kinds("{{ x.0.1 }}")[1..6],
            ["Name(\"x\")", "Operator(\".\")", "Int(0)", "Operator(\".\")", "Int(1)"]
        );
    }

    #[test]
    fn spans_count_characters_and_any_line_end() {
        let source = "é\r\nab\r{{ x }}";
        let tokens = tokenize(source, 0..source.len());
        let name = tokens[2].span;
        assert_eq!((name.line, name.column), (3, 4));
        assert_eq!(&source[name.start as usize..name.end as usize], "x");
    }

    #[test]
    fn a_part_of_a_file_keeps_the_places_of_the_file() {
        let source = "skip\n{{ y }}\nrest";
        let tokens = tokenize(source, 5..13);
        assert_eq!(tokens[1].span, Span { start: 8, end: 9, line: 2, column: 4 });
        assert!(matches!(tokens[3].kind, Kind::End));
    }

    #[test]
    fn escapes_follow_python() {
        assert_eq!(
            unescape(
                r"\x41\101\u00e9\q\
b"
            )
            .ok()
            .as_deref(),
            Some("AA\u{e9}\\qb")
        );
        assert_eq!(unescape(r"\é").ok().as_deref(), Some(r"\xe9"));
        assert_eq!(unescape(r"\x4").err().map(|error| error.message).as_deref(), Some(r"truncated \xXX escape"));
    }
}

//! Python's regular expressions, translated to the syntax of `fancy_regex`.

use super::super::arguments::value_error;
use super::super::error::Result;

/// The flags that `re` names, as Python numbers them.
pub const IGNORECASE: i64 = 2;
pub const MULTILINE: i64 = 8;
pub const DOTALL: i64 = 16;
pub const VERBOSE: i64 = 64;

/// Rewrites what the two syntaxes spell differently, and puts the flags in front.
pub fn translate(pattern: &str, flags: i64) -> Result<String> {
    let mut flags = flags;
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    // Global flags stand at the start only.
    if pattern.starts_with("(?")
        && let Some(end) = chars.iter().position(|c| *c == ')')
        && chars[2..end].iter().all(|c| matches!(c, 'a' | 'i' | 'L' | 'm' | 's' | 'u' | 'x'))
    {
        for c in &chars[2..end] {
            flags |= match c {
                'i' => IGNORECASE,
                'm' => MULTILINE,
                's' => DOTALL,
                'x' => VERBOSE,
                _ => 0,
            };
        }
        at = end + 1;
    }
    let mut letters = String::new();
    for (flag, letter) in [(IGNORECASE, 'i'), (MULTILINE, 'm'), (DOTALL, 's'), (VERBOSE, 'x')] {
        if flags & flag != 0 {
            letters.push(letter);
        }
    }
    if !letters.is_empty() {
        out.push_str(&format!("(?{letters})"));
    }
    while at < chars.len() {
        match chars[at] {
            '\\' => at = escape(&chars, at, &mut out, false)?,
            '[' => at = class(&chars, at, &mut out)?,
            '$' if flags & MULTILINE == 0 => {
                out.push_str(r"(?=\n?\z)");
                at += 1;
            }
            '{' if !is_repetition(&chars[at + 1..]) => {
                out.push_str(r"\{");
                at += 1;
            }
            '}' if !closes_repetition(&chars, at) => {
                out.push_str(r"\}");
                at += 1;
            }
            c => {
                out.push(c);
                at += 1;
            }
        }
    }
    Ok(out)
}

/// `{` followed by `2}`, `2,}`, `,3}` or `2,3}`.
fn is_repetition(rest: &[char]) -> bool {
    let Some(end) = rest.iter().position(|c| *c == '}') else { return false };
    let inside: String = rest[..end].iter().collect();
    let (low, high) = inside.split_once(',').unwrap_or((&inside, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    inside != "," && !inside.is_empty() && digits(low) && digits(high)
}

fn closes_repetition(chars: &[char], at: usize) -> bool {
    chars[..at].iter().rposition(|c| *c == '{').is_some_and(|open| {
        is_repetition(&chars[open + 1..])
            && chars[open..at].iter().all(|c| *c != '}')
            && (open == 0 || chars[open - 1] != '\\')
    })
}

fn escape(chars: &[char], at: usize, out: &mut String, in_class: bool) -> Result<usize> {
    let Some(&c) = chars.get(at + 1) else {
        return Err(value_error(format!("bad escape (end of pattern) at position {at}")));
    };
    match c {
        'Z' if !in_class => out.push_str(r"\z"),
        '<' | '>' | '\'' | '"' | '`' | '@' | ',' | ';' | ':' | '=' | '!' | '%' | '/' | '_' => out.push(c),
        c if !c.is_ascii() => out.push(c),
        c => out.extend(['\\', c]),
    }
    Ok(at + 2)
}

/// A character class; inside it `[` and the set operators of the other syntax are literal.
fn class(chars: &[char], start: usize, out: &mut String) -> Result<usize> {
    out.push('[');
    let mut at = start + 1;
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        match chars.get(at) {
            None => return Err(value_error(format!("unterminated character set at position {start}"))),
            Some(']') if at > first => {
                out.push(']');
                return Ok(at + 1);
            }
            Some('\\') => at = escape(chars, at, out, true)?,
            Some(c) => {
                if matches!(c, '[' | ']' | '&' | '~') || *c == '-' && (at == first || chars.get(at + 1) == Some(&']')) {
                    out.push('\\');
                }
                out.push(*c);
                at += 1;
            }
        }
    }
}

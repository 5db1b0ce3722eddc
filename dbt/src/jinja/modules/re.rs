//! `modules.re`.

use std::any::Any;
use std::rc::Rc;

use fancy_regex::{Captures, Regex};

use super::super::Interpreter;
use super::super::access::call;
use super::super::arguments::{Args, expect_int, expect_str, type_error, value_error};
use super::super::error::{Error, ErrorKind, Interrupt, Result};
use super::super::ops::check_size;
use super::super::repr::quote;
use super::super::value::{Dict, Key, Object, Value};
use super::pattern::{DOTALL, IGNORECASE, MULTILINE, VERBOSE, translate};

/// Steps that a match may go back before it is refused.
const BACKTRACK_MAX: usize = 1_000_000;

/// The functions of the module that a pattern has as methods, too.
const METHODS: [&str; 8] = ["search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split"];

/// The module.
pub fn module() -> Value {
    let mut dict = Dict::new();
    for method in METHODS {
        dict.insert(
            Key::str(method),
            Value::function(method, move |interpreter, args| {
                let (pattern, args) = module_call(method, args)?;
                pattern.run(interpreter, method, args)
            }),
        );
    }
    dict.insert(
        Key::str("compile"),
        Value::function("compile", |_, args| {
            let [pattern, flags] = args.bind("compile", ["pattern", "flags"], 1)?;
            compile(&pattern.unwrap_or(Value::None), flags.as_ref()).map(|pattern| Value::Object(pattern))
        }),
    );
    dict.insert(
        Key::str("escape"),
        Value::function("escape", |_, args| {
            let [pattern] = args.bind("escape", ["pattern"], 1)?;
            Ok(Value::from(escape(&expect_str(&pattern.unwrap_or(Value::None))?)))
        }),
    );
    dict.insert(Key::str("purge"), Value::function("purge", |_, _| Ok(Value::None)));
    for (short, long, flag) in [
        ("A", "ASCII", 256),
        ("I", "IGNORECASE", IGNORECASE),
        ("M", "MULTILINE", MULTILINE),
        ("S", "DOTALL", DOTALL),
        ("U", "UNICODE", 32),
        ("X", "VERBOSE", VERBOSE),
    ] {
        dict.insert(Key::str(short), Value::Int(flag));
        dict.insert(Key::str(long), Value::Int(flag));
    }
    dict.insert(Key::str("NOFLAG"), Value::Int(0));
    Value::dict(dict)
}

/// Takes the pattern and the flags out of the arguments of a function of the module.
fn module_call(method: &str, args: Args) -> Result<(Rc<Pattern>, Args)> {
    let none = |value: Option<Value>| value.unwrap_or(Value::None);
    match method {
        "sub" | "subn" => {
            let [pattern, repl, text, count, flags] =
                args.bind(method, ["pattern", "repl", "string", "count", "flags"], 3)?;
            let pattern = compile(&none(pattern), flags.as_ref())?;
            Ok((pattern, Args::new(vec![none(repl), none(text), count.unwrap_or(Value::Int(0))])))
        }
        "split" => {
            let [pattern, text, limit, flags] = args.bind(method, ["pattern", "string", "maxsplit", "flags"], 2)?;
            let pattern = compile(&none(pattern), flags.as_ref())?;
            Ok((pattern, Args::new(vec![none(text), limit.unwrap_or(Value::Int(0))])))
        }
        _ => {
            let [pattern, text, flags] = args.bind(method, ["pattern", "string", "flags"], 2)?;
            Ok((compile(&none(pattern), flags.as_ref())?, Args::new(vec![none(text)])))
        }
    }
}

fn compile(pattern: &Value, flags: Option<&Value>) -> Result<Rc<Pattern>> {
    let flags = flags.map_or(Ok(0), expect_int)?;
    if let Value::Object(object) = pattern
        && let Some(compiled) = object.as_any().downcast_ref::<Pattern>()
    {
        if flags != 0 {
            return Err(value_error("cannot process flags argument with a compiled pattern"));
        }
        return Ok(Rc::new(compiled.clone()));
    }
    let Value::Str(source) = pattern else {
        return Err(type_error("first argument must be string or compiled pattern"));
    };
    let translated = translate(source, flags)?;
    let build = |pattern: &str| {
        let regex = fancy_regex::RegexBuilder::new(pattern).backtrack_limit(BACKTRACK_MAX).build();
        regex.map_err(|error| value_error(format!("{error} in pattern {}", quote(source))))
    };
    Ok(Rc::new(Pattern {
        source: source.clone(),
        flags,
        search: build(&translated)?,
        at_start: build(&format!(r"\G(?:{translated})"))?,
        whole: build(&format!(r"\G(?:{translated})\z"))?,
    }))
}

/// `re.escape`
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// `re.compile(…)`
#[derive(Clone)]
struct Pattern {
    source: Rc<str>,
    flags: i64,
    search: Regex,
    at_start: Regex,
    whole: Regex,
}

fn failed(error: fancy_regex::Error) -> Interrupt {
    Error::new(ErrorKind::Budget, format!("the regular expression was given up: {error}")).into()
}

impl Pattern {
    fn run(&self, interpreter: &mut Interpreter, method: &str, args: Args) -> Result<Value> {
        let none = |value: Option<Value>| value.unwrap_or(Value::None);
        match method {
            "sub" | "subn" => {
                let [repl, text, count] = args.bind(method, ["repl", "string", "count"], 2)?;
                let count = count.as_ref().map_or(Ok(0), expect_int)?;
                let (text, made) = self.substitute(interpreter, &none(repl), &subject(&none(text))?, count)?;
                Ok(if method == "sub" { text } else { Value::tuple([text, Value::from(made)]) })
            }
            "split" => {
                let [text, limit] = args.bind(method, ["string", "maxsplit"], 1)?;
                self.split(interpreter, &subject(&none(text))?, limit.as_ref().map_or(Ok(0), expect_int)?)
            }
            _ => {
                let [text, start, end] = args.bind(method, ["string", "pos", "endpos"], 1)?;
                let text = subject(&none(text))?;
                let text = match &end {
                    Some(end) => {
                        text.chars().take(usize::try_from(expect_int(end)?).unwrap_or(0)).collect::<String>().into()
                    }
                    None => text,
                };
                let start = start.as_ref().map_or(Ok(0), expect_int)?;
                let start = byte_at(&text, usize::try_from(start).unwrap_or(0));
                self.find(interpreter, method, &text, start)
            }
        }
    }

    fn find(&self, interpreter: &mut Interpreter, method: &str, text: &Rc<str>, start: usize) -> Result<Value> {
        let regex = match method {
            "match" => &self.at_start,
            "fullmatch" => &self.whole,
            "search" => &self.search,
            _ => {
                let matches = self.all(interpreter, text, start, 0)?;
                return Ok(if method == "findall" {
                    Value::list(matches.iter().map(Match::found).collect::<Vec<_>>())
                } else {
                    Value::generator(matches.into_iter().map(Value::object).collect())
                });
            }
        };
        let captures = regex.captures_from_pos(&**text, start).map_err(failed)?;
        Ok(captures.map(|captures| Value::object(self.matched(text, &captures))).into())
    }

    fn matched(&self, text: &Rc<str>, captures: &Captures<'_, str>) -> Match {
        let groups =
            (0..captures.len()).map(|index| captures.get(index).map(|group| (group.start(), group.end()))).collect();
        let names = self.search.capture_names().map(|name| name.map(Rc::from)).collect();
        Match { text: text.clone(), groups, names, pattern: Rc::new(self.clone()) }
    }

    /// All matches, as Python finds them: an empty one may follow a longer one directly.
    fn all(&self, interpreter: &mut Interpreter, text: &Rc<str>, start: usize, limit: i64) -> Result<Vec<Match>> {
        let mut matches = Vec::new();
        let mut at = start;
        while at <= text.len() && (limit <= 0 || (matches.len() as u64) < limit.unsigned_abs()) {
            interpreter.charge(1)?;
            let Some(captures) = self.search.captures_from_pos(&**text, at).map_err(failed)? else { break };
            let matched = self.matched(text, &captures);
            let (from, to) = matched.span();
            at = if from == to { to + text[to..].chars().next().map_or(1, char::len_utf8) } else { to };
            matches.push(matched);
        }
        Ok(matches)
    }

    fn substitute(
        &self,
        interpreter: &mut Interpreter,
        repl: &Value,
        text: &Rc<str>,
        count: i64,
    ) -> Result<(Value, usize)> {
        let matches = self.all(interpreter, text, 0, count)?;
        let mut out = String::new();
        let mut last = 0;
        for matched in &matches {
            let (from, to) = matched.span();
            out.push_str(&text[last..from]);
            match repl {
                Value::Str(template) => out.push_str(&matched.expand(template)?),
                callable => {
                    let value = Value::object(matched.clone());
                    out.push_str(&expect_str(&call(interpreter, callable, Args::new(vec![value]))?)?);
                }
            }
            check_size(out.len())?;
            last = to;
        }
        out.push_str(&text[last..]);
        Ok((Value::from(out), matches.len()))
    }

    fn split(&self, interpreter: &mut Interpreter, text: &Rc<str>, limit: i64) -> Result<Value> {
        let mut parts = Vec::new();
        let mut last = 0;
        for matched in self.all(interpreter, text, 0, limit)? {
            let (from, to) = matched.span();
            parts.push(Value::str(&text[last..from]));
            parts.extend((1..matched.groups.len()).map(|index| matched.group(index).map_or(Value::None, Value::from)));
            last = to;
        }
        parts.push(Value::str(&text[last..]));
        Ok(Value::list(parts))
    }
}

fn subject(value: &Value) -> Result<Rc<str>> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Undefined(_) => Err(type_error("expected string or bytes-like object, got 'Undefined'")),
        _ => Err(type_error(format!("expected string or bytes-like object, got '{}'", value.type_name()))),
    }
}

fn byte_at(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}

impl Object for Pattern {
    fn type_name(&self) -> &'static str {
        "re.Pattern"
    }

    fn to_str(&self) -> String {
        format!("re.compile({})", quote(&self.source))
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        if let Some(method) = METHODS.into_iter().find(|method| *method == name) {
            return Ok(Some(Value::function(method, move |interpreter, args| self.run(interpreter, method, args))));
        }
        Ok(match name {
            "pattern" => Some(Value::Str(self.source.clone())),
            "flags" => Some(Value::Int(self.flags | 32)),
            "groups" => Some(Value::from(self.search.captures_len() - 1)),
            "groupindex" => {
                let names = self.search.capture_names().enumerate();
                Some(Value::record(names.filter_map(|(index, name)| Some((name?, Value::from(index))))))
            }
            _ => None,
        })
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other
            .as_any()
            .downcast_ref::<Self>()
            .is_some_and(|other| self.source == other.source && self.flags == other.flags)
    }

    fn hash_key(&self) -> Option<u64> {
        u64::try_from(self.source.len()).ok()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A match; offsets are kept in bytes and told in characters.
#[derive(Clone)]
struct Match {
    text: Rc<str>,
    groups: Vec<Option<(usize, usize)>>,
    names: Vec<Option<Rc<str>>>,
    pattern: Rc<Pattern>,
}

impl Match {
    fn span(&self) -> (usize, usize) {
        self.groups[0].expect("a match has a whole")
    }

    fn group(&self, index: usize) -> Option<&str> {
        self.groups[index].map(|(from, to)| &self.text[from..to])
    }

    /// What `findall` lists: the whole, the only group, or a tuple of the groups.
    fn found(&self) -> Value {
        let text = |index| Value::str(self.group(index).unwrap_or_default());
        match self.groups.len() {
            1 => text(0),
            2 => text(1),
            count => Value::tuple((1..count).map(text).collect::<Vec<_>>()),
        }
    }

    fn index_of(&self, group: &Value) -> Result<usize> {
        let index = match group {
            Value::Str(name) => self.names.iter().position(|known| known.as_deref() == Some(name)),
            _ => group.as_int().and_then(|index| usize::try_from(index).ok()),
        };
        index
            .filter(|index| *index < self.groups.len())
            .ok_or_else(|| Error::new(ErrorKind::Index, "no such group").into())
    }

    fn group_value(&self, group: &Value) -> Result<Value> {
        Ok(self.group(self.index_of(group)?).into())
    }

    fn expand(&self, template: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let c = rest.chars().next().ok_or_else(|| value_error("bad escape (end of pattern)"))?;
            rest = &rest[c.len_utf8()..];
            match c {
                'g' => {
                    let name = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
                    let (name, tail) = name.ok_or_else(|| value_error("missing group name"))?;
                    let group = name.parse::<i64>().map_or_else(|_| Value::str(name), Value::Int);
                    let index = self.index_of(&group)?;
                    out.push_str(self.group(index).unwrap_or_default());
                    rest = tail;
                }
                '1'..='9' => {
                    let more = rest.starts_with(|c: char| c.is_ascii_digit());
                    let digits = if more { format!("{c}{}", &rest[..1]) } else { c.to_string() };
                    rest = &rest[usize::from(more)..];
                    let group = Value::Int(digits.parse().unwrap_or_default());
                    let index =
                        self.index_of(&group).map_err(|_| value_error(format!("invalid group reference {digits}")))?;
                    out.push_str(self.group(index).unwrap_or_default());
                }
                '0' => out.push('\0'),
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'a' => out.push('\x07'),
                'b' => out.push('\x08'),
                'f' => out.push('\x0c'),
                'v' => out.push('\x0b'),
                '\\' => out.push('\\'),
                c if c.is_ascii_alphabetic() => return Err(value_error(format!("bad escape \\{c}"))),
                c => out.extend(['\\', c]),
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn offset(&self, byte: usize) -> Value {
        Value::from(self.text[..byte].chars().count())
    }

    fn method(&self, name: &str, args: Args) -> Result<Value> {
        match name {
            "group" => match args.positional.as_slice() {
                [] => self.group_value(&Value::Int(0)),
                [group] => self.group_value(group),
                groups => {
                    let values = groups.iter().map(|group| self.group_value(group)).collect::<Result<Vec<_>>>()?;
                    Ok(Value::tuple(values))
                }
            },
            "groups" => {
                let [default] = args.bind(name, ["default"], 0)?;
                let default = default.unwrap_or(Value::None);
                let groups = (1..self.groups.len())
                    .map(|index| self.group(index).map_or_else(|| default.clone(), Value::from))
                    .collect::<Vec<_>>();
                Ok(Value::tuple(groups))
            }
            "groupdict" => {
                let [default] = args.bind(name, ["default"], 0)?;
                let default = default.unwrap_or(Value::None);
                let named = self.names.iter().enumerate().filter_map(|(index, name)| {
                    let value = self.group(index).map_or_else(|| default.clone(), Value::from);
                    Some((name.clone()?, value))
                });
                Ok(Value::record(named))
            }
            "expand" => {
                let [template] = args.exact(name)?;
                self.expand(&expect_str(&template)?).map(Value::from)
            }
            _ => {
                let [group] = args.bind(name, ["group"], 0)?;
                let span = self.groups[self.index_of(&group.unwrap_or(Value::Int(0)))?];
                let (from, to) = match span {
                    Some((from, to)) => (self.offset(from), self.offset(to)),
                    None => (Value::Int(-1), Value::Int(-1)),
                };
                Ok(match name {
                    "start" => from,
                    "end" => to,
                    _ => Value::tuple([from, to]),
                })
            }
        }
    }
}

impl Object for Match {
    fn type_name(&self) -> &'static str {
        "re.Match"
    }

    fn to_str(&self) -> String {
        let (from, to) = self.span();
        let span = format!("({}, {})", self.offset(from).to_str(), self.offset(to).to_str());
        format!("<re.Match object; span={span}, match={}>", quote(&self.text[from..to]))
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        const NAMES: [&str; 7] = ["group", "groups", "groupdict", "expand", "start", "end", "span"];
        if let Some(method) = NAMES.into_iter().find(|method| *method == name) {
            return Ok(Some(Value::function(method, move |_, args| self.method(method, args))));
        }
        let last = (1..self.groups.len()).rev().find(|index| self.groups[*index].is_some());
        Ok(match name {
            "string" => Some(Value::Str(self.text.clone())),
            "re" => Some(Value::Object(self.pattern.clone())),
            "pos" => Some(Value::Int(0)),
            "endpos" => Some(self.offset(self.text.len())),
            "lastindex" => Some(last.map(Value::from).into()),
            "lastgroup" => Some(last.and_then(|index| self.names[index].clone()).map(Value::Str).into()),
            _ => None,
        })
    }

    fn get_item(self: Rc<Self>, _interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        match self.index_of(key) {
            Ok(index) => Ok(Some(self.group(index).into())),
            Err(_) => Ok(None),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

//! `for`: where items come from, and the `loop` object.
//!
//! Items are taken one at a time and the loop's filter runs as they are, since either may depend on what the body does. Only
//! `loop.last`, `loop.length` and their kin look ahead.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::{Interpreter, Locals, Output};
use crate::jinja::access;
use crate::jinja::arguments::{Args, type_error};
use crate::jinja::ast::For;
use crate::jinja::error::{Error, ErrorKind, Interrupt, Result};
use crate::jinja::value::{Dict, Object, Range, Value};

/// An iteration under way.
enum Source {
    /// Sees what the body appends.
    List(Rc<RefCell<Vec<Value>>>, usize),
    Range(Range, u64),
    Keys {
        dict: Rc<RefCell<Dict>>,
        keys: std::vec::IntoIter<Value>,
        length: usize,
    },
    Items(std::vec::IntoIter<Value>),
    Iterator(Rc<dyn Object>),
    Filtered {
        inner: Box<Source>,
        node: Arc<For>,
        outer: Rc<Locals>,
    },
}

impl Source {
    fn new(interpreter: &mut Interpreter, value: Value) -> Result<Self> {
        match value {
            Value::List(items) => Ok(Self::List(items, 0)),
            Value::Range(range) => Ok(Self::Range(*range, 0)),
            Value::Dict(dict) => {
                let keys: Vec<Value> = dict.borrow().keys().map(|key| key.value().clone()).collect();
                let length = keys.len();
                Ok(Self::Keys { dict, keys: keys.into_iter(), length })
            }
            Value::Object(object) if object.is_iterator() => Ok(Self::Iterator(object)),
            value => Ok(Self::Items(access::iterate(interpreter, &value)?.into_iter())),
        }
    }

    fn next(&mut self, interpreter: &mut Interpreter) -> Result<Option<Value>> {
        interpreter.step()?;
        match self {
            Self::List(items, at) => {
                let item = items.borrow().get(*at).cloned();
                *at += 1;
                Ok(item)
            }
            Self::Range(range, at) => {
                let item = (*at < range.length()).then(|| Value::Int(range.item(*at)));
                *at += 1;
                Ok(item)
            }
            Self::Keys { dict, keys, length } => {
                if dict.borrow().len() != *length {
                    return Err(Error::new(ErrorKind::Value, "dictionary changed size during iteration").into());
                }
                Ok(keys.next())
            }
            Self::Items(items) => Ok(items.next()),
            Self::Iterator(object) => object.clone().next(interpreter),
            Self::Filtered { inner, node, outer } => loop {
                let Some(item) = inner.next(interpreter)? else { return Ok(None) };
                let Some(filter) = &node.filter else { return Ok(Some(item)) };
                let locals = interpreter.frame(&filter.frame, outer);
                interpreter.assign(&filter.target, item.clone(), &locals)?;
                if interpreter.expr(&filter.test, &locals)?.is_true() {
                    return Ok(Some(item));
                }
            },
        }
    }

    /// `len()` of what is iterated over, where Python knows it.
    fn length(&self) -> Option<usize> {
        match self {
            Self::List(items, _) => Some(items.borrow().len()),
            Self::Range(range, _) => usize::try_from(range.length()).ok(),
            Self::Keys { length, .. } => Some(*length),
            Self::Items(_) | Self::Iterator(_) | Self::Filtered { .. } => None,
        }
    }
}

/// `loop`
struct Loop {
    node: Arc<For>,
    outer: Rc<Locals>,
    depth0: i64,
    state: RefCell<State>,
}

struct State {
    /// Taken out while it is advanced, since a filter may look at this very loop.
    source: Option<Source>,
    index0: i64,
    before: Option<Value>,
    current: Option<Value>,
    /// An item that was looked at before its turn.
    after: Option<Value>,
    length: Option<i64>,
    changed: Option<Vec<Value>>,
}

impl Loop {
    fn new(node: Arc<For>, outer: Rc<Locals>, depth0: i64, source: Source) -> Self {
        let state = State {
            source: Some(source),
            index0: -1,
            before: None,
            current: None,
            after: None,
            length: None,
            changed: None,
        };
        Self { node, outer, depth0, state: RefCell::new(state) }
    }

    fn pull(&self, interpreter: &mut Interpreter) -> Result<Option<Value>> {
        let Some(mut source) = self.state.borrow_mut().source.take() else {
            return Err(Error::new(ErrorKind::Value, "generator already executing").into());
        };
        let item = source.next(interpreter);
        self.state.borrow_mut().source = Some(source);
        item
    }

    fn advance(&self, interpreter: &mut Interpreter) -> Result<Option<Value>> {
        let peeked = self.state.borrow_mut().after.take();
        let item = match peeked {
            Some(item) => Some(item),
            None => self.pull(interpreter)?,
        };
        let Some(item) = item else { return Ok(None) };
        let mut state = self.state.borrow_mut();
        state.index0 += 1;
        state.before = state.current.replace(item.clone());
        Ok(Some(item))
    }

    fn peek(&self, interpreter: &mut Interpreter) -> Result<Option<Value>> {
        if let Some(item) = &self.state.borrow().after {
            return Ok(Some(item.clone()));
        }
        let item = self.pull(interpreter)?;
        self.state.borrow_mut().after.clone_from(&item);
        Ok(item)
    }

    fn count(&self, interpreter: &mut Interpreter) -> Result<i64> {
        if let Some(length) = self.state.borrow().length {
            return Ok(length);
        }
        let known = self.state.borrow().source.as_ref().and_then(Source::length);
        let length = match known {
            Some(length) => i64::try_from(length).unwrap_or(i64::MAX),
            None => {
                let mut rest = Vec::new();
                while let Some(item) = self.pull(interpreter)? {
                    rest.push(item);
                }
                let mut state = self.state.borrow_mut();
                let seen = state.index0 + 1 + i64::from(state.after.is_some());
                let length = seen + i64::try_from(rest.len()).unwrap_or(i64::MAX);
                state.source = Some(Source::Items(rest.into_iter()));
                length
            }
        };
        self.state.borrow_mut().length = Some(length);
        Ok(length)
    }

    fn cycle(&self, args: Args) -> Result<Value> {
        if args.positional.is_empty() {
            return Err(type_error("no items for cycling given"));
        }
        let count = i64::try_from(args.positional.len()).unwrap_or(1);
        let at = usize::try_from(self.state.borrow().index0.rem_euclid(count)).unwrap_or_default();
        Ok(args.positional[at].clone())
    }

    fn changed(&self, args: Args) -> Value {
        let mut state = self.state.borrow_mut();
        if state.changed.as_ref() == Some(&args.positional) {
            return Value::Bool(false);
        }
        state.changed = Some(args.positional);
        Value::Bool(true)
    }
}

impl Object for Loop {
    fn type_name(&self) -> &'static str {
        "LoopContext"
    }

    fn to_str(&self) -> String {
        let state = self.state.borrow();
        let length = state.length.or_else(|| {
            let length = state.source.as_ref().and_then(Source::length)?;
            i64::try_from(length).ok()
        });
        match length {
            Some(length) => format!("<LoopContext {}/{length}>", state.index0 + 1),
            None => format!("<LoopContext {}>", state.index0 + 1),
        }
    }

    fn get_attr(self: Rc<Self>, interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let index0 = self.state.borrow().index0;
        let value = match name {
            "index" => Value::Int(index0 + 1),
            "index0" => Value::Int(index0),
            "first" => Value::Bool(index0 == 0),
            "last" => Value::Bool(self.peek(interpreter)?.is_none()),
            "length" => Value::Int(self.count(interpreter)?),
            "revindex" => Value::Int(self.count(interpreter)? - index0),
            "revindex0" => Value::Int(self.count(interpreter)? - index0 - 1),
            "depth" => Value::Int(self.depth0 + 1),
            "depth0" => Value::Int(self.depth0),
            "previtem" => match &self.state.borrow().before {
                Some(item) if index0 > 0 => item.clone(),
                _ => interpreter.undefined(None, Some("there is no previous item".into())),
            },
            "nextitem" => match self.peek(interpreter)? {
                Some(item) => item,
                None => interpreter.undefined(None, Some("there is no next item".into())),
            },
            "cycle" => {
                let this = self.clone();
                Value::function("cycle", move |_, args| this.cycle(args))
            }
            "changed" => {
                let this = self.clone();
                Value::function("changed", move |_, args| Ok(this.changed(args)))
            }
            _ => return Ok(None),
        };
        Ok(Some(value))
    }

    fn call_method(self: Rc<Self>, interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        match name {
            "cycle" => self.cycle(args),
            "changed" => Ok(self.changed(args)),
            _ => match self.clone().get_attr(interpreter, name)? {
                Some(value) => access::call(interpreter, &value, args),
                None => {
                    let message = format!("'jinja2.runtime.LoopContext object' has no attribute '{name}'");
                    Err(Error::new(ErrorKind::Undefined, message).into())
                }
            },
        }
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        if !self.node.recursive {
            return Err(type_error("The loop must have the 'recursive' marker to be called recursively."));
        }
        let [iterable] = args.exact::<1>("LoopContext.__call__")?;
        let (node, outer) = (self.node.clone(), self.outer.clone());
        interpreter.recursive_loop(&node, iterable, &outer, self.depth0 + 1)
    }

    fn length(&self) -> Option<usize> {
        let state = self.state.borrow();
        let known = state.length.and_then(|length| usize::try_from(length).ok());
        known.or_else(|| state.source.as_ref().and_then(Source::length))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// How a round of a loop ended.
enum Turn {
    Completed,
    Continued,
    Broken,
}

impl Interpreter {
    pub(super) fn for_loop(&mut self, node: &Arc<For>, locals: &Rc<Locals>, output: &mut Output) -> Result<()> {
        let iterable = self.expr(&node.iterable, locals)?;
        if node.recursive {
            let text = self.recursive_loop(node, iterable, locals, 0)?;
            output.push(&text.to_str());
            return Ok(());
        }
        self.iterate(node, iterable, locals, 0, output)
    }

    fn recursive_loop(&mut self, node: &Arc<For>, iterable: Value, locals: &Rc<Locals>, depth0: i64) -> Result<Value> {
        self.step()?;
        let mut output = Output::text();
        self.iterate(node, iterable, locals, depth0, &mut output)?;
        Ok(Value::from(output.into_text()))
    }

    fn iterate(
        &mut self,
        node: &Arc<For>,
        iterable: Value,
        locals: &Rc<Locals>,
        depth0: i64,
        output: &mut Output,
    ) -> Result<()> {
        let mut source = Source::new(self, iterable)?;
        if node.filter.is_some() {
            source = Source::Filtered { inner: Box::new(source), node: node.clone(), outer: locals.clone() };
        }
        let mut frame: Option<Rc<Locals>> = None;
        let mut completed = false;
        if let Some(slot) = node.loop_slot {
            let state = Rc::new(Loop::new(node.clone(), locals.clone(), depth0, source));
            while let Some(item) = state.advance(self)? {
                let inner = self.round(node, &mut frame, locals);
                inner.set(slot, Value::Object(state.clone()));
                match self.turn(node, item, &inner, output)? {
                    Turn::Completed => completed = true,
                    Turn::Continued => {}
                    Turn::Broken => break,
                }
            }
        } else {
            while let Some(item) = source.next(self)? {
                let inner = self.round(node, &mut frame, locals);
                match self.turn(node, item, &inner, output)? {
                    Turn::Completed => completed = true,
                    Turn::Continued => {}
                    Turn::Broken => break,
                }
            }
        }
        // jinja2 notes a round at the end of its body: after nothing but `break` and `continue` the `else` runs, too.
        if completed || node.otherwise.is_empty() {
            return Ok(());
        }
        let inner = self.frame(&node.else_frame, locals);
        self.body(&node.otherwise, &inner, output)
    }

    /// The frame of the next round.
    fn round(&mut self, node: &For, frame: &mut Option<Rc<Locals>>, locals: &Rc<Locals>) -> Rc<Locals> {
        match frame {
            Some(frame) => {
                self.reenter(frame, &node.frame, locals);
                frame.clone()
            }
            None => frame.insert(self.frame(&node.frame, locals)).clone(),
        }
    }

    /// One round.
    fn turn(&mut self, node: &For, item: Value, inner: &Rc<Locals>, output: &mut Output) -> Result<Turn> {
        self.assign(&node.target, item, inner)?;
        match self.body(&node.body, inner, output) {
            Ok(()) => Ok(Turn::Completed),
            Err(Interrupt::Continue) => Ok(Turn::Continued),
            Err(Interrupt::Break) => Ok(Turn::Broken),
            Err(interrupt) => Err(interrupt),
        }
    }
}

//! Frames: the slots that names were bound to, filled while a template runs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::jinja::Interpreter;
use crate::jinja::ast::{Frame, Initial, Slot};
use crate::jinja::scope::{Resolver, UndefinedMode};
use crate::jinja::value::Value;

/// What a running template has around it.
pub(in crate::jinja) struct Context {
    pub(in crate::jinja) resolver: Rc<dyn Resolver>,
    pub(in crate::jinja) mode: UndefinedMode,
    /// For errors.
    pub(in crate::jinja) template: Arc<str>,
}

/// One frame. Macros hold the frame they were defined in, so frames are shared and outlive their block.
pub(in crate::jinja) struct Locals {
    slots: RefCell<Vec<Cell>>,
    parent: Option<Rc<Locals>>,
    pub(in crate::jinja) context: Rc<Context>,
}

enum Cell {
    Value(Value),
    /// Not assigned, or not found.
    Missing,
    /// To be looked up in the context.
    Unresolved,
}

impl Locals {
    /// The frame of a template.
    pub(in crate::jinja) fn root(shape: &Frame, context: Rc<Context>) -> Self {
        let slots = shape.symbols.iter().map(|symbol| match symbol.initial {
            Initial::Context => Cell::Unresolved,
            _ => Cell::Missing,
        });
        Self { slots: RefCell::new(slots.collect()), parent: None, context }
    }

    pub(in crate::jinja) fn set(&self, index: u16, value: Value) {
        if let Some(cell) = self.slots.borrow_mut().get_mut(usize::from(index)) {
            *cell = Cell::Value(value);
        }
    }

    /// Whether the slot of this frame has a value.
    pub(in crate::jinja) fn is_set(&self, index: u16) -> bool {
        matches!(self.slots.borrow().get(usize::from(index)), Some(Cell::Value(_)))
    }

    pub(super) fn clear(&self) {
        self.slots.take();
    }

    pub(super) fn outermost(self: &Rc<Self>) -> Rc<Self> {
        let mut locals = self;
        while let Some(parent) = &locals.parent {
            locals = parent;
        }
        locals.clone()
    }

    pub(super) fn outward(&self, up: u16) -> &Self {
        let mut locals = self;
        for _ in 0..up {
            match &locals.parent {
                Some(parent) => locals = parent,
                None => break,
            }
        }
        locals
    }
}

impl Interpreter {
    /// Enters a frame inside `parent`.
    pub(in crate::jinja) fn frame(&self, shape: &Frame, parent: &Rc<Locals>) -> Rc<Locals> {
        let slots = self.initial(shape, parent);
        Rc::new(Locals { slots: RefCell::new(slots), parent: Some(parent.clone()), context: parent.context.clone() })
    }

    /// Enters the same frame again: in place, unless something still holds the last one.
    pub(super) fn reenter(&self, locals: &mut Rc<Locals>, shape: &Frame, parent: &Rc<Locals>) {
        let slots = self.initial(shape, parent);
        match Rc::get_mut(locals) {
            Some(locals) => *locals.slots.get_mut() = slots,
            None => {
                let context = parent.context.clone();
                *locals = Rc::new(Locals { slots: RefCell::new(slots), parent: Some(parent.clone()), context });
            }
        }
    }

    fn initial(&self, shape: &Frame, parent: &Rc<Locals>) -> Vec<Cell> {
        let initial = |symbol: &crate::jinja::ast::Symbol| match symbol.initial {
            Initial::Parameter | Initial::Undefined => Cell::Missing,
            Initial::Context => Cell::Unresolved,
            Initial::Outer(slot) => {
                let slot = Slot { up: slot.up.saturating_sub(1), index: slot.index };
                self.read(parent, slot, &symbol.name).map_or(Cell::Missing, Cell::Value)
            }
        };
        shape.symbols.iter().map(initial).collect()
    }

    /// The value of a name, if it has one.
    pub(super) fn read(&self, locals: &Locals, slot: Slot, name: &str) -> Option<Value> {
        let locals = locals.outward(slot.up);
        let index = usize::from(slot.index);
        match locals.slots.borrow().get(index)? {
            Cell::Value(value) => return Some(value.clone()),
            Cell::Missing => return None,
            Cell::Unresolved => {}
        }
        let found = locals.context.resolver.resolve(name).or_else(|| self.globals.get(name).cloned());
        let cell = found.clone().map_or(Cell::Missing, Cell::Value);
        if let Some(slot) = locals.slots.borrow_mut().get_mut(index) {
            *slot = cell;
        }
        found
    }
}

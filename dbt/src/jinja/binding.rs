//! Binds names to slots of frames, as jinja2's `idtracking` decides while it compiles.
//!
//! A template, a macro, a loop body, its filter and its `else`, a `with`, a capturing `set` or `filter` block and a `call` body each
//! have a frame; `if` has none. A name that a frame stores anywhere is a symbol of that frame from its start, which is why a
//! variable set in a loop is unset again in the next round, and why a name set further down hides the context's.
//!
//! On the way it finds what jinja2 refuses only when it compiles: the first such defect goes with the template.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::ast::{
    Body, CallArgs, Expr, ExprKind, For, Frame, Initial, Macro, Name, Param, Slot, Stmt, StmtKind, Symbol, Target,
    TargetKind,
};
use super::error::Span;
use super::visit::{self, Visitor};
use super::{filters, tests};

/// A mistake that makes a template fail when it is used.
#[derive(Clone, Debug)]
pub struct Defect {
    pub message: String,
    pub span: Span,
}

/// Binds a whole template.
pub fn bind(body: &mut Body) -> (Frame, Option<Defect>) {
    let mut binder = Binder { frames: Vec::new(), defect: None, in_loop: false, soft: false, blocks: HashSet::new() };
    let symbols = analyze(&[], |analysis| analysis.body(body));
    binder.frames.push(symbols);
    binder.body(body);
    let frame = binder.pop();
    if !binder.blocks.is_empty() && !undeclared(body, &["self"]).is_empty() {
        binder.fail(Span::default(), "calling blocks through `self` is not supported");
    }
    (frame, binder.defect)
}

/// The symbols of a frame while it is analysed. A name's place in `names` is its slot.
#[derive(Clone, Default)]
struct Symbols {
    names: IndexMap<Arc<str>, Initial>,
    stores: HashSet<Arc<str>>,
}

fn find(frames: &[Symbols], name: &str) -> Option<Slot> {
    frames.iter().rev().enumerate().find_map(|(up, frame)| {
        let index = frame.names.get_index_of(name)?;
        Some(Slot { up: u16::try_from(up).ok()?, index: u16::try_from(index).ok()? })
    })
}

fn analyze(outer: &[Symbols], run: impl FnOnce(&mut Analysis<'_>)) -> Symbols {
    let mut analysis = Analysis { outer, symbols: Symbols::default() };
    run(&mut analysis);
    analysis.symbols
}

/// First pass over one frame: which names it loads and stores.
struct Analysis<'b> {
    outer: &'b [Symbols],
    symbols: Symbols,
}

impl Analysis<'_> {
    fn load(&mut self, name: &Arc<str>) {
        if !self.symbols.names.contains_key(name) && find(self.outer, name).is_none() {
            self.symbols.names.insert(name.clone(), Initial::Context);
        }
    }

    /// Where an outer frame has the name, seen from inside this one.
    fn outer_slot(&self, name: &str) -> Option<Initial> {
        let slot = find(self.outer, name)?;
        Some(Initial::Outer(Slot { up: slot.up + 1, index: slot.index }))
    }

    fn store(&mut self, name: &Arc<str>) {
        self.symbols.stores.insert(name.clone());
        if !self.symbols.names.contains_key(name) {
            let initial = self.outer_slot(name).unwrap_or(Initial::Undefined);
            self.symbols.names.insert(name.clone(), initial);
        }
    }

    fn declare(&mut self, name: &Arc<str>) {
        self.symbols.stores.insert(name.clone());
        self.symbols.names.insert(name.clone(), Initial::Parameter);
    }

    fn declare_target(&mut self, target: &Target) {
        match &target.kind {
            TargetKind::Name(name) => self.declare(&name.name),
            TargetKind::Attr { object, .. } => self.load(&object.name),
            TargetKind::Tuple(items) => items.iter().for_each(|item| self.declare_target(item)),
        }
    }

    fn body(&mut self, body: &[Stmt]) {
        visit::walk_body(self, body);
    }

    /// Each branch starts from the same symbols; what only some of them store starts as the outer or the context's value.
    fn branches(&mut self, branches: [&dyn Fn(&mut Self); 3]) {
        let before = self.symbols.clone();
        let mut states = Vec::with_capacity(3);
        for branch in branches {
            branch(self);
            states.push(std::mem::replace(&mut self.symbols, before.clone()));
        }
        let mut stores: HashSet<Arc<str>> = HashSet::new();
        for state in states {
            self.symbols.names.extend(state.names);
            stores.extend(state.stores);
        }
        for name in stores {
            if self.symbols.stores.insert(name.clone()) {
                let initial = self.outer_slot(&name).unwrap_or(Initial::Context);
                self.symbols.names.insert(name, initial);
            }
        }
    }
}

impl Visitor for Analysis<'_> {
    fn stmt(&mut self, stmt: &Stmt) {
        match &stmt.kind {
            StmtKind::If { branches, otherwise } => {
                let Some(((test, body), elifs)) = branches.split_first() else { return };
                self.expr(test);
                self.branches([
                    &|this| this.body(body),
                    &|this| {
                        for (test, body) in elifs {
                            this.expr(test);
                            this.branches([&|this| this.body(body), &|_| {}, &|_| {}]);
                        }
                    },
                    &|this| this.body(otherwise),
                ]);
            }
            StmtKind::For(node) => self.expr(&node.iterable),
            StmtKind::Set { target, value } => {
                self.expr(value);
                self.target(target);
            }
            StmtKind::SetBlock { target, .. } => self.target(target),
            StmtKind::With { assignments, .. } => assignments.iter().for_each(|(_, value)| self.expr(value)),
            StmtKind::Filter { filter, .. } => self.expr(filter),
            StmtKind::Macro(node) => self.store(&node.name),
            StmtKind::Call { call, .. } => self.expr(call),
            StmtKind::Block { .. } | StmtKind::Autoescape { .. } => {}
            _ => visit::walk_stmt(self, stmt),
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Name(name) => self.load(&name.name),
            _ => visit::walk_expr(self, expr),
        }
    }

    fn target(&mut self, target: &Target) {
        match &target.kind {
            TargetKind::Name(name) => self.store(&name.name),
            TargetKind::Attr { object, .. } => self.load(&object.name),
            TargetKind::Tuple(items) => items.iter().for_each(|item| self.target(item)),
        }
    }
}

/// Which of some special names a body uses without having stored them before.
struct Undeclared<'n> {
    names: Vec<&'n str>,
    found: Vec<&'n str>,
}

fn undeclared<'n>(body: &[Stmt], names: &[&'n str]) -> Vec<&'n str> {
    let mut visitor = Undeclared { names: names.to_vec(), found: Vec::new() };
    visit::walk_body(&mut visitor, body);
    visitor.found
}

impl Visitor for Undeclared<'_> {
    fn stmt(&mut self, stmt: &Stmt) {
        if !matches!(stmt.kind, StmtKind::Block { .. }) {
            visit::walk_stmt(self, stmt);
        }
    }

    fn expr(&mut self, expr: &Expr) {
        if let ExprKind::Name(name) = &expr.kind
            && let Some(special) = self.names.iter().find(|special| **special == &*name.name)
            && !self.found.contains(special)
        {
            self.found.push(special);
        }
        visit::walk_expr(self, expr);
    }

    fn stored(&mut self, name: &Name) {
        self.names.retain(|special| *special != &*name.name);
    }

    fn param(&mut self, param: &Param) {
        self.names.retain(|special| *special != &*param.name);
    }
}

/// Second pass: fills in slots, with the symbols of all enclosing frames known.
struct Binder {
    frames: Vec<Symbols>,
    defect: Option<Defect>,
    in_loop: bool,
    /// Inside a branch, where an unknown filter is an error only when it is reached.
    soft: bool,
    blocks: HashSet<Arc<str>>,
}

impl Binder {
    fn pop(&mut self) -> Frame {
        let symbols = self.frames.pop().unwrap_or_default();
        let symbols = symbols.names.into_iter().map(|(name, initial)| Symbol { name, initial }).collect();
        Frame { symbols }
    }

    fn fail(&mut self, span: Span, message: impl Into<String>) {
        if self.defect.is_none() {
            self.defect = Some(Defect { message: message.into(), span });
        }
    }

    fn name(&mut self, name: &mut Name, span: Span) {
        match find(&self.frames, &name.name) {
            Some(slot) => name.slot = slot,
            // jinja2 has the same hole: it never analyses the arguments of a capturing block's filters.
            None => self.fail(span, format!("Tried to resolve the unknown name '{}'", name.name)),
        }
    }

    fn slot(&self, name: &str) -> Option<u16> {
        find(&self.frames, name).filter(|slot| slot.up == 0).map(|slot| slot.index)
    }

    /// Runs `bind` inside a new frame.
    fn framed(&mut self, symbols: Symbols, bind: impl FnOnce(&mut Self)) -> Frame {
        self.frames.push(symbols);
        let soft = std::mem::replace(&mut self.soft, false);
        bind(self);
        self.soft = soft;
        self.pop()
    }

    fn softly(&mut self, bind: impl FnOnce(&mut Self)) {
        let soft = std::mem::replace(&mut self.soft, true);
        bind(self);
        self.soft = soft;
    }

    fn body(&mut self, body: &mut Body) {
        for stmt in body {
            self.stmt(stmt);
        }
    }

    fn stmt(&mut self, stmt: &mut Stmt) {
        let span = stmt.span;
        match &mut stmt.kind {
            StmtKind::Data(_) => {}
            StmtKind::Output(value) | StmtKind::Do(value) => self.expr(value),
            StmtKind::If { branches, otherwise } => self.softly(|this| {
                for (test, body) in branches {
                    this.expr(test);
                    this.body(body);
                }
                this.body(otherwise);
            }),
            StmtKind::For(node) => {
                let node = Arc::get_mut(node).expect("nothing shares the tree before it is bound");
                self.for_loop(node, span);
            }
            StmtKind::Set { target, value } => {
                self.expr(value);
                self.target(target);
            }
            StmtKind::SetBlock { target, filter, frame, body } => {
                let symbols = analyze(&self.frames, |analysis| analysis.body(body));
                *frame = self.framed(symbols, |this| {
                    this.body(body);
                    if let Some(filter) = filter {
                        this.expr(filter);
                    }
                });
                self.target(target);
            }
            StmtKind::With { assignments, frame, body } => {
                for (_, value) in assignments.iter_mut() {
                    self.expr(value);
                }
                let symbols = analyze(&self.frames, |analysis| {
                    assignments.iter().for_each(|(target, _)| analysis.declare_target(target));
                    analysis.body(body);
                });
                *frame = self.framed(symbols, |this| {
                    assignments.iter_mut().for_each(|(target, _)| this.target(target));
                    this.body(body);
                });
            }
            StmtKind::Filter { filter, frame, body } => {
                let symbols = analyze(&self.frames, |analysis| {
                    analysis.body(body);
                    analysis.expr(filter);
                });
                *frame = self.framed(symbols, |this| {
                    this.body(body);
                    this.expr(filter);
                });
            }
            StmtKind::Macro(node) => {
                let node = Arc::get_mut(node).expect("nothing shares the tree before it is bound");
                self.macro_node(node);
                node.slot = find(&self.frames, &node.name).unwrap_or_default();
            }
            StmtKind::Call { call, caller } => {
                let caller = Arc::get_mut(caller).expect("nothing shares the tree before it is bound");
                self.macro_node(caller);
                self.expr(call);
            }
            StmtKind::Block { name, frame, body } => {
                if !self.blocks.insert(name.clone()) {
                    self.fail(span, format!("block '{name}' defined twice"));
                }
                // A block sees what the template set at its top level, and no loop or macro around it.
                let inner = self.frames.split_off(1);
                let in_loop = std::mem::replace(&mut self.in_loop, false);
                let symbols = analyze(&self.frames, |analysis| analysis.body(body));
                *frame = self.framed(symbols, |this| this.body(body));
                self.in_loop = in_loop;
                self.frames.extend(inner);
            }
            StmtKind::Autoescape { enabled, frame, body } => {
                let symbols = analyze(&self.frames, |analysis| {
                    analysis.expr(enabled);
                    analysis.body(body);
                });
                *frame = self.framed(symbols, |this| {
                    this.expr(enabled);
                    this.body(body);
                });
            }
            StmtKind::Load { template, names } => {
                self.expr(template);
                names.iter_mut().for_each(|name| self.target(name));
            }
            StmtKind::Break if !self.in_loop => self.fail(span, "'break' outside loop"),
            StmtKind::Continue if !self.in_loop => self.fail(span, "'continue' not properly in loop"),
            StmtKind::Break | StmtKind::Continue => {}
        }
    }

    fn for_loop(&mut self, node: &mut For, span: Span) {
        let uses_loop = node.recursive || !undeclared(&node.body, &["loop"]).is_empty();
        self.expr(&mut node.iterable);
        if stores_loop(node) {
            self.fail(span, "Can't assign to special loop variable in for-loop target");
        }
        let symbols = analyze(&self.frames, |analysis| {
            if uses_loop {
                analysis.declare(&"loop".into());
            }
            analysis.declare_target(&node.target);
            analysis.body(&node.body);
        });
        let in_loop = std::mem::replace(&mut self.in_loop, true);
        let mut loop_slot = None;
        node.frame = self.framed(symbols, |this| {
            loop_slot = if uses_loop { this.slot("loop") } else { None };
            this.target(&mut node.target);
            this.body(&mut node.body);
        });
        node.loop_slot = loop_slot;
        self.in_loop = in_loop && !node.recursive;

        let symbols = analyze(&self.frames, |analysis| analysis.body(&node.otherwise));
        node.else_frame = self.framed(symbols, |this| this.body(&mut node.otherwise));
        self.in_loop = in_loop;

        if let Some(filter) = &mut node.filter {
            let symbols = analyze(&self.frames, |analysis| {
                analysis.declare_target(&filter.target);
                analysis.expr(&filter.test);
            });
            filter.frame = self.framed(symbols, |this| {
                this.target(&mut filter.target);
                this.expr(&mut filter.test);
            });
        }
    }

    fn macro_node(&mut self, node: &mut Macro) {
        let special = undeclared(&node.body, &["caller", "kwargs", "varargs"]);
        let declared = |name: &str| node.params.iter().any(|param| &*param.name == name);
        let wants = |name: &str| special.contains(&name) && !declared(name);
        let (caller, kwargs, varargs) = (wants("caller"), wants("kwargs"), wants("varargs"));
        let explicit = node.params.iter().find(|param| &*param.name == "caller");
        if special.contains(&"caller") && explicit.is_some_and(|param| param.default.is_none()) {
            self.fail(
                node.span,
                "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.",
            );
        }
        let mut seen = HashSet::new();
        if let Some(param) = node.params.iter().find(|param| !seen.insert(param.name.clone())) {
            self.fail(param.span, format!("duplicate argument '{}' in function definition", param.name));
        }

        let symbols = analyze(&self.frames, |analysis| {
            node.params.iter().for_each(|param| analysis.declare(&param.name));
            for (wanted, name) in [(caller, "caller"), (kwargs, "kwargs"), (varargs, "varargs")] {
                if wanted {
                    analysis.declare(&name.into());
                }
            }
            node.params.iter().filter_map(|param| param.default.as_ref()).for_each(|default| analysis.expr(default));
            analysis.body(&node.body);
        });
        let in_loop = std::mem::replace(&mut self.in_loop, false);
        let (params, body) = (&mut node.params, &mut node.body);
        let mut slots = [None; 3];
        node.frame = self.framed(symbols, |this| {
            for param in params {
                param.slot = this.slot(&param.name).unwrap_or_default();
                if let Some(default) = &mut param.default {
                    this.expr(default);
                }
            }
            for (slot, (wanted, name)) in
                slots.iter_mut().zip([(caller, "caller"), (kwargs, "kwargs"), (varargs, "varargs")])
            {
                *slot = if wanted { this.slot(name) } else { None };
            }
            this.body(body);
        });
        [node.caller_slot, node.kwargs_slot, node.varargs_slot] = slots;
        self.in_loop = in_loop;
    }

    fn target(&mut self, target: &mut Target) {
        let span = target.span;
        match &mut target.kind {
            TargetKind::Name(name) => self.name(name, span),
            TargetKind::Attr { object, .. } => self.name(object, span),
            TargetKind::Tuple(items) => items.iter_mut().for_each(|item| self.target(item)),
        }
    }

    fn expr(&mut self, expr: &mut Expr) {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Literal(_) | ExprKind::Captured => {}
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::Concat(items) => {
                items.iter_mut().for_each(|item| self.expr(item));
            }
            ExprKind::Dict(items) => items.iter_mut().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            ExprKind::Not(operand) | ExprKind::Unary(_, operand) | ExprKind::Attr { object: operand, .. } => {
                self.expr(operand);
            }
            ExprKind::Binary(_, left, right) | ExprKind::And(left, right) | ExprKind::Or(left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Compare { first, rest } => {
                self.expr(first);
                rest.iter_mut().for_each(|(_, operand)| self.expr(operand));
            }
            ExprKind::Conditional { test, then, otherwise } => self.softly(|this| {
                this.expr(test);
                this.expr(then);
                otherwise.iter_mut().for_each(|otherwise| this.expr(otherwise));
            }),
            ExprKind::Item { object, key } => {
                self.expr(object);
                self.expr(key);
            }
            ExprKind::Slice { start, stop, step } => {
                [start, stop, step].into_iter().flatten().for_each(|part| self.expr(part));
            }
            ExprKind::Call(call) => {
                self.expr(&mut call.callee);
                self.args(&mut call.args, span);
            }
            ExprKind::Filter { operand, name, args } => {
                if !self.soft && filters::get(name).is_none() {
                    let message = format!("No filter named '{name}'.");
                    self.fail(span, message);
                }
                self.expr(operand);
                self.args(args, span);
            }
            ExprKind::Test { operand, name, args } => {
                if !self.soft && tests::get(name).is_none() {
                    let message = format!("No test named '{name}'.");
                    self.fail(span, message);
                }
                self.expr(operand);
                self.args(args, span);
            }
        }
    }

    fn args(&mut self, args: &mut CallArgs, span: Span) {
        args.positional.iter_mut().for_each(|arg| self.expr(arg));
        args.keyword.iter_mut().for_each(|(_, arg)| self.expr(arg));
        args.star.iter_mut().chain(&mut args.double_star).for_each(|arg| self.expr(arg));
        let mut seen = HashSet::new();
        if let Some((name, _)) = args.keyword.iter().find(|(name, _)| !seen.insert(name.clone())) {
            let message = format!("keyword argument repeated: {name}");
            self.fail(span, message);
        }
    }
}

/// jinja2 refuses `loop` as a target anywhere inside a loop.
fn stores_loop(node: &For) -> bool {
    struct Finder(bool);
    impl Visitor for Finder {
        fn stored(&mut self, name: &Name) {
            self.0 |= &*name.name == "loop";
        }
    }
    let mut finder = Finder(false);
    finder.target(&node.target);
    visit::walk_body(&mut finder, &node.body);
    visit::walk_body(&mut finder, &node.otherwise);
    finder.0
}

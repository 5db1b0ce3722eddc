//! Templates that would run away end in an error, on a thread with the standard stack.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dbt::jinja::error::{Error, ErrorKind};
use dbt::jinja::value::Value;
use dbt::jinja::{Interpreter, Limits, MacroDef, Resolver, Template, UndefinedMode};

const LIMITS: Limits =
    Limits { steps: 200_000, depth: 300, output_bytes: 1 << 20, memory_bytes: 1 << 24, stack_bytes: 1 << 20 };

/// A context that knows the macros of the source.
struct Macros(Vec<Arc<MacroDef>>, std::rc::Weak<Macros>);

impl Resolver for Macros {
    fn resolve(&self, name: &str) -> Option<Value> {
        let definition = self.0.iter().find(|definition| &*definition.name == name)?;
        Some(definition.bind(self.1.upgrade()?))
    }
}

fn render_with(source: &str, mut interpreter: Interpreter) -> Result<String, Box<Error>> {
    let (name, source): (Arc<str>, Arc<str>) = ("model".into(), source.into());
    let macros = MacroDef::parse_file(&name, &source)?;
    let context: Rc<dyn Resolver> = Rc::new_cyclic(|this| Macros(macros, this.clone()));
    let template = Template::parse(name, source)?;
    interpreter.render(&template, &context, UndefinedMode::Default)
}

fn render(source: &str) -> Result<String, Box<Error>> {
    render_with(source, Interpreter::new(LIMITS))
}

fn refusal(source: &str) -> (ErrorKind, String) {
    let error = render(source).expect_err("the template runs away");
    (error.kind, error.message)
}

#[test]
fn macros_that_call_themselves_end() {
    let (kind, message) = refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}");
    assert_eq!(kind, ErrorKind::Budget);
    assert!(message.contains("deep"), "{message}");
    let (kind, _) = refusal(
        "{% macro f(x) %}{% for i in [1] %}{% if true %}{{ f([x]) ~ [1, (f(1),)] }}{% endif %}{% endfor %}{% endmacro %}{{ f(1) }}",
    );
    assert_eq!(kind, ErrorKind::Budget);
}

#[test]
fn recursive_loops_and_callers_end() {
    let source = "{% set l = [] %}{% do l.append(l) %}{% for x in l recursive %}{{ loop(x) }}{% endfor %}";
    assert_eq!(refusal(source).0, ErrorKind::Budget);
    let source = "{% macro f() %}{% call f() %}{% endcall %}{{ caller() }}{% endmacro %}{{ f() }}";
    assert_eq!(refusal(source).0, ErrorKind::Budget);
}

#[test]
fn endless_work_ends() {
    let loops = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    assert_eq!(refusal(loops), (ErrorKind::Budget, "the template took more than 200000 steps".to_owned()));
    let growing = "{% set l = [1] %}{% for x in l %}{% do l.append(x) %}{% endfor %}";
    assert_eq!(refusal(growing).0, ErrorKind::Budget);
    let doubling = "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}";
    assert_eq!(refusal(doubling).0, ErrorKind::Budget);
    let writing = "{% set s = 'x' * 1000000 %}{% for i in range(1000) %}{{ s }}{% endfor %}";
    assert_eq!(refusal(writing), (ErrorKind::Budget, "the template wrote more than 1048576 bytes".to_owned()));
}

#[test]
fn one_budget_covers_nested_macros() {
    let source = "{% macro f() %}{% for i in range(1000) %}{% endfor %}{% endmacro %}{% for i in range(9999) %}{{ f() }}{% endfor %}";
    assert_eq!(refusal(source).0, ErrorKind::Budget);
}

#[test]
fn deep_nesting_is_refused_while_parsing() {
    for source in [
        "{{ ".to_owned() + &"(".repeat(20_000),
        "{{ ".to_owned() + &"[".repeat(20_000),
        "{{ ".to_owned() + &"-".repeat(20_000) + "1 }}",
        "{{ ".to_owned() + &"not ".repeat(20_000) + "1 }}",
        "{{ 1".to_owned() + &" + 1".repeat(20_000) + " }}",
        "{{ 1".to_owned() + &" if 1 else 1".repeat(20_000) + " }}",
        "{{ x".to_owned() + &".y".repeat(20_000) + " }}",
        "{{ x".to_owned() + &"|string".repeat(20_000) + " }}",
        "{% if 1 %}".repeat(20_000),
        "{% for x in y %}".repeat(20_000),
    ] {
        let source: Arc<str> = source.into();
        let error = Template::parse("model".into(), source.clone()).expect_err("the source is nested too deeply");
        assert_eq!(error.kind, ErrorKind::Syntax, "{}", &source[..20]);
        let message = error.message;
        assert!(message.contains("too deeply") || message.contains("too many operators"), "{message}");
    }
}

#[test]
fn sensible_depth_is_fine() {
    let parens = "{{ ".to_owned() + &"(".repeat(50) + "1" + &")".repeat(50) + " }}";
    assert_eq!(render(&parens).ok().as_deref(), Some("1"));
    let sum = "{{ 1".to_owned() + &" + 1".repeat(150) + " }}";
    assert_eq!(render(&sum).ok().as_deref(), Some("151"));
    let concat = "{{ 'a'".to_owned() + &" ~ 'a'".repeat(5000) + " }}";
    assert_eq!(render(&concat).map(|text| text.len()).ok(), Some(5001));
    let elifs = "{% if 0 %}".to_owned() + &"{% elif 0 %}".repeat(1000) + "{% else %}x{% endif %}";
    assert_eq!(render(&elifs).ok().as_deref(), Some("x"));
    let recursion =
        "{% macro f(n) %}{% if n > 0 %}{{ n % 10 }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) | length }}";
    assert_eq!(render(recursion).ok().as_deref(), Some("40"));
}

#[test]
fn values_nest_only_so_deep() {
    let source = "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}";
    let message = "the template nested values more than 300 levels deep".to_owned();
    assert_eq!(refusal(source), (ErrorKind::Budget, message));
    let source = "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}";
    assert_eq!(render(source).ok().as_deref(), Some("<Namespace {'me': <Namespace {...}>}>"));
}

#[test]
fn cancellation_stops_a_loop() {
    let canceled = Arc::new(AtomicBool::new(true));
    let interpreter = Interpreter::new(Limits::default()).with_cancel(canceled);
    let error = render_with("{% for i in range(99999) %}{% endfor %}", interpreter).expect_err("it is canceled");
    assert_eq!(error.kind, ErrorKind::Canceled);
}

#[test]
fn errors_know_their_place_and_their_callers() {
    let source = "x\n{% macro inner() %}\n  {{ 1 / 0 }}{% endmacro %}{% macro outer() %}{{ inner() }}{% endmacro %}\n{{ outer() }}";
    let error = render(source).expect_err("it divides by zero");
    assert_eq!((error.kind, &*error.message), (ErrorKind::ZeroDivision, "division by zero"));
    let place = error.span.expect("the error has a place");
    assert_eq!((place.line, place.column, &source[place.start as usize..place.end as usize]), (3, 6, "1 / 0"));
    let trace: Vec<_> = error.trace.iter().map(|(_, span)| &source[span.start as usize..span.end as usize]).collect();
    assert_eq!(trace, ["inner()", "outer()"]);
    assert_eq!(error.template.as_deref(), Some("model"));
}

//! Variables of a run that depend on its tick: strings that are templates over it.
//!
//! | name | what it is |
//! | --- | --- |
//! | `scheduled_at` | the tick's nominal time |
//! | `data_interval_start` | the tick before |
//! | `data_interval_end` | this tick |
//! | `schedule` | the schedule's name |
//!
//! Times are Python's `datetime`s in the schedule's time zone. Invariant: a template sees nothing else, so it gives the same on every
//! replica.

use std::cell::RefCell;
use std::rc::Rc;

use chrono_tz::Tz;
use common::{Json, JsonMap, ScheduleName, Timestamp};
use dbt::jinja::modules::datetime::DateTime;
use dbt::jinja::modules::zone::Zone;
use dbt::jinja::value::Value;
use dbt::jinja::{Interpreter, Limits, Resolver, Template, UndefinedMode};

use super::calendar::moment;

/// Levels of lists and mappings.
const DEPTH_MAX: usize = 16;
/// What a template may call, besides what a tick has.
const GLOBALS: [&str; 6] = ["range", "dict", "namespace", "cycler", "joiner", "lipsum"];

/// What a template can know of a tick.
#[derive(Clone, Debug)]
pub struct TickTimes {
    pub schedule: ScheduleName,
    pub zone: Tz,
    pub data_interval_start: Timestamp,
    pub scheduled_at: Timestamp,
}

/// Whether any string is a template.
pub fn are_templates(vars: &JsonMap) -> bool {
    vars.values().any(is_template)
}

fn is_template(value: &Json) -> bool {
    match value {
        Json::String(text) => has_template(text),
        Json::Array(items) => items.iter().any(is_template),
        Json::Object(map) => map.values().any(is_template),
        _ => false,
    }
}

fn has_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// The variables of one tick. The error names the variable and says what is wrong, for people.
pub fn render(vars: &JsonMap, times: &TickTimes) -> Result<JsonMap, String> {
    let render_one = |(name, value): (&String, &Json)| {
        let value = render_value(value, times, DEPTH_MAX).map_err(|problem| format!("variable '{name}': {problem}"))?;
        Ok((name.clone(), value))
    };
    vars.iter().map(render_one).collect()
}

fn render_value(value: &Json, times: &TickTimes, depth: usize) -> Result<Json, String> {
    if depth == 0 {
        return Err(format!("it is deeper than {DEPTH_MAX} levels"));
    }
    match value {
        Json::String(text) if has_template(text) => render_text(text, times).map(Json::from),
        Json::Array(items) => items.iter().map(|item| render_value(item, times, depth - 1)).collect(),
        Json::Object(map) => {
            let render_one = |(name, value): (&String, &Json)| {
                render_value(value, times, depth - 1).map(|value| (name.clone(), value))
            };
            map.iter().map(render_one).collect::<Result<_, _>>().map(Json::Object)
        }
        other => Ok(other.clone()),
    }
}

fn render_text(text: &str, times: &TickTimes) -> Result<String, String> {
    let scope = Rc::new(Scope { times: times.clone(), unknown: RefCell::default() });
    let resolver: Rc<dyn Resolver> = scope.clone();
    let rendered = Template::parse("<vars>".into(), text.into())
        .and_then(|template| Interpreter::new(Limits::default()).render(&template, &resolver, UndefinedMode::Default));
    match scope.unknown.take() {
        Some(name) => Err(format!(
            "'{name}' is not known here; there are scheduled_at, data_interval_start, data_interval_end and schedule"
        )),
        None => rendered.map_err(|error| error.message),
    }
}

struct Scope {
    times: TickTimes,
    /// The first name that was asked for in vain: a variable that is empty for a typing error builds the wrong data.
    unknown: RefCell<Option<String>>,
}

impl Resolver for Scope {
    fn resolve(&self, name: &str) -> Option<Value> {
        let times = &self.times;
        let at = |at: Timestamp| {
            let utc = moment(at)?.naive_utc();
            Zone::Named { zone: times.zone, period: None }.from_utc(utc).map(DateTime::value)
        };
        match name {
            "scheduled_at" | "data_interval_end" => at(times.scheduled_at),
            "data_interval_start" => at(times.data_interval_start),
            "schedule" => Some(Value::from(times.schedule.as_str())),
            _ => {
                if !GLOBALS.contains(&name) {
                    self.unknown.borrow_mut().get_or_insert_with(|| name.to_owned());
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use serde_json::json;

    use super::*;

    fn rendered(vars: Json) -> Result<Json, String> {
        // 00:30 on 2026-07-01 in London, where it is an hour later than in UTC.
        let times = TickTimes {
            schedule: ScheduleName::new("nightly").unwrap(),
            zone: "Europe/London".parse().unwrap(),
            data_interval_start: Timestamp(1_782_775_800_000_000),
            scheduled_at: Timestamp(1_782_862_200_000_000),
        };
        render(vars.as_object().unwrap(), &times).map(Json::Object)
    }

    #[test]
    fn templates_see_the_tick_in_its_own_time_zone() {
        let vars = json!({
            "day": "{{ data_interval_start.strftime('%Y-%m-%d') }}",
            "at": "{{ scheduled_at.isoformat() }}",
            "both": ["{{ schedule }}", 7, { "end": "{{ data_interval_end.date() }}" }],
            "days": "{% for day in range(3) %}{{ day }}{% endfor %}",
            "plain": "as it is",
        });
        let expected = json!({
            "day": "2026-06-30",
            "at": "2026-07-01T00:30:00+01:00",
            "both": ["nightly", 7, { "end": "2026-07-01" }],
            "days": "012",
            "plain": "as it is",
        });
        assert_eq!(rendered(vars), Ok(expected));
    }

    #[test]
    fn what_does_not_render_says_which_variable_and_why() {
        let error = |text: &str| rendered(json!({ "day": text })).unwrap_err();
        assert!(error("{{ schedule_at }}").starts_with("variable 'day': 'schedule_at' is not known here"));
        assert!(error("{{ scheduled_at.nope() }}").starts_with("variable 'day': "));
        assert!(error("{{ 1 / 0 }}").contains("division by zero"));
        assert!(error("{% if %}").starts_with("variable 'day': "));
        assert!(error("{% for a in range(100000000) %}{{ a }}{% endfor %}").starts_with("variable 'day': "));
    }
}

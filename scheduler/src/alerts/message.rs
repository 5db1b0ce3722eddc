//! An alert in words: for people, for programs, and as a project's own template wants it.

use std::rc::Rc;

use common::alert::{Alert, AlertKind, Channel, Email, Receiver, Trouble};
use common::telemetry::TraceId;
use common::{NodeId, RunId, ScheduleName, Timestamp};
use dbt::jinja::value::Value;
use dbt::jinja::{Interpreter, Limits, Resolver, Template, UndefinedMode};
use serde_json::{Value as Json, json};

use super::mail;

/// An alert and the id under which it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub id: &'a str,
    pub alert: &'a Alert,
}

impl Message<'_> {
    /// As <https://www.standardwebhooks.com> shapes events.
    pub fn to_json(&self) -> Json {
        json!({
            "type": format!("kontiki.{}", self.alert.kind.as_str()),
            "timestamp": self.alert.at.to_iso(),
            "data": self.data(),
        })
    }

    /// What templates see as `alert`.
    fn data(&self) -> Json {
        let Alert { kind, at, schedule, scheduled_at, run, project, reason, nodes, nodes_total } = self.alert;
        let nodes: Vec<Json> = nodes
            .iter()
            .map(|Trouble { node, message }| json!({ "node": node.as_str(), "message": message }))
            .collect();
        json!({
            "id": self.id,
            "kind": kind.as_str(),
            "at": at.to_iso(),
            "summary": self.alert.summary(),
            "schedule": schedule.as_ref().map(ScheduleName::as_str),
            "scheduled_at": scheduled_at.map(Timestamp::to_iso),
            "run_id": run.map(|run| run.to_string()),
            "trace_id": run.map(|run| TraceId::of_run(run).to_string()),
            "project": project,
            "reason": reason,
            "nodes": nodes,
            "nodes_total": nodes_total,
        })
    }

    /// For people: the summary, what failed and how to look closer.
    pub fn text(&self) -> String {
        let mut text = self.alert.summary();
        for Trouble { node, message } in &self.alert.nodes {
            let first = message.lines().next().unwrap_or_default();
            text.push_str(&format!("\n- {}: {first}", node.as_str()));
        }
        if let Some(run) = self.alert.run {
            text.push_str(&format!("\nkontiki runs get {run}"));
        }
        text
    }

    pub fn render(&self, template: &str) -> Result<String, String> {
        let resolver: Rc<dyn Resolver> = Rc::new(Scope { alert: Value::from(&self.data()) });
        let rendered = Template::parse("<alert>".into(), template.into())
            .and_then(|parsed| Interpreter::new(Limits::default()).render(&parsed, &resolver, UndefinedMode::Default));
        rendered.map_err(|error| format!("the template does not render: {}", error.message))
    }
}

struct Scope {
    alert: Value,
}

impl Resolver for Scope {
    fn resolve(&self, name: &str) -> Option<Value> {
        (name == "alert").then(|| self.alert.clone())
    }
}

/// Tries a channel's templates on an alert of each kind that goes there; the error says what does not render.
pub fn check(channel: &Channel) -> Result<(), String> {
    let templates = match &channel.receiver {
        Receiver::Webhook(webhook) => [webhook.body.as_deref(), None],
        Receiver::Slack(slack) => [slack.text.as_deref(), None],
        Receiver::Email(email) => [email.subject.as_deref(), email.body.as_deref()],
    };
    if let Receiver::Email(Email { from, to, .. }) = &channel.receiver {
        [from].into_iter().chain(to).try_for_each(|address| mail::mailbox(address).map(drop))?;
    }
    for template in templates.into_iter().flatten() {
        for kind in channel.on.iter().copied().chain([AlertKind::Test]) {
            Message { id: "1-0", alert: &example(kind) }.render(template)?;
        }
    }
    Ok(())
}

fn example(kind: AlertKind) -> Alert {
    let is_of_run = matches!(kind, AlertKind::Failure | AlertKind::Recovery | AlertKind::SourceStale);
    let failed = Trouble { node: NodeId::from("model.shop.orders"), message: "a message".to_owned() };
    Alert {
        schedule: ScheduleName::new("nightly"),
        scheduled_at: Some(Timestamp::default()),
        run: is_of_run.then(|| RunId(uuid::Uuid::nil())),
        project: Some("shop".to_owned()),
        nodes: if is_of_run { vec![failed] } else { Vec::new() },
        nodes_total: u32::from(is_of_run),
        ..Alert::new(kind, Timestamp::default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::alert::{Reference, Slack};

    use super::*;

    #[test]
    fn an_alert_is_told_to_programs_and_to_people() {
        let alert = example(AlertKind::Failure);
        let message = Message { id: "c.7-0", alert: &alert };
        let json = message.to_json();
        assert_eq!((json["type"].as_str(), json["data"]["id"].as_str()), (Some("kontiki.failure"), Some("c.7-0")));
        assert_eq!(json["data"]["nodes"][0]["node"], "model.shop.orders");
        assert_eq!(
            message.text(),
            "schedule nightly: the run of 1970-01-01T00:00:00.000000Z failed: model.shop.orders\n- model.shop.orders: a \
             message\nkontiki runs get 00000000-0000-0000-0000-000000000000"
        );
        assert_eq!(
            message.render("{{ alert.schedule | upper }} {% for n in alert.nodes %}{{ n.node }}{% endfor %}").unwrap(),
            "NIGHTLY model.shop.orders"
        );
    }

    #[test]
    fn templates_are_tried_before_they_are_needed() {
        let with = |text: &str| Channel {
            name: ScheduleName::new("ops").unwrap(),
            receiver: Receiver::Slack(Slack { url: Reference::Env("URL".to_owned()), text: Some(text.to_owned()) }),
            on: AlertKind::ALL.to_vec(),
            schedules: Vec::new(),
            all_runs: true,
        };
        assert_eq!(check(&with("{{ alert.summary }}")), Ok(()));
        assert!(check(&with("{{ alert.summary.nope() }}")).is_err());
        assert!(check(&with("{{ alert.nodes[0].node }}")).is_err());
        assert!(check(&with("{% for %}")).is_err());
        assert!(check(&with("{% for a in range(100000000) %}{{ a }}{% endfor %}")).is_err());
    }
}

//! Channels of alerts as a file declares them.

use std::path::Path;

use common::alert::AlertKind;
use dbt::yaml::{Fields, Node};
use proto::alert::kind;
use proto::v1::channel::Receiver;
use proto::v1::reference::Where;
use proto::v1::{Channel, Email, MailSecurity, Reference, Slack, Webhook};

use super::super::declared::{self, invalid, one_of, place, texts};
use crate::project::{Call, Opened, Refused};

/// Every channel of the file, or all that is wrong with it.
pub fn read(call: &Call, opened: &Opened, path: &Path) -> Result<Vec<Channel>, Refused> {
    let one = |fields: Fields<'_>| channel(fields).map(|channel| (channel.name.clone(), channel));
    declared::read(call, opened, path, ("alerts", "channel"), one)
}

fn channel(mut fields: Fields<'_>) -> Option<Channel> {
    let (name, _) = fields.name()?;
    let span = fields.span();
    let mut receivers = Vec::new();
    receivers.extend(within(&mut fields, "webhook", webhook));
    receivers.extend(within(&mut fields, "slack", slack));
    receivers.extend(within(&mut fields, "email", email));
    if receivers.len() != 1 {
        let message = format!("{} has to have one of 'webhook', 'slack' and 'email'", fields.what());
        fields.report(invalid(message), span);
    }
    let kinds = AlertKind::ALL.map(|known| (known.as_str(), kind(known)));
    let place_of_kinds = place(&fields, "events");
    let mut on = Vec::new();
    for word in texts(&mut fields, "events") {
        match kinds.iter().find(|(known, _)| *known == word) {
            Some((_, kind)) => on.push((*kind).into()),
            None => {
                let known = kinds.map(|(known, _)| known).join(", ");
                let message = format!("'events' of {} has '{word}', which is none of {known}", fields.what());
                fields.report(invalid(message), place_of_kinds);
            }
        }
    }
    let runs = one_of(&mut fields, "runs", &[("scheduled", false), ("all", true)]);
    let channel = Channel {
        name,
        receiver: receivers.pop(),
        on,
        schedules: texts(&mut fields, "schedules"),
        all_runs: runs.unwrap_or_default(),
    };
    fields.refuse();
    Some(channel)
}

/// What stands under a key, where there is anything.
fn within(
    fields: &mut Fields<'_>,
    key: &'static str,
    read: impl FnOnce(&mut Fields<'_>) -> Receiver,
) -> Option<Receiver> {
    let span = place(fields, key);
    if !fields.contains(key) {
        return None;
    }
    let mapping = fields.mapping(key);
    let what = format!("'{key}' of {}", fields.what());
    let mut inner = fields.inner(mapping, span, what);
    let receiver = read(&mut inner);
    inner.refuse();
    Some(receiver)
}

fn webhook(fields: &mut Fields<'_>) -> Receiver {
    let url = reference(fields, "url");
    let secret = reference(fields, "secret");
    let span = place(fields, "headers");
    let mapping = fields.mapping("headers");
    let mut headers = std::collections::HashMap::new();
    for (name, entry) in mapping {
        match of_node(&entry.value) {
            Some(value) => drop(headers.insert(name, value)),
            None => fields.report(invalid(format!("the header '{name}' {SHAPE}")), span),
        }
    }
    Receiver::Webhook(Webhook { url, secret, headers, body: fields.text("body").unwrap_or_default() })
}

fn slack(fields: &mut Fields<'_>) -> Receiver {
    Receiver::Slack(Slack { url: reference(fields, "url"), text: fields.text("text").unwrap_or_default() })
}

fn email(fields: &mut Fields<'_>) -> Receiver {
    let words = [("starttls", MailSecurity::Starttls), ("tls", MailSecurity::Tls), ("none", MailSecurity::None)];
    Receiver::Email(Email {
        server: fields.text("server").unwrap_or_default(),
        security: one_of(fields, "security", &words).unwrap_or_default().into(),
        user: reference(fields, "user"),
        password: reference(fields, "password"),
        from: fields.text("from").unwrap_or_default(),
        to: texts(fields, "to"),
        subject: fields.text("subject").unwrap_or_default(),
        body: fields.text("body").unwrap_or_default(),
    })
}

const SHAPE: &str = "has to be a text, {env: NAME} or {file: PATH}";

fn reference(fields: &mut Fields<'_>, key: &'static str) -> Option<Reference> {
    let node = fields.node(key)?;
    let found = of_node(&node);
    if found.is_none() {
        fields.report(invalid(format!("'{key}' of {} {SHAPE}", fields.what())), node.span);
    }
    found
}

fn of_node(node: &Node) -> Option<Reference> {
    let json = node.to_json();
    let text = |text: &serde_json::Value| text.as_str().map(str::to_owned);
    let found = match json.as_object() {
        None => text(&json).map(Where::Plain),
        Some(map) => match (map.len(), map.get("env"), map.get("file")) {
            (1, Some(name), _) => text(name).map(Where::Env),
            (1, _, Some(path)) => text(path).map(Where::File),
            _ => None,
        },
    };
    found.map(|found| Reference { r#where: Some(found) })
}

//! Channels and alerts as lists show them.

use proto::v1::channel::Receiver;
use proto::v1::reference::Where;
use proto::v1::{AlertKind, Channel, MailSecurity, Notice, NoticeState, Reference};
use serde_json::{Value as Json, json};

use super::super::show::{Column, Row, column, wide};
use super::super::time::{instant, moment};

pub const CHANNELS: [Column; 6] =
    [column("CHANNEL"), column("KIND"), column("TO"), column("EVENTS"), column("SCHEDULES"), wide("RUNS")];
pub const NOTICES: [Column; 7] = [
    column("ALERT"),
    column("CHANNEL"),
    column("AT"),
    column("STATE"),
    column("FAILURES"),
    column("ABOUT"),
    column("ERROR"),
];

pub fn channel(channel: &Channel) -> Row {
    let (noun, to, settings) = receiver(channel.receiver.as_ref());
    let on: Vec<&str> = channel.on().map(kind).collect();
    let runs = if channel.all_runs { "all" } else { "scheduled" };
    Row {
        name: channel.name.clone(),
        cells: vec![
            channel.name.clone(),
            noun.to_owned(),
            to,
            on.join(","),
            channel.schedules.join(","),
            runs.to_owned(),
        ],
        json: json!({
            "name": channel.name,
            noun: settings,
            "events": on,
            "schedules": channel.schedules,
            "runs": runs,
        }),
    }
}

fn receiver(receiver: Option<&Receiver>) -> (&'static str, String, Json) {
    match receiver {
        None => ("", String::new(), Json::Null),
        Some(Receiver::Webhook(webhook)) => {
            let headers: std::collections::BTreeMap<_, _> =
                webhook.headers.iter().map(|(name, value)| (name, reference(Some(value)))).collect();
            let settings = json!({
                "url": reference(webhook.url.as_ref()),
                "secret": reference(webhook.secret.as_ref()),
                "headers": headers,
                "body": webhook.body,
            });
            ("webhook", place(webhook.url.as_ref()), settings)
        }
        Some(Receiver::Slack(slack)) => {
            let settings = json!({ "url": reference(slack.url.as_ref()), "text": slack.text });
            ("slack", place(slack.url.as_ref()), settings)
        }
        Some(Receiver::Email(email)) => {
            let security = match email.security() {
                MailSecurity::Unspecified | MailSecurity::Starttls => "starttls",
                MailSecurity::Tls => "tls",
                MailSecurity::None => "none",
            };
            let settings = json!({
                "server": email.server,
                "security": security,
                "user": reference(email.user.as_ref()),
                "password": reference(email.password.as_ref()),
                "from": email.from,
                "to": email.to,
                "subject": email.subject,
                "body": email.body,
            });
            ("email", email.to.join(","), settings)
        }
    }
}

/// In the words of the file.
fn reference(reference: Option<&Reference>) -> Json {
    match reference.and_then(|reference| reference.r#where.as_ref()) {
        None => Json::Null,
        Some(Where::Plain(text)) => json!(text),
        Some(Where::Env(name)) => json!({ "env": name }),
        Some(Where::File(path)) => json!({ "file": path }),
    }
}

fn place(reference: Option<&Reference>) -> String {
    match reference.and_then(|reference| reference.r#where.as_ref()) {
        None => String::new(),
        Some(Where::Plain(text)) => text.clone(),
        Some(Where::Env(name)) => format!("${name}"),
        Some(Where::File(path)) => path.clone(),
    }
}

pub fn notice(notice: &Notice) -> Row {
    let state = match notice.state() {
        NoticeState::Unspecified => "",
        NoticeState::Pending => "pending",
        NoticeState::Arrived => "arrived",
        NoticeState::GivenUp => "given up",
    };
    Row {
        name: notice.notice_id.clone(),
        cells: vec![
            notice.notice_id.clone(),
            notice.channel.clone(),
            instant(notice.at.as_ref()),
            state.to_owned(),
            notice.failures.to_string(),
            notice.summary.clone(),
            notice.error.clone(),
        ],
        json: json!({
            "id": notice.notice_id,
            "channel": notice.channel,
            "kind": kind(notice.kind()),
            "state": state,
            "at": instant(notice.at.as_ref()),
            "ended_at": notice.ended_at.as_ref().map(|at| instant(Some(at))),
            "failures": notice.failures,
            "error": notice.error,
            "schedule": notice.schedule,
            "scheduled_at": notice.scheduled_at.as_ref().map(|at| moment(Some(at))),
            "run": notice.run_id,
            "summary": notice.summary,
        }),
    }
}

fn kind(kind: AlertKind) -> &'static str {
    use common::alert::AlertKind as Kind;
    match kind {
        AlertKind::Unspecified => "",
        AlertKind::Failure => Kind::Failure.as_str(),
        AlertKind::Recovery => Kind::Recovery.as_str(),
        AlertKind::Deadline => Kind::Deadline.as_str(),
        AlertKind::TickMissed => Kind::TickMissed.as_str(),
        AlertKind::SourceStale => Kind::SourceStale.as_str(),
        AlertKind::Test => Kind::Test.as_str(),
    }
}

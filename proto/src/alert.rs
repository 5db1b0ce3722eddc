//! Channels of alerts as clients declare them and are shown them.

use common::alert::{AlertKind, Channel, Email, MailSecurity, Receiver, Reference, Slack, Webhook};

use crate::invalid::Invalid;
use crate::schedule::to_name;
use crate::v1::{self, channel, reference};

/// Longest template, in bytes.
const TEMPLATE_MAX: usize = 64 << 10;
/// Longest other text, in bytes.
const TEXT_MAX: usize = 4 << 10;
/// Most patterns, receivers of a mail, and headers.
const LIST_MAX: usize = 100;

/// Refuses what could never be sent.
pub fn to_channel(channel: v1::Channel) -> Result<Channel, Invalid> {
    let on: Vec<AlertKind> = match channel.on.is_empty() {
        true => AlertKind::ALL.to_vec(),
        false => channel.on().map(to_kind).collect::<Option<_>>().ok_or_else(|| Invalid::missing("on"))?,
    };
    if channel.schedules.len() > LIST_MAX || channel.schedules.iter().any(|pattern| pattern.len() > TEXT_MAX) {
        return Err(Invalid::new("schedules", format!("are more than {LIST_MAX}, or too long")));
    }
    Ok(Channel {
        name: to_name("name", &channel.name)?,
        receiver: to_receiver(channel.receiver.ok_or_else(|| Invalid::missing("receiver"))?)?,
        on,
        schedules: channel.schedules,
        all_runs: channel.all_runs,
    })
}

fn to_receiver(receiver: channel::Receiver) -> Result<Receiver, Invalid> {
    Ok(match receiver {
        channel::Receiver::Webhook(webhook) => {
            if webhook.headers.len() > LIST_MAX {
                return Err(Invalid::new("webhook.headers", format!("are more than {LIST_MAX}")));
            }
            let header = |(name, value)| Ok((name, required("webhook.headers", Some(value))?));
            Receiver::Webhook(Webhook {
                url: to_url("webhook.url", webhook.url)?,
                secret: webhook.secret.map(|secret| hidden("webhook.secret", Some(secret))).transpose()?,
                headers: webhook.headers.into_iter().map(header).collect::<Result<_, Invalid>>()?,
                body: template("webhook.body", webhook.body)?,
            })
        }
        channel::Receiver::Slack(slack) => {
            Receiver::Slack(Slack { url: to_url("slack.url", slack.url)?, text: template("slack.text", slack.text)? })
        }
        channel::Receiver::Email(email) => {
            let security = match email.security() {
                v1::MailSecurity::Unspecified | v1::MailSecurity::Starttls => MailSecurity::StartTls,
                v1::MailSecurity::Tls => MailSecurity::Tls,
                v1::MailSecurity::None => MailSecurity::None,
            };
            let login = match (email.user, email.password) {
                (None, None) => None,
                (user, password) => Some((required("email.user", user)?, hidden("email.password", password)?)),
            };
            if email.to.is_empty() || email.to.len() > LIST_MAX {
                return Err(Invalid::new("email.to", format!("has to name between 1 and {LIST_MAX} addresses")));
            }
            Receiver::Email(Email {
                server: text("email.server", email.server)?,
                security,
                login,
                from: text("email.from", email.from)?,
                to: email.to.into_iter().map(|to| text("email.to", to)).collect::<Result<_, _>>()?,
                subject: template("email.subject", email.subject)?,
                body: template("email.body", email.body)?,
            })
        }
    })
}

fn text(field: &'static str, text: String) -> Result<String, Invalid> {
    match text.len() {
        0 => Err(Invalid::missing(field)),
        1..=TEXT_MAX => Ok(text),
        _ => Err(Invalid::new(field, format!("is longer than {TEXT_MAX} bytes"))),
    }
}

fn template(field: &'static str, text: String) -> Result<Option<String>, Invalid> {
    if text.len() > TEMPLATE_MAX {
        return Err(Invalid::new(field, format!("is longer than {TEMPLATE_MAX} bytes")));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// A URL that is written out is looked at now; another when it is used.
fn to_url(field: &'static str, url: Option<v1::Reference>) -> Result<Reference, Invalid> {
    let url = required(field, url)?;
    match &url {
        Reference::Plain(text) if !(text.starts_with("http://") || text.starts_with("https://")) => {
            Err(Invalid::new(field, "has to begin with http:// or https://"))
        }
        _ => Ok(url),
    }
}

fn required(field: &'static str, reference: Option<v1::Reference>) -> Result<Reference, Invalid> {
    let found = reference.and_then(|reference| reference.r#where).ok_or_else(|| Invalid::missing(field))?;
    Ok(match found {
        reference::Where::Plain(plain) => Reference::Plain(text(field, plain)?),
        reference::Where::Env(name) => Reference::Env(text(field, name)?),
        reference::Where::File(path) => Reference::File(text(field, path)?),
    })
}

/// What is always a secret must not be written out: it would be in the log, in snapshots and in backups.
fn hidden(field: &'static str, reference: Option<v1::Reference>) -> Result<Reference, Invalid> {
    match required(field, reference)? {
        Reference::Plain(_) => {
            Err(Invalid::new(field, "has to name a variable ('env') or a file, not be the secret itself"))
        }
        reference => Ok(reference),
    }
}

fn to_kind(kind: v1::AlertKind) -> Option<AlertKind> {
    Some(match kind {
        v1::AlertKind::Unspecified => return None,
        v1::AlertKind::Failure => AlertKind::Failure,
        v1::AlertKind::Recovery => AlertKind::Recovery,
        v1::AlertKind::Deadline => AlertKind::Deadline,
        v1::AlertKind::TickMissed => AlertKind::TickMissed,
        v1::AlertKind::SourceStale => AlertKind::SourceStale,
        v1::AlertKind::Test => AlertKind::Test,
    })
}

pub fn kind(kind: AlertKind) -> v1::AlertKind {
    match kind {
        AlertKind::Failure => v1::AlertKind::Failure,
        AlertKind::Recovery => v1::AlertKind::Recovery,
        AlertKind::Deadline => v1::AlertKind::Deadline,
        AlertKind::TickMissed => v1::AlertKind::TickMissed,
        AlertKind::SourceStale => v1::AlertKind::SourceStale,
        AlertKind::Test => v1::AlertKind::Test,
    }
}

/// A channel in full: nothing that has a default is left out.
pub fn channel(declared: &Channel) -> v1::Channel {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let receiver = match &declared.receiver {
        Receiver::Webhook(Webhook { url, secret, headers, body }) => channel::Receiver::Webhook(v1::Webhook {
            url: Some(reference(url)),
            secret: secret.as_ref().map(reference),
            headers: headers.iter().map(|(name, value)| (name.clone(), reference(value))).collect(),
            body: optional(body),
        }),
        Receiver::Slack(Slack { url, text }) => {
            channel::Receiver::Slack(v1::Slack { url: Some(reference(url)), text: optional(text) })
        }
        Receiver::Email(Email { server, security, login, from, to, subject, body }) => {
            let security = match security {
                MailSecurity::StartTls => v1::MailSecurity::Starttls,
                MailSecurity::Tls => v1::MailSecurity::Tls,
                MailSecurity::None => v1::MailSecurity::None,
            };
            channel::Receiver::Email(v1::Email {
                server: server.clone(),
                security: security.into(),
                user: login.as_ref().map(|(user, _)| reference(user)),
                password: login.as_ref().map(|(_, password)| reference(password)),
                from: from.clone(),
                to: to.clone(),
                subject: optional(subject),
                body: optional(body),
            })
        }
    };
    v1::Channel {
        name: declared.name.to_string(),
        receiver: Some(receiver),
        on: declared.on.iter().map(|on| kind(*on).into()).collect(),
        schedules: declared.schedules.clone(),
        all_runs: declared.all_runs,
    }
}

fn reference(reference: &Reference) -> v1::Reference {
    let found = match reference {
        Reference::Plain(text) => reference::Where::Plain(text.clone()),
        Reference::Env(name) => reference::Where::Env(name.clone()),
        Reference::File(path) => reference::Where::File(path.clone()),
    };
    v1::Reference { r#where: Some(found) }
}

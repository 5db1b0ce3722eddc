//! Alerts as mails, over SMTP.

use common::alert::{Email, MailSecurity};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::secrets::resolve;
use super::{ANSWER_MAX, Message};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub async fn send(email: &Email, message: &Message<'_>) -> Result<(), String> {
    let Email { server, security, login, from, to, subject, body } = email;
    let subject = match subject {
        // A line break would begin another header.
        Some(template) => message.render(template)?.replace(['\r', '\n'], " "),
        None => message.alert.summary(),
    };
    let body = match body {
        Some(template) => message.render(template)?,
        None => message.text(),
    };
    let mut mail = lettre::Message::builder()
        .from(mailbox(from)?)
        .subject(subject)
        .message_id(Some(format!("<{}@kontiki>", message.id)))
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        mail = mail.to(mailbox(address)?);
    }
    let mail = mail.body(body).map_err(|error| format!("the mail cannot be written: {error}"))?;
    let (host, port) = host_and_port(server)?;
    let failed = |error: lettre::transport::smtp::Error| format!("the mail server refused: {error}");
    let mut builder = match security {
        MailSecurity::StartTls => Transport::starttls_relay(host).map_err(failed)?,
        MailSecurity::Tls => Transport::relay(host).map_err(failed)?,
        MailSecurity::None => Transport::builder_dangerous(host).port(25),
    };
    if let Some(port) = port {
        builder = builder.port(port);
    }
    if let Some((user, password)) = login {
        builder = builder.credentials(Credentials::new(resolve(user).await?, resolve(password).await?));
    }
    builder.timeout(Some(ANSWER_MAX)).build().send(mail).await.map(drop).map_err(failed)
}

/// Whether this could be somebody's address.
pub fn mailbox(address: &str) -> Result<Mailbox, String> {
    address.parse().map_err(|error| format!("'{address}' is no mail address: {error}"))
}

fn host_and_port(server: &str) -> Result<(&str, Option<u16>), String> {
    match server.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => {
            let port = port.parse().map_err(|_| format!("'{port}' is no port"))?;
            Ok((host.trim_start_matches('[').trim_end_matches(']'), Some(port)))
        }
        _ => Ok((server, None)),
    }
}

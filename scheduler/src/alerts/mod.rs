//! Alerts on their way out: what is written, and how it is sent.
//!
//! ```text
//!   state (notices) ──▶ api::alerting ──▶ message (words) ──▶ http | mail ──▶ Command::SettleNotices
//! ```
//!
//! Invariants:
//! - Secrets are read when they are used, on the replica that sends, and are in no log entry and in no error.
//! - A notice has one id forever, and every sending of it carries that: who gets it twice can tell.

mod http;
mod mail;
mod message;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use common::alert::{Channel, Receiver, Slack};

pub use http::Client;
pub use message::{Message, check};

/// A receiver that says nothing for so long has not got it.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Sends it, once. The error says why it has not arrived, as far as anybody knows.
pub async fn deliver(client: &Client, channel: &Channel, message: &Message<'_>) -> Result<(), String> {
    let sending = async {
        match &channel.receiver {
            Receiver::Webhook(webhook) => client.send_webhook(webhook, message).await,
            Receiver::Slack(Slack { url, text }) => {
                let text = match text {
                    Some(template) => message.render(template)?,
                    None => message.text(),
                };
                client.post(url, &BTreeMap::new(), serde_json::json!({ "text": text }).to_string()).await
            }
            Receiver::Email(email) => mail::send(email, message).await,
        }
    };
    match tokio::time::timeout(ANSWER_MAX, sending).await {
        Ok(sent) => sent,
        Err(_) => Err(format!("no answer within {ANSWER_MAX:?}")),
    }
}

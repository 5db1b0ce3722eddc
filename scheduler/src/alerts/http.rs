//! Alerts over HTTP: any POST, and one that is signed as <https://www.standardwebhooks.com> says.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use common::alert::{Reference, Webhook};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sha2::Sha256;

use super::Message;
use super::secrets::resolve;
use crate::local::clock;

const AGENT: &str = concat!("kontiki/", env!("CARGO_PKG_VERSION"));

/// Keeps connections; cheap to clone.
#[derive(Clone)]
pub struct Client(legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Default for Client {
    /// Trusts what the machine trusts; where it has no certificates, what Mozilla trusts.
    fn default() -> Self {
        let provider = || rustls::crypto::ring::default_provider();
        let native = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider());
        let builder = native.or_else(|_| HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider()));
        let builder = builder.expect("the provider has the versions of TLS that it is made for");
        Self(legacy::Client::builder(TokioExecutor::new()).build(builder.https_or_http().enable_http1().build()))
    }
}

impl Client {
    /// JSON, with these headers besides.
    pub async fn post(
        &self,
        url: &Reference,
        headers: &BTreeMap<String, Reference>,
        body: String,
    ) -> Result<(), String> {
        let mut request = request(url, body).await?;
        for (name, value) in headers {
            set(&mut request, name, &resolve(value).await?)?;
        }
        self.send(request).await
    }

    pub async fn send_webhook(&self, webhook: &Webhook, message: &Message<'_>) -> Result<(), String> {
        let body = match &webhook.body {
            Some(template) => message.render(template)?,
            None => message.to_json().to_string(),
        };
        let timestamp = (clock::now().as_micros() / 1_000_000).to_string();
        let mut of_message = BTreeMap::from([("webhook-id", message.id.to_owned())]);
        if let Some(secret) = &webhook.secret {
            of_message.insert("webhook-signature", sign(&resolve(secret).await?, message.id, &timestamp, &body)?);
        }
        of_message.insert("webhook-timestamp", timestamp);
        let of_message = of_message.into_iter().map(|(name, value)| (name.to_owned(), Reference::Plain(value)));
        self.post(&webhook.url, &webhook.headers.clone().into_iter().chain(of_message).collect(), body).await
    }

    /// The body of what a URL answers, `limit` bytes at most.
    pub async fn get(&self, uri: &Uri, limit: usize) -> Result<Bytes, String> {
        let request =
            Request::get(uri).header(USER_AGENT, AGENT).body(Full::default()).map_err(|error| error.to_string())?;
        let answer = self.0.request(request).await.map_err(|error| reason(&error))?;
        if !answer.status().is_success() {
            return Err(format!("it answered {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), limit).collect().await;
        body.map(Collected::to_bytes).map_err(|error| error.to_string())
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(), String> {
        // Errors of the client tell what went wrong with the connection, and not where to: the URL may be the secret.
        let answer = self.0.request(request).await.map_err(|error| reason(&error))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the receiver answered {status}")),
        }
    }
}

async fn request(url: &Reference, body: String) -> Result<Request<Full<Bytes>>, String> {
    let builder = Request::builder().method(Method::POST).uri(resolve(url).await?);
    let builder = builder.header(CONTENT_TYPE, "application/json");
    let builder = builder.header(USER_AGENT, AGENT);
    builder.body(Full::from(body)).map_err(|_| "what stands for the URL is no URL".to_owned())
}

fn set(request: &mut Request<Full<Bytes>>, name: &str, value: &str) -> Result<(), String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("'{name}' is no name of a header"))?;
    let value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name} cannot be in a header"))?;
    request.headers_mut().insert(name, value);
    Ok(())
}

/// The innermost cause: what says most.
fn reason(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    format!("the receiver cannot be reached: {innermost}")
}

/// `v1,` and the base64 of HMAC-SHA256 over id, time and body. A secret that begins with `whsec_` is base64 behind that.
fn sign(secret: &str, id: &str, timestamp: &str, body: &str) -> Result<String, String> {
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| "the secret behind whsec_ is not base64".to_owned())?,
        None => secret.as_bytes().to_vec(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| "the secret cannot be a key".to_owned())?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let signed = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "{\"test\": 2432232314}").unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(sign("whsec_?", "a", "1", "").is_err());
        assert_ne!(sign("a", "a", "1", "").unwrap(), sign("b", "a", "1", "").unwrap());
    }
}

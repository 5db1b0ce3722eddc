//! Tokens that others sign: JSON Web Tokens (RFC 7519) as an OpenID provider issues them, checked as RFC 8725 asks.
//!
//! Invariants: only asymmetric signatures count, by a key of the issuer's own that is made for that algorithm; issuer, audience, expiry
//! and start are checked, always.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, dangerous};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::changed;
use super::policy::{Issuer, KeySource, Policy, Problem};
use crate::alerts::Client;

/// How far clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(30);
/// Keys behind a URL are asked for again after this.
const FRESH: Duration = Duration::from_secs(600);
/// However many tokens come with keys that nobody knows, keys are not asked for more often.
const PAUSE: Duration = Duration::from_secs(10);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const SET_BYTES_MAX: usize = 1 << 20;
const GROUPS_MAX: usize = 1_000;

/// Somebody of whom an issuer has told.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    pub user: String,
    pub groups: Vec<String>,
}

/// The issuer that a token says it is from; what it says is not checked yet.
pub fn issuer<'p>(policy: &'p Policy, token: &str) -> Option<&'p Issuer> {
    #[derive(Deserialize)]
    struct Told {
        iss: String,
    }
    let told = dangerous::insecure_decode_claims::<Told>(token).ok()?;
    policy.issuers.iter().find(|issuer| issuer.issuer == told.iss)
}

/// The keys of all issuers of a policy, by the issuer's name.
pub struct Keys {
    sets: BTreeMap<String, KeySet>,
    client: Client,
}

enum KeySet {
    File { file: PathBuf, read: Mutex<(Option<SystemTime>, Arc<JwkSet>)> },
    Url(Arc<Remote>),
}

/// Keys behind a URL.
struct Remote {
    uri: http::Uri,
    fetched: Mutex<Fetched>,
    /// One request at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Fetched {
    set: Option<Arc<JwkSet>>,
    at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl Keys {
    /// Reads what is in files; what is behind a URL is fetched when it is needed.
    pub fn of(policy: &Policy, policy_file: &Path) -> Result<Self, Problem> {
        let set = |issuer: &Issuer| {
            let set = match &issuer.keys {
                KeySource::Url(uri) => KeySet::Url(Arc::new(Remote {
                    uri: uri.clone(),
                    fetched: Mutex::default(),
                    fetching: tokio::sync::Mutex::default(),
                })),
                KeySource::File(file) => {
                    let changed = changed(file);
                    let set = read(file).map_err(|problem| Problem {
                        file: policy_file.to_owned(),
                        line: None,
                        message: format!("the keys of '{}' cannot be read: {problem}", issuer.name),
                    })?;
                    KeySet::File { file: file.clone(), read: Mutex::new((changed, Arc::new(set))) }
                }
            };
            Ok((issuer.name.clone(), set))
        };
        let sets = policy.issuers.iter().map(set).collect::<Result<_, _>>()?;
        Ok(Self { sets, client: Client::default() })
    }

    /// Whom a token tells of, or why it does not count.
    pub async fn verify(&self, issuer: &Issuer, token: &str) -> Result<Identity, String> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| format!("its header is not one: {error}"))?;
        if header.crit.is_some() {
            return Err("its header asks for extensions".to_owned());
        }
        let set = self.sets.get(&issuer.name).ok_or("its issuer has no keys")?;
        let known = set.now(&self.client).await?;
        let key = match find(&known, &header) {
            Ok(key) => key,
            // It may have been made since.
            Err(_) => {
                let known = set.anew(&self.client).await?;
                find(&known, &header)?
            }
        };
        let claims = decode(issuer, token, &key, header.alg)?;
        let user = match claims.get(&issuer.user_claim) {
            Some(Value::String(user)) if !user.is_empty() => user.clone(),
            _ => return Err(format!("it has no claim '{}' that names a user", issuer.user_claim)),
        };
        // Whoever could choose an address that nobody has confirmed could be anybody.
        if issuer.user_claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
            return Err("its e-mail address is not verified".to_owned());
        }
        let groups = match claims.get(&issuer.groups_claim) {
            Some(Value::Array(groups)) => {
                groups.iter().filter_map(Value::as_str).take(GROUPS_MAX).map(str::to_owned).collect()
            }
            Some(Value::String(group)) => vec![group.clone()],
            _ => Vec::new(),
        };
        Ok(Identity { user, groups })
    }
}

/// The claims, if everything about the token is as it has to be.
fn decode(
    issuer: &Issuer,
    token: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
) -> Result<BTreeMap<String, Value>, String> {
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY.as_secs();
    validation.validate_nbf = true;
    validation.set_issuer(&[&issuer.issuer]);
    validation.set_audience(&issuer.audiences);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    let decoded = jsonwebtoken::decode(token, key, &validation);
    decoded.map(|decoded| decoded.claims).map_err(|error| error.to_string())
}

/// The key that signed, by what the header says.
fn find(set: &JwkSet, header: &Header) -> Result<DecodingKey, String> {
    let is_fit = |jwk: &&Jwk| {
        let signs = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        signs && jwk.common.key_algorithm.is_none_or(|algorithm| is_of(algorithm, header.alg))
    };
    let jwk = match &header.kid {
        Some(kid) => set.keys.iter().filter(is_fit).find(|jwk| jwk.common.key_id.as_ref() == Some(kid)),
        // Without a name there must be no choice.
        None => Some(set.keys.as_slice()).filter(|keys| keys.len() == 1).and_then(|keys| keys.iter().find(is_fit)),
    };
    let jwk = jwk.ok_or("its issuer has no such key")?;
    if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err("its signature is made with a shared secret".to_owned());
    }
    DecodingKey::from_jwk(jwk).map_err(|error| format!("the key of its issuer cannot be used: {error}"))
}

fn is_of(key: KeyAlgorithm, signature: Algorithm) -> bool {
    key.to_string().parse::<Algorithm>().is_ok_and(|algorithm| algorithm == signature)
}

impl KeySet {
    /// As far as it is known. What is old is used while it is asked for again: an issuer that does not answer keeps nobody waiting.
    async fn now(&self, client: &Client) -> Result<Arc<JwkSet>, String> {
        let remote = match self {
            Self::File { file, read } => return Ok(reread(file, read)),
            Self::Url(remote) => remote,
        };
        let (known, is_fresh) = remote.known();
        if let Some(known) = known {
            if !is_fresh {
                let (remote, client) = (Arc::clone(remote), client.clone());
                tokio::spawn(async move { remote.fetch(&client).await });
            }
            return Ok(known);
        }
        remote.fetch(client).await;
        remote.known().0.ok_or_else(|| "the keys of its issuer cannot be had now".to_owned())
    }

    /// As it is now, unless that was asked a moment ago.
    async fn anew(&self, client: &Client) -> Result<Arc<JwkSet>, String> {
        if let Self::Url(remote) = self {
            remote.fetch(client).await;
        }
        self.now(client).await
    }
}

impl Remote {
    fn fetched(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was fetched last, and whether that is recent.
    fn known(&self) -> (Option<Arc<JwkSet>>, bool) {
        let fetched = self.fetched();
        (fetched.set.clone(), fetched.at.is_some_and(|at| at.elapsed() < FRESH))
    }

    /// What was there before stays where this does not succeed.
    async fn fetch(&self, client: &Client) {
        let _one = self.fetching.lock().await;
        {
            let mut fetched = self.fetched();
            if fetched.tried_at.is_some_and(|at| at.elapsed() < PAUSE) {
                return;
            }
            fetched.tried_at = Some(Instant::now());
        }
        let got = tokio::time::timeout(FETCH_TIMEOUT, client.get(&self.uri, SET_BYTES_MAX)).await;
        let got = got.unwrap_or_else(|_| Err("it took too long".to_owned()));
        match got.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string())) {
            Ok(set) => {
                let mut fetched = self.fetched();
                (fetched.set, fetched.at) = (Some(Arc::new(set)), Some(Instant::now()));
            }
            Err(error) => tracing::warn!(uri = %self.uri, error, "the keys of an issuer could not be fetched"),
        }
    }
}

fn reread(file: &Path, read_before: &Mutex<(Option<SystemTime>, Arc<JwkSet>)>) -> Arc<JwkSet> {
    let mut known = read_before.lock().unwrap_or_else(PoisonError::into_inner);
    let now = changed(file);
    if known.0 != now {
        match read(file) {
            Ok(set) => *known = (now, Arc::new(set)),
            Err(error) => {
                tracing::warn!(file = %file.display(), error, "the keys of an issuer changed and cannot be read")
            }
        }
    }
    Arc::clone(&known.1)
}

fn read(file: &Path) -> Result<JwkSet, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: it is not a set of keys: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use rustls::crypto::ring::sign::any_eddsa_type;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use serde_json::json;
    use sha2::Digest as _;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use proto::access::Role;

    use super::super::{Access, Stranger};
    use super::*;
    use crate::local::clock;

    /// Signs as a provider would, with nothing of what checks signatures here.
    struct Signer {
        pkcs8: Vec<u8>,
        kid: &'static str,
    }

    impl Signer {
        fn new(kid: &'static str) -> Self {
            let pkcs8 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_der();
            Self { pkcs8, kid }
        }

        fn jwk(&self) -> Value {
            let pair = rcgen::KeyPair::try_from(self.pkcs8.as_slice()).unwrap();
            let x = BASE64.encode(rcgen::PublicKeyData::der_bytes(&pair));
            json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid, "x": x})
        }

        fn sign(&self, claims: &Value) -> String {
            self.sign_as(&json!({"alg": "EdDSA", "typ": "JWT", "kid": self.kid}), claims)
        }

        fn sign_as(&self, header: &Value, claims: &Value) -> String {
            let text = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
            let key = any_eddsa_type(&PrivatePkcs8KeyDer::from(self.pkcs8.clone())).unwrap();
            let signer = key.choose_scheme(&[rustls::SignatureScheme::ED25519]).unwrap();
            let signature = signer.sign(text.as_bytes()).unwrap();
            format!("{text}.{}", BASE64.encode(signature))
        }
    }

    fn now() -> i64 {
        clock::now().as_micros() / 1_000_000
    }

    fn claims() -> Value {
        json!({"iss": "https://login", "aud": ["kontiki", "other"], "sub": "ana", "exp": now() + 300, "groups": ["data"]})
    }

    /// A policy with one issuer whose keys are there.
    fn policy(folder: &Path, jwks: &str) -> (Policy, Keys) {
        let file = folder.join("access.toml");
        let issuer = "[[issuer]]\nname = \"corp\"\nissuer = \"https://login\"\naudiences = [\"kontiki\"]\n";
        std::fs::write(&file, format!("{issuer}jwks = \"{jwks}\"\n")).unwrap();
        let policy = Policy::read(&file).unwrap();
        let keys = Keys::of(&policy, &file).unwrap();
        (policy, keys)
    }

    async fn verify((policy, keys): &(Policy, Keys), token: &str) -> Result<Identity, String> {
        let issuer = issuer(policy, token).ok_or("of nobody")?;
        keys.verify(issuer, token).await
    }

    #[tokio::test]
    async fn only_a_token_that_is_right_in_every_respect_counts() {
        let folder = tempfile::tempdir().unwrap();
        let (signer, stranger) = (Signer::new("k1"), Signer::new("k1"));
        let encryption = json!({"kty": "OKP", "crv": "Ed25519", "use": "enc", "kid": "k2", "x": signer.jwk()["x"]});
        let secret = json!({"kty": "oct", "kid": "k3", "k": BASE64.encode("secret")});
        let set = json!({"keys": [signer.jwk(), encryption, secret]});
        std::fs::write(folder.path().join("keys.json"), set.to_string()).unwrap();
        let known = policy(folder.path(), "keys.json");
        let ana = Identity { user: "ana".to_owned(), groups: vec!["data".to_owned()] };
        assert_eq!(verify(&known, &signer.sign(&claims())).await, Ok(ana));

        let with = |claim: &str, value: Value| {
            let mut claims = claims();
            claims[claim] = value;
            signer.sign(&claims)
        };
        let without = |claim: &str| {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(claim);
            signer.sign(&claims)
        };
        let tampered = {
            let token = signer.sign(&claims());
            let parts: Vec<&str> = token.split('.').collect();
            let other = with("sub", json!("bob"));
            format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2])
        };
        let unsigned = format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(claims().to_string()));
        // Signed with the public key as if it were a shared secret: the oldest trick.
        let confused = {
            use hmac::{Hmac, KeyInit as _, Mac as _};
            let text =
                format!("{}.{}", BASE64.encode(r#"{"alg":"HS256","kid":"k1"}"#), BASE64.encode(claims().to_string()));
            let key = BASE64.decode(signer.jwk()["x"].as_str().unwrap()).unwrap();
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
            mac.update(text.as_bytes());
            format!("{text}.{}", BASE64.encode(mac.finalize().into_bytes()))
        };
        let shared = {
            use hmac::{Hmac, KeyInit as _, Mac as _};
            let text =
                format!("{}.{}", BASE64.encode(r#"{"alg":"HS256","kid":"k3"}"#), BASE64.encode(claims().to_string()));
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(b"secret").unwrap();
            mac.update(text.as_bytes());
            format!("{text}.{}", BASE64.encode(mac.finalize().into_bytes()))
        };
        let refused = [
            (stranger.sign(&claims()), "InvalidSignature"),
            (tampered, "InvalidSignature"),
            (unsigned, "its header is not one"),
            (confused, "its issuer has no such key"),
            (shared, "its signature is made with a shared secret"),
            (with("iss", json!("https://elsewhere")), "of nobody"),
            (with("aud", json!("other")), "InvalidAudience"),
            (with("exp", json!(now() - 60)), "ExpiredSignature"),
            (with("nbf", json!(now() + 60)), "ImmatureSignature"),
            (without("exp"), "Missing required claim: exp"),
            (without("aud"), "Missing required claim: aud"),
            (without("sub"), "it has no claim 'sub'"),
            (with("sub", json!(7)), "it has no claim 'sub'"),
            (signer.sign_as(&json!({"alg": "EdDSA", "kid": "k9"}), &claims()), "its issuer has no such key"),
            (signer.sign_as(&json!({"alg": "EdDSA", "kid": "k2"}), &claims()), "its issuer has no such key"),
            (signer.sign_as(&json!({"alg": "EdDSA"}), &claims()), "its issuer has no such key"),
            (signer.sign_as(&json!({"alg": "EdDSA", "kid": "k1", "crit": ["b64"]}), &claims()), "its header asks"),
            ("a.b.c".to_owned(), "of nobody"),
        ];
        for (token, problem) in refused {
            let found = verify(&known, &token).await.unwrap_err();
            assert!(found.contains(problem), "{found}, not {problem}: {token}");
        }
    }

    #[tokio::test]
    async fn a_signed_token_brings_what_its_user_and_groups_are_granted() {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::new("k1");
        let set = json!({"keys": [signer.jwk()]});
        std::fs::write(folder.path().join("keys.json"), set.to_string()).unwrap();
        let hash = common::ContentDigest(sha2::Sha256::digest("old").into());
        let policy = format!(
            r#"
            token = [{{ name = "late", sha256 = "{hash}", expires = 2020-01-01T00:00:00Z }}]
            issuer = [{{ name = "corp", issuer = "https://login", audiences = ["kontiki"], jwks = "keys.json" }}]
            grant = [
                {{ to = ["token:late"], role = "admin" }},
                {{ to = ["group:corp/data"], role = "operator", projects = ["shop"] }},
                {{ to = ["user:corp/ana"], role = "viewer" }},
                {{ to = ["certificate:ana", "group:corp/ana", "user:corp/data"], role = "admin" }},
            ]
            "#
        );
        let file = folder.path().join("access.toml");
        std::fs::write(&file, policy).unwrap();
        let access = Access::load(file).unwrap();
        // The token alone counts, whatever the certificate is granted.
        let ana = access.principal(Some(&signer.sign(&claims())), Some("ana")).await.unwrap();
        assert_eq!(ana.name, "corp/ana");
        assert!(ana.may(Role::Operator, Some("shop")) && ana.may(Role::Viewer, None));
        assert!(!ana.may(Role::Operator, Some("bank")) && !ana.may_somewhere(Role::Deployer));
        assert!(access.principal(None, Some("ana")).await.unwrap().may(Role::Admin, None));
        assert_eq!(access.principal(Some("old"), None).await.unwrap_err(), Stranger::Expired("late".to_owned()));
        assert_eq!(access.principal(Some("new"), None).await.unwrap_err(), Stranger::UnknownToken);
        assert_eq!(access.principal(None, None).await.unwrap_err(), Stranger::Nothing);
    }

    /// The example of RFC 7515, appendix A.2: RSA with SHA-256. It expired in 2011; what is signed otherwise is not even looked at.
    #[test]
    fn rsa_signatures_are_those_of_the_specification() {
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs\
                 D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV\
                 MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        let jwk = json!({"kty": "RSA", "n": n, "e": "AQAB"});
        let set: JwkSet = serde_json::from_value(json!({"keys": [jwk]})).unwrap();
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn\
                     VlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1\
                     dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-\
                     eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        let key = find(&set, &jsonwebtoken::decode_header(token).unwrap()).unwrap();
        let issuer = Issuer {
            name: "joe".to_owned(),
            issuer: "joe".to_owned(),
            audiences: vec!["kontiki".to_owned()],
            keys: KeySource::File(PathBuf::new()),
            user_claim: "sub".to_owned(),
            groups_claim: "groups".to_owned(),
        };
        let checked = |token: &str| decode(&issuer, token, &key, Algorithm::RS256).unwrap_err();
        assert_eq!(checked(token), "Missing required claim: aud");
        assert_eq!(checked(&token.replace("Rw", "Rg")), "InvalidSignature");
    }

    /// Serves what `answer` says as JSON, and tells of each time it was asked.
    fn serve(answer: Arc<Mutex<Value>>) -> (String, UnboundedReceiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let (asked, asked_of) = unbounded_channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                let body = answer.lock().unwrap().to_string();
                asked.send(()).unwrap();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        (url, asked_of)
    }

    #[tokio::test]
    async fn keys_behind_a_url_are_fetched_when_one_is_not_known_and_not_too_often() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (Signer::new("old"), Signer::new("new"));
        let answer = Arc::new(Mutex::new(json!({"keys": [old.jwk()]})));
        let (url, mut asked) = serve(Arc::clone(&answer));
        let known = policy(folder.path(), &url);
        assert!(asked.is_empty());
        verify(&known, &old.sign(&claims())).await.unwrap();
        verify(&known, &old.sign(&claims())).await.unwrap();
        assert_eq!(asked.len(), 1);
        // The issuer has changed its key; it was asked a moment ago, and is not asked for each token that somebody makes up.
        *answer.lock().unwrap() = json!({"keys": [new.jwk()]});
        verify(&known, &new.sign(&claims())).await.unwrap_err();
        assert_eq!(asked.len(), 1);
        let KeySet::Url(remote) = &known.1.sets["corp"] else { panic!("it is behind a URL") };
        remote.fetched().tried_at = Instant::now().checked_sub(PAUSE);
        verify(&known, &new.sign(&claims())).await.unwrap();
        verify(&known, &old.sign(&claims())).await.unwrap_err();
        assert_eq!(asked.len(), 2);
        asked.recv_many(&mut Vec::new(), 2).await;
        // What is old is used until it has been asked for again, which nobody waits for.
        *answer.lock().unwrap() = json!({"keys": [old.jwk()]});
        let long_ago = Instant::now().checked_sub(FRESH);
        (remote.fetched().at, remote.fetched().tried_at) = (long_ago, long_ago);
        verify(&known, &new.sign(&claims())).await.unwrap();
        asked.recv().await.unwrap();
        // Whoever has asked holds this until the answer is kept.
        drop(remote.fetching.lock().await);
        assert!(remote.known().1);
        verify(&known, &old.sign(&claims())).await.unwrap();
    }
}

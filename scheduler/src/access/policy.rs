//! The file of an access policy: tokens, issuers of tokens, grants. Pure but for reading the file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use common::{ContentDigest, Timestamp};
use proto::access::Role;
use proto::dial::is_loopback;
use proto::project::check_project;
use serde::Deserialize;
use toml::Spanned;

use super::principal::{Granted, Principal};

/// What a policy file says.
#[derive(Debug)]
pub struct Policy {
    /// By the SHA-256 of the token.
    tokens: BTreeMap<ContentDigest, Token>,
    pub issuers: Vec<Issuer>,
    grants: BTreeMap<Subject, Vec<Granted>>,
}

/// A token whose hash the file has.
#[derive(Clone, Debug)]
pub struct Token {
    pub name: String,
    pub expires: Option<Timestamp>,
}

/// Somebody who signs tokens (an OpenID provider).
#[derive(Clone, Debug)]
pub struct Issuer {
    /// In front of the names of its users and groups.
    pub name: String,
    /// The claim `iss`.
    pub issuer: String,
    /// One of them has to be in the claim `aud`.
    pub audiences: Vec<String>,
    pub keys: KeySource,
    /// The claims that name a user and their groups.
    pub user_claim: String,
    pub groups_claim: String,
}

/// Where the public keys of an issuer are (a JSON Web Key Set, RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    File(PathBuf),
    Url(http::Uri),
}

/// To whom a grant goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// By the name of a token.
    Token(String),
    /// By the common name of a client's certificate.
    Certificate(String),
    /// `issuer/user` and `issuer/group`.
    User(String),
    Group(String),
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Problem {
    pub file: PathBuf,
    /// From 1.
    pub line: Option<u32>,
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default, rename = "token")]
    tokens: Vec<TokenEntry>,
    #[serde(default, rename = "issuer")]
    issuers: Vec<IssuerEntry>,
    #[serde(default, rename = "grant")]
    grants: Vec<GrantEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TokenEntry {
    name: Spanned<String>,
    sha256: Spanned<String>,
    expires: Option<Spanned<toml::value::Datetime>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IssuerEntry {
    name: Spanned<String>,
    issuer: Spanned<String>,
    audiences: Spanned<Vec<String>>,
    jwks: Spanned<String>,
    #[serde(default = "user_claim")]
    user_claim: String,
    #[serde(default = "groups_claim")]
    groups_claim: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct GrantEntry {
    to: Vec<Spanned<String>>,
    role: Role,
    projects: Option<Vec<Spanned<String>>>,
}

fn user_claim() -> String {
    "sub".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

/// Something wrong, and where.
type Wrong = (Range<usize>, String);

impl Policy {
    pub fn read(file: &Path) -> Result<Self, Problem> {
        let problem = |line, message| Problem { file: file.to_owned(), line, message };
        let text = std::fs::read_to_string(file).map_err(|error| problem(None, error.to_string()))?;
        let line = |at: usize| Some(text.get(..at).map_or(1, |before| before.matches('\n').count() as u32 + 1));
        let parsed: File = toml::from_str(&text).map_err(|error| {
            problem(error.span().and_then(|span| line(span.start)), error.message().replace('\n', " "))
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Self::check(parsed, folder).map_err(|(span, message)| problem(line(span.start), message))
    }

    fn check(file: File, folder: &Path) -> Result<Self, Wrong> {
        let mut tokens: BTreeMap<ContentDigest, Token> = BTreeMap::new();
        for entry in file.tokens {
            check_name(&entry.name)?;
            if tokens.values().any(|known| known.name == *entry.name.get_ref()) {
                return Err((entry.name.span(), format!("there are two tokens '{}'", entry.name.get_ref())));
            }
            let hash: ContentDigest = entry
                .sha256
                .get_ref()
                .parse()
                .map_err(|_| (entry.sha256.span(), "it is not a SHA-256 in 64 hexadecimal digits".to_owned()))?;
            let expires = entry.expires.as_ref().map(moment).transpose()?;
            let token = Token { name: entry.name.into_inner(), expires };
            if let Some(same) = tokens.insert(hash, token) {
                return Err((entry.sha256.span(), format!("it is the hash of the token '{}', too", same.name)));
            }
        }
        let mut issuers: Vec<Issuer> = Vec::new();
        for entry in file.issuers {
            check_name(&entry.name)?;
            let (name, issuer) = (entry.name.get_ref(), entry.issuer.get_ref());
            if issuers.iter().any(|known| known.name == *name || known.issuer == *issuer) {
                return Err((
                    entry.name.span(),
                    format!("there is another issuer of the name '{name}' or of '{issuer}'"),
                ));
            }
            if entry.audiences.get_ref().is_empty() {
                let problem = "without an audience every token of the issuer would do, whomever it is for";
                return Err((entry.audiences.span(), problem.to_owned()));
            }
            issuers.push(Issuer {
                keys: key_source(&entry.jwks, folder)?,
                name: entry.name.into_inner(),
                issuer: entry.issuer.into_inner(),
                audiences: entry.audiences.into_inner(),
                user_claim: entry.user_claim,
                groups_claim: entry.groups_claim,
            });
        }
        let mut policy = Self { tokens, issuers, grants: BTreeMap::new() };
        for GrantEntry { to, role, projects } in file.grants {
            let granted = Granted { role, projects: projects.map(check_projects).transpose()? };
            for subject in to {
                let subject = policy.subject(&subject).map_err(|problem| (subject.span(), problem))?;
                policy.grants.entry(subject).or_default().push(granted.clone());
            }
        }
        Ok(policy)
    }

    /// Names nobody who cannot come.
    fn subject(&self, text: &Spanned<String>) -> Result<Subject, String> {
        let text = text.get_ref();
        let forms = "token:NAME, certificate:COMMON NAME, user:ISSUER/NAME or group:ISSUER/NAME";
        let (kind, name) = text.split_once(':').ok_or_else(|| format!("'{text}' is not of the form {forms}"))?;
        let of_issuer = || {
            let issuer = name.split_once('/').map(|(issuer, _)| issuer);
            let issuer = issuer.ok_or_else(|| format!("'{text}' is not of the form {kind}:ISSUER/NAME"))?;
            let is_known = self.issuers.iter().any(|known| known.name == issuer);
            is_known.then_some(()).ok_or_else(|| format!("there is no issuer '{issuer}'"))
        };
        let name = || name.to_owned();
        match kind {
            "token" if self.tokens.values().any(|known| known.name == name()) => Ok(Subject::Token(name())),
            "token" => Err(format!("there is no token '{}'", name())),
            "certificate" => Ok(Subject::Certificate(name())),
            "user" => of_issuer().map(|()| Subject::User(name())),
            "group" => of_issuer().map(|()| Subject::Group(name())),
            _ => Err(format!("'{text}' is not of the form {forms}")),
        }
    }

    pub fn token(&self, hash: &ContentDigest) -> Option<&Token> {
        self.tokens.get(hash)
    }

    /// With everything that is granted to any of these.
    pub fn principal(&self, name: &str, subjects: &[Subject]) -> Principal {
        let granted = subjects.iter().filter_map(|subject| self.grants.get(subject)).flatten();
        Principal::granted(name, granted.cloned().collect())
    }
}

fn check_name(name: &Spanned<String>) -> Result<(), Wrong> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let text = name.get_ref();
    if !text.is_empty() && text.len() <= 100 && text.chars().all(is_plain) {
        return Ok(());
    }
    Err((name.span(), format!("'{text}' is not a name of letters, digits, '-', '_' and '.'")))
}

fn check_projects(projects: Vec<Spanned<String>>) -> Result<BTreeSet<String>, Wrong> {
    let check = |project: Spanned<String>| match check_project(project.get_ref()) {
        Ok(()) => Ok(project.into_inner()),
        Err(_) => Err((project.span(), format!("'{}' is not the name of a project", project.get_ref()))),
    };
    projects.into_iter().map(check).collect()
}

/// A moment with its offset.
fn moment(given: &Spanned<toml::value::Datetime>) -> Result<Timestamp, Wrong> {
    let text = given.get_ref().to_string();
    let moment = chrono::DateTime::parse_from_rfc3339(&text);
    let moment = moment.map_err(|_| {
        (given.span(), format!("'{text}' is not a moment with its offset, such as 2030-01-31T00:00:00Z"))
    })?;
    Ok(Timestamp::from_micros(moment.timestamp_micros()))
}

/// A path is taken from the policy's folder. Keys that travel in the clear could be anybody's.
fn key_source(given: &Spanned<String>, folder: &Path) -> Result<KeySource, Wrong> {
    let text = given.get_ref();
    let Some((scheme, _)) = text.split_once("://") else { return Ok(KeySource::File(folder.join(text))) };
    let uri: http::Uri = text.parse().map_err(|_| (given.span(), format!("'{text}' is not a URL")))?;
    let is_here = is_loopback(uri.host().unwrap_or_default());
    match scheme {
        "https" => Ok(KeySource::Url(uri)),
        "http" if is_here => Ok(KeySource::Url(uri)),
        _ => Err((given.span(), format!("'{text}': keys come by https, or from a file"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.toml");
        std::fs::write(&file, text).unwrap();
        Policy::read(&file).map_err(|problem| problem.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    #[test]
    fn grants_add_up() {
        let policy = read(&format!(
            r#"
            token = [{{ name = "ci", sha256 = "{HASH}", expires = 2030-01-31T00:00:00Z }}]
            issuer = [{{ name = "corp", issuer = "https://login", audiences = ["kontiki"], jwks = "keys.json" }}]
            [[grant]]
            to = ["token:ci", "group:corp/data"]
            role = "deployer"
            projects = ["shop"]
            [[grant]]
            to = ["group:corp/data"]
            role = "viewer"
            "#
        ));
        let policy = policy.unwrap();
        let token = policy.token(&HASH.parse().unwrap()).unwrap();
        assert_eq!((token.name.as_str(), token.expires.unwrap().as_micros()), ("ci", 1_896_048_000_000_000));
        let ci = policy.principal("ci", &[Subject::Token("ci".to_owned())]);
        assert!(ci.may(Role::Deployer, Some("shop")) && !ci.may(Role::Viewer, Some("bank")));
        let data =
            policy.principal("ana", &[Subject::User("corp/ana".to_owned()), Subject::Group("corp/data".to_owned())]);
        assert!(data.may(Role::Deployer, Some("shop")) && data.may(Role::Viewer, Some("bank")));
        assert!(!policy.principal("x", &[Subject::Certificate("ci".to_owned())]).may_somewhere(Role::Viewer));
        assert!(matches!(&policy.issuers[0].keys, KeySource::File(file) if file.ends_with("keys.json")));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let token = format!("[[token]]\nname = \"ci\"\nsha256 = \"{HASH}\"\n");
        let issuer =
            "[[issuer]]\nname = \"corp\"\nissuer = \"https://login\"\naudiences = [\"k\"]\njwks = \"k.json\"\n";
        let cases = [
            ("[[token]]\nname = \"c i\"\nsha256 = \"00\"\n".to_owned(), "access.toml:2: 'c i' is not a name"),
            ("[[token]]\nname = \"ci\"\nsha256 = \"00\"\n".to_owned(), "access.toml:3: it is not a SHA-256"),
            (format!("{token}expires = 2030-01-31\n"), "access.toml:4: '2030-01-31' is not a moment"),
            (format!("{token}{token}"), "access.toml:5: there are two tokens 'ci'"),
            (
                format!("{token}{}", token.replace("\"ci\"", "\"cd\"")),
                "access.toml:6: it is the hash of the token 'ci'",
            ),
            (issuer.replace("[\"k\"]", "[]"), "access.toml:4: without an audience"),
            (issuer.replace("k.json", "http://login/keys"), "access.toml:5: 'http://login/keys': keys come by https"),
            ("[[grant]]\nto = [\"token:ci\"]\nrole = \"viewer\"\n".to_owned(), "access.toml:2: there is no token 'ci'"),
            (
                "[[grant]]\nto = [\"user:corp/ana\"]\nrole = \"viewer\"\n".to_owned(),
                "access.toml:2: there is no issuer 'corp'",
            ),
            (
                format!("{issuer}[[grant]]\nto = [\"user:ana\"]\nrole = \"viewer\"\n"),
                "access.toml:7: 'user:ana' is not of the form user:ISSUER/NAME",
            ),
            (
                "[[grant]]\nto = [\"ana\"]\nrole = \"viewer\"\n".to_owned(),
                "access.toml:2: 'ana' is not of the form token:NAME",
            ),
            (
                "[[grant]]\nto = [\"certificate:a\"]\nrole = \"owner\"\n".to_owned(),
                "access.toml:3: unknown variant `owner`",
            ),
            (
                "[[grant]]\nto = [\"certificate:a\"]\nrole = \"viewer\"\nprojects = [\"a b\"]\n".to_owned(),
                "access.toml:4: 'a b' is not the name of a project",
            ),
            ("[[grants]]\n".to_owned(), "access.toml:1: unknown field `grants`"),
        ];
        for (text, problem) in cases {
            let found = read(&text).unwrap_err();
            assert!(found.starts_with(problem), "{found}\n{text}");
        }
    }
}

//! What of a dbt-postgres profile's output Kontiki uses. Unknown keys are refused by name, never ignored.

use std::time::Duration;

use common::Json;
use common::diagnostic::Code;
use common::relation::quote_literal;
use common::target;
use common::task::FailureKind;
use postgres::config::SslMode;
use postgres::{Client, Config, NoTls};

use super::error;
use super::tls::{self, Tls, Verify};
use crate::warehouse::Error;

const CONNECT_TIMEOUT_SECONDS: u64 = 10;
const RETRIES: u64 = 1;
const PORT: u16 = 5432;

/// How the server finds out that this side is gone, so that its statement stops and its locks are free: it looks at the socket while
/// a statement runs, and asks for a sign of life while none does. Since PostgreSQL 14, where the system can tell. It takes about as long
/// as a scheduler takes to give a worker up that it does not hear: whoever builds in its place finds the locks free.
const NOTICE_LOSS: [&str; 3] = [
    "select set_config('client_connection_check_interval', '5s', false) \
     where current_setting('client_connection_check_interval', true) is not null and version() like '%linux%'",
    "select set_config('tcp_keepalives_idle', '5', false), set_config('tcp_keepalives_interval', '2', false), \
     set_config('tcp_keepalives_count', '3', false)",
    // For an answer that nobody acknowledges: keepalives wait until it is.
    "select set_config('tcp_user_timeout', '11s', false) where version() like '%linux%'",
];

/// A checked output of type `postgres`: everything needed to connect. Holds the password, so it is never shown.
pub(super) struct Profile {
    config: Config,
    /// Tried in order: the modes `allow` and `prefer` have two.
    encryption: Vec<Option<Tls>>,
    /// Run on each new connection.
    setup: String,
    retries: u64,
}

fn invalid(message: String) -> Error {
    Error::new(FailureKind::User, Code::ProfileInvalid, message)
}

impl Profile {
    pub(super) fn read(connection: &target::Connection) -> Result<Self, Error> {
        let mut config = Config::new();
        config.connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECONDS)).application_name("kontiki");
        let mut setup = vec!["set datestyle to iso".to_owned()];
        setup.extend(NOTICE_LOSS.map(str::to_owned));
        let mut retries = RETRIES;
        let mut host = None;
        let mut port = PORT;
        let mut certificates = tls::Files::default();
        let mut sslmode = "prefer".to_owned();
        for (key, value) in &connection.settings {
            if value.is_null() {
                continue;
            }
            match key.as_str() {
                "host" => host = Some(text(key, value)?),
                "user" | "username" => {
                    config.user(&text(key, value)?);
                }
                "password" | "pass" => {
                    config.password(text(key, value)?);
                }
                "dbname" | "database" => {
                    config.dbname(&text(key, value)?);
                }
                "port" => {
                    port = u16::try_from(number(key, value)?)
                        .map_err(|_| invalid("the PostgreSQL profile's 'port' must be below 65536".to_owned()))?;
                }
                "connect_timeout" => {
                    config.connect_timeout(Duration::from_secs(number(key, value)?));
                }
                "keepalives_idle" => {
                    let seconds = number(key, value)?;
                    if seconds > 0 {
                        config.keepalives_idle(Duration::from_secs(seconds));
                    }
                }
                "application_name" => {
                    config.application_name(&text(key, value)?);
                }
                "search_path" | "statement_timeout" => {
                    let value = quote_literal(&text(key, value)?);
                    setup.push(format!("select set_config('{key}', {value}, false)"));
                }
                "role" => {
                    setup.push(format!("select set_config('role', {}, false)", quote_literal(&text(key, value)?)))
                }
                "retries" => retries = number(key, value)?,
                "sslmode" => sslmode = text(key, value)?,
                "sslrootcert" => certificates.root = Some(text(key, value)?.into()),
                "sslcert" => certificates.certificate = Some(text(key, value)?.into()),
                "sslkey" => certificates.key = Some(text(key, value)?.into()),
                "type" | "schema" | "threads" | "autocommit" => {}
                other => {
                    return Err(Error::new(
                        FailureKind::User,
                        Code::Unsupported,
                        format!("the PostgreSQL profile's key '{other}' is not supported yet"),
                    ));
                }
            }
        }
        let host = host.ok_or_else(|| invalid("the PostgreSQL profile has no 'host'".to_owned()))?;
        // The crate collects ports, one for each host, so it is told once.
        config.host(&host).port(port);
        // A socket on this machine is never encrypted, whatever the mode.
        let encryption = if host.starts_with('/') { vec![None] } else { encryption(&sslmode, &certificates)? };
        Ok(Self { config, encryption, setup: setup.join("; "), retries })
    }

    /// Connects, trying again as often as the profile says where the server cannot be reached.
    pub(super) fn connect(&self) -> Result<(Client, Option<Tls>), Error> {
        let mut left = self.retries;
        loop {
            match self.connect_once() {
                Err(error) if error.kind == FailureKind::Transient && left > 0 => {
                    left -= 1;
                    std::thread::sleep(Duration::from_millis(200));
                }
                outcome => return outcome,
            }
        }
    }

    fn connect_once(&self) -> Result<(Client, Option<Tls>), Error> {
        let mut failure = None;
        for tls in &self.encryption {
            let mut config = self.config.clone();
            let connected = match tls {
                Some(tls) => config.ssl_mode(SslMode::Require).connect(tls.connector()),
                None => config.ssl_mode(SslMode::Disable).connect(NoTls),
            };
            match connected {
                Ok(mut client) => {
                    client.batch_execute(&self.setup).map_err(|error| error::of_connect(&error))?;
                    return Ok((client, tls.clone()));
                }
                Err(error) => failure = Some(error::of_connect(&error)),
            }
        }
        Err(failure.expect("every mode has at least one way to connect"))
    }
}

/// libpq's modes. `require` checks the chain where a root certificate is given, as libpq does.
fn encryption(mode: &str, files: &tls::Files) -> Result<Vec<Option<Tls>>, Error> {
    let unverified = || Tls::new(Verify::Nothing, files).map(Some);
    Ok(match mode {
        "disable" => vec![None],
        "allow" => vec![None, unverified()?],
        "prefer" => vec![unverified()?, None],
        "require" if files.root.is_none() => vec![unverified()?],
        "require" | "verify-ca" => vec![Some(Tls::new(Verify::Chain, files)?)],
        "verify-full" => vec![Some(Tls::new(Verify::ChainAndName, files)?)],
        other => {
            return Err(invalid(format!(
                "the PostgreSQL profile's 'sslmode' is '{other}'; it may be disable, allow, prefer, require, verify-ca or \
                 verify-full"
            )));
        }
    })
}

fn text(key: &str, value: &Json) -> Result<String, Error> {
    match value {
        Json::String(text) => Ok(text.clone()),
        // YAML reads a password of digits as a number.
        Json::Number(number) => Ok(number.to_string()),
        _ => Err(invalid(format!("the PostgreSQL profile's '{key}' must be text"))),
    }
}

fn number(key: &str, value: &Json) -> Result<u64, Error> {
    let number = match value {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_u64(),
    };
    number.ok_or_else(|| invalid(format!("the PostgreSQL profile's '{key}' must be a whole number")))
}

#[cfg(test)]
mod tests {
    use common::target::AdapterType;

    use super::*;

    fn read(settings: serde_json::Value) -> Result<Profile, Error> {
        let settings = settings.as_object().unwrap().clone();
        Profile::read(&target::Connection { adapter_type: AdapterType::Postgres, settings })
    }

    #[test]
    fn takes_text_and_numbers_alike() {
        let profile = read(serde_json::json!({"host": "h", "port": "5433", "pass": 1234, "user": "u"})).unwrap();
        assert_eq!(profile.config.get_ports(), [5433]);
        assert_eq!(profile.config.get_password(), Some("1234".as_bytes()));
    }

    #[test]
    fn refuses_what_it_does_not_know_by_name() {
        let refuse = |settings| read(settings).err().unwrap();
        assert_eq!(refuse(serde_json::json!({"host": "h", "iam": 1})).code, Code::Unsupported);
        let error = refuse(serde_json::json!({"host": "h", "sslmode": "sometimes"}));
        assert!(error.message.contains("'sometimes'"), "{}", error.message);
        assert!(refuse(serde_json::json!({"user": "u"})).message.contains("no 'host'"));
        assert!(refuse(serde_json::json!({"host": "h", "port": "x"})).message.contains("'port'"));
    }
}

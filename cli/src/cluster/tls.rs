//! The certificate that this process shows, and whom it trusts: the section `tls` of the settings.

use common::Diagnostic;
use common::diagnostic::Code;
use proto::dial;
use proto::tls::{Files, Tls};

use crate::config::{self, Layers, Source};
use crate::project::{Call, Refused};

/// What the settings say; none where they say nothing. Only a client may do without a certificate of its own.
pub fn read(layers: &mut Layers, is_client: bool) -> Result<Option<Tls>, Diagnostic> {
    let config::Tls { ca, cert, key } = layers.read();
    let ca = match (ca, &cert, &key) {
        (None, None, None) => return Ok(None),
        (Some(ca), Some(_), Some(_)) => ca,
        (Some(ca), None, None) if is_client => ca,
        _ => {
            let finding =
                Diagnostic::error(Code::ConfigInvalid, "mutual TLS needs all of tls.ca, tls.cert and tls.key");
            return Err(finding.hint("set KONTIKI_TLS_CA, KONTIKI_TLS_CERT and KONTIKI_TLS_KEY, or the section [tls]"));
        }
    };
    Tls::load(Files { ca, cert, key }).map(Some).map_err(|error| {
        Diagnostic::error(Code::ConfigInvalid, error.to_string()).hint("certificates and the key have to be PEM files")
    })
}

/// For a verb that asks a cluster: from the environment, and from the file that `KONTIKI_CONFIG` names.
pub fn of_call(call: &Call) -> Result<Option<Tls>, Refused> {
    let config = std::env::var_os("KONTIKI_CONFIG").filter(|name| !name.is_empty()).map(Into::into);
    let mut layers = Source { config }.layers();
    let tls = read(&mut layers, true).map_err(|diagnostic| call.refuse(diagnostic))?;
    call.report(&layers.take_findings())?;
    Ok(tls)
}

/// Refuses an address at which other machines reach this process, where nothing tells who they are.
pub fn refuse_strangers(listen: &str, hint: &str) -> Result<(), Diagnostic> {
    if is_loopback(listen) {
        return Ok(());
    }
    let message = format!("it would listen at {listen} for anybody: there is no certificate that tells who calls");
    Err(Diagnostic::error(Code::ServerSetup, message).hint(hint))
}

/// Whether only this machine reaches an address, with its port.
fn is_loopback(address: &str) -> bool {
    dial::is_loopback(address.rsplit_once(':').map_or(address, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_reaches_a_loopback_address() {
        for address in ["127.0.0.1:4728", "127.8.0.1:1", "[::1]:4728", "localhost:4728"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["0.0.0.0:4728", "[::]:4728", "10.0.0.1:4728", "kontiki-0:4728", ":4728", ""] {
            assert!(!is_loopback(address), "{address}");
        }
    }
}

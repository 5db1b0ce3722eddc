//! `kontiki access …`, and the access policy of a replica.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::diagnostic::{Code, Location};
use common::{ContentDigest, Diagnostic};
use scheduler::access::{Access, Problem};
use sha2::{Digest as _, Sha256};

use super::args;
use crate::exit::Exit;
use crate::project::{Call, Refused};

/// In front of our tokens, so that people and scanners know them.
const PREFIX: &str = "kontiki_";
const TOKEN_BYTES: usize = 32;

/// `kontiki access …`
pub fn access(call: &Call, verb: &args::Access) -> Result<Exit, Refused> {
    match verb {
        args::Access::Token { name } => {
            let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_BYTES]>()));
            let hash = ContentDigest(Sha256::digest(&token).into());
            call.console.output(&token);
            call.console
                .output(&format!("\n[[token]]\nname = {}\nsha256 = \"{hash}\"", toml::Value::from(name.as_str())));
        }
        args::Access::Check { file } => {
            Access::load(file.clone()).map_err(|problem| call.refuse(told(&problem)))?;
            call.console.output(&format!("{} can be used", file.display()));
        }
    }
    Ok(Exit::Success)
}

/// The policy that the settings name. Nobody can be known where connections are plain.
pub fn load(file: Option<&Path>, is_secured: bool) -> Result<Option<Arc<Access>>, Diagnostic> {
    let Some(file) = file else { return Ok(None) };
    if !is_secured {
        let problem = "an access policy needs TLS: without it anybody may say that they are a worker";
        return Err(Diagnostic::error(Code::ConfigInvalid, problem).hint("give a certificate in the section [tls]"));
    }
    let access = Access::load(file.to_owned()).map_err(|problem| told(&problem))?;
    Ok(Some(Arc::new(access)))
}

fn told(problem: &Problem) -> Diagnostic {
    let finding = Diagnostic::error(Code::ConfigInvalid, problem.message.clone());
    let file = problem.file.display().to_string();
    finding.at(Location { file: file.into(), line: problem.line.unwrap_or(0), column: 0, source_line: None })
}

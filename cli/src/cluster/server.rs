//! `kontiki server`: a replica of the scheduler.

use super::args;
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub fn server(_call: &Call, _server: &args::Server) -> Result<Exit, Refused> {
    Ok(Exit::Unusable)
}

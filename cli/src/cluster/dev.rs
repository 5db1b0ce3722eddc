//! `kontiki dev`: a cluster of one replica and one worker in this process.

use super::args;
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub fn dev(_call: &Call, _dev: &args::Dev) -> Result<Exit, Refused> {
    Ok(Exit::Unusable)
}

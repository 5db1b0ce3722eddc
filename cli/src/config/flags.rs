//! A flag for every setting of a section.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use clap::{Arg, ArgMatches, Command};

use super::section::Section;

/// Settings that are flags of every verb already, in the same meaning.
const GLOBAL: [&str; 1] = ["profiles-dir"];

/// The settings of a section that stand on the command line.
#[derive(Clone, Debug)]
pub struct Flags<S> {
    pub values: BTreeMap<&'static str, String>,
    section: PhantomData<S>,
}

impl<S: Section> clap::Args for Flags<S> {
    fn augment_args(mut command: Command) -> Command {
        for setting in S::SETTINGS.iter().filter(|setting| !GLOBAL.contains(&setting.key)) {
            let arg = Arg::new(setting.key).long(setting.key).value_name(setting.kind);
            let default =
                if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
            command = command.arg(arg.help(format!("{}{default}", setting.help)));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Section> clap::FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = S::SETTINGS.iter().filter(|setting| !GLOBAL.contains(&setting.key)).filter_map(|setting| {
            let value = matches.get_one::<String>(setting.key)?;
            Some((setting.key, value.clone()))
        });
        Ok(Self { values: given.collect(), section: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

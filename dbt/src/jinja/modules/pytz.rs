//! `modules.pytz`.

use chrono_tz::TZ_VARIANTS;

use super::super::Interpreter;
use super::super::arguments::{Args, expect_int, expect_str, value_error};
use super::super::error::{Error, ErrorKind, Result};
use super::super::repr::quote;
use super::super::value::{Key, Value};
use super::zone::Zone;

/// The module.
pub fn module() -> Value {
    let names: Vec<Value> = TZ_VARIANTS.iter().map(|zone| Value::str(zone.name())).collect();
    let set = TZ_VARIANTS.iter().map(|zone| Key::str(zone.name())).collect();
    Value::record([
        ("timezone", Value::function("timezone", timezone)),
        ("utc", Zone::Utc.value()),
        ("UTC", Zone::Utc.value()),
        ("FixedOffset", Value::function("FixedOffset", fixed_offset)),
        ("all_timezones", Value::list(names)),
        ("all_timezones_set", Value::set(set)),
    ])
}

fn timezone(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [name] = args.bind("timezone", ["zone"], 1)?;
    let name = expect_str(&name.unwrap_or(Value::None))?;
    if name.eq_ignore_ascii_case("utc") {
        return Ok(Zone::Utc.value());
    }
    match TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(&name)) {
        Some(&zone) => Ok(Zone::Named { zone, period: None }.value()),
        None => Err(Error::new(ErrorKind::Key, quote(&name)).into()),
    }
}

fn fixed_offset(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [minutes] = args.bind("FixedOffset", ["offset"], 1)?;
    let minutes = expect_int(&minutes.unwrap_or(Value::None))?;
    if minutes == 0 {
        return Ok(Zone::Utc.value());
    }
    match i32::try_from(minutes) {
        Ok(minutes) if minutes.abs() < 1440 => Ok(Zone::Fixed { seconds: minutes * 60, pytz: true }.value()),
        _ => Err(value_error(format!("('absolute offset is too large', {minutes})"))),
    }
}

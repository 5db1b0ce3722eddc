//! The methods of `bytes` that templates have a use for: decoding, and showing as hexadecimal digits.

use super::arguments::{Args, expect_str, type_error, value_error};
use super::error::Result;
use super::value::Value;

/// The names of the methods.
pub const NAMES: &[&str] = &["decode", "endswith", "hex", "startswith"];

/// `bytes.name(…)` for one of `NAMES`.
pub fn call(bytes: &[u8], name: &str, args: Args) -> Result<Value> {
    match name {
        "decode" => {
            let [encoding, _] = args.bind(name, ["encoding", "errors"], 0)?;
            let encoding = match &encoding {
                Some(encoding) => expect_str(encoding)?.to_lowercase().replace('_', "-"),
                None => "utf-8".to_owned(),
            };
            match encoding.as_str() {
                "latin-1" | "latin1" | "iso-8859-1" => {
                    Ok(Value::from(bytes.iter().copied().map(char::from).collect::<String>()))
                }
                "utf-8" | "utf8" | "ascii" | "us-ascii" => match std::str::from_utf8(bytes) {
                    Ok(text) if encoding.starts_with("utf") || text.is_ascii() => Ok(Value::str(text)),
                    _ => Err(value_error(format!("'{encoding}' codec can't decode bytes: invalid data"))),
                },
                _ => Err(value_error(format!("unknown encoding: {encoding}"))),
            }
        }
        "hex" => {
            args.exact::<0>(name)?;
            Ok(Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
        }
        _ => {
            let [affix] = args.exact(name)?;
            let Value::Bytes(affix) = affix else {
                return Err(type_error(format!("{name} first arg must be bytes or a tuple of bytes")));
            };
            Ok(Value::Bool(if name == "startswith" { bytes.starts_with(&affix) } else { bytes.ends_with(&affix) }))
        }
    }
}

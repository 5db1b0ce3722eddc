//! `datetime.time`.

use std::any::Any;
use std::cmp::Ordering;
use std::rc::Rc;

use chrono::{NaiveDate, NaiveTime, Timelike};

use super::super::Interpreter;
use super::super::arguments::{Args, expect_int, expect_str, value_error};
use super::super::error::Result;
use super::super::function::Class;
use super::super::repr::quote;
use super::super::value::{Object, Value};
use super::strftime::strftime;
use super::timedelta::TimeDelta;
use super::zone::{Zone, offset_text};

/// A time of day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Time {
    pub naive: NaiveTime,
    pub zone: Option<Zone>,
}

impl Time {
    pub fn value(self) -> Value {
        Value::object(self)
    }
}

/// A time in the range that Python allows.
pub fn checked_time(hour: i64, minute: i64, second: i64, microsecond: i64) -> Result<NaiveTime> {
    for (name, value, limit) in
        [("hour", hour, 24), ("minute", minute, 60), ("second", second, 60), ("microsecond", microsecond, 1_000_000)]
    {
        if !(0..limit).contains(&value) {
            return Err(value_error(format!("{name} must be in 0..{}", limit - 1)));
        }
    }
    let part = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    NaiveTime::from_hms_micro_opt(part(hour), part(minute), part(second), part(microsecond))
        .ok_or_else(|| value_error("hour must be in 0..23"))
}

/// `12:30:00`, with microseconds where there are any, or as `timespec` says.
pub fn clock(time: NaiveTime, timespec: &str) -> Result<String> {
    let micros = time.nanosecond() / 1000;
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    Ok(match timespec {
        "auto" if micros == 0 => format!("{hour:02}:{minute:02}:{second:02}"),
        "hours" => format!("{hour:02}"),
        "minutes" => format!("{hour:02}:{minute:02}"),
        "seconds" => format!("{hour:02}:{minute:02}:{second:02}"),
        "milliseconds" => format!("{hour:02}:{minute:02}:{second:02}.{:03}", micros / 1000),
        "auto" | "microseconds" => format!("{hour:02}:{minute:02}:{second:02}.{micros:06}"),
        _ => return Err(value_error("Unknown timespec value")),
    })
}

/// The parts that a `repr` shows: hour and minute always, the rest where they are not zero.
pub fn repr_parts(time: NaiveTime) -> Vec<String> {
    let micros = time.nanosecond() / 1000;
    let mut parts = vec![time.hour().to_string(), time.minute().to_string()];
    if time.second() != 0 || micros != 0 {
        parts.push(time.second().to_string());
    }
    if micros != 0 {
        parts.push(micros.to_string());
    }
    parts
}

/// `12:30`, `12:30:15`, `12:30:15.5`
pub fn parse_iso(text: &str) -> Option<NaiveTime> {
    let (clock, fraction) = match text.split_once(['.', ',']) {
        Some((clock, fraction)) => (clock, fraction),
        None => (text, ""),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    if parts.iter().any(|part| part.len() != 2 || !part.bytes().all(|b| b.is_ascii_digit())) || parts.len() > 3 {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) || !fraction.is_empty() && parts.len() < 3 {
        return None;
    }
    let part = |index: usize| parts.get(index).map_or(Some(0), |part| part.parse::<i64>().ok());
    let micros: String = format!("{fraction}000000").chars().take(6).collect();
    checked_time(part(0)?, part(1)?, part(2)?, micros.parse().ok()?).ok()
}

/// The class.
pub fn class() -> Value {
    Value::object(Class::new("datetime.time", construct, |_, name| match name {
        "fromisoformat" => Some(Value::function("fromisoformat", |_, args| {
            let [text] = args.exact("fromisoformat")?;
            let text = expect_str(&text)?;
            let naive =
                parse_iso(&text).ok_or_else(|| value_error(format!("Invalid isoformat string: {}", quote(&text))))?;
            Ok(Time { naive, zone: None }.value())
        })),
        "min" => Some(Time { naive: NaiveTime::MIN, zone: None }.value()),
        "max" => NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).map(|naive| Time { naive, zone: None }.value()),
        _ => None,
    }))
}

fn construct(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [hour, minute, second, microsecond, zone] =
        args.bind("time", ["hour", "minute", "second", "microsecond", "tzinfo"], 0)?;
    let part = |value: Option<Value>| value.as_ref().map_or(Ok(0), expect_int);
    let naive = checked_time(part(hour)?, part(minute)?, part(second)?, part(microsecond)?)?;
    Ok(Time { naive, zone: Zone::from_value(&zone.unwrap_or(Value::None))? }.value())
}

impl Object for Time {
    fn type_name(&self) -> &'static str {
        "datetime.time"
    }

    fn to_str(&self) -> String {
        let clock = clock(self.naive, "auto").unwrap_or_default();
        // A named zone has no offset without a date.
        match &self.zone {
            Some(zone @ (Zone::Utc | Zone::Fixed { .. })) => clock + &offset_text(zone.offset_seconds(), ":"),
            _ => clock,
        }
    }

    fn to_repr(&self) -> String {
        let zone = self.zone.as_ref().map_or_else(String::new, |zone| format!(", tzinfo={}", zone.to_repr()));
        format!("datetime.time({}{zone})", repr_parts(self.naive).join(", "))
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let this = (*self).clone();
        Ok(match name {
            "hour" => Some(Value::Int(this.naive.hour().into())),
            "minute" => Some(Value::Int(this.naive.minute().into())),
            "second" => Some(Value::Int(this.naive.second().into())),
            "microsecond" => Some(Value::Int((this.naive.nanosecond() / 1000).into())),
            "tzinfo" => Some(this.zone.map(Zone::value).into()),
            "utcoffset" => Some(Value::function("utcoffset", move |_, _| {
                Ok(this.zone.as_ref().map(|zone| TimeDelta::from_seconds(zone.offset_seconds()).value()).into())
            })),
            "isoformat" => Some(Value::function("isoformat", move |_, args| {
                let [timespec] = args.bind("isoformat", ["timespec"], 0)?;
                let timespec = timespec.map_or_else(|| "auto".into(), |timespec| timespec.to_str());
                clock(this.naive, &timespec).map(Value::from)
            })),
            "strftime" => Some(Value::function("strftime", move |_, args| {
                let [format] = args.bind("strftime", ["format"], 1)?;
                let format = expect_str(&format.unwrap_or(Value::None))?;
                this.format(&format).map(Value::from)
            })),
            "replace" => Some(Value::function("replace", move |_, args| {
                let [hour, minute, second, micros, zone] =
                    args.bind("replace", ["hour", "minute", "second", "microsecond", "tzinfo"], 0)?;
                let part = |value: Option<Value>, old: u32| value.as_ref().map_or(Ok(i64::from(old)), expect_int);
                let (hour, minute) = (part(hour, this.naive.hour())?, part(minute, this.naive.minute())?);
                let second = part(second, this.naive.second())?;
                let naive = checked_time(hour, minute, second, part(micros, this.naive.nanosecond() / 1000)?)?;
                let zone = match zone {
                    Some(zone) => Zone::from_value(&zone)?,
                    None => this.zone.clone(),
                };
                Ok(Time { naive, zone }.value())
            })),
            _ => None,
        })
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn hash_key(&self) -> Option<u64> {
        Some(u64::from(self.naive.num_seconds_from_midnight()))
    }

    fn compare(&self, other: &dyn Object) -> Result<Option<Ordering>> {
        Ok(other.as_any().downcast_ref::<Self>().map(|other| self.naive.cmp(&other.naive)))
    }

    fn format(&self, spec: &str) -> Result<Option<String>> {
        let moment = NaiveDate::from_ymd_opt(1900, 1, 1).map(|date| date.and_time(self.naive));
        Ok(match moment {
            Some(moment) if !spec.is_empty() => Some(strftime(&moment, self.zone.as_ref(), spec)),
            _ => Some(self.to_str()),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

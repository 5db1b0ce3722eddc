//! `modules.datetime` and `datetime.datetime`.

use std::any::Any;
use std::cmp::Ordering;
use std::rc::Rc;

use chrono::{
    DateTime as Moment, Datelike, Local, NaiveDate, NaiveDateTime, Offset, TimeDelta as Duration, Timelike, Utc,
};

use super::super::Interpreter;
use super::super::arguments::{Args, expect_int, expect_str, type_error, value_error};
use super::super::error::{Error, ErrorKind, Result};
use super::super::function::Class;
use super::super::number::parse_or_convert_float;
use super::super::ops::BinaryOp;
use super::super::repr::quote;
use super::super::value::{Object, Value};
use super::date::{self, Date, checked_date, in_range, shared_attribute};
use super::strftime::strftime;
use super::strptime::{read_offset, strptime};
use super::time::{self, Time, checked_time, clock, repr_parts};
use super::timedelta::{self, TimeDelta};
use super::zone::{Zone, offset_text};

/// The module.
pub fn module() -> Value {
    Value::record([
        ("date", date::class()),
        ("datetime", class()),
        ("time", time::class()),
        ("timedelta", timedelta::class()),
        (
            "tzinfo",
            Value::object(Class::new("datetime.tzinfo", |_, _| Err(type_error("tzinfo is abstract")), |_, _| None)),
        ),
    ])
}

/// A date and a time of day, with or without a zone.
#[derive(Clone, Debug)]
pub struct DateTime {
    pub naive: NaiveDateTime,
    pub zone: Option<Zone>,
}

/// A moment with pytz's UTC, such as `run_started_at`.
impl From<Moment<Utc>> for Value {
    fn from(moment: Moment<Utc>) -> Self {
        let naive = moment.naive_utc();
        let micros = naive.nanosecond() / 1000 * 1000;
        DateTime { naive: naive.with_nanosecond(micros).unwrap_or(naive), zone: Some(Zone::Utc) }.value()
    }
}

/// A `datetime` without a zone.
impl From<NaiveDateTime> for Value {
    fn from(naive: NaiveDateTime) -> Self {
        DateTime { naive, zone: None }.value()
    }
}

/// A `date`.
impl From<NaiveDate> for Value {
    fn from(naive: NaiveDate) -> Self {
        Date(naive).value()
    }
}

/// A `time` without a zone.
impl From<chrono::NaiveTime> for Value {
    fn from(naive: chrono::NaiveTime) -> Self {
        Time { naive, zone: None }.value()
    }
}

impl DateTime {
    pub fn value(self) -> Value {
        Value::object(self)
    }

    fn offset(&self) -> Duration {
        Duration::seconds(self.zone.as_ref().map_or(0, |zone| i64::from(zone.offset_seconds())))
    }

    /// The moment in UTC; a naive one is taken as it is.
    pub fn utc(&self) -> Option<NaiveDateTime> {
        self.naive.checked_sub_signed(self.offset())
    }

    fn isoformat(&self, separator: &str, timespec: &str) -> Result<String> {
        let zone = self.zone.as_ref().map_or_else(String::new, |zone| offset_text(zone.offset_seconds(), ":"));
        let date = Date(self.naive.date()).to_str();
        Ok(format!("{date}{separator}{}{zone}", clock(self.naive.time(), timespec)?))
    }
}

fn now() -> NaiveDateTime {
    whole_micros(Local::now().naive_local())
}

fn utc_now() -> NaiveDateTime {
    whole_micros(Utc::now().naive_utc())
}

fn whole_micros(moment: NaiveDateTime) -> NaiveDateTime {
    moment.with_nanosecond(moment.nanosecond() / 1000 * 1000).unwrap_or(moment)
}

fn out_of_range() -> super::super::error::Interrupt {
    Error::new(ErrorKind::Overflow, "date value out of range").into()
}

fn in_zone(utc: NaiveDateTime, zone: Option<&Value>) -> Result<Option<Value>> {
    match Zone::from_value(zone.unwrap_or(&Value::None))? {
        Some(zone) => Ok(Some(zone.from_utc(utc).ok_or_else(out_of_range)?.value())),
        None => Ok(None),
    }
}

fn class() -> Value {
    Value::object(Class::new("datetime.datetime", construct, class_attribute))
}

fn class_attribute(_interpreter: &mut Interpreter, name: &str) -> Option<Value> {
    let naive = |naive| DateTime { naive, zone: None }.value();
    Some(match name {
        "now" => Value::function("now", move |_, args| {
            let [zone] = args.bind("now", ["tz"], 0)?;
            Ok(in_zone(utc_now(), zone.as_ref())?.unwrap_or_else(|| naive(now())))
        }),
        "utcnow" => Value::function("utcnow", move |_, args| {
            args.exact::<0>("utcnow")?;
            Ok(naive(utc_now()))
        }),
        "today" => Value::function("today", move |_, args| {
            args.exact::<0>("today")?;
            Ok(naive(now()))
        }),
        "strptime" => Value::function("strptime", |_, args| {
            let [text, format] = args.exact("strptime")?;
            Ok(strptime(&expect_str(&text)?, &expect_str(&format)?)?.value())
        }),
        "fromisoformat" => Value::function("fromisoformat", |_, args| {
            let [text] = args.exact("fromisoformat")?;
            let text = expect_str(&text)?;
            let moment = parse_iso(&text);
            let moment = moment.ok_or_else(|| value_error(format!("Invalid isoformat string: {}", quote(&text))))?;
            Ok(moment.value())
        }),
        "fromtimestamp" | "utcfromtimestamp" => {
            let is_utc = name == "utcfromtimestamp";
            Value::function("fromtimestamp", move |_, args| {
                let [timestamp, zone] = args.bind("fromtimestamp", ["timestamp", "tz"], 1)?;
                let seconds = parse_or_convert_float(&timestamp.unwrap_or(Value::None))?;
                let micros = (seconds * 1e6).round_ties_even();
                let moment = Moment::<Utc>::from_timestamp_micros(micros as i64).ok_or_else(out_of_range)?;
                if let Some(aware) = in_zone(moment.naive_utc(), zone.as_ref())? {
                    return Ok(aware);
                }
                Ok(naive(if is_utc { moment.naive_utc() } else { moment.with_timezone(&Local).naive_local() }))
            })
        }
        "combine" => Value::function("combine", |_, args| {
            let [day, clock, zone] = args.bind("combine", ["date", "time", "tzinfo"], 2)?;
            let (day, clock) = (day.unwrap_or(Value::None), clock.unwrap_or(Value::None));
            let day = match day.downcast::<DateTime>() {
                Some(moment) => moment.naive.date(),
                None => date::expect_date(&day)?,
            };
            let clock =
                clock.downcast::<Time>().ok_or_else(|| type_error("combine() argument 2 must be datetime.time"))?;
            let zone = match zone {
                Some(zone) => Zone::from_value(&zone)?,
                None => clock.zone.clone(),
            };
            Ok(DateTime { naive: day.and_time(clock.naive), zone }.value())
        }),
        "min" => naive(checked_date(1, 1, 1).ok()?.and_time(chrono::NaiveTime::MIN)),
        "max" => naive(checked_date(9999, 12, 31).ok()?.and_time(checked_time(23, 59, 59, 999_999).ok()?)),
        _ => return None,
    })
}

fn construct(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let names = ["year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold"];
    let [year, month, day, hour, minute, second, micros, zone, _] = args.bind("datetime", names, 3)?;
    let part = |value: Option<Value>| value.as_ref().map_or(Ok(0), expect_int);
    let day = checked_date(part(year)?, part(month)?, part(day)?)?;
    let clock = checked_time(part(hour)?, part(minute)?, part(second)?, part(micros)?)?;
    Ok(DateTime { naive: day.and_time(clock), zone: Zone::from_value(&zone.unwrap_or(Value::None))? }.value())
}

fn parse_iso(text: &str) -> Option<DateTime> {
    let date_length = if text.as_bytes().get(4) == Some(&b'-') { 10 } else { 8 };
    let day = date::parse_iso(text.get(..date_length)?)?;
    let rest = &text[date_length..];
    if rest.is_empty() {
        return Some(DateTime { naive: day.and_time(chrono::NaiveTime::MIN), zone: None });
    }
    let separator = rest.chars().next()?;
    let rest = &rest[separator.len_utf8()..];
    let end = rest.find(['+', '-', 'Z']).unwrap_or(rest.len());
    let clock = time::parse_iso(&rest[..end])?;
    let zone = match &rest[end..] {
        "" => None,
        offset => Some(read_offset(offset).filter(|(_, tail)| tail.is_empty())?.0),
    };
    Some(DateTime { naive: day.and_time(clock), zone })
}

fn replace(this: &DateTime, args: Args) -> Result<Value> {
    let names = ["year", "month", "day", "hour", "minute", "second", "microsecond", "tzinfo", "fold"];
    let [year, month, day, hour, minute, second, micros, zone, _] = args.bind("replace", names, 0)?;
    let old = &this.naive;
    let part = |value: Option<Value>, old: i64| value.as_ref().map_or(Ok(old), expect_int);
    let (year, month) = (part(year, old.year().into())?, part(month, old.month().into())?);
    let date = checked_date(year, month, part(day, old.day().into())?)?;
    let (hour, minute) = (part(hour, old.hour().into())?, part(minute, old.minute().into())?);
    let second = part(second, old.second().into())?;
    let clock = checked_time(hour, minute, second, part(micros, (old.nanosecond() / 1000).into())?)?;
    let zone = match zone {
        Some(zone) => Zone::from_value(&zone)?,
        None => this.zone.clone(),
    };
    Ok(DateTime { naive: date.and_time(clock), zone }.value())
}

/// A naive moment as the machine's local time.
fn local_to_utc(naive: NaiveDateTime) -> NaiveDateTime {
    naive.and_local_timezone(Local).earliest().map_or(naive, |moment| moment.naive_utc())
}

fn as_time_zone(this: &DateTime, zone: Option<&Value>) -> Result<Value> {
    let utc = match this.zone {
        Some(_) => this.utc().ok_or_else(out_of_range)?,
        None => local_to_utc(this.naive),
    };
    if let Some(moment) = in_zone(utc, zone)? {
        return Ok(moment);
    }
    let local = utc.and_utc().with_timezone(&Local);
    let zone = Zone::Fixed { seconds: local.offset().fix().local_minus_utc(), pytz: false };
    Ok(DateTime { naive: local.naive_local(), zone: Some(zone) }.value())
}

impl Object for DateTime {
    fn type_name(&self) -> &'static str {
        "datetime.datetime"
    }

    fn to_str(&self) -> String {
        self.isoformat(" ", "auto").unwrap_or_default()
    }

    fn to_repr(&self) -> String {
        let zone = self.zone.as_ref().map_or_else(String::new, |zone| format!(", tzinfo={}", zone.to_repr()));
        let (year, month, day) = (self.naive.year(), self.naive.month(), self.naive.day());
        let clock = repr_parts(self.naive.time()).join(", ");
        format!("datetime.datetime({year}, {month}, {day}, {clock}{zone})")
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let this = (*self).clone();
        let method = |name, answer: Value| {
            Some(Value::function(name, move |_, args| {
                args.exact::<0>(name)?;
                Ok(answer.clone())
            }))
        };
        Ok(match name {
            "hour" => Some(Value::Int(this.naive.hour().into())),
            "minute" => Some(Value::Int(this.naive.minute().into())),
            "second" => Some(Value::Int(this.naive.second().into())),
            "microsecond" => Some(Value::Int((this.naive.nanosecond() / 1000).into())),
            "fold" => Some(Value::Int(0)),
            "tzinfo" => Some(this.zone.map(Zone::value).into()),
            "date" => method("date", Date(this.naive.date()).value()),
            "time" => method("time", Time { naive: this.naive.time(), zone: None }.value()),
            "timetz" => method("timetz", Time { naive: this.naive.time(), zone: this.zone }.value()),
            "utcoffset" => {
                let offset = this.zone.map(|zone| TimeDelta::from_seconds(zone.offset_seconds()).value());
                method("utcoffset", offset.into())
            }
            "dst" => {
                let dst = this.zone.and_then(|zone| zone.dst_seconds());
                method("dst", dst.map(|seconds| TimeDelta::from_seconds(seconds).value()).into())
            }
            "tzname" => method("tzname", this.zone.and_then(|zone| zone.name()).into()),
            "timestamp" => {
                let utc = match this.zone {
                    Some(_) => this.utc().ok_or_else(out_of_range)?,
                    None => local_to_utc(this.naive),
                };
                method("timestamp", Value::Float(utc.and_utc().timestamp_micros() as f64 / 1e6))
            }
            "strftime" => Some(Value::function("strftime", move |_, args| {
                let [format] = args.bind("strftime", ["format"], 1)?;
                let format = expect_str(&format.unwrap_or(Value::None))?;
                Ok(Value::from(strftime(&this.naive, this.zone.as_ref(), &format)))
            })),
            "isoformat" => Some(Value::function("isoformat", move |_, args| {
                let [separator, timespec] = args.bind("isoformat", ["sep", "timespec"], 0)?;
                let text =
                    |value: Option<Value>, default: &str| value.map_or_else(|| default.into(), |value| value.to_str());
                this.isoformat(&text(separator, "T"), &text(timespec, "auto")).map(Value::from)
            })),
            "replace" => Some(Value::function("replace", move |_, args| replace(&this, args))),
            "astimezone" => Some(Value::function("astimezone", move |_, args| {
                let [zone] = args.bind("astimezone", ["tz"], 0)?;
                as_time_zone(&this, zone.as_ref())
            })),
            _ => shared_attribute(this.naive, name),
        })
    }

    fn equals(&self, other: &dyn Object) -> bool {
        let Some(other) = other.as_any().downcast_ref::<Self>() else { return false };
        self.zone.is_some() == other.zone.is_some() && self.utc() == other.utc()
    }

    fn hash_key(&self) -> Option<u64> {
        Some(self.utc().map_or(0, |utc| utc.and_utc().timestamp_micros() as u64))
    }

    fn compare(&self, other: &dyn Object) -> Result<Option<Ordering>> {
        let Some(other) = other.as_any().downcast_ref::<Self>() else { return Ok(None) };
        if self.zone.is_some() != other.zone.is_some() {
            return Err(type_error("can't compare offset-naive and offset-aware datetimes"));
        }
        Ok(Some(self.utc().cmp(&other.utc())))
    }

    fn arithmetic(&self, op: BinaryOp, other: &Value, reflected: bool) -> Result<Option<Value>> {
        if let (BinaryOp::Sub, false, Some(other)) = (op, reflected, other.downcast::<Self>()) {
            if self.zone.is_some() != other.zone.is_some() {
                return Err(type_error("can't subtract offset-naive and offset-aware datetimes"));
            }
            let difference = match (self.utc(), other.utc()) {
                (Some(a), Some(b)) => a - b,
                _ => return Err(out_of_range()),
            };
            return Ok(Some(TimeDelta::from_chrono(difference).value()));
        }
        let Some(delta) = other.downcast::<TimeDelta>() else { return Ok(None) };
        let delta = delta.to_chrono();
        let moment = match (op, reflected) {
            (BinaryOp::Add, _) => delta.and_then(|delta| self.naive.checked_add_signed(delta)),
            (BinaryOp::Sub, false) => delta.and_then(|delta| self.naive.checked_sub_signed(delta)),
            _ => return Ok(None),
        };
        in_range(moment.map(|moment| moment.date()))?;
        Ok(moment.map(|naive| Self { naive, zone: self.zone.clone() }.value()))
    }

    fn format(&self, spec: &str) -> Result<Option<String>> {
        Ok(Some(if spec.is_empty() { self.to_str() } else { strftime(&self.naive, self.zone.as_ref(), spec) }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

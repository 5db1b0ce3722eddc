//! Time zones: `tzinfo` of dates and times. Named zones behave as pytz's do.

use std::any::Any;
use std::rc::Rc;

use chrono::{NaiveDate, NaiveDateTime, Offset, TimeDelta as Duration, TimeZone};
use chrono_tz::{OffsetComponents, OffsetName, Tz};

use super::super::Interpreter;
use super::super::arguments::{type_error, value_error};
use super::super::error::Result;
use super::super::value::{Object, Value};
use super::datetime::DateTime;
use super::timedelta::TimeDelta;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// `pytz.utc`
    Utc,
    /// `datetime.timezone`, and pytz's `FixedOffset`: seconds east of UTC.
    Fixed { seconds: i32, pytz: bool },
    /// `pytz.timezone(name)`. pytz keeps one `tzinfo` for each offset of a zone; before a date is localized it is the zone's local
    /// mean time, whose offset pytz rounds to minutes.
    Named { zone: Tz, period: Option<Period> },
}

/// One offset of a named zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    seconds: i32,
    dst_seconds: i32,
    name: Rc<str>,
}

impl Period {
    fn of(offset: &chrono_tz::TzOffset) -> Self {
        Self {
            seconds: round_to_minutes(offset.fix().local_minus_utc()),
            dst_seconds: i32::try_from(offset.dst_offset().num_seconds()).unwrap_or(0),
            name: offset.abbreviation().map_or_else(|| Rc::from(offset.to_string()), Rc::from),
        }
    }
}

fn round_to_minutes(seconds: i32) -> i32 {
    (seconds + 30).div_euclid(60) * 60
}

impl Zone {
    pub fn value(self) -> Value {
        Value::object(self)
    }

    /// The `tzinfo` argument of a constructor.
    pub fn from_value(value: &Value) -> Result<Option<Self>> {
        match (value, value.downcast::<Self>()) {
            (Value::None, _) => Ok(None),
            (_, Some(zone)) => Ok(Some(zone.clone())),
            _ => Err(type_error(format!(
                "tzinfo argument must be None or of a tzinfo subclass, not type '{}'",
                value.type_name()
            ))),
        }
    }

    fn period(&self) -> Option<Period> {
        match self {
            Self::Named { period: Some(period), .. } => Some(period.clone()),
            Self::Named { zone, period: None } => {
                let before_railways = NaiveDate::from_ymd_opt(1800, 1, 1)?.and_hms_opt(0, 0, 0)?;
                Some(Period::of(&zone.offset_from_utc_datetime(&before_railways)))
            }
            Self::Utc | Self::Fixed { .. } => None,
        }
    }

    /// Seconds east of UTC.
    pub fn offset_seconds(&self) -> i32 {
        match self {
            Self::Utc => 0,
            Self::Fixed { seconds, .. } => *seconds,
            Self::Named { .. } => self.period().map_or(0, |period| period.seconds),
        }
    }

    pub fn dst_seconds(&self) -> Option<i32> {
        match self {
            Self::Utc => Some(0),
            Self::Fixed { pytz, .. } => pytz.then_some(0),
            Self::Named { .. } => self.period().map(|period| period.dst_seconds),
        }
    }

    /// `tzname`
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Utc => Some("UTC".to_owned()),
            Self::Fixed { pytz: true, .. } => None,
            Self::Fixed { seconds: 0, .. } => Some("UTC".to_owned()),
            Self::Fixed { seconds, .. } => Some(format!("UTC{}", offset_text(*seconds, ":"))),
            Self::Named { .. } => self.period().map(|period| period.name.to_string()),
        }
    }

    /// The local time and the zone's `tzinfo` at a moment of UTC.
    pub fn from_utc(&self, utc: NaiveDateTime) -> Option<DateTime> {
        let zone = match self {
            Self::Named { zone, .. } => {
                let period = Period::of(&zone.offset_from_utc_datetime(&utc));
                Self::Named { zone: *zone, period: Some(period) }
            }
            other => other.clone(),
        };
        let local = utc.checked_add_signed(Duration::seconds(i64::from(zone.offset_seconds())))?;
        Some(DateTime { naive: local, zone: Some(zone) })
    }

    /// pytz's `localize`: the zone put on a local time.
    fn localize(&self, naive: NaiveDateTime, is_dst: bool) -> DateTime {
        let zone = match self {
            Self::Named { zone, .. } => {
                let offset = match zone.offset_from_local_datetime(&naive) {
                    chrono::LocalResult::Single(offset) => offset,
                    chrono::LocalResult::Ambiguous(first, second) => {
                        let first_is_dst = !first.dst_offset().is_zero();
                        if first_is_dst == is_dst { first } else { second }
                    }
                    // In a gap pytz keeps the clock's reading, with the offset before it, or after it for `is_dst`.
                    chrono::LocalResult::None => {
                        let hours = if is_dst { 6 } else { -6 };
                        let nearby = naive + Duration::hours(hours);
                        zone.offset_from_utc_datetime(&nearby)
                    }
                };
                Self::Named { zone: *zone, period: Some(Period::of(&offset)) }
            }
            other => other.clone(),
        };
        DateTime { naive, zone: Some(zone) }
    }
}

/// `+01:00`, with seconds where there are any.
pub fn offset_text(seconds: i32, separator: &str) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let amount = seconds.abs();
    let mut text = format!("{sign}{:02}{separator}{:02}", amount / 3600, amount / 60 % 60);
    if amount % 60 != 0 {
        text.push_str(&format!("{separator}{:02}", amount % 60));
    }
    text
}

impl Object for Zone {
    fn type_name(&self) -> &'static str {
        match self {
            Self::Utc => "pytz.UTC",
            Self::Fixed { pytz: true, .. } => "pytz._FixedOffset",
            Self::Fixed { .. } => "datetime.timezone",
            Self::Named { .. } => "pytz.tzfile",
        }
    }

    fn to_str(&self) -> String {
        match self {
            Self::Named { zone, .. } => zone.name().to_owned(),
            Self::Fixed { pytz: false, .. } | Self::Utc => self.name().unwrap_or_default(),
            Self::Fixed { .. } => self.to_repr(),
        }
    }

    fn to_repr(&self) -> String {
        match self {
            Self::Utc => "<UTC>".to_owned(),
            Self::Fixed { seconds, pytz: true } => format!("pytz.FixedOffset({})", seconds / 60),
            Self::Fixed { seconds: 0, .. } => "datetime.timezone.utc".to_owned(),
            Self::Fixed { seconds, .. } => {
                format!("datetime.timezone({})", TimeDelta::from_seconds(*seconds).to_repr())
            }
            Self::Named { zone, .. } => {
                let dst = if self.dst_seconds().is_some_and(|seconds| seconds != 0) { "DST" } else { "STD" };
                let offset = self.offset_seconds();
                let sign = if offset >= 0 { "+" } else { "" };
                let delta = TimeDelta::from_seconds(offset).to_str();
                format!("<DstTzInfo '{}' {}{sign}{delta} {dst}>", zone.name(), self.name().unwrap_or_default())
            }
        }
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let this = (*self).clone();
        Ok(match name {
            "zone" => match &this {
                Self::Named { zone, .. } => Some(Value::str(zone.name())),
                Self::Utc => Some(Value::str("UTC")),
                Self::Fixed { pytz, .. } => pytz.then_some(Value::None),
            },
            "localize" => Some(Value::function("localize", move |_, args| {
                let [moment, is_dst] = args.bind("localize", ["dt", "is_dst"], 1)?;
                let moment = moment.unwrap_or(Value::None);
                let moment = expect_datetime(&moment)?;
                if moment.zone.is_some() {
                    return Err(value_error("Not naive datetime (tzinfo is already set)"));
                }
                Ok(this.localize(moment.naive, is_dst.is_some_and(|flag| flag.is_true())).value())
            })),
            "normalize" => Some(Value::function("normalize", move |_, args| {
                let [moment, _] = args.bind("normalize", ["dt", "is_dst"], 1)?;
                let moment = moment.unwrap_or(Value::None);
                let moment = expect_datetime(&moment)?;
                if moment.zone.is_none() {
                    return Err(value_error("Naive time - no tzinfo set"));
                }
                let normal = moment.utc().and_then(|utc| this.from_utc(utc));
                normal.map(DateTime::value).ok_or_else(|| value_error("date value out of range"))
            })),
            "utcoffset" | "dst" | "tzname" => {
                let name = name.to_owned();
                Some(Value::function("utcoffset", move |_, args| {
                    let [moment, _] = args.bind("utcoffset", ["dt", "is_dst"], 1)?;
                    let moment = moment.unwrap_or(Value::None);
                    let zone = match (&this, moment.downcast::<DateTime>()) {
                        (Self::Named { .. }, Some(moment)) if moment.zone.is_none() => {
                            this.localize(moment.naive, false).zone.unwrap_or(Self::Utc)
                        }
                        _ => this.clone(),
                    };
                    Ok(match name.as_str() {
                        "utcoffset" => TimeDelta::from_seconds(zone.offset_seconds()).value(),
                        "dst" => zone.dst_seconds().map(|seconds| TimeDelta::from_seconds(seconds).value()).into(),
                        _ => zone.name().into(),
                    })
                }))
            }
            _ => None,
        })
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn hash_key(&self) -> Option<u64> {
        u64::try_from(self.offset_seconds()).ok().or(Some(1))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn expect_datetime(value: &Value) -> Result<&DateTime> {
    value.downcast().ok_or_else(|| type_error(format!("expected datetime, not {}", value.type_name())))
}

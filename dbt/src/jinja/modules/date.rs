//! `datetime.date`.

use std::any::Any;
use std::cmp::Ordering;
use std::rc::Rc;

use chrono::{Datelike, Local, NaiveDate, NaiveDateTime, NaiveTime};

use super::super::Interpreter;
use super::super::arguments::{Args, expect_int, expect_str, type_error, value_error};
use super::super::error::{Error, ErrorKind, Result};
use super::super::function::Class;
use super::super::ops::BinaryOp;
use super::super::repr::quote;
use super::super::value::{Object, Value};
use super::strftime::{day_name, month_name, strftime};
use super::timedelta::TimeDelta;

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(pub NaiveDate);

impl Date {
    pub fn value(self) -> Value {
        Value::object(self)
    }

    fn midnight(self) -> NaiveDateTime {
        self.0.and_time(NaiveTime::MIN)
    }
}

/// A day in the range that Python allows.
pub fn checked_date(year: i64, month: i64, day: i64) -> Result<NaiveDate> {
    if !(1..=9999).contains(&year) {
        return Err(value_error(format!("year {year} is out of range")));
    }
    if !(1..=12).contains(&month) {
        return Err(value_error("month must be in 1..12"));
    }
    let found = match (i32::try_from(year), u32::try_from(month), u32::try_from(day)) {
        (Ok(year), Ok(month), Ok(day)) => NaiveDate::from_ymd_opt(year, month, day),
        _ => None,
    };
    found.ok_or_else(|| value_error("day is out of range for month"))
}

/// The `OverflowError` of arithmetic that leaves the years 1 to 9999.
pub fn in_range(date: Option<NaiveDate>) -> Result<NaiveDate> {
    date.filter(|date| (1..=9999).contains(&date.year()))
        .ok_or_else(|| Error::new(ErrorKind::Overflow, "date value out of range").into())
}

/// The class.
pub fn class() -> Value {
    Value::object(Class::new("datetime.date", construct, |_, name| match name {
        "today" => Some(Value::function("today", |_, args| {
            args.exact::<0>("today")?;
            Ok(Date(Local::now().date_naive()).value())
        })),
        "fromisoformat" => Some(Value::function("fromisoformat", |_, args| {
            let [text] = args.exact("fromisoformat")?;
            let text = expect_str(&text)?;
            let date =
                parse_iso(&text).ok_or_else(|| value_error(format!("Invalid isoformat string: {}", quote(&text))))?;
            Ok(Date(date).value())
        })),
        "fromordinal" => Some(Value::function("fromordinal", |_, args| {
            let [ordinal] = args.exact("fromordinal")?;
            let days = i32::try_from(expect_int(&ordinal)?).ok().and_then(NaiveDate::from_num_days_from_ce_opt);
            Ok(Date(in_range(days)?).value())
        })),
        "min" => NaiveDate::from_ymd_opt(1, 1, 1).map(|date| Date(date).value()),
        "max" => NaiveDate::from_ymd_opt(9999, 12, 31).map(|date| Date(date).value()),
        _ => None,
    }))
}

fn construct(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [year, month, day] = args.bind("date", ["year", "month", "day"], 3)?;
    let part = |value: Option<Value>| expect_int(&value.unwrap_or(Value::None));
    Ok(Date(checked_date(part(year)?, part(month)?, part(day)?)?).value())
}

/// `2020-01-31` or `20200131`
pub fn parse_iso(text: &str) -> Option<NaiveDate> {
    let compact = text.replace('-', "");
    let dashes = text.len() - compact.len();
    if compact.len() != 8 || !matches!(dashes, 0 | 2) || !compact.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if dashes == 2 && (text.as_bytes()[4] != b'-' || text.as_bytes()[7] != b'-') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| compact[range].parse::<i64>().ok();
    checked_date(number(0..4)?, number(4..6)?, number(6..8)?).ok()
}

/// Attributes and methods that dates and datetimes share.
pub fn shared_attribute(moment: NaiveDateTime, name: &str) -> Option<Value> {
    let date = moment.date();
    let weekday = i64::from(date.weekday().num_days_from_monday());
    let constant = |name: &'static str, value: Value| {
        Some(Value::function(name, move |_, args| {
            args.exact::<0>(name)?;
            Ok(value.clone())
        }))
    };
    match name {
        "year" => Some(Value::Int(date.year().into())),
        "month" => Some(Value::Int(date.month().into())),
        "day" => Some(Value::Int(date.day().into())),
        "weekday" => constant("weekday", Value::Int(weekday)),
        "isoweekday" => constant("isoweekday", Value::Int(weekday + 1)),
        "toordinal" => constant("toordinal", Value::Int(date.num_days_from_ce().into())),
        "isocalendar" => {
            let week = date.iso_week();
            let parts = [week.year().into(), week.week().into(), weekday + 1].map(Value::Int);
            constant("isocalendar", Value::tuple(parts))
        }
        "ctime" => {
            let (day, month) = (&day_name(&moment)[..3], &month_name(&moment)[..3]);
            let text = format!("{day} {month} {}", moment.format("%e %H:%M:%S %Y"));
            constant("ctime", Value::from(text))
        }
        _ => None,
    }
}

impl Object for Date {
    fn type_name(&self) -> &'static str {
        "datetime.date"
    }

    fn to_str(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.0.year(), self.0.month(), self.0.day())
    }

    fn to_repr(&self) -> String {
        format!("datetime.date({}, {}, {})", self.0.year(), self.0.month(), self.0.day())
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let date = *self;
        Ok(match name {
            "strftime" => Some(Value::function("strftime", move |_, args| {
                let [format] = args.bind("strftime", ["format"], 1)?;
                let format = expect_str(&format.unwrap_or(Value::None))?;
                Ok(Value::from(strftime(&date.midnight(), None, &format)))
            })),
            "isoformat" => Some(Value::function("isoformat", move |_, args| {
                args.exact::<0>("isoformat")?;
                Ok(Value::from(date.to_str()))
            })),
            "replace" => Some(Value::function("replace", move |_, args| {
                let [year, month, day] = args.bind("replace", ["year", "month", "day"], 0)?;
                let part = |value: Option<Value>, old: i64| value.as_ref().map_or(Ok(old), expect_int);
                let (year, month) = (part(year, date.0.year().into())?, part(month, date.0.month().into())?);
                Ok(Date(checked_date(year, month, part(day, date.0.day().into())?)?).value())
            })),
            _ => shared_attribute(date.midnight(), name),
        })
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn hash_key(&self) -> Option<u64> {
        u64::try_from(self.0.num_days_from_ce()).ok()
    }

    fn compare(&self, other: &dyn Object) -> Result<Option<Ordering>> {
        Ok(other.as_any().downcast_ref::<Self>().map(|other| self.0.cmp(&other.0)))
    }

    fn arithmetic(&self, op: BinaryOp, other: &Value, reflected: bool) -> Result<Option<Value>> {
        if let (BinaryOp::Sub, false, Some(other)) = (op, reflected, other.downcast::<Self>()) {
            return Ok(Some(TimeDelta::from_chrono(self.0 - other.0).value()));
        }
        let Some(delta) = other.downcast::<TimeDelta>() else { return Ok(None) };
        // Only whole days count, rounded down, as in Python.
        let days = delta.to_chrono().map(|delta| {
            chrono::TimeDelta::days(delta.num_microseconds().unwrap_or(i64::MAX).div_euclid(86_400_000_000))
        });
        let date = match (op, reflected) {
            (BinaryOp::Add, _) => days.and_then(|days| self.0.checked_add_signed(days)),
            (BinaryOp::Sub, false) => days.and_then(|days| self.0.checked_sub_signed(days)),
            _ => return Ok(None),
        };
        Ok(Some(Self(in_range(date)?).value()))
    }

    fn format(&self, spec: &str) -> Result<Option<String>> {
        Ok(Some(if spec.is_empty() { self.to_str() } else { strftime(&self.midnight(), None, spec) }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The date inside a value.
pub fn expect_date(value: &Value) -> Result<NaiveDate> {
    match value.downcast::<Date>() {
        Some(date) => Ok(date.0),
        None => Err(type_error(format!("combine() argument 1 must be datetime.date, not {}", value.type_name()))),
    }
}

//! `datetime.timedelta`.

use std::any::Any;
use std::cmp::Ordering;
use std::rc::Rc;

use super::super::Interpreter;
use super::super::arguments::{Args, type_error};
use super::super::error::{Error, ErrorKind, Result};
use super::super::function::Class;
use super::super::number::{parse_or_convert_float, to_bigint};
use super::super::ops::BinaryOp;
use super::super::value::{Object, Value};
use num_traits::ToPrimitive;

const DAY: i128 = 86_400_000_000;
const SECOND: i128 = 1_000_000;
const DAYS_MAX: i128 = 999_999_999;

/// A duration in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeDelta(i128);

impl TimeDelta {
    pub fn from_microseconds(microseconds: i128) -> Result<Self> {
        let days = microseconds.div_euclid(DAY);
        if days.abs() > DAYS_MAX {
            let message = format!("days={days}; must have magnitude <= 999999999");
            return Err(Error::new(ErrorKind::Overflow, message).into());
        }
        Ok(Self(microseconds))
    }

    pub fn from_chrono(duration: chrono::TimeDelta) -> Self {
        let whole = i128::from(duration.num_seconds()) * SECOND;
        Self(whole + i128::from(duration.subsec_nanos()) / 1000)
    }

    pub fn from_seconds(seconds: i32) -> Self {
        Self(i128::from(seconds) * SECOND)
    }

    /// `None` where it is too large for a date's arithmetic.
    pub fn to_chrono(self) -> Option<chrono::TimeDelta> {
        i64::try_from(self.0).ok().map(chrono::TimeDelta::microseconds)
    }

    pub fn value(self) -> Value {
        Value::object(self)
    }

    fn days(self) -> i128 {
        self.0.div_euclid(DAY)
    }

    fn seconds(self) -> i128 {
        self.0.rem_euclid(DAY) / SECOND
    }

    fn microseconds(self) -> i128 {
        self.0.rem_euclid(SECOND)
    }
}

fn int(number: i128) -> Value {
    Value::integer(number)
}

/// The class: `timedelta(days, seconds, microseconds, milliseconds, minutes, hours, weeks)`.
pub fn class() -> Value {
    Value::object(Class::new("datetime.timedelta", construct, |_, name| match name {
        "max" => Some(TimeDelta(DAYS_MAX * DAY + DAY - 1).value()),
        "min" => Some(TimeDelta(-DAYS_MAX * DAY).value()),
        "resolution" => Some(TimeDelta(1).value()),
        _ => None,
    }))
}

fn construct(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let names = ["days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks"];
    let units = [DAY, SECOND, 1, 1000, 60 * SECOND, 3600 * SECOND, 7 * DAY];
    let mut total = 0_i128;
    for (value, unit) in args.bind("timedelta", names, 0)?.into_iter().zip(units) {
        let Some(value) = value else { continue };
        total += match &value {
            Value::Float(number) if !number.is_finite() => {
                return Err(Error::new(ErrorKind::Value, "cannot convert float NaN to integer").into());
            }
            Value::Float(number) => {
                let whole = (number.trunc() as i128).saturating_mul(unit);
                whole.saturating_add((number.fract() * unit as f64).round_ties_even() as i128)
            }
            _ => {
                let number = to_bigint(&value).and_then(|number| number.to_i64()).ok_or_else(|| {
                    type_error(format!("unsupported type for timedelta component: {}", value.type_name()))
                })?;
                i128::from(number) * unit
            }
        };
    }
    Ok(TimeDelta::from_microseconds(total)?.value())
}

impl Object for TimeDelta {
    fn type_name(&self) -> &'static str {
        "datetime.timedelta"
    }

    fn to_str(&self) -> String {
        let seconds = self.seconds();
        let mut text = format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if self.microseconds() != 0 {
            text.push_str(&format!(".{:06}", self.microseconds()));
        }
        let days = self.days();
        match days {
            0 => text,
            1 | -1 => format!("{days} day, {text}"),
            _ => format!("{days} days, {text}"),
        }
    }

    fn to_repr(&self) -> String {
        let parts: Vec<String> =
            [("days", self.days()), ("seconds", self.seconds()), ("microseconds", self.microseconds())]
                .into_iter()
                .filter(|(_, amount)| *amount != 0)
                .map(|(name, amount)| format!("{name}={amount}"))
                .collect();
        let parts = if parts.is_empty() { "0".to_owned() } else { parts.join(", ") };
        format!("datetime.timedelta({parts})")
    }

    fn is_true(&self) -> bool {
        self.0 != 0
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let this = *self;
        Ok(match name {
            "days" => Some(int(this.days())),
            "seconds" => Some(int(this.seconds())),
            "microseconds" => Some(int(this.microseconds())),
            "total_seconds" => Some(Value::function("total_seconds", move |_, args| {
                args.exact::<0>("total_seconds")?;
                Ok(Value::Float(this.0 as f64 / SECOND as f64))
            })),
            _ => None,
        })
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_any().downcast_ref::<Self>() == Some(self)
    }

    fn hash_key(&self) -> Option<u64> {
        Some(self.0 as u64)
    }

    fn compare(&self, other: &dyn Object) -> Result<Option<Ordering>> {
        Ok(other.as_any().downcast_ref::<Self>().map(|other| self.cmp(other)))
    }

    fn arithmetic(&self, op: BinaryOp, other: &Value, reflected: bool) -> Result<Option<Value>> {
        let zero = || Error::new(ErrorKind::ZeroDivision, "division by zero");
        let result = match (op, other.downcast::<Self>(), other) {
            (BinaryOp::Add, Some(other), _) => self.0 + other.0,
            (BinaryOp::Sub, Some(other), _) if reflected => other.0 - self.0,
            (BinaryOp::Sub, Some(other), _) => self.0 - other.0,
            (BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod, Some(other), _) if !reflected => {
                if other.0 == 0 {
                    return Err(zero().into());
                }
                match op {
                    BinaryOp::Div => return Ok(Some(Value::Float(self.0 as f64 / other.0 as f64))),
                    BinaryOp::FloorDiv => return Ok(Some(int(num_integer::Integer::div_floor(&self.0, &other.0)))),
                    _ => num_integer::Integer::mod_floor(&self.0, &other.0),
                }
            }
            (BinaryOp::Mul, None, Value::Int(_) | Value::Bool(_)) => {
                self.0.saturating_mul(i128::from(other.as_int().unwrap_or_default()))
            }
            (BinaryOp::Mul, None, Value::Float(number)) => (self.0 as f64 * number).round_ties_even() as i128,
            (BinaryOp::Div, None, Value::Int(_) | Value::Float(_)) if !reflected => {
                let by = parse_or_convert_float(other)?;
                if by == 0.0 {
                    return Err(zero().into());
                }
                (self.0 as f64 / by).round_ties_even() as i128
            }
            (BinaryOp::FloorDiv, None, Value::Int(by)) if !reflected => {
                if *by == 0 {
                    return Err(zero().into());
                }
                num_integer::Integer::div_floor(&self.0, &i128::from(*by))
            }
            _ => return Ok(None),
        };
        Ok(Some(Self::from_microseconds(result)?.value()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

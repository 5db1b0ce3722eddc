//! `lipsum`: paragraphs of filler text, different at each call.

use std::hash::{BuildHasher, RandomState};

use super::Interpreter;
use super::arguments::{Args, expect_int, value_error};
use super::error::Result;
use super::ops::check_size;
use super::value::Value;

const WORDS: &[&str] = &[
    "ad", "aliquam", "amet", "ante", "arcu", "augue", "bibendum", "commodo", "dapibus", "diam", "dolor", "donec",
    "eget", "elit", "enim", "erat", "est", "felis", "gravida", "iaculis", "ipsum", "justo", "lacus", "lectus", "lorem",
    "magna", "massa", "mauris", "metus", "nulla", "odio", "orci", "pede", "porta", "purus", "quam", "risus", "sapien",
    "sem", "sit", "tellus", "tempus", "turpis", "urna", "varius", "velit", "vitae",
];

/// `lipsum(n=5, html=True, min=20, max=100)`
pub fn lipsum(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [count, html, low, high] = args.bind("generate_lorem_ipsum", ["n", "html", "min", "max"], 0)?;
    let number = |value: Option<Value>, default: i64| value.as_ref().map_or(Ok(default), expect_int);
    let (count, low, high) = (number(count, 5)?, number(low, 20)?, number(high, 100)?);
    let html = html.is_none_or(|html| html.is_true());
    let (Ok(count), Ok(low), Ok(high)) = (usize::try_from(count.max(0)), u64::try_from(low), u64::try_from(high))
    else {
        return Err(value_error("empty range in randrange"));
    };
    if low >= high {
        return Err(value_error("empty range in randrange"));
    }
    check_size(count.saturating_mul(usize::try_from(high).unwrap_or(usize::MAX)).saturating_mul(8))?;
    let random = RandomState::new();
    let mut draws = 0_u64;
    let mut draw = |bound: u64| {
        draws += 1;
        random.hash_one(draws) % bound
    };
    let mut paragraphs = Vec::with_capacity(count);
    for _ in 0..count {
        let words = low + draw(high - low);
        interpreter.charge(words)?;
        let mut text = String::new();
        let mut starts_sentence = true;
        for index in 0..words {
            let word = WORDS[usize::try_from(draw(WORDS.len() as u64)).unwrap_or(0)];
            if index > 0 {
                text.push(' ');
            }
            if starts_sentence {
                text.push_str(&super::strings::capitalize(word));
            } else {
                text.push_str(word);
            }
            starts_sentence = index + 1 < words && draw(10) == 0;
            if starts_sentence {
                text.push('.');
            }
        }
        text.push('.');
        paragraphs.push(if html { format!("<p>{text}</p>") } else { text });
    }
    Ok(Value::from(paragraphs.join(if html { "\n" } else { "\n\n" })))
}

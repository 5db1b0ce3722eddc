//! jinja2's filters, and those that dbt adds.
//!
//! Nothing is ever escaped automatically in dbt's environments, so `escape` and `safe` return plain text.

mod html;
mod numbers;
mod select;
mod sequences;
mod text;
mod wrap;

use super::Interpreter;
use super::arguments::Args;
use super::error::Result;
use super::value::Value;

/// `value|name(args)`
pub type Filter = fn(&mut Interpreter, Value, Args) -> Result<Value>;

/// The filter of that name in a text environment; a native environment has its own `as_text`, `as_bool`, `as_native` and
/// `as_number`.
pub fn get(name: &str) -> Option<Filter> {
    Some(match name {
        "abs" => numbers::abs,
        "attr" => sequences::attr,
        "batch" => sequences::batch,
        "capitalize" => text::capitalize,
        "center" => text::center,
        "count" | "length" => sequences::length,
        "d" | "default" => sequences::default,
        "dictsort" => sequences::dictsort,
        "e" | "escape" | "forceescape" => html::escape,
        "filesizeformat" => numbers::filesizeformat,
        "first" => sequences::first,
        "float" => numbers::float,
        "format" => text::format,
        "groupby" => select::groupby,
        "indent" => text::indent,
        "int" => numbers::int,
        "items" => sequences::items,
        "join" => sequences::join,
        "last" => sequences::last,
        "list" => sequences::list,
        "lower" => text::lower,
        "map" => select::map,
        "max" => select::max,
        "min" => select::min,
        "pprint" => wrap::pprint,
        "random" => sequences::random,
        "reject" => select::reject,
        "rejectattr" => select::rejectattr,
        "replace" => text::replace,
        "reverse" => sequences::reverse,
        "round" => numbers::round,
        "safe" | "string" => text::string,
        "select" => select::select,
        "selectattr" => select::selectattr,
        "slice" => sequences::slice,
        "sort" => select::sort,
        "striptags" => html::striptags,
        "sum" => select::sum,
        "title" => text::title,
        "tojson" => html::tojson,
        "trim" => text::trim,
        "truncate" => text::truncate,
        "unique" => select::unique,
        "upper" => text::upper,
        "urlencode" => html::urlencode,
        "wordcount" => text::wordcount,
        "wordwrap" => wrap::wordwrap,
        "xmlattr" => html::xmlattr,
        "as_text" | "as_bool" | "as_native" | "as_number" => identity,
        "is_list" => is_list,
        _ => return None,
    })
}

fn identity(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("as_text")?;
    Ok(value)
}

fn is_list(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("is_list")?;
    Ok(Value::Bool(matches!(value, Value::List(_))))
}

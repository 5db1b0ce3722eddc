//! `query-comment`: what dbt writes at each statement it sends.

use std::sync::Arc;

use common::diagnostic::Code;
use common::manifest::Node;
use common::{Diagnostic, Json, JsonMap};

use super::Error;
use crate::context::error::Places;
use crate::context::model;
use crate::context::rendering::{Mode, Rendering, Shared};
use crate::jinja::Template;
use crate::jinja::value::Value;

/// dbt's default: who sent the statement, as JSON.
const DEFAULT: &str = "{%- set fields = {} -%}
{%- do fields.update(app='dbt', dbt_version=dbt_version, profile_name=target.get('profile_name'), \
target_name=target.get('target_name')) -%}
{%- if node is not none -%}{%- do fields.update(node_id=node.unique_id) -%}
{%- else -%}{%- do fields.update(connection_name=connection_name) -%}{%- endif -%}
{{ tojson(fields) }}";

pub fn render(shared: &Arc<Shared>, node: Option<&Node>) -> Result<Option<(String, bool)>, Error> {
    let setting = shared.manifest.as_ref().and_then(|manifest| manifest.query_comment.as_ref());
    let (template, append) = setting.map_or((DEFAULT, false), |setting| (setting.comment.as_str(), setting.append));
    if template.trim().is_empty() {
        return Ok(None);
    }
    let context = Rendering::new(shared.clone(), Mode::Run, None, None);
    let shown = node.map_or(Value::None, |node| Value::from(&Json::Object(model::node(node, None) as JsonMap)));
    let name = node.map_or("master", |node| node.unique_id.as_str());
    context.extra.borrow_mut().extend([("node".into(), shown), ("connection_name".into(), Value::str(name))]);
    let parsed = Template::parse("query-comment".into(), template.into());
    let mode = context.undefined_mode();
    let rendered = parsed.and_then(|parsed| context.interpreter().render(&parsed, &context.resolver(), mode));
    let comment = rendered.map_err(|error| Places { shared, node: None }.locate(*error))?.trim().to_owned();
    if comment.contains("*/") {
        let message = format!("query comment contains illegal value \"*/\": {comment}");
        return Err(Diagnostic::error(Code::CompilerError, message).into());
    }
    Ok((!comment.is_empty()).then_some((comment, append)))
}

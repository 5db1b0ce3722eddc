//! The comment that goes with every statement, so that a warehouse's own logs and lists of activity name the node.

use common::manifest::Node;

use crate::failure::Result;
use crate::run::Run;

/// A comment, and on which side of a statement it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// With its `/*` and `*/`.
    text: String,
    append: bool,
}

impl Comment {
    /// The project's `query-comment`, rendered for this node; without one, what dbt says by default, in our name.
    pub fn of(run: &Run, node: &Node) -> Result<Option<Self>> {
        if run.manifest().query_comment.is_some() {
            let rendered = run.compiler.query_comment(Some(&node.unique_id))?;
            return Ok(rendered.map(|(text, append)| Self { text: format!("/* {text} */"), append }));
        }
        let fields = serde_json::json!({
            "app": "kontiki",
            "profile_name": run.target.profile_name,
            "target_name": run.target.name,
            "node_id": node.unique_id.as_str(),
        });
        // No name can end the comment early.
        Ok(Some(Self { text: format!("/* {} */", fields.to_string().replace("*/", "* /")), append: false }))
    }

    /// The statement with the comment; one at the end stays before a last semicolon.
    pub fn add_to(&self, sql: &str) -> String {
        let text = &self.text;
        if !self.append {
            return format!("{text}\n{sql}");
        }
        match sql.trim_end().strip_suffix(';') {
            Some(sql) => format!("{sql}\n{text};"),
            None => format!("{sql}\n{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_before_or_after_the_statement() {
        let mut comment = Comment { text: "/* x */".to_owned(), append: false };
        assert_eq!(comment.add_to("select 1;"), "/* x */\nselect 1;");
        comment.append = true;
        assert_eq!(comment.add_to("select 1; "), "select 1\n/* x */;");
        assert_eq!(comment.add_to("select 1 -- one"), "select 1 -- one\n/* x */");
    }
}

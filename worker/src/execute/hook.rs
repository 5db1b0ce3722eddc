//! `pre_hook` and `post_hook`.
//!
//! Hooks of the model's transaction become statements of its publication; the others run before and after it, each on its own.
//! All are rendered before the publication begins, so a template that queries the relation sees it as it was.

use common::node_config::Hook;
use dbt::compile::Session;

use super::Attempt;
use crate::failure::Result;

/// The SQL of those hooks that are, or are not, part of the model's transaction.
pub(super) fn render(session: &mut Session<'_>, hooks: &[Hook], transaction: bool) -> Result<Vec<String>> {
    let mut rendered = Vec::new();
    for hook in hooks.iter().filter(|hook| hook.transaction == transaction) {
        let sql = session.render(&hook.sql)?;
        let sql = sql.trim();
        if !sql.is_empty() {
            rendered.push(sql.to_owned());
        }
    }
    Ok(rendered)
}

impl Attempt<'_> {
    /// Renders and runs, one by one, the hooks outside of the transaction.
    pub(super) fn run_outside(&self, session: &mut Session<'_>, hooks: &[Hook]) -> Result<()> {
        for hook in hooks.iter().filter(|hook| !hook.transaction) {
            for sql in render(session, std::slice::from_ref(hook), false)? {
                self.adapter.run(&sql)?;
            }
        }
        Ok(())
    }
}

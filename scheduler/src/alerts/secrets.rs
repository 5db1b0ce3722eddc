//! What a channel's references stand for, on this replica.

use common::alert::Reference;

/// The text; the error names where it was looked for, never what was found.
pub async fn resolve(reference: &Reference) -> Result<String, String> {
    match reference {
        Reference::Plain(text) => Ok(text.clone()),
        Reference::Env(name) => {
            let found = std::env::var(name).ok().filter(|text| !text.is_empty());
            found.ok_or_else(|| format!("the variable {name} is not in this replica's environment"))
        }
        Reference::File(path) => {
            let read = tokio::fs::read_to_string(path).await;
            let text = read.map_err(|error| format!("the file {path} cannot be read on this replica: {error}"))?;
            Ok(text.trim().to_owned())
        }
    }
}

//! Variables of the environment: `KONTIKI_<SECTION>_<KEY>`.

use super::SECTIONS;

/// `KONTIKI_SERVER_DATA_DIR` for `server` and `data-dir`.
pub fn variable(section: &str, key: &str) -> String {
    format!("KONTIKI_{section}_{key}").to_uppercase().replace('-', "_")
}

/// The setting that a variable was probably meant for: `None` where its name is none of a setting's at all.
pub fn stray(name: &str) -> Option<(&'static str, String)> {
    let rest = name.strip_prefix("KONTIKI_")?;
    SECTIONS.iter().find_map(|(section, settings)| {
        let key = rest.strip_prefix(&section.to_uppercase())?.strip_prefix('_')?;
        let is_known = settings.iter().any(|setting| variable(section, setting.key) == name);
        (!is_known && !is_service_link(key)).then(|| (*section, key.to_lowercase().replace('_', "-")))
    })
}

/// Kubernetes puts `<SERVICE>_PORT` and the like into every container: a service of the name `kontiki-server` must not look like a
/// setting.
fn is_service_link(key: &str) -> bool {
    key == "SERVICE_HOST" || key.starts_with("SERVICE_PORT") || key == "PORT" || key.starts_with("PORT_")
}

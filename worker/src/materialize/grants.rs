//! `grants`: privileges of a published relation.

use common::relation::{Relation, quote_identifier};
use common::target::AdapterType;

use super::Request;

/// The query for the privileges that others hold on `relation`: (grantee, privilege).
pub fn held_query(relation: &Relation) -> String {
    let literal = |name: &Option<String>| common::relation::quote_literal(name.as_deref().unwrap_or_default());
    format!(
        "select grantee, privilege_type from information_schema.role_table_grants where grantor = current_role and \
         grantee != current_role and table_schema = {} and table_name = {}",
        literal(&relation.schema),
        literal(&relation.identifier),
    )
}

/// Statements that leave exactly the configured privileges. DuckDB has none: dbt only warns there.
pub fn statements(request: &Request<'_>) -> Vec<String> {
    let wanted = &request.node.config.grants;
    if request.dialect != AdapterType::Postgres || wanted.is_empty() {
        return Vec::new();
    }
    let relation = request.target;
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let mut statements = Vec::new();
    for (privilege, grantee) in request.held_grants {
        let kept = wanted
            .iter()
            .any(|(name, grantees)| same(name, privilege) && grantees.iter().any(|wanted| same(wanted, grantee)));
        if !kept {
            let privilege = privilege.to_lowercase();
            statements.push(format!("revoke {privilege} on {relation} from {}", quote_identifier(grantee)));
        }
    }
    for (privilege, grantees) in wanted {
        let missing: Vec<&str> = grantees
            .iter()
            .filter(|grantee| {
                !request.held_grants.iter().any(|(name, holder)| same(name, privilege) && same(holder, grantee))
            })
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            statements.push(format!("grant {privilege} on {relation} to {}", missing.join(", ")));
        }
    }
    statements
}

//! Somebody who calls, and what the policy grants them.

use std::collections::BTreeSet;

use proto::access::Role;
use tonic::{Extensions, Status};

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Principal {
    /// For people.
    pub name: String,
    may: May,
}

#[derive(Clone, Debug)]
enum May {
    /// There is no policy, or it is a part of the cluster itself.
    Everything,
    Granted(Vec<Granted>),
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    pub role: Role,
    /// All of them, and what is of no project, where there is none.
    pub projects: Option<BTreeSet<String>>,
}

impl Principal {
    /// Where no policy says who may do what, and for what the cluster itself does.
    pub fn unlimited(name: impl Into<String>) -> Self {
        Self { name: name.into(), may: May::Everything }
    }

    pub fn granted(name: impl Into<String>, grants: Vec<Granted>) -> Self {
        Self { name: name.into(), may: May::Granted(grants) }
    }

    /// Who calls, as the layer in front of all services found out; nobody where it did not.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_else(|| Self::granted("nobody", Vec::new()))
    }

    /// Whether a project makes no difference.
    pub fn is_unlimited(&self) -> bool {
        matches!(self.may, May::Everything)
    }

    /// Whether they have the role for a project; without one, for what is of none.
    pub fn may(&self, role: Role, project: Option<&str>) -> bool {
        self.has(role, |projects| match projects {
            None => true,
            Some(projects) => project.is_some_and(|project| projects.contains(project)),
        })
    }

    /// Whether there is any project for which they have the role.
    pub fn may_somewhere(&self, role: Role) -> bool {
        self.has(role, |_| true)
    }

    fn has(&self, role: Role, covers: impl Fn(Option<&BTreeSet<String>>) -> bool) -> bool {
        match &self.may {
            May::Everything => true,
            May::Granted(grants) => {
                grants.iter().any(|granted| granted.role >= role && covers(granted.projects.as_ref()))
            }
        }
    }

    /// Refuses where they have not the role for a project.
    pub fn require(&self, role: Role, project: Option<&str>) -> Result<(), Status> {
        if self.may(role, project) {
            return Ok(());
        }
        let (name, role) = (&self.name, role.as_str());
        let what = project.map_or_else(|| "all projects".to_owned(), |project| format!("project '{project}'"));
        tracing::warn!(target: "kontiki::audit", caller = name, role, project, "a call was refused");
        Err(Status::permission_denied(format!("'{name}' is not {role} of {what}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(role: Role) -> Granted {
        Granted { role, projects: Some(BTreeSet::from(["shop".to_owned()])) }
    }

    #[test]
    fn a_role_holds_those_below_it_and_only_where_it_was_given() {
        let ana = Principal::granted("ana", vec![shop(Role::Operator), Granted { role: Role::Viewer, projects: None }]);
        assert!(ana.may(Role::Operator, Some("shop")) && ana.may(Role::Viewer, Some("shop")));
        assert!(!ana.may(Role::Deployer, Some("shop")));
        assert!(!ana.may(Role::Operator, Some("bank")) && !ana.may(Role::Operator, None));
        assert!(ana.may(Role::Viewer, Some("bank")) && ana.may(Role::Viewer, None));
        assert!(ana.may_somewhere(Role::Operator) && !ana.may_somewhere(Role::Deployer));
        let only = Principal::granted("only", vec![shop(Role::Admin)]);
        assert!(only.may(Role::Admin, Some("shop")) && !only.may(Role::Viewer, None));
    }

    #[test]
    fn whom_nobody_announced_may_do_nothing() {
        let nobody = Principal::of(&Extensions::default());
        assert!(!nobody.may_somewhere(Role::Viewer) && !nobody.is_unlimited());
        assert_eq!(
            nobody.require(Role::Viewer, Some("shop")).map_err(|status| status.code()),
            Err(tonic::Code::PermissionDenied)
        );
    }
}

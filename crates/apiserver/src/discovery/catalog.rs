//! The kinds that are served, by group and version, in the order of discovery.
//!
//! Pure. Invariants: groups come in upstream's order of priority, unknown ones
//! after them by name; within a group the most mature and newest version is first
//! and is the preferred one; resources come by plural.

use std::cmp::Reverse;

use kinds::KindSpec;

/// Named groups in upstream's order of priority.
const PRIORITY: [&str; 21] = [
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "storagemigration.k8s.io",
];

/// What is served, in order.
#[derive(Clone, Debug)]
pub struct Catalog<'a> {
    /// The core group, if it is served.
    pub core: Option<Group<'a>>,
    /// The named groups.
    pub named: Vec<Group<'a>>,
}

/// A group with its versions, the preferred one first.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Name, empty for the core group.
    pub name: &'a str,
    /// Versions; never empty.
    pub versions: Vec<GroupVersion<'a>>,
}

/// A version of a group with its kinds.
#[derive(Clone, Debug)]
pub struct GroupVersion<'a> {
    /// Name of the group, empty for the core group.
    pub group: &'a str,
    /// Version, such as `v1`.
    pub version: &'a str,
    /// Kinds by plural.
    pub kinds: Vec<&'a KindSpec>,
}

impl<'a> Catalog<'a> {
    /// Orders these kinds.
    pub fn new(kinds: impl IntoIterator<Item = &'a KindSpec>) -> Self {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for spec in kinds {
            add(&mut groups, spec);
        }
        for group in &mut groups {
            group
                .versions
                .sort_by_key(|version| maturity(version.version));
            for version in &mut group.versions {
                version.kinds.sort_by_key(|spec| spec.plural);
            }
        }
        groups.sort_by_key(|group| (priority(group.name), group.name));
        let (core, named) = groups.into_iter().partition(|group| group.name.is_empty());
        Self {
            core: Vec::into_iter(core).next(),
            named,
        }
    }

    /// A named group.
    pub fn group(&self, name: &str) -> Option<&Group<'a>> {
        self.named.iter().find(|group| group.name == name)
    }

    /// A version of a group, the core group by its empty name.
    pub fn version(&self, group: &str, version: &str) -> Option<&GroupVersion<'a>> {
        self.versions()
            .find(|found| found.group == group && found.version == version)
    }

    /// All versions of all groups, the core group first.
    pub fn versions(&self) -> impl Iterator<Item = &GroupVersion<'a>> {
        let groups = self.core.iter().chain(&self.named);
        groups.flat_map(|group| &group.versions)
    }
}

impl GroupVersion<'_> {
    /// `apiVersion` as objects say it.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Path of the version, without the leading slash.
    pub fn path(&self) -> String {
        match self.group {
            "" => format!("api/{}", self.version),
            group => format!("apis/{group}/{}", self.version),
        }
    }
}

fn add<'a>(groups: &mut Vec<Group<'a>>, spec: &'a KindSpec) {
    let (name, version) = (spec.gvk.group, spec.gvk.version);
    let at = match groups.iter().position(|group| group.name == name) {
        Some(at) => at,
        None => {
            let versions = Vec::new();
            groups.push(Group { name, versions });
            groups.len() - 1
        }
    };
    let versions = &mut groups[at].versions;
    match versions.iter_mut().find(|found| found.version == version) {
        Some(found) => found.kinds.push(spec),
        None => versions.push(GroupVersion {
            group: name,
            version,
            kinds: vec![spec],
        }),
    }
}

fn priority(group: &str) -> usize {
    let known = PRIORITY.iter().position(|name| *name == group);
    known.unwrap_or(PRIORITY.len())
}

/// Sorts `v2` before `v1` before `v1beta2` before `v1alpha1` before anything else,
/// as the API conventions order versions.
fn maturity(version: &str) -> (u8, Reverse<u32>, Reverse<u32>, &str) {
    let last = (3, Reverse(0), Reverse(0), version);
    let Some(rest) = version.strip_prefix('v') else {
        return last;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (major, stage) = rest.split_at(digits);
    let Ok(major) = major.parse() else {
        return last;
    };
    let (rank, minor) = match stage {
        "" => (0, Ok(0)),
        _ if stage.starts_with("beta") => (1, stage["beta".len()..].parse()),
        _ if stage.starts_with("alpha") => (2, stage["alpha".len()..].parse()),
        _ => return last,
    };
    match minor {
        Ok(minor) => (rank, Reverse(major), Reverse(minor), version),
        Err(_) => last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mature_and_newer_versions_come_first() {
        let mut versions = [
            "v1alpha1", "foo", "v1", "v2beta1", "v10", "v1beta2", "v11beta2", "vx", "v1beta10",
        ];
        versions.sort_by_key(|version| maturity(version));
        let want = [
            "v10", "v1", "v11beta2", "v2beta1", "v1beta10", "v1beta2", "v1alpha1", "foo", "vx",
        ];
        assert_eq!(versions, want);
    }

    #[test]
    fn every_built_in_group_has_a_priority() {
        let catalog = Catalog::new(kinds::all());
        let names: Vec<_> = catalog.named.iter().map(|group| group.name).collect();
        assert_eq!(names, PRIORITY);
        let autoscaling = catalog.group("autoscaling").unwrap();
        let versions: Vec<_> = autoscaling.versions.iter().map(|v| v.version).collect();
        assert_eq!(versions, ["v2", "v1"]);
    }

    #[test]
    fn a_group_without_a_priority_comes_after_the_others() {
        let mut spec = *kinds::find("apps", "v1", "deployments").unwrap();
        spec.gvk = object::Gvk::new("a.example.com", "v1", "Deployment");
        let catalog = Catalog::new(kinds::all().iter().chain([&spec]));
        assert_eq!(catalog.named.last().unwrap().name, "a.example.com");
    }
}

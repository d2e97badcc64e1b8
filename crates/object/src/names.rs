//! How things are called: resources, kinds and keys.
//!
//! Group, plural, version and kind names are interned: they come from the kind
//! table and from CRDs, so their number is bounded by the kinds a cluster has
//! ever served, and a [`Resource`] is two pointers that copy for free.

use std::collections::HashSet;
use std::fmt;
use std::sync::{LazyLock, RwLock};

use smol_str::SmolStr;

/// Returns the one `'static` copy of `text`.
///
/// Only for names of kinds, groups, versions and resources: an interned text is
/// never freed.
pub fn intern(text: &str) -> &'static str {
    static POOL: LazyLock<RwLock<HashSet<&'static str>>> = LazyLock::new(Default::default);
    // A poisoned pool is still a valid set: nothing inside can panic half-way.
    let read = POOL
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = read.get(text) {
        return known;
    }
    drop(read);
    let mut pool = POOL
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = pool.get(text) {
        return known;
    }
    let leaked: &'static str = Box::leak(text.into());
    pool.insert(leaked);
    leaked
}

/// A stored resource: API group (empty for core) and plural name. This is what
/// the world and the store are keyed by; versions of a kind share it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Lower-case plural, as in the URL.
    pub plural: &'static str,
}

impl Resource {
    /// A resource known at compile time.
    pub const fn new(group: &'static str, plural: &'static str) -> Self {
        Self { group, plural }
    }

    /// A resource named at run time.
    pub fn interned(group: &str, plural: &str) -> Self {
        Self {
            group: intern(group),
            plural: intern(plural),
        }
    }
}

/// `plural.group`, or `plural` for the core group: the form error messages use.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            "" => f.write_str(self.plural),
            group => write!(f, "{}.{group}", self.plural),
        }
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Group, version and kind: what `apiVersion` and `kind` of a body say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Gvk {
    /// API group, empty for the core group.
    pub group: &'static str,
    /// Version, such as `v1`.
    pub version: &'static str,
    /// Kind, such as `Pod`.
    pub kind: &'static str,
}

impl Gvk {
    /// A kind known at compile time.
    pub const fn new(group: &'static str, version: &'static str, kind: &'static str) -> Self {
        Self {
            group,
            version,
            kind,
        }
    }

    /// A kind named at run time, from `apiVersion` and `kind`.
    pub fn interned(api_version: &str, kind: &str) -> Self {
        let (group, version) = split_api_version(api_version);
        Self {
            group: intern(group),
            version: intern(version),
            kind: intern(kind),
        }
    }

    /// `group/version`, or `version` for the core group.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// `group/version, Kind=Kind`: the form the API machinery's messages use.
impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

/// Splits `group/version`; a text without slash is a version of the core group.
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Namespace (empty for cluster-scoped objects) and name. Orders by namespace
/// first, as the paths of objects in etcd do, so a namespace is a range.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: SmolStr,
    /// Object name.
    pub name: SmolStr,
}

impl Name {
    /// A namespaced name; pass `""` as namespace for a cluster-scoped object.
    pub fn new(namespace: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.name),
            namespace => write!(f, "{namespace}/{}", self.name),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where one object lives.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    /// Which resource.
    pub resource: Resource,
    /// Which object of it.
    pub name: Name,
}

impl Key {
    /// A key from its parts; `namespace` is `""` for cluster-scoped objects.
    pub fn new(
        resource: Resource,
        namespace: impl Into<SmolStr>,
        name: impl Into<SmolStr>,
    ) -> Self {
        Self {
            resource,
            name: Name::new(namespace, name),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource, self.name)
    }
}

/// Resources that several crates name. The kind table is the full list.
pub mod resources {
    use super::Resource;

    macro_rules! resources {
        ($($id:ident = $group:literal / $plural:literal;)*) => {
            $(#[doc = concat!("`", $plural, "` of group `", $group, "`.")]
              pub const $id: Resource = Resource::new($group, $plural);)*
        };
    }

    resources! {
        CONFIG_MAPS = "" / "configmaps";
        ENDPOINTS = "" / "endpoints";
        EVENTS = "" / "events";
        LIMIT_RANGES = "" / "limitranges";
        NAMESPACES = "" / "namespaces";
        NODES = "" / "nodes";
        PERSISTENT_VOLUMES = "" / "persistentvolumes";
        PERSISTENT_VOLUME_CLAIMS = "" / "persistentvolumeclaims";
        PODS = "" / "pods";
        POD_TEMPLATES = "" / "podtemplates";
        REPLICATION_CONTROLLERS = "" / "replicationcontrollers";
        RESOURCE_QUOTAS = "" / "resourcequotas";
        SECRETS = "" / "secrets";
        SERVICES = "" / "services";
        SERVICE_ACCOUNTS = "" / "serviceaccounts";
        API_SERVICES = "apiregistration.k8s.io" / "apiservices";
        CONTROLLER_REVISIONS = "apps" / "controllerrevisions";
        CUSTOM_RESOURCE_DEFINITIONS = "apiextensions.k8s.io" / "customresourcedefinitions";
        DAEMON_SETS = "apps" / "daemonsets";
        DEPLOYMENTS = "apps" / "deployments";
        REPLICA_SETS = "apps" / "replicasets";
        STATEFUL_SETS = "apps" / "statefulsets";
        HORIZONTAL_POD_AUTOSCALERS = "autoscaling" / "horizontalpodautoscalers";
        CRON_JOBS = "batch" / "cronjobs";
        JOBS = "batch" / "jobs";
        LEASES = "coordination.k8s.io" / "leases";
        ENDPOINT_SLICES = "discovery.k8s.io" / "endpointslices";
        FLOW_SCHEMAS = "flowcontrol.apiserver.k8s.io" / "flowschemas";
        PRIORITY_LEVELS = "flowcontrol.apiserver.k8s.io" / "prioritylevelconfigurations";
        INGRESS_CLASSES = "networking.k8s.io" / "ingressclasses";
        IP_ADDRESSES = "networking.k8s.io" / "ipaddresses";
        NETWORK_POLICIES = "networking.k8s.io" / "networkpolicies";
        SERVICE_CIDRS = "networking.k8s.io" / "servicecidrs";
        RUNTIME_CLASSES = "node.k8s.io" / "runtimeclasses";
        POD_DISRUPTION_BUDGETS = "policy" / "poddisruptionbudgets";
        CLUSTER_ROLES = "rbac.authorization.k8s.io" / "clusterroles";
        CLUSTER_ROLE_BINDINGS = "rbac.authorization.k8s.io" / "clusterrolebindings";
        ROLES = "rbac.authorization.k8s.io" / "roles";
        ROLE_BINDINGS = "rbac.authorization.k8s.io" / "rolebindings";
        PRIORITY_CLASSES = "scheduling.k8s.io" / "priorityclasses";
        STORAGE_CLASSES = "storage.k8s.io" / "storageclasses";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interning_gives_one_copy() {
        assert!(std::ptr::eq(intern("apps"), intern(&String::from("apps"))));
    }

    #[test]
    fn names_order_by_namespace_then_name() {
        let mut names = [Name::new("b", "a"), Name::new("a", "z"), Name::new("", "x")];
        names.sort();
        assert_eq!(names.map(|n| n.to_string()), ["x", "a/z", "b/a"]);
    }

    #[test]
    fn api_versions_split_and_join() {
        let gvk = Gvk::interned("apps/v1", "Deployment");
        assert_eq!((gvk.group, gvk.api_version().as_str()), ("apps", "apps/v1"));
        assert_eq!(Gvk::interned("v1", "Pod").api_version(), "v1");
        assert_eq!(gvk.to_string(), "apps/v1, Kind=Deployment");
    }
}

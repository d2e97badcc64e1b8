//! Paths that are streams: exec, attach, port-forward, proxies, logs.

use kinds::Subresource;

use super::resource::{Resource, Target};
use super::{ANY, Gvk, Method, Operation, Path, names, params};

/// Methods of a subresource that passes everything on.
const ALL: [Method; 7] = [
    Method::Get,
    Method::Put,
    Method::Post,
    Method::Delete,
    Method::Options,
    Method::Head,
    Method::Patch,
];

/// Media types of logs.
const LOG: &[&str] = &[
    "text/plain",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// The paths of a subresource that is a connection.
pub(super) fn connect(resource: &Resource<'_>, sub: &Subresource) -> Vec<Path> {
    let path = format!("{}/{}", resource.single(), sub.name);
    // Whatever can be deleted through is a proxy: it takes any method and path.
    let proxy = sub.verbs.contains(&"delete");
    let mut paths = vec![Path::new(
        path.clone(),
        operations(resource, sub, proxy, ""),
    )];
    if proxy {
        let operations = operations(resource, sub, proxy, "WithPath");
        paths.push(Path::new(format!("{path}/{{path}}"), operations));
    }
    paths
}

fn operations(
    resource: &Resource<'_>,
    sub: &Subresource,
    proxy: bool,
    suffix: &str,
) -> Vec<Operation> {
    let methods: &[Method] = if proxy {
        &ALL
    } else {
        &[Method::Get, Method::Post]
    };
    let kind = resource.spec.gvk.kind;
    let make = |method: &Method| {
        let name = method.name();
        let mut made = resource.operation(*method, "connect", sub.gvk);
        made.description = format!(
            "connect {} requests to {} of {kind}",
            name.to_uppercase(),
            sub.name
        );
        // The method stands between group and kind: connectCoreV1GetNamespacedPodExec.
        let word = resource.word(&names::title(name));
        made.id = format!("connect{word}{}{suffix}", names::title(sub.name));
        made.produces = ANY;
        made.parameters = options(sub.gvk);
        made.parameters.extend(resource.single_place());
        if !suffix.is_empty() {
            made.parameters.push(params::proxied());
        }
        made
    };
    methods.iter().map(make).collect()
}

/// The log of a pod: a text, however it is asked for.
pub(super) fn log(resource: &Resource<'_>, target: Target<'_>) -> Operation {
    let gvk = resource.spec.gvk;
    let mut made = resource.operation(Method::Get, "get", target.gvk);
    made.description = format!("read log of the specified {}", gvk.kind);
    made.id = format!("read{}Log", resource.word(""));
    made.produces = LOG;
    made.parameters.extend(resource.single_place());
    made.parameters
        .extend(options(Gvk::new("", "v1", "PodLogOptions")));
    made
}

fn options(gvk: Gvk) -> Vec<params::Param> {
    let node = schema::types().by_gvk(gvk.group, gvk.version, gvk.kind);
    node.map(params::options).unwrap_or_default()
}

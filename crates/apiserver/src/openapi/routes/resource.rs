//! Paths of a resource: collections, objects, watches, and subresources that are
//! read and written like objects.

use std::borrow::Cow;

use kinds::{KindSpec, Subresource};

use super::{
    ANY, Docs, Gvk, Method, OBJECT, Operation, PATCHES, Param, Path, STREAM, connect, names, params,
};
use crate::openapi::models::{PATCH, model_name};

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// Resources whose deletion answers with the object instead of a status.
const RETURN_DELETED: [(&str, &str); 16] = [
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "pods"),
    ("", "podtemplates"),
    ("", "resourcequotas"),
    ("", "serviceaccounts"),
    ("", "services"),
    ("resource.k8s.io", "deviceclasses"),
    ("resource.k8s.io", "resourceclaims"),
    ("resource.k8s.io", "resourceclaimtemplates"),
    ("resource.k8s.io", "resourceslices"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "storageclasses"),
    ("storage.k8s.io", "volumeattachments"),
    ("storage.k8s.io", "volumeattributesclasses"),
];

/// All paths of a kind below `root` (`/apis/apps/v1`).
pub(crate) fn resources(root: &str, spec: &KindSpec, docs: &Docs) -> Vec<Path> {
    let resource = Resource { root, spec, docs };
    let mut paths = resource.collections();
    paths.extend(resource.object());
    paths.extend(resource.watches());
    for sub in spec.subresources.iter().filter(|sub| sub.served) {
        paths.extend(resource.subresource(sub));
    }
    paths
}

/// A kind at its place.
pub(super) struct Resource<'a> {
    pub(super) root: &'a str,
    pub(super) spec: &'a KindSpec,
    pub(super) docs: &'a Docs,
}

/// What of a resource a path is about, for names and texts.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// What bodies and answers are.
    pub(super) gvk: Gvk,
    /// The subresource, or empty.
    pub(super) sub: &'a str,
}

impl Resource<'_> {
    fn has(&self, verb: &str) -> bool {
        self.spec.verbs.contains(&verb)
    }

    fn itself(&self) -> Target<'static> {
        Target {
            gvk: self.spec.gvk,
            sub: "",
        }
    }

    /// Path of the collection, within a namespace if there are.
    fn collection(&self, watch: &str) -> String {
        let place = if self.spec.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        format!("{}{watch}{place}/{}", self.root, self.spec.plural)
    }

    /// Path of one object.
    pub(super) fn single(&self) -> String {
        format!("{}/{{name}}", self.collection(""))
    }

    /// Parameters of the path of the collection.
    fn place(&self) -> Vec<Param> {
        let namespace = self.spec.namespaced.then(params::namespace);
        namespace.into_iter().collect()
    }

    /// Parameters of the path of one object.
    pub(super) fn single_place(&self) -> Vec<Param> {
        let mut place = self.place();
        place.push(params::name(self.spec.gvk.kind));
        place
    }

    /// `CoreV1NamespacedPod`, with `infix` before the scope.
    pub(super) fn word(&self, infix: &str) -> String {
        let gvk = self.spec.gvk;
        let scope = if self.spec.namespaced {
            "Namespaced"
        } else {
            ""
        };
        let group = names::scope_word(gvk.group, gvk.version);
        format!("{group}{infix}{scope}{}", gvk.kind)
    }

    /// `CoreV1PodListForAllNamespaces` and the like.
    fn all_word(&self, suffix: &str) -> String {
        let gvk = self.spec.gvk;
        let group = names::scope_word(gvk.group, gvk.version);
        format!("{group}{}{suffix}ForAllNamespaces", gvk.kind)
    }

    /// Name of the model of a kind.
    fn model(&self, gvk: Gvk) -> Option<Cow<'static, str>> {
        model_name(schema::types().by_gvk(gvk.group, gvk.version, gvk.kind)?)
    }

    pub(super) fn operation(&self, method: Method, action: &'static str, gvk: Gvk) -> Operation {
        Operation {
            method,
            tag: names::tag(self.spec.gvk.group, self.spec.gvk.version),
            description: String::new(),
            id: String::new(),
            consumes: ANY,
            produces: OBJECT,
            parameters: vec![params::pretty()],
            body: None,
            answers: (&[200], None),
            action,
            gvk: Some(gvk),
        }
    }

    fn collections(&self) -> Vec<Path> {
        let mut operations = Vec::new();
        if self.has("list") {
            operations.push(self.list(self.place(), format!("list{}", self.word(""))));
        }
        if self.has("create") {
            operations.push(self.create(self.itself(), self.place()));
        }
        if self.has("deletecollection") {
            operations.push(self.delete_collection());
        }
        let mut paths = Vec::new();
        if !operations.is_empty() {
            paths.push(Path::new(self.collection(""), operations));
        }
        if self.spec.namespaced && self.has("list") {
            let everywhere = format!("{}/{}", self.root, self.spec.plural);
            let list = self.list(Vec::new(), format!("list{}", self.all_word("")));
            paths.push(Path::new(everywhere, vec![list]));
        }
        paths
    }

    fn list(&self, place: Vec<Param>, id: String) -> Operation {
        let kind = self.spec.gvk.kind;
        let what = if self.has("watch") {
            "list or watch"
        } else {
            "list"
        };
        let list = Gvk {
            kind: self.spec.list_kind,
            ..self.spec.gvk
        };
        let mut made = self.operation(Method::Get, "list", self.spec.gvk);
        made.description = format!("{what} objects of kind {kind}");
        made.id = id;
        made.produces = STREAM;
        made.parameters.extend(params::list().chain(place));
        made.answers.1 = self.model(list);
        made
    }

    fn delete_collection(&self) -> Operation {
        let mut made = self.operation(Method::Delete, "deletecollection", self.spec.gvk);
        made.description = format!("delete collection of {}", self.spec.gvk.kind);
        made.id = format!("delete{}", self.word("Collection"));
        made.parameters.extend(params::delete_collection(self.docs));
        made.parameters.extend(self.place());
        made.body = Some((DELETE_OPTIONS.into(), false));
        made.answers.1 = Some(STATUS.into());
        made
    }

    fn object(&self) -> Option<Path> {
        let verbs = ["get", "update", "patch", "delete"];
        let mut operations: Vec<Operation> = verbs
            .into_iter()
            .filter(|verb| self.has(verb))
            .filter_map(|verb| self.single_operation(verb, self.itself()))
            .collect();
        if self.has("delete") {
            operations.push(self.delete());
        }
        (!operations.is_empty()).then(|| Path::new(self.single(), operations))
    }

    fn delete(&self) -> Operation {
        let gvk = self.spec.gvk;
        let mut made = self.operation(Method::Delete, "delete", gvk);
        made.description = format!("delete {}{}", names::article(gvk.kind), gvk.kind);
        made.id = format!("delete{}", self.word(""));
        made.parameters.extend(params::delete(self.docs));
        made.parameters.extend(self.single_place());
        made.body = Some((DELETE_OPTIONS.into(), false));
        let returns = RETURN_DELETED.contains(&(gvk.group, self.spec.plural));
        let answer = if returns {
            self.model(gvk)
        } else {
            Some(STATUS.into())
        };
        made.answers = (&[200, 202], answer);
        made
    }

    fn watches(&self) -> Vec<Path> {
        if !self.has("watch") {
            return Vec::new();
        }
        let kind = self.spec.gvk.kind;
        let watch = |action, id: String, place: Vec<Param>| {
            let mut made = self.operation(Method::Get, action, self.spec.gvk);
            made.description = match action {
                "watch" => format!(
                    "watch changes to an object of kind {kind}. deprecated: watch a list, filtered with 'fieldSelector'"
                ),
                _ => format!(
                    "watch changes to a list of {kind}. deprecated: use 'watch' with a list"
                ),
            };
            made.id = id;
            made.produces = STREAM;
            made.parameters.extend(params::list().chain(place));
            made.answers.1 = Some(WATCH_EVENT.into());
            made
        };
        let word = self.word("");
        let collection = self.collection("/watch");
        let single = format!("{collection}/{{name}}");
        let list = watch("watchlist", format!("watch{word}List"), self.place());
        let one = watch("watch", format!("watch{word}"), self.single_place());
        let mut paths = vec![
            Path::new(collection, vec![list]),
            Path::new(single, vec![one]),
        ];
        if self.spec.namespaced {
            let everywhere = format!("{}/watch/{}", self.root, self.spec.plural);
            let id = format!("watch{}", self.all_word("List"));
            let all = watch("watchlist", id, Vec::new());
            paths.push(Path::new(everywhere, vec![all]));
        }
        paths
    }

    fn subresource(&self, sub: &Subresource) -> Vec<Path> {
        if sub.gvk.kind.ends_with("Options") {
            return connect::connect(self, sub);
        }
        let target = Target {
            gvk: sub.gvk,
            sub: sub.name,
        };
        let verbs = sub.verbs.iter();
        let operations = verbs.filter_map(|verb| match *verb {
            "create" => Some(self.create(target, self.single_place())),
            "get" if sub.name == "log" => Some(connect::log(self, target)),
            verb => self.single_operation(verb, target),
        });
        let path = format!("{}/{}", self.single(), sub.name);
        vec![Path::new(path, operations.collect())]
    }

    /// `status of the specified Pod`, or of the object itself.
    fn specified(&self, sub: &str) -> String {
        let kind = self.spec.gvk.kind;
        match sub {
            "" => format!("the specified {kind}"),
            sub => format!("{sub} of the specified {kind}"),
        }
    }

    fn create(&self, target: Target<'_>, place: Vec<Param>) -> Operation {
        let kind = self.spec.gvk.kind;
        let article = names::article(kind);
        let mut made = self.operation(Method::Post, "post", target.gvk);
        made.description = match target.sub {
            "" => format!("create {article}{kind}"),
            sub => format!("create {sub} of {article}{kind}"),
        };
        made.id = format!("create{}{}", self.word(""), names::title(target.sub));
        made.parameters.extend(params::write().chain(place));
        let model = self.model(target.gvk);
        made.body = model.clone().map(|model| (model, true));
        made.answers = (&[200, 201, 202], model);
        made
    }

    /// A get, update or patch of one object or its subresource.
    pub(super) fn single_operation(&self, verb: &str, target: Target<'_>) -> Option<Operation> {
        let (method, action, word, text) = match verb {
            "get" => (Method::Get, "get", "read", "read"),
            "update" => (Method::Put, "put", "replace", "replace"),
            "patch" => (Method::Patch, "patch", "patch", "partially update"),
            _ => return None,
        };
        let model = self.model(target.gvk);
        let mut made = self.operation(method, action, target.gvk);
        made.description = format!("{text} {}", self.specified(target.sub));
        made.id = format!("{word}{}{}", self.word(""), names::title(target.sub));
        made.parameters.extend(self.single_place());
        match method {
            Method::Put => {
                made.parameters.extend(params::write());
                made.body = model.clone().map(|model| (model, true));
                made.answers.0 = &[200, 201];
            }
            Method::Patch => {
                made.parameters.extend(params::patch());
                made.consumes = PATCHES;
                made.body = Some((PATCH.into(), true));
                made.answers.0 = &[200, 201];
            }
            _ => {}
        }
        made.answers.1 = model;
        Some(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(group: &str, plural: &str) -> Vec<Path> {
        let spec = kinds::find(group, "v1", plural).unwrap();
        let root = match group {
            "" => "/api/v1".to_owned(),
            group => format!("/apis/{group}/v1"),
        };
        resources(&root, spec, &Docs::of([]))
    }

    /// `get list listAppsV1NamespacedDeployment 200 DeploymentList`
    fn lines(path: &Path) -> Vec<String> {
        let line = |operation: &Operation| {
            let codes: Vec<String> = operation.answers.0.iter().map(u16::to_string).collect();
            let answer = operation.answers.1.as_deref().unwrap_or("text");
            let answer = answer.rsplit('.').next().unwrap();
            format!(
                "{} {} {} {} {answer}",
                operation.method.name(),
                operation.action,
                operation.id,
                codes.join(",")
            )
        };
        path.operations.iter().map(line).collect()
    }

    #[test]
    fn operations_are_named_and_answer_as_upstream() {
        let rows: [(&str, &str, &str, &[&str]); 8] = [
            (
                "apps",
                "deployments",
                "/apis/apps/v1/namespaces/{namespace}/deployments",
                &[
                    "get list listAppsV1NamespacedDeployment 200 DeploymentList",
                    "post post createAppsV1NamespacedDeployment 200,201,202 Deployment",
                    "delete deletecollection deleteAppsV1CollectionNamespacedDeployment 200 Status",
                ],
            ),
            (
                "apps",
                "deployments",
                "/apis/apps/v1/deployments",
                &["get list listAppsV1DeploymentForAllNamespaces 200 DeploymentList"],
            ),
            (
                "apps",
                "deployments",
                "/apis/apps/v1/watch/deployments",
                &["get watchlist watchAppsV1DeploymentListForAllNamespaces 200 WatchEvent"],
            ),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods/{name}",
                &[
                    "get get readCoreV1NamespacedPod 200 Pod",
                    "put put replaceCoreV1NamespacedPod 200,201 Pod",
                    "delete delete deleteCoreV1NamespacedPod 200,202 Pod",
                    "patch patch patchCoreV1NamespacedPod 200,201 Pod",
                ],
            ),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods/{name}/eviction",
                &["post post createCoreV1NamespacedPodEviction 200,201,202 Eviction"],
            ),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods/{name}/exec",
                &[
                    "get connect connectCoreV1GetNamespacedPodExec 200 text",
                    "post connect connectCoreV1PostNamespacedPodExec 200 text",
                ],
            ),
            (
                "",
                "pods",
                "/api/v1/namespaces/{namespace}/pods/{name}/log",
                &["get get readCoreV1NamespacedPodLog 200 text"],
            ),
            (
                "",
                "nodes",
                "/api/v1/watch/nodes/{name}",
                &["get watch watchCoreV1Node 200 WatchEvent"],
            ),
        ];
        for (group, plural, path, want) in rows {
            let found = paths(group, plural);
            let found = found.iter().find(|found| found.path == path);
            assert_eq!(lines(found.unwrap()), want, "{path}");
        }
    }

    #[test]
    fn a_kind_that_is_only_created_has_one_path() {
        let found = paths("", "bindings");
        let names: Vec<_> = found.iter().map(|path| path.path.as_str()).collect();
        assert_eq!(names, ["/api/v1/namespaces/{namespace}/bindings"]);
        assert_eq!(
            lines(&found[0]),
            ["post post createCoreV1NamespacedBinding 200,201,202 Binding"]
        );
    }

    #[test]
    fn a_proxy_takes_every_method_with_and_without_a_path() {
        let found = paths("", "services");
        let proxies: Vec<_> = found.iter().filter(|p| p.path.contains("/proxy")).collect();
        assert_eq!(proxies.len(), 2);
        for proxy in proxies {
            assert_eq!(proxy.operations.len(), 7, "{}", proxy.path);
        }
    }

    #[test]
    fn shared_parameters_stand_at_the_path() {
        let found = paths("", "configmaps");
        let single = found
            .iter()
            .find(|path| path.path.ends_with("configmaps/{name}"));
        let single = single.unwrap();
        let names = |params: &[Param]| -> Vec<String> {
            params.iter().map(|param| param.name.to_string()).collect()
        };
        assert_eq!(names(&single.parameters), ["name", "namespace", "pretty"]);
        let patch = single
            .operations
            .iter()
            .find(|o| o.method == Method::Patch)
            .unwrap();
        let want = ["dryRun", "fieldManager", "fieldValidation", "force"];
        assert_eq!(names(&patch.parameters), want);
        assert_eq!(patch.consumes, PATCHES);
    }
}

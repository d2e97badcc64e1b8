//! A write as a value: what a plan holds and a client sends.

use bytes::Bytes;
use object::{Object, Resource};
use serde_json::{Value, json};
use smol_str::SmolStr;

/// Which endpoint: a resource in a version, perhaps an object and a subresource.
#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    /// The resource.
    pub resource: Resource,
    /// Its version, such as `v1`.
    pub version: &'static str,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: SmolStr,
    /// Object name, empty for the collection.
    pub name: SmolStr,
    /// Subresource, empty for the object itself.
    pub subresource: &'static str,
}

impl Target {
    /// The stored object itself.
    pub fn of(object: &Object) -> Self {
        Self {
            resource: object.resource(),
            version: object.gvk().version,
            namespace: object.meta().namespace.clone(),
            name: object.meta().name.clone(),
            subresource: "",
        }
    }

    /// The collection that an object of this resource is created in.
    pub fn collection(resource: Resource, version: &'static str, namespace: &str) -> Self {
        Self {
            resource,
            version,
            namespace: namespace.into(),
            name: "".into(),
            subresource: "",
        }
    }

    /// A subresource of this object.
    #[must_use]
    pub fn subresource(mut self, subresource: &'static str) -> Self {
        self.subresource = subresource;
        self
    }

    /// The URL path. Names are valid path segments, or the server refuses them.
    pub fn path(&self) -> String {
        let mut path = match self.resource.group {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        if !self.namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&self.namespace);
        }
        for part in [self.resource.plural, &self.name, self.subresource] {
            if !part.is_empty() {
                path.push('/');
                path.push_str(part);
            }
        }
        path
    }
}

/// What to do there.
#[derive(Clone, PartialEq, Debug)]
pub enum Verb {
    /// POST the body.
    Create,
    /// PUT the body; its resourceVersion, if set, is the precondition.
    Update,
    /// PATCH with an RFC 7396 merge patch.
    MergePatch,
    /// PATCH with server-side apply under this field manager.
    Apply {
        /// Field manager.
        manager: SmolStr,
        /// Take fields over from other managers.
        force: bool,
    },
    /// DELETE; the body is the `DeleteOptions`.
    Delete,
}

/// One write.
#[derive(Clone, PartialEq, Debug)]
pub struct Write {
    /// Where.
    pub target: Target,
    /// What.
    pub verb: Verb,
    /// The body.
    pub body: Value,
}

impl Write {
    /// Creates `body` in the collection.
    pub fn create(target: Target, body: Value) -> Self {
        Self {
            target,
            verb: Verb::Create,
            body,
        }
    }

    /// Replaces the object.
    pub fn update(target: Target, body: Value) -> Self {
        Self {
            target,
            verb: Verb::Update,
            body,
        }
    }

    /// Merges `body` into the object.
    pub fn merge(target: Target, body: Value) -> Self {
        Self {
            target,
            verb: Verb::MergePatch,
            body,
        }
    }

    /// Deletes the object if it still has this uid.
    pub fn delete(object: &Object) -> Self {
        let body = json!({
            "kind": "DeleteOptions", "apiVersion": "v1",
            "preconditions": {"uid": object.meta().uid},
        });
        Self {
            target: Target::of(object),
            verb: Verb::Delete,
            body,
        }
    }

    /// The request to send.
    pub fn request(&self) -> Result<http::Request<Bytes>, http::Error> {
        let mut uri = self.target.path();
        let (method, media) = match &self.verb {
            Verb::Create => ("POST", "application/json"),
            Verb::Update => ("PUT", "application/json"),
            Verb::MergePatch => ("PATCH", "application/merge-patch+json"),
            Verb::Apply { manager, force } => {
                uri.push_str(&format!("?fieldManager={manager}&force={force}"));
                ("PATCH", "application/apply-patch+yaml")
            }
            Verb::Delete => ("DELETE", "application/json"),
        };
        http::Request::builder()
            .method(method)
            .uri(uri)
            .header(http::header::CONTENT_TYPE, media)
            .header(http::header::ACCEPT, "application/json")
            .body(self.body.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_the_request_a_remote_client_would_send() {
        let pods = Resource::new("", "pods");
        let jobs = Resource::new("batch", "jobs");
        let status = Target {
            name: "j".into(),
            ..Target::collection(jobs, "v1", "n")
        }
        .subresource("status");
        let rows = [
            (
                Write::create(Target::collection(pods, "v1", "n"), json!({})),
                "POST",
                "/api/v1/namespaces/n/pods",
            ),
            (
                Write::update(status.clone(), json!({})),
                "PUT",
                "/apis/batch/v1/namespaces/n/jobs/j/status",
            ),
            (
                Write {
                    target: status,
                    verb: Verb::Apply {
                        manager: "m".into(),
                        force: true,
                    },
                    body: json!({}),
                },
                "PATCH",
                "/apis/batch/v1/namespaces/n/jobs/j/status?fieldManager=m&force=true",
            ),
        ];
        for (write, method, uri) in rows {
            let request = write.request().unwrap();
            assert_eq!(
                (
                    request.method().as_str(),
                    request.uri().to_string().as_str()
                ),
                (method, uri)
            );
        }
    }
}

//! Descriptions of types and fields, from k8s-openapi's schemas at run time.
//!
//! They are made for the groups of one document, used, and dropped: all of them are
//! megabytes. What k8s-openapi does not have (lists) gets a sentence of ours.

use k8s_openapi::schemars::SchemaGenerator;
use serde_json::{Map, Value};

mod roots;

const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";

/// Its object is any type in k8s-openapi, which says nothing about it.
const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";

/// Descriptions by model and field.
pub(super) struct Docs {
    definitions: Map<String, Value>,
}

impl Docs {
    /// Of all types that these groups' kinds are made of, and the shared ones.
    pub(super) fn of<'v>(versions: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        let mut generator = SchemaGenerator::default();
        roots::shared(&mut generator);
        for (group, version) in versions {
            roots::version(&mut generator, group, version);
        }
        Self {
            definitions: generator.take_definitions(false),
        }
    }

    /// What a model is for; empty if unknown.
    pub(super) fn model(&self, name: &str) -> &str {
        text(self.definitions.get(name))
    }

    /// What a field is for; empty if unknown.
    pub(super) fn property(&self, model: &str, field: &str) -> &str {
        let known = self.definitions.get(model);
        let described = known.and_then(|model| model.get("properties")?.get(field));
        match (known, text(described)) {
            (None, _) => self.list_property(field),
            (Some(_), "") if model == WATCH_EVENT && field == "object" => {
                "The object as it is after the change, or was before its deletion; of a bookmark, its revision; of an error, its status."
            }
            (Some(_), described) => described,
        }
    }

    fn list_property(&self, field: &str) -> &str {
        match field {
            "items" => "The objects of the list.",
            "metadata" => "Metadata of the list.",
            "apiVersion" | "kind" => self.property(STATUS, field),
            _ => "",
        }
    }
}

fn text(of: Option<&Value>) -> &str {
    let description = of.and_then(|value| value.get("description"));
    description.and_then(Value::as_str).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_group_and_of_what_it_is_made_of_are_described() {
        let docs = Docs::of([("apps", "v1")]);
        let deployment = "io.k8s.api.apps.v1.Deployment";
        assert!(docs.model(deployment).contains("Pods"));
        assert!(docs.property(deployment, "spec").contains("Deployment"));
        assert!(
            !docs
                .property("io.k8s.api.core.v1.PodSpec", "containers")
                .is_empty()
        );
        assert!(
            !docs
                .property("io.k8s.api.apps.v1.DeploymentList", "kind")
                .is_empty()
        );
        assert_eq!(docs.model("io.k8s.api.batch.v1.Job"), "");
    }
}

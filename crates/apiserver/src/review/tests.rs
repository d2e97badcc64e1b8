//! Reviews, against the recordings' texts.

use std::sync::Arc;

use object::names::resources::{ROLE_BINDINGS, ROLES};
use object::{Draft, Resource};
use world::{Commit, Event};

use super::*;
use crate::identity::MASTERS;

fn world() -> World {
    let group = "rbac.authorization.k8s.io";
    let objects = [
        (
            ROLES,
            json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"g","namespace":"ns"},
            "rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]},
                     {"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["a"],"verbs":["get","list"]}]}),
        ),
        (
            ROLE_BINDINGS,
            json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"g","namespace":"ns"},
            "roleRef":{"apiGroup":group,"kind":"Role","name":"g"},
            "subjects":[{"kind":"User","apiGroup":group,"name":"nora"}]}),
        ),
    ];
    let events = objects.iter().map(|(resource, value): &(Resource, Value)| {
        let draft = Draft::new(*resource, value, |_| Box::default()).unwrap();
        Arc::new(Event::put(Arc::new(draft.seal(1)), None))
    });
    World::new(&[]).apply(&Commit {
        revision: 1,
        events: events.collect(),
    })
}

fn ask(kind: &str, namespace: &str, user: &User, body: Value) -> Result<Value, Status> {
    let spec = kinds::all()
        .iter()
        .find(|spec| spec.gvk.kind == kind)
        .unwrap();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let tokens = Tokens::new(&key, "https://issuer").unwrap();
    let cx = Reviewer {
        world: &world(),
        tokens: &tokens,
        user,
        now: Timestamp::from_second(1_790_000_000).unwrap(),
    };
    review(&cx, spec, namespace, body)
}

fn nora() -> User {
    User::authenticated("nora", &[])
}

#[test]
fn access_reviews_answer_by_the_roles() {
    let ask = |spec: Value| {
        let body = json!({"metadata":{},"spec":spec});
        ask("SubjectAccessReview", "", &nora(), body).unwrap()["status"].clone()
    };
    let pods = |verb: &str, namespace: &str, subresource: &str| {
        json!({"user":"nora","resourceAttributes":
            {"verb":verb,"resource":"pods","namespace":namespace,"subresource":subresource}})
    };
    assert_eq!(ask(pods("get", "ns", ""))["allowed"], true);
    assert_eq!(ask(pods("delete", "ns", "")), json!({"allowed":false}));
    assert_eq!(ask(pods("get", "ns", "log")), json!({"allowed":false}));
    assert_eq!(ask(pods("get", "default", "")), json!({"allowed":false}));
    let masters = json!({"groups":[MASTERS],"resourceAttributes":
        {"verb":"*","resource":"*","namespace":"ns","group":"*"}});
    assert_eq!(ask(masters), json!({"allowed":true}));
    let odd = json!({"user":"x","resourceAttributes":{"verb":"list","resource":"pods",
        "labelSelector":{"requirements":[{"key":"a","operator":"Like"}]}}});
    assert_eq!(
        ask(odd),
        json!({"allowed":false,
            "evaluationError":"spec.resourceAttributes.labelSelector ignored due to parse error"})
    );
}

#[test]
fn reviews_that_ask_nothing_are_refused() {
    let either = "spec: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
    let who = "spec.user: Invalid value: \"\": at least one of user or group must be specified";
    let pods = json!({"verb":"get","resource":"pods"});
    let rows = [
        (json!({}), json!({}), format!("[{either}, {who}]")),
        (json!({}), json!({"user":"x"}), either.to_owned()),
        (json!({}), json!({"resourceAttributes":pods}), who.to_owned()),
        (
            json!({"name":"n"}),
            json!({"user":"x","resourceAttributes":pods}),
            "metadata: Invalid value: {\"name\":\"n\"}: must be empty".to_owned(),
        ),
        (
            json!({}),
            json!({"user":"x","resourceAttributes":{"fieldSelector":
                {"rawSelector":"a=b","requirements":[{"key":"a","operator":"In","values":["b"]}]}}}),
            "spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements".to_owned(),
        ),
    ];
    for (meta, spec, want) in rows {
        let body = json!({"metadata":meta,"spec":spec});
        let refused = ask("SubjectAccessReview", "", &nora(), body).unwrap_err();
        assert_eq!(
            refused.message,
            format!(".authorization.k8s.io \"\" is invalid: {want}")
        );
        assert_eq!(refused.code, 422);
        assert!(refused.to_json()["details"].get("kind").is_none());
    }
}

#[test]
fn a_local_review_stays_in_its_namespace() {
    let body = |namespace: &str| {
        json!({"spec":{"user":"nora","resourceAttributes":
            {"verb":"get","resource":"pods","namespace":namespace}}})
    };
    let ask = |namespace| ask("LocalSubjectAccessReview", "ns", &nora(), body(namespace));
    assert_eq!(ask("ns").unwrap()["status"]["allowed"], true);
    assert_eq!(ask("other").unwrap_err().code, 400);
}

#[test]
fn everybody_may_see_who_they_are_and_what_they_may() {
    let own = ask("SelfSubjectReview", "", &nora(), json!({})).unwrap();
    assert_eq!(
        own["status"]["userInfo"],
        json!({"username":"nora","groups":["system:authenticated"]})
    );
    let body =
        json!({"spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"ns"}}});
    let own = ask("SelfSubjectAccessReview", "", &nora(), body).unwrap();
    assert_eq!(own["status"]["allowed"], true);
    let rules = ask(
        "SelfSubjectRulesReview",
        "",
        &nora(),
        json!({"spec":{"namespace":"ns"}}),
    );
    assert_eq!(
        rules.unwrap()["status"],
        json!({"incomplete":false,"nonResourceRules":[],"resourceRules":[
            {"verbs":["get"],"apiGroups":[""],"resources":["pods"]},
            {"verbs":["get","list"],"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["a"]}]})
    );
    let nowhere = ask("SelfSubjectRulesReview", "", &nora(), json!({})).unwrap_err();
    assert_eq!(nowhere.message, "no namespace on request");
}

#[test]
fn token_reviews_tell_what_is_wrong() {
    let ask = |spec: Value| ask("TokenReview", "", &nora(), json!({"spec":spec}));
    assert_eq!(
        ask(json!({"token":"nonsense"})).unwrap()["status"],
        json!({"user":{},"error":"invalid bearer token"})
    );
    let refused = ask(json!({})).unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (400, "token is required for TokenReview in authentication")
    );
}

#[test]
fn refusals_name_user_verb_resource_and_place() {
    let user = User::authenticated("nora", &[]);
    let on = |resource, group, name, namespace| Action::Resource {
        verb: "get",
        group,
        resource,
        name,
        namespace,
    };
    let rows = [
        (
            on("pods/log", "", "p", "ns"),
            "pods \"p\" is forbidden: User \"nora\" cannot get resource \"pods/log\" in API group \"\" in the namespace \"ns\"",
        ),
        (
            on("deployments", "apps", "", ""),
            "deployments.apps is forbidden: User \"nora\" cannot get resource \"deployments\" in API group \"apps\" at the cluster scope",
        ),
        (
            Action::Path {
                verb: "get",
                path: "/metrics",
            },
            "forbidden: User \"nora\" cannot get path \"/metrics\"",
        ),
    ];
    for (action, want) in rows {
        assert_eq!(forbidden(&user, &action, "").message, want);
    }
    let body = forbidden(&user, &on("pods/log", "", "p", "ns"), "").to_json();
    assert_eq!(body["details"], json!({"name":"p","kind":"pods"}));
    let body = forbidden(&user, &rows[2].0, "").to_json();
    assert_eq!(body["details"], json!({}));
}

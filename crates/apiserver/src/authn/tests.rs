//! Certificates, tokens and headers, against a small world.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use object::names::resources::{
    CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, NODES, PODS, SECRETS, SERVICE_ACCOUNTS,
};
use object::{Draft, Resource, Status};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use world::{Commit, Event, World};

use super::impersonate::impersonate;
use super::peer::Peer;
use super::request::token_request;
use super::*;
use crate::pki::{Credential, Profile, ServingNames};
use crate::rbac::Action;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn pki() -> Pki {
    let dir = tempfile::tempdir().unwrap();
    let names = ServingNames {
        service_ip: [10, 96, 0, 1].into(),
        domain: "cluster.local".into(),
        ips: Vec::new(),
        names: Vec::new(),
    };
    Pki::open(dir.path(), &names, at(0)).unwrap()
}

fn world(objects: &[(Resource, Value)]) -> World {
    let events = objects.iter().map(|(resource, value)| {
        let draft = Draft::new(*resource, value, |_| Box::default()).unwrap();
        Arc::new(Event::put(Arc::new(draft.seal(1)), None))
    });
    World::new(&[]).apply(&Commit {
        revision: 1,
        events: events.collect(),
    })
}

fn named(kind: &str, name: &str, uid: &str, spec: Value) -> Value {
    json!({"apiVersion":"v1","kind":kind,
        "metadata":{"name":name,"namespace":"ns","uid":uid},"spec":spec})
}

fn sample() -> World {
    world(&[
        (
            SERVICE_ACCOUNTS,
            named("ServiceAccount", "robot", "sa-1", json!(null)),
        ),
        (SECRETS, named("Secret", "s", "secret-1", json!(null))),
        (
            PODS,
            named(
                "Pod",
                "p",
                "pod-1",
                json!({"serviceAccountName":"robot","nodeName":"n"}),
            ),
        ),
        (
            PODS,
            named(
                "Pod",
                "other",
                "pod-2",
                json!({"serviceAccountName":"default"}),
            ),
        ),
        (
            NODES,
            json!({"apiVersion":"v1","kind":"Node","metadata":{"name":"n","uid":"node-1"}}),
        ),
    ])
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// Names and values of headers.
type Pairs<'a> = &'a [(&'static str, &'a str)];

fn headers(list: Pairs<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn request(cx: &Authenticator, world: &World, spec: Value) -> Result<Value, Status> {
    token_request(
        &cx.tokens,
        world,
        "ns",
        "robot",
        json!({"spec": spec}),
        at(0),
    )
}

fn token(cx: &Authenticator, world: &World, spec: Value) -> String {
    let answer = request(cx, world, spec).unwrap();
    answer["status"]["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_certificate_names_user_and_groups_until_it_ends() {
    let pki = pki();
    let cx = Authenticator::new(&pki, ISSUER, Anonymous::HealthOnly).unwrap();
    let peer = |own: &Credential, now| cx.peer(&[der(&own.cert_pem)], now);
    let admin = peer(&pki.admin, at(0));
    let user = cx
        .authenticate(&sample(), "/api", &HeaderMap::new(), &admin, at(0))
        .unwrap();
    assert_eq!(user.name, "kubernetes-admin");
    assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
    assert!(user.extra[peer::CREDENTIAL_ID][0].starts_with("X509SHA256="));
    // The connection outlives the certificate.
    let late = at(400 * 86400);
    let refused = cx.authenticate(&sample(), "/healthz", &HeaderMap::new(), &admin, late);
    assert_eq!(refused.unwrap_err(), unauthorized());
    assert!(matches!(peer(&pki.admin, late), Peer::Refused(_)));
    // A certificate of a server is not for clients, a stranger's for nobody.
    assert!(matches!(peer(&pki.serving, at(0)), Peer::Refused(_)));
    let stranger = self::pki();
    assert!(matches!(peer(&stranger.admin, at(0)), Peer::Refused(_)));
    assert_eq!(cx.peer(&[], at(0)), Peer::Unknown);
}

#[test]
fn only_the_front_proxy_names_users_in_headers() {
    let pki = pki();
    let cx = Authenticator::new(&pki, ISSUER, Anonymous::HealthOnly).unwrap();
    let named = headers(&[
        ("x-remote-user", "ann"),
        ("x-remote-group", "dev"),
        ("x-remote-group", "ops"),
        ("x-remote-extra-acme.example%2Fscope", "a"),
    ]);
    let ask = |chain: &Credential, headers: &HeaderMap| {
        let peer = cx.peer(&[der(&chain.cert_pem)], at(0));
        cx.authenticate(&sample(), "/api", headers, &peer, at(0))
    };
    let user = ask(&pki.proxy_client, &named).unwrap();
    assert_eq!(user.name, "ann");
    assert_eq!(user.groups, ["dev", "ops", "system:authenticated"]);
    assert_eq!(user.extra["acme.example/scope"], ["a"]);
    assert!(ask(&pki.proxy_client, &HeaderMap::new()).is_err());
    assert_eq!(ask(&pki.admin, &named).unwrap().name, "kubernetes-admin");
    let other = pki
        .front_proxy
        .issue(&Profile::client("mallory", None), at(0))
        .unwrap();
    assert!(ask(&other, &named).is_err());
}

#[test]
fn a_token_names_its_account_and_what_it_is_bound_to() {
    let cx = Authenticator::new(&pki(), ISSUER, Anonymous::HealthOnly).unwrap();
    let world = sample();
    let bound = json!({"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"p"}});
    let token = token(&cx, &world, bound);
    let headers = headers(&[("authorization", &format!("bearer {token}"))]);
    let user = cx
        .authenticate(&world, "/api", &headers, &Peer::Unknown, at(0))
        .unwrap();
    assert_eq!(
        (user.name.as_str(), user.uid.as_str()),
        ("system:serviceaccount:ns:robot", "sa-1")
    );
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:ns",
            "system:authenticated"
        ]
    );
    let extra = |name: &str| user.extra[&format!("authentication.kubernetes.io/{name}")][0].clone();
    assert!(extra("credential-id").starts_with("JTI="));
    assert_eq!(extra("pod-name"), "p");
    assert_eq!(extra("pod-uid"), "pod-1");
    assert_eq!(extra("node-name"), "n");
    assert_eq!(extra("node-uid"), "node-1");
}

#[test]
fn a_token_holds_as_long_as_what_it_is_bound_to() {
    let cx = Authenticator::new(&pki(), ISSUER, Anonymous::HealthOnly).unwrap();
    let full = sample();
    let plain = token(&cx, &full, json!({}));
    let on = |kind: &str, name: &str| json!({"boundObjectRef":{"apiVersion":"v1","kind":kind,"name":name}});
    let pod = token(&cx, &full, on("Pod", "p"));
    let secret = token(&cx, &full, on("Secret", "s"));
    let node = token(&cx, &full, on("Node", "n"));
    let account = (
        SERVICE_ACCOUNTS,
        named("ServiceAccount", "robot", "sa-1", json!(null)),
    );
    let bare = world(std::slice::from_ref(&account));
    let renewed = world(&[(
        SERVICE_ACCOUNTS,
        named("ServiceAccount", "robot", "sa-2", json!(null)),
    )]);
    let again = world(&[account, (PODS, named("Pod", "p", "pod-9", json!(null)))]);
    let gone = "[invalid bearer token, service account token has been invalidated]";
    let rows: [(&World, &str, i64, &str); 13] = [
        (&full, &plain, 0, ""),
        (&full, &pod, 0, ""),
        (&full, &secret, 0, ""),
        (&full, &node, 0, ""),
        (&full, &plain, 3600 + 59, ""),
        (
            &full,
            &plain,
            3600 + 61,
            "[invalid bearer token, service account token has expired]",
        ),
        (
            &full,
            &plain,
            -61,
            "[invalid bearer token, service account token is not valid yet]",
        ),
        (&bare, &pod, 0, gone),
        (&bare, &secret, 0, gone),
        (&bare, &node, 0, gone),
        (
            &again,
            &pod,
            0,
            "[invalid bearer token, pod UID (pod-9) does not match service account pod ref claim (pod-1)]",
        ),
        (
            &renewed,
            &plain,
            0,
            "[invalid bearer token, service account UID (sa-2) does not match claim (sa-1)]",
        ),
        (
            &world(&[]),
            &plain,
            0,
            "[invalid bearer token, serviceaccounts \"robot\" not found]",
        ),
    ];
    for (world, token, second, want) in rows {
        let found = cx.review_token(world, token, None, at(second));
        let error = found.err().map(|error| error.to_string());
        assert_eq!(error.as_deref().unwrap_or_default(), want);
    }
}

#[test]
fn audiences_that_do_not_meet_are_told() {
    let cx = Authenticator::new(&pki(), ISSUER, Anonymous::HealthOnly).unwrap();
    let world = sample();
    let token = token(&cx, &world, json!({"audiences":["vault","x"]}));
    let ask = |audiences: &[&str]| {
        let list: Vec<String> = audiences.iter().map(|a| (*a).to_owned()).collect();
        let list = (!list.is_empty()).then_some(list);
        cx.review_token(&world, &token, list.as_deref(), at(0))
    };
    assert_eq!(ask(&["vault", "z"]).unwrap().audiences, ["vault"]);
    assert_eq!(
        ask(&[]).unwrap_err().to_string(),
        format!(
            "[invalid bearer token, token audiences [\"vault\" \"x\"] is invalid for the target audiences [{ISSUER:?}]]"
        )
    );
}

#[test]
fn forged_tokens_are_refused_everywhere() {
    let cx = Authenticator::new(&pki(), ISSUER, Anonymous::Anywhere).unwrap();
    let elsewhere = Authenticator::new(&pki(), ISSUER, Anonymous::Anywhere).unwrap();
    let world = sample();
    let good = token(&cx, &world, json!({}));
    let forged = token(&elsewhere, &world, json!({}));
    let (head, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let rows = [
        "nonsense".to_owned(),
        forged,
        unsigned,
        format!(
            "{head}.{payload}.{}",
            signature.replace(&signature[..4], "AAAA")
        ),
        format!("{good}x"),
        "a".repeat(1 << 20),
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln".to_owned(),
    ];
    for token in rows {
        let headers = headers(&[("authorization", &format!("Bearer {token}"))]);
        let found = cx.authenticate(&world, "/healthz", &headers, &Peer::Unknown, at(0));
        assert_eq!(found.unwrap_err(), unauthorized(), "{token:.40}");
    }
}

#[test]
fn nobody_may_only_ask_for_health() {
    let pki = pki();
    let strict = Authenticator::new(&pki, ISSUER, Anonymous::HealthOnly).unwrap();
    let open = Authenticator::new(&pki, ISSUER, Anonymous::Anywhere).unwrap();
    let rows = [
        ("/healthz", "", true),
        ("/livez/ping", "", true),
        ("/readyz", "Basic dTpw", true),
        ("/readyz", "Bearer ", true),
        ("/healthzz", "", false),
        ("/api/v1/pods", "", false),
        ("/version", "", false),
    ];
    for (path, authorization, good) in rows {
        let headers = match authorization {
            "" => HeaderMap::new(),
            text => headers(&[("authorization", text)]),
        };
        let ask =
            |cx: &Authenticator| cx.authenticate(&sample(), path, &headers, &Peer::Unknown, at(0));
        assert_eq!(ask(&strict).is_ok(), good, "{path}");
        assert_eq!(ask(&open).unwrap(), User::anonymous());
    }
}

#[test]
fn token_requests_are_completed_or_refused_as_upstream_words_it() {
    let cx = Authenticator::new(&pki(), ISSUER, Anonymous::HealthOnly).unwrap();
    let world = sample();
    let answer = request(&cx, &world, json!({})).unwrap();
    assert_eq!(
        answer["spec"],
        json!({"audiences":[ISSUER],"expirationSeconds":3600})
    );
    assert_eq!(answer["metadata"]["uid"], "sa-1");
    assert_eq!(answer["metadata"]["namespace"], "ns");
    let on = |kind: &str, name: &str, uid: &str| json!({"boundObjectRef":{"apiVersion":"v1","kind":kind,"name":name,"uid":uid}});
    let rows = [
        (
            json!({"expirationSeconds":10}),
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes",
        ),
        (
            json!({"expirationSeconds":5_000_000_000_i64}),
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 5000000000: may not specify a duration larger than 2^32 seconds",
        ),
        (on("Pod", "ghost", ""), 404, "pods \"ghost\" not found"),
        (
            on("Pod", "other", ""),
            400,
            "cannot bind token for serviceaccount \"robot\" to pod running with different serviceaccount name.",
        ),
        (
            on("ConfigMap", "c", ""),
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (on("Secret", "", ""), 400, "Name parameter required."),
        (
            on("Pod", "p", "00000000-0000-0000-0000-000000000001"),
            409,
            "Operation cannot be fulfilled on Pod \"p\": the UID in the bound object reference (00000000-0000-0000-0000-000000000001) does not match the UID in record. The object might have been deleted and then recreated",
        ),
    ];
    for (spec, code, message) in rows {
        let refused = request(&cx, &world, spec).unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (code, message));
    }
    let ghost = token_request(&cx.tokens, &world, "ns", "ghost", json!({}), at(0));
    assert_eq!(
        ghost.unwrap_err().message,
        "serviceaccounts \"ghost\" not found"
    );
}

#[test]
fn a_pod_that_reads_its_token_once_goes_on_working() {
    let cx = Authenticator::new(&pki(), ISSUER, Anonymous::HealthOnly).unwrap();
    let world = sample();
    let spec = json!({"expirationSeconds":3607,
        "boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"p","uid":"pod-1"}});
    let token = token(&cx, &world, spec);
    assert!(
        cx.review_token(&world, &token, None, at(300 * 86400))
            .is_ok()
    );
}

#[test]
fn the_key_set_verifies_what_is_signed() {
    let cx = Authenticator::new(&pki(), ISSUER, Anonymous::HealthOnly).unwrap();
    let token = token(&cx, &sample(), json!({}));
    let jwks: jsonwebtoken::jwk::JwkSet = serde_json::from_value(cx.tokens.jwks()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    let jwk = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    rules.set_audience(&[ISSUER]);
    rules.validate_exp = false;
    let found = jsonwebtoken::decode::<Value>(&token, &key, &rules).unwrap();
    assert_eq!(found.claims["sub"], "system:serviceaccount:ns:robot");
    let document = cx.tokens.openid_configuration("https://192.0.2.1:6443");
    assert_eq!(
        document["jwks_uri"],
        "https://192.0.2.1:6443/openid/v1/jwks"
    );
    assert_eq!(document["issuer"], ISSUER);
}

fn role(name: &str, rules: Value) -> [(Resource, Value); 2] {
    let group = "rbac.authorization.k8s.io";
    [
        (
            CLUSTER_ROLES,
            json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole",
                "metadata":{"name":name},"rules":rules}),
        ),
        (
            CLUSTER_ROLE_BINDINGS,
            json!({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding",
                "metadata":{"name":name},
                "roleRef":{"apiGroup":group,"kind":"ClusterRole","name":name},
                "subjects":[{"kind":"User","apiGroup":group,"name":name}]}),
        ),
    ]
}

const LIST_PODS: Action<'static> = Action::Resource {
    verb: "list",
    group: "",
    resource: "pods",
    name: "",
    namespace: "ns",
};

#[test]
fn impersonation_wants_a_right_for_each_thing_it_takes_on() {
    let mut objects = Vec::new();
    objects.extend(role("plain", json!([
        {"apiGroups":[""],"resources":["users"],"resourceNames":["jane"],"verbs":["impersonate"]},
        {"apiGroups":[""],"resources":["groups"],"resourceNames":["dev"],"verbs":["impersonate"]},
        {"apiGroups":["authentication.k8s.io"],"resources":["userextras/scope"],"resourceNames":["a"],"verbs":["impersonate"]}])));
    objects.extend(role("narrow", json!([
        {"apiGroups":[""],"resources":["pods"],"verbs":["impersonate-on:user-info:list"]},
        {"apiGroups":["authentication.k8s.io"],"resources":["users"],"resourceNames":["jane"],"verbs":["impersonate:user-info"]}])));
    let world = world(&objects);
    let user = |name: &str| User::authenticated(name, &[]);
    let jane: (&'static str, &str) = ("impersonate-user", "jane");
    let rows: [(&str, Pairs<'_>, &str); 9] = [
        ("plain", &[jane], ""),
        ("plain", &[jane, ("impersonate-group", "dev")], ""),
        ("plain", &[jane, ("impersonate-extra-scope", "a")], ""),
        (
            "plain",
            &[jane, ("impersonate-extra-scope", "b")],
            "impersonate-on:user-info:list resource \"pods\"",
        ),
        (
            "plain",
            &[jane, ("impersonate-group", "system:masters")],
            "impersonate-on:user-info:list resource \"pods\"",
        ),
        (
            "plain",
            &[("impersonate-user", "system:serviceaccount:x:y")],
            "impersonate-on:serviceaccount:list resource \"pods\"",
        ),
        ("narrow", &[jane], ""),
        (
            "narrow",
            &[("impersonate-user", "joe")],
            "users.authentication.k8s.io \"joe\" is forbidden: User \"narrow\" cannot impersonate:user-info resource \"users\" in API group \"authentication.k8s.io\" at the cluster scope",
        ),
        (
            "nobody",
            &[jane],
            "pods is forbidden: User \"nobody\" cannot impersonate-on:user-info:list resource \"pods\" in API group \"\" in the namespace \"ns\"",
        ),
    ];
    for (name, list, want) in rows {
        match impersonate(&world, &user(name), &headers(list), &LIST_PODS) {
            Ok(found) => {
                assert_eq!(want, "", "{name} {list:?}");
                assert_eq!(found.unwrap().name, "jane");
            }
            Err(refused) => {
                assert!(
                    !want.is_empty() && refused.message.contains(want),
                    "{}",
                    refused.message
                );
            }
        }
    }
}

#[test]
fn groups_follow_from_the_name_unless_given() {
    let admin = User::authenticated("root", &["system:masters"]);
    let rows: [(Pairs<'_>, &[&str]); 5] = [
        (&[("impersonate-user", "jane")], &["system:authenticated"]),
        (
            &[
                ("impersonate-user", "jane"),
                ("impersonate-group", "dev"),
                ("impersonate-group", "ops"),
            ],
            &["dev", "ops", "system:authenticated"],
        ),
        (
            &[("impersonate-user", "system:serviceaccount:ns:robot")],
            &[
                "system:serviceaccounts",
                "system:serviceaccounts:ns",
                "system:authenticated",
            ],
        ),
        (
            &[("impersonate-user", "system:anonymous")],
            &["system:unauthenticated"],
        ),
        (
            &[
                ("impersonate-user", "jane"),
                ("impersonate-group", "system:unauthenticated"),
            ],
            &["system:unauthenticated"],
        ),
    ];
    for (list, want) in rows {
        let found = impersonate(&sample(), &admin, &headers(list), &LIST_PODS);
        assert_eq!(found.unwrap().unwrap().groups, want);
    }
    let nobody = impersonate(
        &sample(),
        &admin,
        &headers(&[("impersonate-user", "")]),
        &LIST_PODS,
    );
    assert_eq!(nobody.unwrap(), None);
}

#[test]
fn impersonation_without_a_name_shows_what_was_asked() {
    let rows = [
        (
            "impersonate-group",
            "only-group",
            "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string{\"only-group\"}, Extra:map[string][]string(nil)} without impersonating a user name",
        ),
        (
            "impersonate-uid",
            "x",
            "requested &user.DefaultInfo{Name:\"\", UID:\"x\", Groups:[]string(nil), Extra:map[string][]string(nil)} without impersonating a user name",
        ),
        (
            "impersonate-extra-scope",
            "x",
            "requested &user.DefaultInfo{Name:\"\", UID:\"\", Groups:[]string(nil), Extra:map[string][]string{\"scope\":[]string{\"x\"}}} without impersonating a user name",
        ),
    ];
    for (name, value, want) in rows {
        let user = User::authenticated("root", &["system:masters"]);
        let refused = impersonate(&sample(), &user, &headers(&[(name, value)]), &LIST_PODS);
        let refused = refused.unwrap_err();
        assert_eq!((refused.code, refused.message.as_str()), (400, want));
    }
}

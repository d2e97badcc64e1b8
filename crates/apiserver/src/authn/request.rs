//! `TokenRequest`: a new token for a service account.
//!
//! Pure: reads the world and the clock it is given, signs. Source: the
//! TokenRequest API and its refusals as the real server words them.

use jiff::Timestamp;
use object::names::resources::{NODES, PODS, SECRETS, SERVICE_ACCOUNTS};
use object::{FieldError, FieldErrors, Object, Path, Reason, Status, time};
use serde_json::{Value, json};
use world::World;

use super::token::{Bound, Claims, Ref, Tokens};

/// Seconds a token lives when the request does not say.
const DEFAULT_SECONDS: i64 = 3600;
/// Shortest life in seconds.
const SHORTEST_SECONDS: i64 = 600;
/// Longest life in seconds.
const LONGEST_SECONDS: i64 = 1 << 32;
/// What the kubelet asks for on behalf of pods that know nothing of rotation.
const WARN_ONLY_SECONDS: i64 = 3607;
/// What those get, so that a pod that reads its token once goes on working.
const EXTENDED_SECONDS: i64 = 365 * 24 * 3600;

/// Answers a `TokenRequest` for an account with a signed token. `body` is the
/// decoded request.
pub fn token_request(
    tokens: &Tokens,
    world: &World,
    namespace: &str,
    account: &str,
    mut body: Value,
    now: Timestamp,
) -> Result<Value, Status> {
    let found = world
        .find(SERVICE_ACCOUNTS, namespace, account)
        .ok_or_else(|| Status::not_found(SERVICE_ACCOUNTS, account))?;
    complete(tokens, &mut body, namespace, account)?;
    let seconds = check(&body)?;
    let audiences: Vec<String> = strings(&body["spec"]["audiences"]);
    let mut bound = bind(world, namespace, account, &body["spec"]["boundObjectRef"])?;
    bound.namespace = namespace.to_owned();
    bound.serviceaccount = reference(found);

    let issued = now.as_second();
    let mut life = seconds;
    let here = audiences.iter().all(|own| tokens.audiences().contains(own));
    if bound.pod.is_some() && seconds == WARN_ONLY_SECONDS && here {
        bound.warnafter = Some(issued + seconds);
        life = EXTENDED_SECONDS;
    }
    let claims = Claims {
        aud: audiences,
        exp: issued + life,
        iat: issued,
        iss: tokens.issuer().to_owned(),
        jti: uuid::Uuid::new_v4().to_string(),
        bound,
        nbf: issued,
        sub: format!("system:serviceaccount:{namespace}:{account}"),
    };
    let token = tokens.sign(&claims).map_err(|error| {
        tracing::error!(%error, "a token was not signed");
        Status::internal("failed to generate token")
    })?;
    body["metadata"]["creationTimestamp"] = time::rfc3339(now).into();
    body["metadata"]["uid"] = found.meta().uid.to_string().into();
    let ends = Timestamp::from_second(issued + seconds).unwrap_or(Timestamp::MAX);
    body["status"] = json!({
        "token": token,
        "expirationTimestamp": time::rfc3339(ends),
    });
    Ok(body)
}

/// Fills in what the request leaves open.
fn complete(
    tokens: &Tokens,
    body: &mut Value,
    namespace: &str,
    account: &str,
) -> Result<(), Status> {
    for name in ["metadata", "spec"] {
        if !body[name].is_object() {
            body[name] = json!({});
        }
    }
    for (field, wanted) in [("name", account), ("namespace", namespace)] {
        let slot = &mut body["metadata"][field];
        match slot.as_str().unwrap_or_default() {
            "" => *slot = wanted.into(),
            own if own == wanted => {}
            own => {
                let path = Path::new("metadata").child(field);
                let what = match field {
                    "name" => "must match the service account name if specified",
                    _ => "must match the service account namespace if specified",
                };
                return Err(invalid(FieldError::invalid(&path, own, what)));
            }
        }
    }
    let spec = &mut body["spec"];
    if spec["audiences"].as_array().is_none_or(Vec::is_empty) {
        spec["audiences"] = json!(tokens.audiences());
    }
    if spec["expirationSeconds"].is_null() {
        spec["expirationSeconds"] = DEFAULT_SECONDS.into();
    }
    Ok(())
}

fn check(body: &Value) -> Result<i64, Status> {
    let seconds = body["spec"]["expirationSeconds"]
        .as_i64()
        .unwrap_or(DEFAULT_SECONDS);
    let why = if seconds < SHORTEST_SECONDS {
        "may not specify a duration less than 10 minutes"
    } else if seconds > LONGEST_SECONDS {
        "may not specify a duration larger than 2^32 seconds"
    } else {
        return Ok(seconds);
    };
    let path = Path::new("spec").child("expirationSeconds");
    Err(invalid(FieldError::invalid(&path, seconds, why)))
}

fn invalid(error: FieldError) -> Status {
    let mut errors = FieldErrors::default();
    errors.push(error);
    Status::invalid("authentication.k8s.io", "TokenRequest", "", &errors)
}

/// What the token is to be bound to.
fn bind(world: &World, namespace: &str, account: &str, to: &Value) -> Result<Bound, Status> {
    let mut bound = Bound::default();
    if to.is_null() {
        return Ok(bound);
    }
    let text = |name: &str| to[name].as_str().unwrap_or_default();
    let (version, kind, name, uid) = (text("apiVersion"), text("kind"), text("name"), text("uid"));
    let (group, version) = object::names::split_api_version(version);
    let (resource, namespace) = match (group, version, kind) {
        ("", "v1", "Pod") => (PODS, namespace),
        ("", "v1", "Secret") => (SECRETS, namespace),
        ("", "v1", "Node") => (NODES, ""),
        _ => {
            return Err(Status::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={kind}"
            )));
        }
    };
    if name.is_empty() {
        return Err(Status::bad_request("Name parameter required."));
    }
    let found = world
        .find(resource, namespace, name)
        .ok_or_else(|| Status::not_found(resource, name))?;
    match kind {
        "Pod" => {
            bound.node = pod_node(world, found, account)?;
            bound.pod = Some(reference(found));
        }
        "Secret" => bound.secret = Some(reference(found)),
        _ => bound.node = Some(reference(found)),
    }
    if !uid.is_empty() && uid != found.meta().uid {
        return Err(Status::new(
            Reason::Conflict,
            format!(
                "Operation cannot be fulfilled on {kind} {name:?}: the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            ),
        )
        .detail(|details| {
            details.name = name.to_owned();
            details.kind = kind.to_owned();
        }));
    }
    Ok(bound)
}

/// Where a pod runs, after checking that it runs as this account.
fn pod_node(world: &World, pod: &Object, account: &str) -> Result<Option<Ref>, Status> {
    let value = pod.value();
    let own = value["spec"]["serviceAccountName"]
        .as_str()
        .unwrap_or_default();
    if own != account {
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
        )));
    }
    let node = value["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        return Ok(None);
    }
    let found = world.find(NODES, "", node);
    Ok(Some(Ref {
        name: node.to_owned(),
        uid: found
            .map(|node| node.meta().uid.to_string())
            .unwrap_or_default(),
    }))
}

fn reference(object: &Object) -> Ref {
    Ref {
        name: object.meta().name.to_string(),
        uid: object.meta().uid.to_string(),
    }
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

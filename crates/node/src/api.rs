//! What the agent asks of the API server, on top of [`client::Client`].
//!
//! Invariant: every write of a Pod names its uid, so that a Pod made anew under the same name is never touched.

use std::sync::Arc;

use client::{Client, ClientError, Target, Write, send};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use object::Resource;
use serde_json::{Value, json};

use crate::pods::spec;

/// Pods.
pub const PODS: Resource = Resource::new("", "pods");
const SERVICE_ACCOUNTS: Resource = Resource::new("", "serviceaccounts");

/// The API server.
#[derive(Clone)]
pub struct Api {
    client: Arc<dyn Client>,
}

fn target(pod: &Pod) -> Target {
    Target {
        name: spec::name(pod).into(),
        ..Target::collection(PODS, "v1", spec::namespace(pod))
    }
}

impl Api {
    /// Speaks through `client`.
    pub fn new(client: Arc<dyn Client>) -> Self {
        Self { client }
    }

    /// Sends any write.
    pub async fn send(&self, write: &Write) -> Result<Value, ClientError> {
        send(&*self.client, write).await
    }

    /// Sends any request and reads the answer as a tree.
    pub async fn get(&self, path: &str) -> Result<Option<Value>, ClientError> {
        let request = http::Request::get(path)
            .header(http::header::ACCEPT, "application/json")
            .body(bytes::Bytes::new())?;
        let answer = self.client.call(request).await?;
        if answer.status() == http::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        if answer.status().is_success() {
            return Ok(Some(body));
        }
        Err(object::Status::from_json(&body).into())
    }

    /// Writes a Pod's status; fields that `pod` has and `status` lacks are removed.
    pub async fn write_status(&self, pod: &Pod, status: &PodStatus) -> Result<(), ClientError> {
        let mut wanted = serde_json::to_value(status).unwrap_or_default();
        let known =
            serde_json::to_value(pod.status.clone().unwrap_or_default()).unwrap_or_default();
        if let (Some(wanted), Some(known)) = (wanted.as_object_mut(), known.as_object()) {
            for name in known
                .keys()
                .filter(|name| !wanted.contains_key(*name))
                .cloned()
                .collect::<Vec<_>>()
            {
                wanted.insert(name, Value::Null);
            }
        }
        let body = json!({"metadata": {"uid": spec::uid(pod)}, "status": wanted});
        self.send(&Write::merge(target(pod).subresource("status"), body))
            .await
            .map(drop)
    }

    /// Says that a Pod that was to go is gone from the node. Succeeds if it is gone already.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<(), ClientError> {
        let body = json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0,
            "preconditions": {"uid": spec::uid(pod)},
        });
        let write = Write {
            target: target(pod),
            verb: client::Verb::Delete,
            body,
        };
        match self.send(&write).await {
            Err(ClientError::Status(status)) if matches!(status.code, 404 | 409) => Ok(()),
            other => other.map(drop),
        }
    }

    /// A token of the Pod's service account, bound to the Pod, and when it expires.
    pub async fn token(
        &self,
        pod: &Pod,
        audience: Option<&str>,
        expiration_secs: i64,
    ) -> Result<(String, Timestamp), ClientError> {
        let account = pod
            .spec
            .as_ref()
            .and_then(|spec| spec.service_account_name.as_deref())
            .unwrap_or("default");
        let audiences: Vec<&str> = audience
            .filter(|audience| !audience.is_empty())
            .into_iter()
            .collect();
        let body = json!({
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "spec": {
                "audiences": audiences,
                "expirationSeconds": expiration_secs,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": spec::name(pod), "uid": spec::uid(pod)},
            },
        });
        let target = Target {
            name: account.into(),
            ..Target::collection(SERVICE_ACCOUNTS, "v1", spec::namespace(pod))
        };
        let answer = self
            .send(&Write::create(target.subresource("token"), body))
            .await?;
        let status = &answer["status"];
        let expires = status["expirationTimestamp"]
            .as_str()
            .and_then(|text| text.parse().ok());
        match (status["token"].as_str(), expires) {
            (Some(token), Some(expires)) => Ok((token.to_owned(), expires)),
            _ => Err(ClientError::Unreachable(
                "the answer to a token request holds no token".to_owned(),
            )),
        }
    }
}

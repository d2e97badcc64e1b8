//! A container's environment.
//!
//! Pure: reads the world. Follows the kubelet: `envFrom`, then `env` in order with `$(NAME)` expanded, then the variables
//! of services where nothing of that name was set. Invariant: values never stand in an error.

pub mod fields;
mod services;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, Secret};
use object::Resource;
use world::World;

use crate::pods::spec;

/// ConfigMaps.
pub const CONFIG_MAPS: Resource = Resource::new("", "configmaps");
/// Secrets.
pub const SECRETS: Resource = Resource::new("", "secrets");

/// Why a container's environment cannot be made: shown as `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvError {
    /// A referenced object is not there.
    #[error("{kind} {name:?} not found")]
    NotFound {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// It has no such key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    NoKey {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// The key.
        key: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// An object could not be read, or a field is not available to containers.
    #[error("{0}")]
    Unusable(String),
}

/// What the environment depends on besides the Pod.
pub struct Source<'a> {
    /// ConfigMaps, Secrets and Services.
    pub world: &'a World,
    /// Facts for `fieldRef` and `resourceFieldRef`.
    pub facts: &'a fields::Facts,
}

/// Keys and values of a ConfigMap or Secret.
type Data = BTreeMap<String, Vec<u8>>;

/// A ConfigMap's content.
pub fn config_map(world: &World, namespace: &str, name: &str) -> Result<Option<Data>, EnvError> {
    let unreadable = |error: object::object::DecodeError| EnvError::Unusable(error.to_string());
    let found = world
        .view::<ConfigMap>(CONFIG_MAPS, namespace, name)
        .map_err(unreadable)?;
    Ok(found.map(|map| {
        let text = map
            .data
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone().into_bytes()));
        let binary = map
            .binary_data
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.0.clone()));
        text.chain(binary).collect()
    }))
}

/// A Secret's content.
pub fn secret(world: &World, namespace: &str, name: &str) -> Result<Option<Data>, EnvError> {
    let unreadable = |error: object::object::DecodeError| EnvError::Unusable(error.to_string());
    let found = world
        .view::<Secret>(SECRETS, namespace, name)
        .map_err(unreadable)?;
    Ok(found.map(|secret| {
        secret
            .data
            .iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.0.clone()))
            .collect()
    }))
}

/// The environment of `container`, in order.
pub fn environment(
    pod: &Pod,
    container: &Container,
    source: &Source<'_>,
) -> Result<Vec<(String, String)>, EnvError> {
    let namespace = spec::namespace(pod);
    let links = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.enable_service_links)
        .unwrap_or(true);
    let services = services::variables(source.world, namespace, links);
    let mut env = Env::default();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let (data, kind, name, optional) = if let Some(reference) = &from.config_map_ref {
            (
                config_map(source.world, namespace, &reference.name)?,
                "configmap",
                &reference.name,
                reference.optional,
            )
        } else if let Some(reference) = &from.secret_ref {
            (
                secret(source.world, namespace, &reference.name)?,
                "secret",
                &reference.name,
                reference.optional,
            )
        } else {
            continue;
        };
        match data {
            Some(data) => data.into_iter().for_each(|(key, value)| {
                env.set(
                    format!("{prefix}{key}"),
                    String::from_utf8_lossy(&value).into_owned(),
                );
            }),
            None if optional == Some(true) => {}
            None => {
                return Err(EnvError::NotFound {
                    kind,
                    name: name.clone(),
                });
            }
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            Some(_) => referenced(pod, container, variable, source)?,
            None => {
                let lookup = |name: &str| {
                    env.get(name)
                        .or_else(|| services.get(name).map(String::as_str))
                        .map(str::to_owned)
                };
                Some(expand(
                    variable.value.as_deref().unwrap_or_default(),
                    lookup,
                ))
            }
        };
        if let Some(value) = value {
            env.set(variable.name.clone(), value);
        }
    }
    for (name, value) in services {
        if env.get(&name).is_none() {
            env.set(name, value);
        }
    }
    Ok(env.list)
}

#[derive(Default)]
struct Env {
    list: Vec<(String, String)>,
}

impl Env {
    fn get(&self, name: &str) -> Option<&str> {
        self.list
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: String, value: String) {
        match self.list.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = value,
            None => self.list.push((name, value)),
        }
    }
}

/// A value from elsewhere; `None` when it is optional and absent.
fn referenced(
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    source: &Source<'_>,
) -> Result<Option<String>, EnvError> {
    let Some(from) = &variable.value_from else {
        return Ok(None);
    };
    let namespace = spec::namespace(pod);
    if let Some(field) = &from.field_ref {
        return fields::field(pod, &field.field_path, source.facts).map(Some);
    }
    if let Some(resource) = &from.resource_field_ref {
        return fields::resource(pod, container, resource, source.facts).map(Some);
    }
    let (data, kinds, name, key, optional) = if let Some(selector) = &from.config_map_key_ref {
        let data = config_map(source.world, namespace, &selector.name)?;
        (
            data,
            ("configmap", "ConfigMap"),
            &selector.name,
            &selector.key,
            selector.optional,
        )
    } else if let Some(selector) = &from.secret_key_ref {
        let data = secret(source.world, namespace, &selector.name)?;
        (
            data,
            ("secret", "Secret"),
            &selector.name,
            &selector.key,
            selector.optional,
        )
    } else {
        return Err(EnvError::Unusable(format!(
            "environment variable {} has a source that this node does not know",
            variable.name
        )));
    };
    let optional = optional == Some(true);
    match data {
        None if optional => Ok(None),
        None => Err(EnvError::NotFound {
            kind: kinds.0,
            name: name.clone(),
        }),
        Some(mut data) => match data.remove(key) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            None if optional => Ok(None),
            None => Err(EnvError::NoKey {
                kind: kinds.1,
                key: key.clone(),
                namespace: namespace.to_owned(),
                name: name.clone(),
            }),
        },
    }
}

/// Replaces `$(NAME)` by what `lookup` knows; `$$` is a dollar sign; what is not known stays as it is.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        if let Some(after) = tail.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) =
            tail.strip_prefix('(').and_then(|tail| tail.split_once(')'))
        {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;

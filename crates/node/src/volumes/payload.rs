//! What the files of ConfigMap, Secret, downward API and projected volumes hold.
//!
//! Pure: reads the world; tokens are given. Invariants: paths are relative and stay inside the volume; a later source of a
//! projected volume wins over an earlier one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{DownwardAPIVolumeFile, KeyToPath, Pod, Volume};

use super::VolumeError;
use crate::env::{self, EnvError, Source, fields};
use crate::pods::spec;

const DEFAULT_MODE: u32 = 0o644;
/// Tokens are for their owner only unless the volume says otherwise (the kubelet's rule for Pods without fsGroup).
const TOKEN_EXPIRATION_SECS: i64 = 3600;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Content.
    pub data: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
}

/// The files of a volume by relative path.
pub type Payload = BTreeMap<String, File>;

/// A token that a volume wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenWish {
    /// Whom it is shown to; empty for the API server.
    pub audience: String,
    /// Seconds it should be good for.
    pub expiration_secs: i64,
}

/// The tokens that a volume wants.
pub fn token_wishes(volume: &Volume) -> Vec<TokenWish> {
    let sources = volume
        .projected
        .iter()
        .flat_map(|projected| projected.sources.iter().flatten());
    sources
        .filter_map(|source| source.service_account_token.as_ref())
        .map(|token| TokenWish {
            audience: token.audience.clone().unwrap_or_default(),
            expiration_secs: token.expiration_seconds.unwrap_or(TOKEN_EXPIRATION_SECS),
        })
        .collect()
}

/// The files of `volume`; `None` for a kind that is not made of API objects.
pub fn payload(
    pod: &Pod,
    volume: &Volume,
    source: &Source<'_>,
    tokens: &BTreeMap<TokenWish, String>,
) -> Result<Option<Payload>, VolumeError> {
    let namespace = spec::namespace(pod);
    let mode = |mode: Option<i32>| mode.and_then(|mode| u32::try_from(mode).ok());
    let mut files = Payload::new();
    if let Some(map) = &volume.config_map {
        let data = env::config_map(source.world, namespace, &map.name)?;
        let wish = Wish {
            kind: "configmap",
            name: &map.name,
            items: map.items.as_deref(),
            optional: map.optional,
            mode: mode(map.default_mode),
        };
        wish.add(data, &mut files)?;
    } else if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let data = env::secret(source.world, namespace, name)?;
        let wish = Wish {
            kind: "secret",
            name,
            items: secret.items.as_deref(),
            optional: secret.optional,
            mode: mode(secret.default_mode),
        };
        wish.add(data, &mut files)?;
    } else if let Some(downward) = &volume.downward_api {
        downward_files(
            pod,
            downward.items.iter().flatten(),
            mode(downward.default_mode),
            source,
            &mut files,
        )?;
    } else if let Some(projected) = &volume.projected {
        let default = mode(projected.default_mode);
        for part in projected.sources.iter().flatten() {
            if let Some(map) = &part.config_map {
                let data = env::config_map(source.world, namespace, &map.name)?;
                let wish = Wish {
                    kind: "configmap",
                    name: &map.name,
                    items: map.items.as_deref(),
                    optional: map.optional,
                    mode: default,
                };
                wish.add(data, &mut files)?;
            } else if let Some(secret) = &part.secret {
                let data = env::secret(source.world, namespace, &secret.name)?;
                let wish = Wish {
                    kind: "secret",
                    name: &secret.name,
                    items: secret.items.as_deref(),
                    optional: secret.optional,
                    mode: default,
                };
                wish.add(data, &mut files)?;
            } else if let Some(downward) = &part.downward_api {
                downward_files(
                    pod,
                    downward.items.iter().flatten(),
                    default,
                    source,
                    &mut files,
                )?;
            } else if let Some(token) = &part.service_account_token {
                let wish = TokenWish {
                    audience: token.audience.clone().unwrap_or_default(),
                    expiration_secs: token.expiration_seconds.unwrap_or(TOKEN_EXPIRATION_SECS),
                };
                let text = tokens
                    .get(&wish)
                    .ok_or_else(|| VolumeError::Token("none was issued".to_owned()))?;
                let file = File {
                    data: text.clone().into_bytes(),
                    mode: token_mode(pod, default),
                };
                files.insert(inside(&token.path)?, file);
            } else {
                return Err(VolumeError::Unsupported(
                    "this kind of projection".to_owned(),
                ));
            }
        }
    } else {
        return Ok(None);
    }
    Ok(Some(files))
}

/// Without fsGroup, a token can be read by a container that is not root only if everybody can.
fn token_mode(pod: &Pod, default: Option<u32>) -> u32 {
    let fs_group = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.security_context.as_ref()?.fs_group);
    if fs_group.is_some() {
        0o600
    } else {
        default.unwrap_or(DEFAULT_MODE)
    }
}

/// A ConfigMap or Secret as a volume asks for it.
struct Wish<'a> {
    kind: &'static str,
    name: &'a str,
    items: Option<&'a [KeyToPath]>,
    optional: Option<bool>,
    mode: Option<u32>,
}

impl Wish<'_> {
    fn add(
        &self,
        data: Option<BTreeMap<String, Vec<u8>>>,
        files: &mut Payload,
    ) -> Result<(), VolumeError> {
        let optional = self.optional == Some(true);
        let default = self.mode.unwrap_or(DEFAULT_MODE);
        let Some(mut data) = data else {
            if optional {
                return Ok(());
            }
            return Err(EnvError::NotFound {
                kind: self.kind,
                name: self.name.to_owned(),
            }
            .into());
        };
        let Some(items) = self.items.filter(|items| !items.is_empty()) else {
            for (key, value) in data {
                files.insert(
                    inside(&key)?,
                    File {
                        data: value,
                        mode: default,
                    },
                );
            }
            return Ok(());
        };
        for item in items {
            match data.get_mut(&item.key) {
                Some(value) => {
                    let mode = item
                        .mode
                        .and_then(|mode| u32::try_from(mode).ok())
                        .unwrap_or(default);
                    files.insert(
                        inside(&item.path)?,
                        File {
                            data: value.clone(),
                            mode,
                        },
                    );
                }
                None if optional => {}
                None => {
                    let kind = if self.kind == "secret" {
                        "secret"
                    } else {
                        "config"
                    };
                    return Err(VolumeError::NoKey {
                        kind,
                        key: item.key.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn downward_files<'a>(
    pod: &Pod,
    items: impl Iterator<Item = &'a DownwardAPIVolumeFile>,
    default: Option<u32>,
    source: &Source<'_>,
    files: &mut Payload,
) -> Result<(), VolumeError> {
    let none = k8s_openapi::api::core::v1::Container::default();
    for item in items {
        let text = if let Some(field) = &item.field_ref {
            fields::field(pod, &field.field_path, source.facts)?
        } else if let Some(resource) = &item.resource_field_ref {
            fields::resource(pod, &none, resource, source.facts)?
        } else {
            continue;
        };
        let mode = item
            .mode
            .and_then(|mode| u32::try_from(mode).ok())
            .or(default)
            .unwrap_or(DEFAULT_MODE);
        files.insert(
            inside(&item.path)?,
            File {
                data: text.into_bytes(),
                mode,
            },
        );
    }
    Ok(())
}

/// A path that stays inside its volume.
fn inside(path: &str) -> Result<String, VolumeError> {
    let bad = path.is_empty()
        || path.starts_with('/')
        || path.starts_with("..")
        || path.split('/').any(|part| matches!(part, ".." | "." | ""));
    if bad {
        Err(VolumeError::Path(path.to_owned()))
    } else {
        Ok(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{CONFIG_MAPS, SECRETS};
    use object::Draft;
    use serde_json::json;
    use std::sync::Arc;
    use world::{Commit, Event, World};

    fn world() -> World {
        let rows = [
            (
                CONFIG_MAPS,
                json!({"metadata": {"name": "c", "namespace": "n"}, "data": {"a": "1", "b": "2"}}),
            ),
            (
                SECRETS,
                json!({"metadata": {"name": "s", "namespace": "n"}, "data": {"p": "cQ=="}}),
            ),
        ];
        let events = rows
            .iter()
            .map(|(resource, value)| {
                Arc::new(Event::put(
                    Arc::new(
                        Draft::new(*resource, value, |_| Default::default())
                            .unwrap()
                            .seal(1),
                    ),
                    None,
                ))
            })
            .collect();
        World::new(&[]).apply(&Commit {
            revision: 1,
            events,
        })
    }

    fn show(volume: serde_json::Value) -> Result<String, String> {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n", "labels": {"x": "y"}}, "spec": {"containers": []}})).unwrap();
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let (world, facts) = (world(), fields::Facts::default());
        let tokens = token_wishes(&volume)
            .into_iter()
            .map(|wish| (wish, "tok".to_owned()))
            .collect();
        let files = payload(
            &pod,
            &volume,
            &Source {
                world: &world,
                facts: &facts,
            },
            &tokens,
        )
        .map_err(|error| error.to_string())?;
        let lines = files.unwrap_or_default().into_iter().map(|(path, file)| {
            format!(
                "{path}={}:{:o}",
                String::from_utf8_lossy(&file.data),
                file.mode
            )
        });
        Ok(lines.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn volumes_of_objects_become_files() {
        let rows = [
            (
                json!({"name": "v", "configMap": {"name": "c"}}),
                Ok("a=1:644 b=2:644"),
            ),
            (
                json!({"name": "v", "configMap": {"name": "c", "defaultMode": 256, "items": [{"key": "b", "path": "d/e"}]}}),
                Ok("d/e=2:400"),
            ),
            (
                json!({"name": "v", "configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}}),
                Err("references non-existent config key: z"),
            ),
            (
                json!({"name": "v", "configMap": {"name": "no"}}),
                Err("configmap \"no\" not found"),
            ),
            (
                json!({"name": "v", "configMap": {"name": "no", "optional": true}}),
                Ok(""),
            ),
            (
                json!({"name": "v", "secret": {"secretName": "s", "items": [{"key": "p", "path": "../../etc/p"}]}}),
                Err("invalid path \"../../etc/p\": must be relative and must not contain \"..\""),
            ),
            (
                json!({"name": "v", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}),
                Ok("l=x=\"y\":644"),
            ),
            (
                json!({"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}, {"serviceAccountToken": {"path": "token"}}]}}),
                Ok("a=1:644 b=2:644 p=q:644 token=tok:644"),
            ),
        ];
        for (volume, want) in rows {
            assert_eq!(
                show(volume.clone()),
                want.map(str::to_owned).map_err(str::to_owned),
                "{volume}"
            );
        }
    }
}

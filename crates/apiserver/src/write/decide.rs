//! What a write does to the world: pure, so that it can be decided anew when
//! another write came first.

use std::sync::Arc;

use jiff::Timestamp;
use object::names::resources::NAMESPACES;
use object::{Draft, FieldErrors, Key, Object, Reason, Status};
use patch::managed;
use patch::{FieldSet, Shape};
use schema::Node;
use serde_json::Value;
use store::{Expect, Op};
use world::World;

use super::{Call, FieldValidation, Intent, PatchKind, delete, meta};

/// What is to be committed.
#[derive(Debug)]
pub struct Decision {
    /// The change; `None` if nothing changes.
    pub op: Option<Op>,
    /// What it presupposes.
    pub expect: Expect,
    /// Where.
    pub key: Key,
    /// The object before.
    pub live: Option<Arc<Object>>,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
    /// Whether the server made up the name.
    pub generated: bool,
}

/// Decides a write on `world`.
pub fn decide(
    world: &World,
    call: &Call,
    intent: &Intent,
    now: Timestamp,
) -> Result<Decision, Status> {
    let writer = Writer {
        world,
        call,
        now,
        node: node(call)?,
        warnings: Vec::new(),
    };
    match intent {
        Intent::Create(body) => writer.create(body),
        Intent::Delete(options) => {
            let live = writer.live()?;
            delete::check(options, &live, call)?;
            let op = match delete::step(options, &live, now) {
                delete::Step::Remove => Some(Op::Delete),
                delete::Step::Mark(value) => Some(Op::Put(Box::new(writer.draft(&value)?))),
                delete::Step::Nothing => None,
            };
            Ok(writer.on(live, op))
        }
        Intent::Update(body) => writer.update(body),
        Intent::Patch(kind, patch) => writer.patch(*kind, patch),
        Intent::Apply(body, force) => writer.apply(body, *force),
    }
}

/// The type of the kind a call is about.
fn node(call: &Call) -> Result<&'static Node, Status> {
    schema::types()
        .get(call.spec.type_name)
        .ok_or_else(|| Status::internal(format!("no type {}", call.spec.type_name)))
}

struct Writer<'w> {
    world: &'w World,
    call: &'w Call,
    now: Timestamp,
    node: &'static Node,
    warnings: Vec<String>,
}

impl Writer<'_> {
    fn live(&self) -> Result<Arc<Object>, Status> {
        self.world
            .get(&self.call.key())
            .cloned()
            .ok_or_else(|| Status::not_found(self.call.resource(), &self.call.name))
    }

    fn on(self, live: Arc<Object>, op: Option<Op>) -> Decision {
        Decision {
            op,
            expect: Expect::Revision(live.revision()),
            key: live.key(),
            live: Some(live),
            warnings: self.warnings,
            generated: false,
        }
    }

    fn create(mut self, body: &[u8]) -> Result<Decision, Status> {
        let value = self.decode(body)?;
        self.start(value, true)
    }

    /// The end of every create. `own`: the writer comes to own what it set; an
    /// apply has settled that already.
    fn start(mut self, mut value: Value, own: bool) -> Result<Decision, Status> {
        let call = self.call;
        let generated = meta::start(&mut value, call, self.now)?;
        let name = meta::text(&value, "/metadata/name").to_owned();
        self.check_namespace(&name)?;
        call.spec.default(&mut value);
        call.spec.prepare_create(&mut value);
        // What the kind prepared has defaults as well.
        call.spec.default(&mut value);
        if let Some(validate) = call.spec.hooks.validate_create {
            self.refuse(&name, &validate(&value))?;
        }
        if own {
            self.own(None, &mut value);
        }
        self.finish(&mut value)?;
        let key = Key::new(call.spec.resource, call.namespace.as_str(), name.as_str());
        if self.world.get(&key).is_some() && !generated {
            return Err(Status::already_exists(call.resource(), &name));
        }
        Ok(Decision {
            op: Some(Op::Put(Box::new(self.draft(&value)?))),
            expect: Expect::Absent,
            key,
            live: None,
            warnings: self.warnings,
            generated,
        })
    }

    fn update(mut self, body: &[u8]) -> Result<Decision, Status> {
        let value = self.decode(body)?;
        let live = self.live()?;
        meta::check_claims(&value, &live, self.call)?;
        self.replace(live, value, true)
    }

    fn patch(mut self, kind: PatchKind, patch: &Value) -> Result<Decision, Status> {
        let live = self.live()?;
        let old = live.value();
        let patched = match kind {
            PatchKind::Json => patch::json_patch(old, patch),
            PatchKind::Merge => patch::merge_patch(old, patch),
            PatchKind::Strategic => patch::strategic(Shape::new(self.node), old, patch),
        };
        let patched = patched.map_err(|error| Status {
            code: error.code(),
            ..Status::new(error.reason(), error.to_string())
        })?;
        let value = self.decode_tree(patched)?;
        meta::check_claims(&value, &live, self.call)?;
        self.replace(live, value, true)
    }

    fn apply(mut self, body: &Value, force: bool) -> Result<Decision, Status> {
        let live = self.world.get(&self.call.key()).cloned();
        let old = live.as_ref().map(|live| live.value());
        let reset = self.reset();
        let api_version = self.call.spec.gvk.api_version();
        let applied = self.with_write(&reset, &api_version, |write| {
            managed::apply(write, old.as_ref(), body, force)
        });
        let merged = applied.map_err(|error| {
            let status = Status {
                code: error.code(),
                ..Status::new(error.reason(), error.to_string())
            };
            match &error {
                managed::ApplyError::Conflicts(conflicts) => {
                    status.detail(|details| details.causes = conflicts.causes())
                }
                _ => status,
            }
        })?;
        let mut value = self.decode_tree(merged)?;
        match live {
            None => {
                meta::of(&mut value).insert("name".into(), self.call.name.clone().into());
                self.start(value, false)
            }
            Some(live) => {
                meta::check_claims(body, &live, self.call)?;
                self.replace(live, value, false)
            }
        }
    }

    /// The end of every update, patch and apply; `own` as for [`Writer::start`].
    fn replace(
        mut self,
        live: Arc<Object>,
        mut value: Value,
        own: bool,
    ) -> Result<Decision, Status> {
        let spec = self.call.spec;
        let old = live.value();
        let mut before = old.clone();
        spec.default(&mut before);
        meta::keep(&mut value, &old);
        meta::of(&mut value).insert("name".into(), self.call.name.clone().into());
        if spec.namespaced {
            meta::of(&mut value).insert("namespace".into(), self.call.namespace.clone().into());
        }
        spec.default(&mut value);
        if self.call.subresource == "status" {
            spec.prepare_status_update(&mut value, &before);
        } else {
            spec.prepare_update(&mut value, &before);
            if let Some(validate) = spec.hooks.validate_update {
                self.refuse(&self.call.name, &validate(&value, &before))?;
            }
        }
        if own {
            self.own(Some(&old), &mut value);
        }
        self.finish(&mut value)?;
        if managed::keep_times(&old, &mut value) {
            return Ok(self.on(live, None));
        }
        let draft = self.draft(&value)?;
        if draft.same_as(&live) {
            return Ok(self.on(live, None));
        }
        // The last finalizer of an object that waits only for it lets it go.
        let waits = draft.meta().is_deleting()
            && draft.meta().finalizers.is_empty()
            && live.meta().deletion_grace_seconds.unwrap_or(0) == 0
            && value.pointer("/spec/finalizers").is_none_or(|f| {
                f.as_array().is_none_or(Vec::is_empty) || live.resource() != NAMESPACES
            });
        let op = if waits {
            Op::Delete
        } else {
            Op::Put(Box::new(draft))
        };
        Ok(self.on(live, Some(op)))
    }

    fn decode(&mut self, body: &[u8]) -> Result<Value, Status> {
        let kind = self.call.spec.gvk.kind;
        let refused = |error: schema::DecodeError, seen: Option<&schema::TypeMeta>| {
            Status::bad_request(error.refusal(kind, seen, body))
        };
        let seen = schema::type_meta(body).map_err(|error| refused(error, None))?;
        self.check_type(&seen)?;
        let decoded =
            schema::decode(self.node, body).map_err(|error| refused(error, Some(&seen)))?;
        self.settle(decoded)
    }

    fn decode_tree(&mut self, value: Value) -> Result<Value, Status> {
        let decoded = schema::decode_value(self.node, value)
            .map_err(|error| Status::bad_request(error.to_string()))?;
        self.settle(decoded)
    }

    fn check_type(&self, seen: &schema::TypeMeta) -> Result<(), Status> {
        let gvk = self.call.spec.gvk;
        let differs = (!seen.kind.is_empty() && seen.kind != gvk.kind)
            || (!seen.api_version.is_empty() && seen.api_version != gvk.api_version());
        if !differs {
            return Ok(());
        }
        Err(Status::bad_request(format!(
            "the object provided is of kind {} in {}, but this endpoint takes {} in {}",
            seen.kind,
            seen.api_version,
            gvk.kind,
            gvk.api_version(),
        )))
    }

    fn settle(&mut self, decoded: schema::Decoded) -> Result<Value, Status> {
        if !decoded.issues.is_empty() {
            match self.call.validation {
                FieldValidation::Strict => {
                    return Err(Status::bad_request(schema::strict_error(&decoded.issues)));
                }
                FieldValidation::Warn => {
                    self.warnings
                        .extend(decoded.issues.iter().map(ToString::to_string));
                }
                FieldValidation::Ignore => {}
            }
        }
        let mut value = decoded.value;
        let gvk = self.call.spec.storage.unwrap_or(self.call.spec.gvk);
        schema::set_type(&mut value, &gvk.api_version(), gvk.kind);
        Ok(value)
    }

    fn check_namespace(&self, name: &str) -> Result<(), Status> {
        if !self.call.spec.namespaced {
            return Ok(());
        }
        let namespace = &self.call.namespace;
        let Some(found) = self.world.find(NAMESPACES, "", namespace) else {
            return Err(Status::not_found(NAMESPACES, namespace));
        };
        if found.meta().is_deleting() {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(
                Status::forbidden(self.call.resource(), name, why).detail(|details| {
                    details.causes.push(object::Cause {
                        reason: "NamespaceTerminating".into(),
                        message: format!("namespace {namespace} is being terminated"),
                        field: "metadata.namespace".into(),
                    });
                }),
            );
        }
        Ok(())
    }

    fn refuse(&self, name: &str, errors: &FieldErrors) -> Result<(), Status> {
        let gvk = self.call.spec.gvk;
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Status::invalid(gvk.group, gvk.kind, name, errors))
        }
    }

    fn reset(&self) -> FieldSet {
        let paths = match self.call.subresource.as_str() {
            "status" => self.call.spec.reset_fields.status,
            _ => self.call.spec.reset_fields.main,
        };
        let split: Vec<Vec<&str>> = paths.iter().map(|path| path.split('.').collect()).collect();
        FieldSet::of(&split.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn with_write<T>(
        &self,
        reset: &FieldSet,
        api_version: &str,
        run: impl FnOnce(&managed::Write<'_>) -> T,
    ) -> T {
        let gvk = self.call.spec.gvk;
        let versions = managed::OneShape {
            shape: Shape::new(self.node),
            group: gvk.group,
        };
        run(&managed::Write {
            versions: &versions,
            api_version,
            kind: gvk.kind,
            manager: &self.call.manager,
            subresource: &self.call.subresource,
            reset,
            now: self.now,
        })
    }

    fn own(&self, before: Option<&Value>, value: &mut Value) {
        let reset = self.reset();
        let api_version = self.call.spec.gvk.api_version();
        let result = self.with_write(&reset, &api_version, |write| {
            managed::update(write, before, value)
        });
        if let Err(error) = result {
            tracing::warn!(%error, key = %self.call.key(), "field ownership was not recorded");
        }
    }

    /// Warnings and canonical form.
    fn finish(&mut self, value: &mut Value) -> Result<(), Status> {
        let hooks = &self.call.spec.hooks;
        if let Some(warnings) = hooks.warnings {
            self.warnings.extend(warnings(value));
        }
        if let Some(canonicalize) = hooks.canonicalize {
            canonicalize(value);
        }
        schema::canonical(self.node, value)
            .map_err(|error| Status::new(Reason::InternalError, error.to_string()))?;
        let gvk = self.call.spec.storage.unwrap_or(self.call.spec.gvk);
        schema::set_type(value, &gvk.api_version(), gvk.kind);
        Ok(())
    }

    fn draft(&self, value: &Value) -> Result<Draft, Status> {
        Draft::new(self.call.spec.resource, value, |value| {
            self.call.spec.fields(value)
        })
        .map_err(Status::internal)
    }
}

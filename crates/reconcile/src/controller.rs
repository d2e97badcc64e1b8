//! What a controller is: a name, what wakes it, and a pure plan.

use jiff::Timestamp;
use object::object::DecodeError;
use object::{Key, Object, Resource};
use world::{Event, World};

use crate::plan::Plan;

/// What a plan may know besides the world.
#[derive(Clone, Copy, Debug)]
pub struct Cx {
    /// Now.
    pub now: Timestamp,
    /// A random number drawn for this plan; names and spreads derive from it.
    pub random: u64,
}

/// A plan that could not be made. The key is tried again with back-off.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A stored object does not have its kind's shape.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Something the object names is wrong; the text says what.
    #[error("{0}")]
    Invalid(String),
}

/// Stands in `reconciles` for objects of all resources. No object has this
/// resource, so a [`Wake::Every`] alone names the keys.
pub const EVERY: Resource = Resource::new("*", "*");

/// One controller. Constant data; registering it is one list line.
#[derive(Clone, Copy)]
pub struct Controller {
    /// Name in metrics, logs and events, such as `replicaset-controller`.
    pub name: &'static str,
    /// Service account in `kube-system` whose rights its writes have.
    pub account: &'static str,
    /// The resource whose objects it plans for.
    pub reconciles: Resource,
    /// What else wakes a key.
    pub wakes_on: &'static [Wake],
    /// Decides. Pure: time and randomness come from `Cx` alone.
    pub plan: fn(&Cx, &World, &Key) -> Result<Plan, PlanError>,
}

/// Which keys a change of some other object concerns.
#[derive(Clone, Copy)]
pub enum Wake {
    /// Objects of this resource wake the controller that owns them.
    Owned(Resource),
    /// Objects of this resource wake the keys that the function names. It sees
    /// each state of the object, the old and the new one.
    Mapped(Resource, fn(&World, &Object) -> Vec<Key>),
    /// Any dependent wakes any owner of the reconciled resource.
    Dependents,
    /// Any object of any resource wakes the keys that the function names, which may
    /// be of any resource: for controllers that plan for [`EVERY`].
    Every(fn(&World, &Object) -> Vec<Key>),
}

impl Controller {
    /// The keys that `event` concerns, possibly with repetitions.
    pub fn woken_by(&self, world: &World, event: &Event) -> Vec<Key> {
        let mut keys = Vec::new();
        if event.resource() == self.reconciles {
            keys.push(event.key());
        }
        let states = || event.old.iter().chain(event.new_state());
        for wake in self.wakes_on {
            match wake {
                Wake::Owned(resource) if *resource == event.resource() => {
                    keys.extend(states().filter_map(|state| {
                        let owner = state.meta().controller()?;
                        self.owner_key(world, &state.meta().namespace, owner)
                    }));
                }
                Wake::Mapped(resource, keys_of) if *resource == event.resource() => {
                    keys.extend(states().flat_map(|state| keys_of(world, state)));
                }
                Wake::Every(keys_of) => {
                    keys.extend(states().flat_map(|state| keys_of(world, state)));
                }
                Wake::Dependents => keys.extend(states().flat_map(|state| {
                    let meta = state.meta();
                    let owner = |owner| self.owner_key(world, &meta.namespace, owner);
                    meta.owners.iter().filter_map(owner).collect::<Vec<_>>()
                })),
                Wake::Owned(_) | Wake::Mapped(..) => {}
            }
        }
        keys
    }

    /// The key of an owner, if it is of the reconciled resource and still the one
    /// that was meant.
    fn owner_key(&self, world: &World, namespace: &str, owner: &object::OwnerRef) -> Option<Key> {
        let key = Key::new(self.reconciles, namespace, owner.name.clone());
        let found = world.get(&key)?;
        (found.meta().uid == owner.uid).then_some(key)
    }
}

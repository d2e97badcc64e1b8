//! How large each replica set shall be next.

use object::names::resources::PODS;
use reconcile::PlanError;
use world::World;

use super::sets::Sets;
use crate::pods::PodView;

/// Grows the new set and shrinks the old ones, within surge and availability.
pub(super) fn roll(sets: &mut Sets) {
    let total: i64 = sets.all().map(super::sets::Set::size).sum();
    let room = (sets.replicas + sets.max_surge - total).max(0);
    let Some(new) = &mut sets.new else {
        sets.make = Some(room.min(sets.replicas));
        return;
    };
    if new.size() != sets.replicas {
        let grown = new.size() + room.min(sets.replicas - new.size());
        new.target = grown.min(sets.replicas);
        if new.target != new.size() {
            return;
        }
    }
    shrink_old(sets, total);
}

fn shrink_old(sets: &mut Sets, total: i64) {
    let least = sets.replicas - sets.max_unavailable;
    let waiting = sets
        .new
        .as_ref()
        .map_or(0, |new| new.size() - new.available());
    let mut budget = total - least - waiting;
    if budget <= 0 {
        return;
    }
    // Pods that serve nobody go first.
    for set in &mut sets.old {
        let unhealthy = (set.size() - set.available()).max(0).min(budget);
        set.target = set.size() - unhealthy;
        budget -= unhealthy;
        if budget == 0 {
            break;
        }
    }
    let available: i64 = sets.all().map(super::sets::Set::available).sum();
    let mut spare = (available - least).max(0);
    for set in &mut sets.old {
        let fewer = set.target.min(spare);
        set.target -= fewer;
        spare -= fewer;
    }
}

/// Ends all old pods, then makes the new ones.
pub(super) fn recreate(world: &World, sets: &mut Sets) -> Result<(), PlanError> {
    let mut waiting = false;
    for set in &mut sets.old {
        waiting |= set.size() > 0;
        set.target = 0;
        for pod in world.owned(PODS, &set.object.meta().uid) {
            waiting |= !PodView::of(pod)?.is_finished();
        }
    }
    if waiting {
        return Ok(());
    }
    match &mut sets.new {
        Some(new) => new.target = sets.replicas,
        None => sets.make = Some(sets.replicas),
    }
    Ok(())
}

/// Brings a change of `replicas` to the sets without rolling: to the only active
/// one, or to all in proportion to their size.
pub(super) fn scale(sets: &mut Sets) {
    let (replicas, surge) = (sets.replicas, sets.max_surge);
    let active = sets.all().filter(|set| set.size() > 0).count();
    if active <= 1 {
        let only_new = active == 0;
        if let Some(set) = sets.old.iter_mut().find(|set| set.size() > 0) {
            set.target = replicas;
        } else if let Some(new) = sets.new.as_mut().filter(|new| only_new || new.size() > 0) {
            new.target = replicas;
        }
        return;
    }
    let done = sets
        .new
        .as_ref()
        .is_some_and(|new| new.size() == replicas && new.available() == replicas);
    if done {
        sets.old.iter_mut().for_each(|set| set.target = 0);
        return;
    }
    let total: i64 = sets.all().map(super::sets::Set::size).sum();
    let allowed = if replicas > 0 { replicas + surge } else { 0 };
    let mut left = allowed - total;
    let mut all: Vec<_> = sets.all_mut().filter(|set| set.size() > 0).collect();
    // The largest takes what rounding leaves over.
    all.sort_by_key(|set| -set.size());
    let change = left;
    for set in &mut all {
        // Rounded half up, never beyond what is left.
        let share = (2 * set.size() * change + total * change.signum()) / (2 * total);
        let share = if change > 0 {
            share.clamp(0, left)
        } else {
            share.clamp(left, 0)
        };
        set.target = (set.size() + share).max(0);
        left -= share;
    }
    if let Some(largest) = all.first_mut() {
        largest.target = (largest.target + left).max(0);
    }
}

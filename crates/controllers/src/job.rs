//! Job: runs pods until enough have succeeded, or too many have failed.
//!
//! Reads Job and its pods. Writes Pod (create, delete, finalizer) and Job/status.
//! Invariant: a finished pod keeps its finalizer until the status that counts it
//! is stored with its uid among `uncountedTerminatedPods`, so that a crash between
//! any two writes neither loses nor doubles a count.

use std::collections::BTreeSet;
use std::sync::Arc;

use client::{Target, Write};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use object::names::resources::{JOBS, PODS};
use object::time::rfc3339;
use object::{Key, Object};
use reconcile::{Controller, Cx, Note, NoteType, Plan, PlanError, Wake};
use serde_json::{Value, json};
use world::World;

use crate::pods::{self, PodView, count};

/// Pods made or deleted in one plan.
pub const BURST: usize = 500;
/// First wait after a failed pod; doubles with each, up to [`BACKOFF_LIMIT_SECONDS`].
pub const BACKOFF_START_SECONDS: i64 = 10;
/// Longest wait after failed pods.
pub const BACKOFF_LIMIT_SECONDS: i64 = 600;
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The controller.
pub const CONTROLLER: Controller = Controller {
    name: "job-controller",
    account: "job-controller",
    reconciles: JOBS,
    wakes_on: &[Wake::Owned(PODS)],
    plan,
};

/// Deletes finished jobs when `ttlSecondsAfterFinished` is over.
pub const TTL: Controller = Controller {
    name: "ttl-after-finished-controller",
    account: "ttl-after-finished-controller",
    reconciles: JOBS,
    wakes_on: &[],
    plan: plan_ttl,
};

fn plan_ttl(cx: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(object) = world.get(key).filter(|o| !o.meta().is_deleting()) else {
        return Ok(plan);
    };
    let job: Arc<Job> = object.view()?;
    let ttl = job
        .spec
        .as_ref()
        .and_then(|spec| spec.ttl_seconds_after_finished);
    let value = object.value();
    let ended = finished(&value).and_then(|c| c["lastTransitionTime"].as_str()?.parse().ok());
    let (Some(ttl), Some(ended)) = (ttl, ended) else {
        return Ok(plan);
    };
    let ended: Timestamp = ended;
    let due = ended.checked_add(SignedDuration::from_secs(i64::from(ttl)));
    match due {
        Ok(due) if due > cx.now => plan.requeue_at(Some(due)),
        _ => {
            let mut write = Write::delete(object);
            write.body["propagationPolicy"] = json!("Foreground");
            plan.write(write);
        }
    }
    Ok(plan)
}

/// The condition that ended the job.
fn finished(job: &Value) -> Option<&Value> {
    let mut conditions = job["status"]["conditions"].as_array()?.iter();
    conditions.find(|c| (c["type"] == "Complete" || c["type"] == "Failed") && c["status"] == "True")
}

/// Everything one plan looks at.
struct Run<'a> {
    now: Timestamp,
    object: &'a Arc<Object>,
    value: Value,
    status: Value,
    pods: Vec<PodView>,
    succeeded: i64,
    failed: i64,
    done: BTreeSet<i64>,
    indexed: bool,
    completions: Option<i64>,
    parallelism: i64,
}

fn plan(cx: &Cx, world: &World, key: &Key) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    let Some(object) = world.get(key) else {
        return Ok(plan);
    };
    let job: Arc<Job> = object.view()?;
    let Some(spec) = job.spec.as_ref() else {
        return Ok(plan);
    };
    let mut found = Vec::new();
    for pod in world.owned(PODS, &object.meta().uid) {
        found.push(PodView::of(pod)?);
    }
    let before = job.status.clone().unwrap_or_default();
    if object.meta().is_deleting() || finished(&object.value()).is_some() {
        // Nothing counts any more: what is left may go.
        for pod in found
            .iter()
            .filter(|pod| pod.object.meta().has_finalizer(TRACKING))
        {
            plan.write(untracked(&pod.object));
        }
        return Ok(plan);
    }
    let value = object.value();
    let mut run = Run {
        now: cx.now,
        object,
        status: value.get("status").cloned().unwrap_or_else(|| json!({})),
        value,
        pods: found,
        succeeded: i64::from(before.succeeded.unwrap_or(0)),
        failed: i64::from(before.failed.unwrap_or(0)),
        done: indexes(before.completed_indexes.as_deref().unwrap_or_default()),
        indexed: spec.completion_mode.as_deref() == Some("Indexed"),
        completions: spec.completions.map(i64::from),
        parallelism: i64::from(spec.parallelism.unwrap_or(1)),
    };
    let suspended = spec.suspend == Some(true);
    if run.status.get("startTime").is_none() && !suspended {
        run.status["startTime"] = json!(rfc3339(cx.now));
    }
    let fresh = run.tally(&before, &mut plan);
    let deadline = spec.active_deadline_seconds.and_then(|seconds| {
        let start: Timestamp = run.status["startTime"].as_str()?.parse().ok()?;
        start.checked_add(SignedDuration::from_secs(seconds)).ok()
    });
    let limit = i64::from(spec.backoff_limit.unwrap_or(6));
    let restarts: i64 = run
        .pods
        .iter()
        .filter(|pod| pod.is_active())
        .map(|pod| i64::from(pod.restarts()))
        .sum();
    if run.failed > limit || (restarts > 0 && restarts >= limit) {
        run.end(
            "Failed",
            "FailureTarget",
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit",
            &mut plan,
        );
    } else if !suspended && deadline.is_some_and(|deadline| deadline <= cx.now) {
        run.end(
            "Failed",
            "FailureTarget",
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
            &mut plan,
        );
    } else if run.is_complete() {
        run.end(
            "Complete",
            "SuccessCriteriaMet",
            "CompletionsReached",
            "Reached expected number of succeeded pods",
            &mut plan,
        );
    } else {
        run.suspend(suspended, &mut plan);
        if !suspended {
            plan.requeue_at(deadline);
            run.balance(&mut plan);
        }
    }
    run.write_status(fresh, &mut plan);
    Ok(plan)
}

impl Run<'_> {
    /// Counts pods that ended since the last status, and frees those that the
    /// stored status has counted. Gives the uids counted now.
    fn tally(&mut self, before: &JobStatus, plan: &mut Plan) -> (Vec<String>, Vec<String>) {
        let stored = before.uncounted_terminated_pods.clone().unwrap_or_default();
        let known: BTreeSet<String> = stored
            .succeeded
            .into_iter()
            .chain(stored.failed)
            .flatten()
            .collect();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for pod in &self.pods {
            let meta = pod.object.meta();
            if !meta.has_finalizer(TRACKING)
                || (pod.is_active() || !(pod.is_finished() || pod.is_terminating()))
            {
                continue;
            }
            if known.contains(meta.uid.as_str()) {
                plan.write(untracked(&pod.object));
            } else if pod.phase() == "Succeeded" {
                let index = index_of(&pod.object);
                if self.indexed && !index.is_some_and(|index| self.done.insert(index)) {
                    plan.write(untracked(&pod.object));
                    continue;
                }
                good.push(meta.uid.to_string());
            } else {
                bad.push(meta.uid.to_string());
            }
        }
        self.succeeded += i64::try_from(good.len()).unwrap_or(0);
        self.failed += i64::try_from(bad.len()).unwrap_or(0);
        (good, bad)
    }

    fn active(&self) -> impl Iterator<Item = &PodView> {
        self.pods.iter().filter(|pod| pod.is_active())
    }

    fn is_complete(&self) -> bool {
        match self.completions {
            Some(completions) => self.succeeded >= completions,
            None => self.succeeded > 0 && self.active().next().is_none(),
        }
    }

    fn condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) -> bool {
        let mut list = self.status["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if list
            .iter()
            .any(|c| c["type"] == kind && c["status"] == status)
        {
            return false;
        }
        list.retain(|c| c["type"] != kind);
        let now = rfc3339(self.now);
        list.push(
            json!({"type": kind, "status": status, "lastProbeTime": now, "lastTransitionTime": now,
            "reason": reason, "message": message}),
        );
        self.status["conditions"] = json!(list);
        true
    }

    /// Says how it ends; the end itself follows when no pod is left.
    fn end(&mut self, kind: &str, target: &str, reason: &str, message: &str, plan: &mut Plan) {
        self.condition(target, "True", reason, message);
        let active: Vec<_> = self.active().cloned().collect();
        for pod in active.iter().take(BURST) {
            self.delete(pod, plan);
        }
        let waiting = self.pods.iter().any(|pod| !pod.is_finished());
        if waiting {
            return;
        }
        self.condition(kind, "True", reason, message);
        let note = if kind == "Complete" {
            self.status["completionTime"] = json!(rfc3339(self.now));
            Note::new(self.object, NoteType::Normal, "Completed", "Job completed")
        } else {
            Note::new(self.object, NoteType::Warning, reason, message)
        };
        plan.note(note);
    }

    fn suspend(&mut self, suspended: bool, plan: &mut Plan) {
        if suspended {
            let active: Vec<_> = self.active().cloned().collect();
            self.drop_pods(active.iter().take(BURST), plan);
            if self.condition("Suspended", "True", "JobSuspended", "Job suspended") {
                if let Some(status) = self.status.as_object_mut() {
                    status.shift_remove("startTime");
                }
                plan.note(Note::new(
                    self.object,
                    NoteType::Normal,
                    "Suspended",
                    "Job suspended",
                ));
            }
            return;
        }
        let conditions = self.status["conditions"].as_array();
        let was = conditions
            .into_iter()
            .flatten()
            .any(|c| c["type"] == "Suspended" && c["status"] == "True");
        if was && self.condition("Suspended", "False", "JobResumed", "Job resumed") {
            self.status["startTime"] = json!(rfc3339(self.now));
            plan.note(Note::new(
                self.object,
                NoteType::Normal,
                "Resumed",
                "Job resumed",
            ));
        }
    }

    /// Makes or ends pods until as many run as shall.
    fn balance(&self, plan: &mut Plan) {
        let active: Vec<_> = self.active().collect();
        let running = i64::try_from(active.len()).unwrap_or(i64::MAX);
        let wanted = match self.completions {
            Some(completions) => self.parallelism.min(completions - self.succeeded),
            None if self.succeeded > 0 => running.min(self.parallelism),
            None => self.parallelism,
        };
        let surplus = usize::try_from(running - wanted).unwrap_or(0);
        self.drop_pods(active.iter().copied().take(surplus.min(BURST)), plan);
        let missing = usize::try_from(wanted - running).unwrap_or(0).min(BURST);
        if missing == 0 {
            return;
        }
        if let Some(due) = self.backoff().filter(|due| *due > self.now) {
            return plan.requeue_at(Some(due));
        }
        let taken: BTreeSet<i64> = active
            .iter()
            .filter_map(|pod| index_of(&pod.object))
            .collect();
        let free = |index: &i64| !taken.contains(index) && !self.done.contains(index);
        let free: Vec<i64> = (0..self.completions.unwrap_or(0))
            .filter(free)
            .take(missing)
            .collect();
        for number in 0..missing {
            match (self.indexed, free.get(number)) {
                (true, None) => break,
                (true, index) => self.create(index.copied(), plan),
                (false, _) => self.create(None, plan),
            }
        }
    }

    /// When the next pod may be made after failures.
    fn backoff(&self) -> Option<Timestamp> {
        let failed = self.pods.iter().filter(|pod| pod.phase() == "Failed");
        let ended = failed.filter_map(|pod| {
            let statuses = pod.pod.status.as_ref()?.container_statuses.as_ref()?;
            let ends = statuses
                .iter()
                .filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
            ends.map(|time| time.0).max()
        });
        let last = ended.max()?;
        let doublings = u32::try_from(self.failed - 1).unwrap_or(0).min(10);
        let wait = (BACKOFF_START_SECONDS << doublings).min(BACKOFF_LIMIT_SECONDS);
        last.checked_add(SignedDuration::from_secs(wait)).ok()
    }

    fn create(&self, index: Option<i64>, plan: &mut Plan) {
        let mut template = self.value["spec"]["template"].clone();
        if let Some(index) = index {
            index_template(&mut template, &self.object.meta().name, index);
        }
        let mut write = pods::creation(self.object, &template);
        if let Some(index) = index {
            let name = &self.object.meta().name;
            write.body["metadata"]["generateName"] = json!(format!("{name}-{index}-"));
        }
        let mut finalizers = write.body["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        finalizers.push(json!(TRACKING));
        write.body["metadata"]["finalizers"] = json!(finalizers);
        plan.write(write)
            .on_success(Note::new(
                self.object,
                NoteType::Normal,
                "SuccessfulCreate",
                "Created pod: {name}",
            ))
            .on_failure(Note::new(
                self.object,
                NoteType::Warning,
                "FailedCreate",
                "Error creating: {error}",
            ));
    }

    /// Deletes pods that are not to count as failed: freed first, they are never counted.
    fn drop_pods<'p>(&self, pods: impl Iterator<Item = &'p PodView> + Clone, plan: &mut Plan) {
        for pod in pods.clone() {
            plan.write(untracked(&pod.object));
        }
        plan.then();
        for pod in pods {
            self.delete(pod, plan);
        }
    }

    fn delete(&self, pod: &PodView, plan: &mut Plan) {
        let message = format!("Deleted pod: {}", pod.object.meta().name);
        plan.write(Write::delete(&pod.object)).on_success(Note::new(
            self.object,
            NoteType::Normal,
            "SuccessfulDelete",
            message,
        ));
    }

    fn write_status(mut self, fresh: (Vec<String>, Vec<String>), plan: &mut Plan) {
        let number =
            |test: &dyn Fn(&PodView) -> bool| self.pods.iter().filter(|pod| test(pod)).count();
        let (active, terminating) = (
            number(&PodView::is_active),
            number(&|pod| pod.is_terminating() && !pod.is_finished()),
        );
        let ready = number(&|pod| pod.is_active() && pod.is_ready());
        let mut status = self.status.take();
        for name in ["active", "succeeded", "failed"] {
            if let Some(members) = status.as_object_mut() {
                members.shift_remove(name);
            }
        }
        count(&mut status, "active", active);
        count(
            &mut status,
            "succeeded",
            usize::try_from(self.succeeded).unwrap_or(0),
        );
        count(
            &mut status,
            "failed",
            usize::try_from(self.failed).unwrap_or(0),
        );
        status["ready"] = json!(ready);
        status["terminating"] = json!(terminating);
        if self.indexed && !self.done.is_empty() {
            status["completedIndexes"] = json!(ranges(&self.done));
        }
        let mut uncounted = json!({});
        for (name, uids) in [("succeeded", fresh.0), ("failed", fresh.1)] {
            // Uids stay until their pods are free; then nothing can count them again.
            let tracked = |uid: &Value| {
                self.pods.iter().any(|pod| {
                    *uid == pod.object.meta().uid.as_str()
                        && pod.object.meta().has_finalizer(TRACKING)
                })
            };
            let stored = self.value["status"]["uncountedTerminatedPods"][name].as_array();
            let mut list: Vec<Value> = stored
                .into_iter()
                .flatten()
                .filter(|uid| tracked(uid))
                .cloned()
                .collect();
            list.extend(uids.into_iter().map(Value::from));
            if !list.is_empty() {
                uncounted[name] = json!(list);
            }
        }
        status["uncountedTerminatedPods"] = uncounted;
        plan.status(self.object, status);
    }
}

/// Lets a pod go, whatever else has changed on it.
fn untracked(pod: &Object) -> Write {
    let left = pod.meta().finalizers.iter().filter(|f| *f != TRACKING);
    let metadata = json!({"uid": pod.meta().uid, "resourceVersion": pod.meta().revision.to_string(),
        "finalizers": left.collect::<Vec<_>>()});
    Write::merge(Target::of(pod), json!({ "metadata": metadata }))
}

fn index_of(pod: &Object) -> Option<i64> {
    pod.meta().annotation(INDEX)?.parse().ok()
}

fn index_template(template: &mut Value, name: &str, index: i64) {
    let text = json!(index.to_string());
    template["metadata"]["annotations"][INDEX] = text.clone();
    template["metadata"]["labels"][INDEX] = text;
    template["spec"]["hostname"] = json!(format!("{name}-{index}"));
    let path = format!("metadata.labels['{INDEX}']");
    let variable = json!({"name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}});
    for list in ["initContainers", "containers"] {
        let containers = template["spec"].get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let mut env = container["env"].as_array().cloned().unwrap_or_default();
            if !env
                .iter()
                .any(|entry| entry["name"] == "JOB_COMPLETION_INDEX")
            {
                env.push(variable.clone());
            }
            container["env"] = json!(env);
        }
    }
}

/// Reads `0,2-4`.
fn indexes(text: &str) -> BTreeSet<i64> {
    let parts = text.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    parts.flatten().collect()
}

/// Writes `0,2-4`.
fn ranges(set: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for index in set {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let one = |(first, last): &(i64, i64)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    runs.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene;
    use object::Resource;

    fn job(spec: Value, status: Value) -> (Resource, Value) {
        let mut value = json!({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","namespace":"n","uid":"u"},
            "spec":{"parallelism":1,"completions":1,"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c"}]}}},"status":status});
        for (name, given) in spec.as_object().unwrap() {
            value["spec"][name] = given.clone();
        }
        (JOBS, value)
    }

    fn pod(phase: &str) -> (Resource, Value) {
        let value = json!({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n","uid":"p","finalizers":[TRACKING],
            "ownerReferences":[{"apiVersion":"batch/v1","kind":"Job","name":"j","uid":"u","controller":true}]},
            "status":{"phase":phase}});
        (PODS, value)
    }

    fn plan_of(objects: &[(Resource, Value)]) -> Plan {
        scene::plan(&CONTROLLER, &scene::world(objects), JOBS, "n", "j")
    }

    fn reasons(plan: &Plan) -> Vec<String> {
        let status = &plan.steps().last().unwrap().write.body["status"];
        let list = status["conditions"].as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|c| {
                format!(
                    "{}/{}",
                    c["type"].as_str().unwrap(),
                    c["reason"].as_str().unwrap()
                )
            })
            .collect()
    }

    #[test]
    fn a_new_job_makes_tracked_pods() {
        let plan = plan_of(&[job(json!({}), json!({}))]);
        let body = &plan.steps().next().unwrap().write.body;
        assert_eq!(body["metadata"]["finalizers"], json!([TRACKING]));
        assert_eq!(plan.steps().count(), 2);
    }

    #[test]
    fn ends_come_with_their_target_conditions() {
        let rows = [
            (
                json!({}),
                "Succeeded",
                vec![
                    "SuccessCriteriaMet/CompletionsReached",
                    "Complete/CompletionsReached",
                ],
            ),
            (
                json!({"backoffLimit":0}),
                "Failed",
                vec![
                    "FailureTarget/BackoffLimitExceeded",
                    "Failed/BackoffLimitExceeded",
                ],
            ),
        ];
        for (spec, phase, expected) in rows {
            assert_eq!(
                reasons(&plan_of(&[job(spec, json!({})), pod(phase)])),
                expected
            );
        }
    }

    #[test]
    fn a_pod_is_counted_once_and_freed_only_after_it_is_counted() {
        let spec = json!({"completions":2});
        let first = plan_of(&[job(spec.clone(), json!({})), pod("Succeeded")]);
        let status = first.steps().last().unwrap().write.body["status"].clone();
        assert_eq!(
            status["uncountedTerminatedPods"],
            json!({"succeeded":["p"]})
        );
        assert!(
            !scene::lines(&first)
                .iter()
                .any(|line| line.starts_with("MergePatch"))
        );
        let second = plan_of(&[job(spec, status), pod("Succeeded")]);
        assert_eq!(
            scene::lines(&second)[0],
            "MergePatch /api/v1/namespaces/n/pods/p"
        );
        assert!(
            second
                .steps()
                .all(|step| step.write.body["status"]["succeeded"] != 2)
        );
    }

    #[test]
    fn suspending_deletes_and_says_so() {
        let plan = plan_of(&[job(json!({"suspend":true}), json!({})), pod("Running")]);
        let expected = [
            "MergePatch /api/v1/namespaces/n/pods/p",
            "Delete /api/v1/namespaces/n/pods/p",
        ];
        assert_eq!(scene::lines(&plan)[..2], expected);
        assert_eq!(reasons(&plan), ["Suspended/JobSuspended"]);
    }

    #[test]
    fn indexes_read_and_print_as_ranges() {
        assert_eq!(ranges(&indexes("0,2-4,9")), "0,2-4,9");
    }

    #[test]
    fn a_finished_job_goes_after_its_ttl() {
        let status = json!({"conditions":[{"type":"Complete","status":"True","lastTransitionTime":"2026-01-01T11:59:00Z"}]});
        for (ttl, gone) in [(60, true), (61, false)] {
            let world =
                scene::world(&[job(json!({"ttlSecondsAfterFinished":ttl}), status.clone())]);
            let plan = scene::plan(&TTL, &world, JOBS, "n", "j");
            assert_eq!(
                (plan.steps().count() == 1, plan.requeue_at.is_none()),
                (gone, gone)
            );
        }
    }
}

//! A few lines of world in, the plan out.

use super::*;
use crate::scene;

fn deployment(replicas: i64, image: &str) -> (object::Resource, Value) {
    let value = json!({"apiVersion":"apps/v1","kind":"Deployment",
        "metadata":{"name":"d","namespace":"n","uid":"u","generation":1,"annotations":{REVISION:"1"}},
        "spec":{"replicas":replicas,"progressDeadlineSeconds":600,"selector":{"matchLabels":{"app":"x"}},
            "template":template(image)}});
    (DEPLOYMENTS, value)
}

fn template(image: &str) -> Value {
    json!({"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"c","image":image}]}})
}

/// A set of this image, its size and available pods.
fn set(image: &str, size: i64, available: i64, revision: &str) -> (object::Resource, Value) {
    let name = format!("d-{image}");
    let mut template = template(image);
    template["metadata"]["labels"]["pod-template-hash"] = json!(image);
    let value = json!({"apiVersion":"apps/v1","kind":"ReplicaSet",
        "metadata":{"name":name,"namespace":"n","uid":name,"generation":1,"labels":{"app":"x"},
            "annotations":{REVISION:revision},
            "ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"d","uid":"u","controller":true}]},
        "spec":{"replicas":size,"selector":{},"template":template},
        "status":{"replicas":size,"readyReplicas":available,"availableReplicas":available,"observedGeneration":1}});
    (REPLICA_SETS, value)
}

fn plan_of(objects: &[(object::Resource, Value)]) -> Plan {
    let world = scene::world(objects);
    scene::plan(&CONTROLLER, &world, DEPLOYMENTS, "n", "d")
}

/// Sizes that the plan gives to sets, by name.
fn sizes(plan: &Plan) -> Vec<(String, i64)> {
    let sets = plan
        .steps()
        .filter(|step| step.write.target.resource == REPLICA_SETS);
    let size = |value: &Value| {
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        (name, value["spec"]["replicas"].as_i64().unwrap())
    };
    sets.map(|step| size(&step.write.body)).collect()
}

#[test]
fn a_new_deployment_makes_its_set_and_says_so() {
    let plan = plan_of(&[deployment(2, "a")]);
    let step = plan.steps().next().unwrap();
    let body = &step.write.body;
    let hash = body["metadata"]["labels"]["pod-template-hash"]
        .as_str()
        .unwrap();
    assert!(hash.len() <= 10 && !hash.is_empty(), "{hash}");
    assert_eq!(body["metadata"]["name"], format!("d-{hash}"));
    assert_eq!(
        body["spec"]["selector"]["matchLabels"]["pod-template-hash"],
        hash
    );
    assert_eq!(
        body["metadata"]["annotations"],
        json!({REVISION:"1","deployment.kubernetes.io/desired-replicas":"2","deployment.kubernetes.io/max-replicas":"3"})
    );
    let message = &step.on_success.as_ref().unwrap().message;
    assert_eq!(
        *message,
        format!("Scaled up replica set d-{hash} from 0 to 2")
    );
    let status = &plan.steps().last().unwrap().write.body["status"];
    assert_eq!(status["conditions"][0]["reason"], "NewReplicaSetCreated");
}

#[test]
fn a_rollout_keeps_surge_and_availability() {
    // replicas, old size, old available, new size, new available: new sizes written
    let rows = [
        (4, (4, 4), (0, 0), vec![("d-b", 1)]),
        (4, (4, 4), (1, 0), vec![("d-a", 3)]),
        (4, (3, 3), (1, 0), vec![("d-b", 2)]),
        (4, (3, 3), (2, 2), vec![("d-a", 1)]),
        (4, (3, 0), (2, 0), vec![]),
    ];
    for (replicas, old, new, expected) in rows {
        let objects = [
            deployment(replicas, "b"),
            set("a", old.0, old.1, "1"),
            set("b", new.0, new.1, "2"),
        ];
        let mut written = sizes(&plan_of(&objects));
        written.retain(|(name, size)| {
            let before = if name == "d-a" { old.0 } else { new.0 };
            *size != before
        });
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(n, s)| (n.to_owned(), s))
            .collect();
        assert_eq!(written, expected, "{old:?} {new:?}");
    }
}

#[test]
fn recreate_ends_the_old_pods_first() {
    let mut deployment = deployment(2, "b");
    deployment.1["spec"]["strategy"] = json!({"type":"Recreate"});
    let objects = [deployment.clone(), set("a", 2, 2, "1")];
    assert_eq!(sizes(&plan_of(&objects)), [("d-a".to_owned(), 0)]);
    let made = sizes(&plan_of(&[deployment, set("a", 0, 0, "1")]));
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].1, 2);
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut deployment = deployment(3, "b");
    deployment.1["spec"]["paused"] = json!(true);
    let plan = plan_of(&[deployment, set("a", 1, 1, "1")]);
    assert_eq!(sizes(&plan), [("d-a".to_owned(), 3)]);
    let status = &plan.steps().last().unwrap().write.body["status"];
    assert_eq!(status["conditions"][0]["reason"], "DeploymentPaused");
}

#[test]
fn going_back_reuses_the_old_set_with_a_new_revision() {
    let plan = plan_of(&[deployment(1, "a"), set("a", 0, 0, "1"), set("b", 1, 1, "2")]);
    let written = plan
        .steps()
        .find(|step| step.write.body["metadata"]["name"] == "d-a");
    let annotations = &written.unwrap().write.body["metadata"]["annotations"];
    assert_eq!(annotations[REVISION], "3");
    assert_eq!(
        annotations["deployment.kubernetes.io/revision-history"],
        "1"
    );
}

#[test]
fn a_rollout_that_stands_still_times_out() {
    let mut deployment = deployment(1, "a");
    deployment.1["status"] = json!({"observedGeneration":1,"replicas":1,"updatedReplicas":1,"unavailableReplicas":1,
        "conditions":[{"type":"Progressing","status":"True","reason":"ReplicaSetUpdated","lastUpdateTime":"2026-01-01T11:00:00Z","lastTransitionTime":"2026-01-01T11:00:00Z"}]});
    let plan = plan_of(&[deployment, set("a", 1, 0, "1")]);
    let status = &plan.steps().last().unwrap().write.body["status"];
    assert_eq!(
        status["conditions"][0]["message"],
        "ReplicaSet \"d-a\" has timed out progressing."
    );
}

#[test]
fn a_complete_rollout_is_available_and_keeps_its_history_short() {
    let mut deployment = deployment(1, "c");
    deployment.1["spec"]["revisionHistoryLimit"] = json!(1);
    deployment.1["metadata"]["annotations"][REVISION] = json!("3");
    deployment.1["status"] = json!({"observedGeneration":1});
    let sets = [
        set("a", 0, 0, "1"),
        set("b", 0, 0, "2"),
        set("c", 1, 1, "3"),
    ];
    let plan = plan_of(&[vec![deployment], sets.to_vec()].concat());
    let expected = [
        "Delete /apis/apps/v1/namespaces/n/replicasets/d-a",
        "Update /apis/apps/v1/namespaces/n/deployments/d/status",
    ];
    assert_eq!(scene::lines(&plan), expected);
    let status = &plan.steps().last().unwrap().write.body["status"];
    assert_eq!(status["conditions"][0]["reason"], "NewReplicaSetAvailable");
    assert_eq!(
        status["conditions"][1]["reason"],
        "MinimumReplicasAvailable"
    );
}

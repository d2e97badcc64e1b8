//! `PriorityLevelConfiguration` of `flowcontrol.apiserver.k8s.io/v1`: the entry in the list of kinds, what writes fill in, table cells.
//!
//! Pure: reads and writes only the tree it is given, and leaves set members alone.

use crate::{
    fields, print,
    spec::{Column, Generation, Hooks, KindSpec, ResetFields, Subresource, VERBS},
};
use jiff::Timestamp;
use object::{Gvk, Resource};
use serde_json::Value;

/// `PriorityLevelConfiguration` of `flowcontrol.apiserver.k8s.io/v1`.
pub(crate) const SPEC: KindSpec = KindSpec {
    gvk: Gvk::new(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
    ),
    resource: Resource::new(
        "flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations",
    ),
    list_kind: "PriorityLevelConfigurationList",
    plural: "prioritylevelconfigurations",
    singular: "prioritylevelconfiguration",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: VERBS,
    subresources: &[Subresource {
        name: "status",
        gvk: Gvk::new(
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "PriorityLevelConfiguration",
        ),
        verbs: &["get", "patch", "update"],
        served: true,
    }],
    storage: Some(Gvk::new(
        "flowcontrol.apiserver.k8s.io",
        "v1",
        "PriorityLevelConfiguration",
    )),
    storage_version_hash: "Kir5PVfvNeI=",
    type_name: "flowcontrol/v1.PriorityLevelConfiguration",
    columns: &[
        Column::new("Name", "string", "name", 0),
        Column::new("Type", "string", "", 0),
        Column::new("NominalConcurrencyShares", "string", "", 0),
        Column::new("Queues", "string", "", 0),
        Column::new("HandSize", "string", "", 0),
        Column::new("QueueLengthLimit", "string", "", 0),
        Column::new("Age", "string", "", 0),
    ],
    cells,
    field_selectors: &[],
    reset_fields: ResetFields::SPLIT,
    generation: Generation::Spec,
    status: true,
    keeps_status_on_create: false,
    hooks: Hooks {
        default: Some(default),
        ..Hooks::NONE
    },
};

/// Share of the server's concurrency that a level gets.
const SHARES: i64 = 30;
/// Queues of a level that queues, how many one flow may use, and their length.
const QUEUES: i64 = 64;
const HAND_SIZE: i64 = 8;
const QUEUE_LENGTH: i64 = 50;

fn default(value: &mut Value) {
    let spec = fields::object(value, "spec");
    if fields::text_in(spec, "type") == "Exempt" {
        let exempt = fields::member(spec, "exempt");
        fields::fill(exempt, "nominalConcurrencyShares", 0);
        fields::fill(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = fields::map_in(spec, "limited") {
        fields::fill(limited, "nominalConcurrencyShares", SHARES);
        fields::fill(limited, "lendablePercent", 0);
        if let Some(response) = fields::map_in(limited, "limitResponse")
            && let Some(queuing) = fields::map_in(response, "queuing")
        {
            fields::fill_zero(queuing, "queues", QUEUES);
            fields::fill_zero(queuing, "handSize", HAND_SIZE);
            fields::fill_zero(queuing, "queueLengthLimit", QUEUE_LENGTH);
        }
    }
}

fn cells(value: &Value, now: Timestamp) -> Vec<Value> {
    let shares = ["limited", "exempt"]
        .iter()
        .find_map(|kind| print::plain(value, &format!("/spec/{kind}/nominalConcurrencyShares")));
    let queuing = |name: &str| -> Value {
        print::plain(
            value,
            &format!("/spec/limited/limitResponse/queuing/{name}"),
        )
        .unwrap_or_else(|| print::NONE.to_owned())
        .into()
    };
    vec![
        print::name(value),
        print::text(value, "/spec/type"),
        shares.unwrap_or_else(|| print::NONE.to_owned()).into(),
        queuing("queues"),
        queuing("handSize"),
        queuing("queueLengthLimit"),
        print::created(value, now),
    ]
}

//! The rules a pod names, compiled: terms of pod and node affinity, and topology
//! spread constraints.
//!
//! Pure. What cannot be read matches nothing, as upstream's does; validation keeps
//! such rules from being stored.

use k8s_openapi::api::core::v1::{
    Affinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, TopologySpreadConstraint,
};
use object::meta::StringMap;
use object::selector::{Match, Requirement};
use object::{LabelSelector, Object};
use smol_str::SmolStr;

/// One term of pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PodTerm {
    pub(crate) selector: LabelSelector,
    pub(crate) namespaces: Vec<SmolStr>,
    pub(crate) namespace_selector: LabelSelector,
    pub(crate) topology_key: SmolStr,
}

impl PodTerm {
    /// Whether it means a pod with these labels in a namespace with those.
    pub(crate) fn matches(
        &self,
        namespace: &str,
        labels: &StringMap,
        namespace_labels: &StringMap,
    ) -> bool {
        (self.namespaces.iter().any(|name| name == namespace)
            || self.namespace_selector.matches(namespace_labels))
            && self.selector.matches(labels)
    }
}

/// Affinity to other pods, compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodTerms {
    pub(crate) required: Vec<PodTerm>,
    pub(crate) anti_required: Vec<PodTerm>,
    /// Weight, negative for anti-affinity.
    pub(crate) preferred: Vec<(i64, PodTerm)>,
}

impl PodTerms {
    pub(crate) fn is_empty(&self) -> bool {
        self.required.is_empty() && self.anti_required.is_empty() && self.preferred.is_empty()
    }
}

/// One term of node affinity: all requirements must hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeTerm {
    labels: Vec<Requirement>,
    /// On `metadata.name`, the only field there is.
    names: Vec<Requirement>,
    /// An empty term, or one that cannot be read, matches no node.
    never: bool,
}

impl NodeTerm {
    pub(crate) fn new(term: &NodeSelectorTerm) -> Self {
        let read = |list: &Option<Vec<NodeSelectorRequirement>>| -> Vec<Option<Requirement>> {
            list.iter().flatten().map(requirement).collect()
        };
        let (labels, names) = (read(&term.match_expressions), read(&term.match_fields));
        let never = (labels.is_empty() && names.is_empty())
            || labels.iter().chain(&names).any(Option::is_none);
        Self {
            labels: labels.into_iter().flatten().collect(),
            names: names.into_iter().flatten().collect(),
            never,
        }
    }

    pub(crate) fn matches(&self, name: &SmolStr, labels: &StringMap) -> bool {
        !self.never
            && self.labels.iter().all(|one| one.matches(labels))
            && self.names.iter().all(|one| match &one.matches {
                Match::In(names) => names.contains(name),
                Match::NotIn(names) => !names.contains(name),
                _ => false,
            })
    }

    /// The node names it is restricted to, if it is.
    pub(crate) fn only_names(&self) -> Option<&[SmolStr]> {
        self.names.iter().find_map(|one| match &one.matches {
            Match::In(names) if one.key == "metadata.name" => Some(names.as_slice()),
            _ => None,
        })
    }
}

fn requirement(of: &NodeSelectorRequirement) -> Option<Requirement> {
    let values = || -> Vec<SmolStr> { of.values.iter().flatten().map(SmolStr::from).collect() };
    let bound = || of.values.iter().flatten().next()?.parse::<i64>().ok();
    let matches = match of.operator.as_str() {
        "In" => Match::In(values()),
        "NotIn" => Match::NotIn(values()),
        "Exists" => Match::Exists,
        "DoesNotExist" => Match::DoesNotExist,
        "Gt" => Match::GreaterThan(bound()?),
        "Lt" => Match::LessThan(bound()?),
        _ => return None,
    };
    Some(Requirement {
        key: of.key.as_str().into(),
        matches,
    })
}

/// One topology spread constraint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) selector: LabelSelector,
    pub(crate) topology_key: SmolStr,
    pub(crate) max_skew: i64,
    pub(crate) min_domains: i64,
    /// `DoNotSchedule`.
    pub(crate) hard: bool,
    /// Only nodes that the pod's node selector and affinity allow are counted.
    pub(crate) honor_affinity: bool,
    /// Only nodes whose taints the pod tolerates are counted.
    pub(crate) honor_taints: bool,
}

impl Spread {
    pub(crate) fn new(of: &TopologySpreadConstraint, labels: &StringMap) -> Self {
        let mut selector = LabelSelector::from_spec(of.label_selector.as_ref());
        narrow(&mut selector, of.match_label_keys.as_deref(), labels, true);
        Self {
            selector,
            topology_key: of.topology_key.as_str().into(),
            max_skew: i64::from(of.max_skew),
            min_domains: i64::from(of.min_domains.unwrap_or(1)),
            hard: of.when_unsatisfiable == "DoNotSchedule",
            honor_affinity: of.node_affinity_policy.as_deref() != Some("Ignore"),
            honor_taints: of.node_taints_policy.as_deref() == Some("Honor"),
        }
    }
}

pub(crate) fn pod_terms(object: &Object, affinity: Option<&Affinity>) -> PodTerms {
    let mut terms = PodTerms::default();
    let Some(affinity) = affinity else {
        return terms;
    };
    let term = |term: &PodAffinityTerm| pod_term(object, term);
    if let Some(of) = &affinity.pod_affinity {
        let required = &of.required_during_scheduling_ignored_during_execution;
        terms.required.extend(required.iter().flatten().map(term));
        let preferred = &of.preferred_during_scheduling_ignored_during_execution;
        let weighted = preferred.iter().flatten();
        terms
            .preferred
            .extend(weighted.map(|w| (i64::from(w.weight), term(&w.pod_affinity_term))));
    }
    if let Some(of) = &affinity.pod_anti_affinity {
        let required = &of.required_during_scheduling_ignored_during_execution;
        terms
            .anti_required
            .extend(required.iter().flatten().map(term));
        let preferred = &of.preferred_during_scheduling_ignored_during_execution;
        let weighted = preferred.iter().flatten();
        terms
            .preferred
            .extend(weighted.map(|w| (-i64::from(w.weight), term(&w.pod_affinity_term))));
    }
    terms
}

fn pod_term(object: &Object, term: &PodAffinityTerm) -> PodTerm {
    let meta = object.meta();
    let mut selector = LabelSelector::from_spec(term.label_selector.as_ref());
    narrow(
        &mut selector,
        term.match_label_keys.as_deref(),
        &meta.labels,
        true,
    );
    narrow(
        &mut selector,
        term.mismatch_label_keys.as_deref(),
        &meta.labels,
        false,
    );
    let mut namespaces: Vec<SmolStr> = term
        .namespaces
        .iter()
        .flatten()
        .map(SmolStr::from)
        .collect();
    if namespaces.is_empty() && term.namespace_selector.is_none() {
        namespaces.push(meta.namespace.clone());
    }
    PodTerm {
        selector,
        namespaces,
        namespace_selector: LabelSelector::from_spec(term.namespace_selector.as_ref()),
        topology_key: term.topology_key.as_str().into(),
    }
}

/// Adds the pod's own values of these keys. The API server stores terms that have
/// them already; adding them once more changes nothing.
fn narrow(selector: &mut LabelSelector, keys: Option<&[String]>, labels: &StringMap, equal: bool) {
    if selector.nothing {
        return;
    }
    for key in keys.into_iter().flatten() {
        let Some(value) = labels.get(key.as_str()) else {
            continue;
        };
        let values = vec![value.clone()];
        let requirement = Requirement {
            key: key.as_str().into(),
            matches: if equal {
                Match::In(values)
            } else {
                Match::NotIn(values)
            },
        };
        if !selector.requirements.contains(&requirement) {
            selector.requirements.push(requirement);
        }
    }
}

//! What of an explanation concerns one pod, address, prefix or ENI.

use crate::explanation::Explanation;

/// What concerns `what`; `None` if nothing does.
pub(super) fn of(mut told: Explanation, what: &str) -> Option<Explanation> {
    let is_pod = |pod: &str| pod == what || pod.rsplit('/').next() == Some(what);
    let is = |name: &dyn ToString| name.to_string() == what;
    told.pods
        .retain(|pod| is_pod(&pod.pod) || pod.address.is_some_and(|ip| is(&ip)));
    told.addresses.retain(|note| {
        is(&note.address)
            || is(&note.eni)
            || note.prefix.is_some_and(|prefix| is(&prefix))
            || note.pod.as_deref().is_some_and(is_pod)
    });
    told.enis.retain(|eni| is(&eni.id));
    let prefixes: Vec<_> = told.addresses.iter().map(|note| note.prefix).collect();
    told.prefixes
        .retain(|note| is(&note.eni) || is(&note.prefix) || prefixes.contains(&Some(note.prefix)));
    // Each thing says itself when it goes.
    told.next.clear();
    let found = !told.pods.is_empty()
        || !told.addresses.is_empty()
        || !told.enis.is_empty()
        || !told.prefixes.is_empty();
    found.then_some(told)
}

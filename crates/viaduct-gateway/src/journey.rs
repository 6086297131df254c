//! What a traced request is told of its decisions. Without tracing there is nobody to tell.

use viaduct_decisions::{DecisionBatch, Flag};
use viaduct_telemetry::current;

/// Says at which endpoint the request at hand is.
pub(crate) fn at(endpoint: &str) {
    if let Some(journey) = current() {
        journey.note("viaduct.endpoint", endpoint.to_owned());
    }
}

/// Says what the request at hand came to: counts and names, nothing of the rows.
pub(crate) fn came_to(batch: &DecisionBatch) {
    let Some(journey) = current().filter(|journey| journey.is_kept()) else { return };
    let mut variants: Vec<String> = Vec::new();
    let mut versions: Vec<String> = Vec::new();
    for way in &batch.ways {
        if !variants.contains(&way.variant) {
            variants.push(way.variant.clone());
        }
        let version = format!("{}/{}", way.model, way.model_version);
        if !way.model.is_empty() && !versions.contains(&version) {
            versions.push(version);
        }
    }
    let fell_back = |way: u16| {
        batch.ways.get(usize::from(way)).is_some_and(|way| way.flags.contains(&Flag::Fallback))
    };
    let fallbacks = batch.rows.iter().filter(|row| fell_back(row.way)).count();
    // Why added: what a contract stops is decided apart from the rest of its request.
    journey.add("viaduct.decisions", batch.rows.len() as i64);
    journey.add("viaduct.variant", variants);
    if !versions.is_empty() {
        journey.add("viaduct.model_version", versions);
    }
    if fallbacks > 0 {
        journey.add("viaduct.fallbacks", fallbacks as i64);
    }
}

//! The order in which tables are brought up to date: each behind the tables that it reads.

use std::collections::{BTreeMap, BTreeSet};

use super::error::PipelineError;
use super::files::DECLARATION;
use super::spec::Spec;

/// Indices into `spec.derived` in dependency order; tables that do not depend on each other keep
/// the order in which they are declared. Sources were checked to exist.
pub(super) fn order(spec: &Spec) -> Result<Vec<usize>, PipelineError> {
    let index: BTreeMap<&str, usize> =
        spec.derived.iter().enumerate().map(|(at, table)| (table.name.as_str(), at)).collect();
    let needs: Vec<Vec<usize>> = spec
        .derived
        .iter()
        .map(|table| {
            table.sources.iter().filter_map(|name| index.get(name.as_str()).copied()).collect()
        })
        .collect();

    let mut done = BTreeSet::new();
    let mut order = Vec::with_capacity(needs.len());
    while order.len() < needs.len() {
        let ready = (0..needs.len())
            .find(|at| !done.contains(at) && needs[*at].iter().all(|need| done.contains(need)));
        match ready {
            Some(at) => {
                done.insert(at);
                order.push(at);
            }
            None => return Err(cycle(spec, &needs, &done)),
        }
    }
    Ok(order)
}

/// Every table left needs another one left: following such needs must come back to a table.
fn cycle(spec: &Spec, needs: &[Vec<usize>], done: &BTreeSet<usize>) -> PipelineError {
    let left = |at: &usize| !done.contains(at);
    let mut path: Vec<usize> = (0..needs.len()).filter(left).take(1).collect();
    while let Some(next) = path.last().and_then(|at| needs[*at].iter().copied().find(left)) {
        if let Some(start) = path.iter().position(|at| *at == next) {
            path.drain(..start);
            path.push(next);
            break;
        }
        path.push(next);
    }
    PipelineError::Cycle {
        file: DECLARATION.to_owned(),
        tables: path.into_iter().map(|at| spec.derived[at].name.clone()).collect(),
    }
}

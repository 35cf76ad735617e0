//! Requests that are not let in. Each is recorded before it is answered, but not each by itself:
//! who asks the same again and again must not fill the disk.
//!
//! The first denied request of a kind (same address, principal, route and code) is a record of its
//! own. Those that follow within a window are counted in memory and become one record with their
//! number when the window ends, when the audit is read, or when the server stops; a kill loses
//! that number, not the first. There are [`KINDS`] kinds at most in a window for those with a valid
//! token and as many for those without; what is beyond is one more kind each. So all denied requests
//! of the world make about `4 × KINDS` records per window, however many they are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::record::{Action, Draft, End, Facts, Outcome};

/// Kinds that are told apart within a window.
const KINDS: usize = 256;

/// A request that is not let in.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The route's method and template.
    pub resource: String,
    /// The stable word of the error.
    pub code: &'static str,
    /// The id of the request.
    pub request_id: Option<String>,
    /// The token's `sub`; `None` without a valid token.
    pub principal: Option<String>,
    /// The token's roles, by name.
    pub roles: Vec<&'static str>,
    /// The address that the request came from.
    pub peer: Option<String>,
}

/// What tells kinds apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    known: bool,
    /// Address, principal, route and code; `None` for everything that is too much.
    of: Option<(Option<String>, Option<String>, String, &'static str)>,
}

/// What came after the first of a kind.
#[derive(Debug)]
struct Repeats {
    facts: Facts,
    since: Instant,
}

/// The windows that are open.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<HashMap<Kind, Option<Repeats>>>);

impl Denials {
    /// Takes a denied request in. The first of its kind is to be recorded now: its kind, whose
    /// window has begun, and its record's beginning. Others are counted.
    pub fn admit(&self, denial: Denial) -> Option<(Kind, Draft)> {
        let mut windows = self.lock();
        let known = denial.principal.is_some();
        let Denial { resource, code, request_id, principal, roles, peer } = denial;
        let of = (peer.clone(), principal.clone(), resource.clone(), code);
        let mut kind = Kind { known, of: Some(of) };
        if !windows.contains_key(&kind)
            && windows.keys().filter(|kind| kind.known == known).count() >= KINDS
        {
            kind.of = None;
        }
        let draft = match kind.of {
            Some(_) => {
                Draft { request_id, principal, roles, peer, ..Draft::new(Action::Denied, resource) }
            }
            None => Draft::new(Action::Denied, "*"),
        };
        match windows.get_mut(&kind) {
            None => {
                windows.insert(kind.clone(), None);
                Some((kind, draft))
            }
            Some(Some(repeats)) => {
                repeats.facts.times = repeats.facts.times.saturating_add(1);
                None
            }
            Some(first) => {
                let mut facts = Facts::begun(draft);
                facts.end(kind.end(), 0);
                *first = Some(Repeats { facts, since: Instant::now() });
                None
            }
        }
    }

    /// Ends the window of a kind: the record of what was counted.
    pub fn close(&self, kind: &Kind) -> Option<Facts> {
        self.lock().remove(kind).flatten().map(Repeats::record)
    }

    /// The records of everything that was counted so far; the windows go on.
    pub fn take(&self) -> Vec<Facts> {
        self.lock().values_mut().filter_map(Option::take).map(Repeats::record).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, Option<Repeats>>> {
        // What is in there is whole whenever somebody panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    /// How its records end.
    pub fn end(&self) -> End {
        End::other(Outcome::Denied, self.of.as_ref().map_or("several", |of| of.3))
    }
}

impl Repeats {
    fn record(self) -> Facts {
        let mut facts = self.facts;
        let millis = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
        facts.duration_ms = Some(millis);
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(peer: usize, principal: Option<&str>) -> Denial {
        Denial {
            resource: "GET /v1/tables".to_owned(),
            code: "forbidden",
            request_id: None,
            principal: principal.map(str::to_owned),
            roles: Vec::new(),
            peer: Some(peer.to_string()),
        }
    }

    #[test]
    fn the_first_is_recorded_and_the_others_are_counted() {
        let denials = Denials::default();
        let (kind, _) = denials.admit(denial(1, None)).unwrap();
        assert_eq!(denials.close(&kind), None);
        assert!(denials.admit(denial(1, None)).is_some());
        for _ in 0..1000 {
            assert!(denials.admit(denial(1, None)).is_none());
        }
        assert!(denials.admit(denial(1, Some("ada"))).is_some());
        assert!(denials.admit(denial(2, None)).is_some());
        assert_eq!(denials.take()[0].times, 1000);
        assert!(denials.take().is_empty());
        assert!(denials.admit(denial(1, None)).is_none());
        assert_eq!(denials.close(&kind).unwrap().times, 1);
        assert!(denials.admit(denial(1, None)).is_some());
    }

    #[test]
    fn kinds_are_bounded_and_strangers_do_not_hide_those_with_a_token() {
        let denials = Denials::default();
        let recorded = (0..10_000).filter(|peer| denials.admit(denial(*peer, None)).is_some());
        assert_eq!(recorded.count(), KINDS + 1);
        assert!(denials.admit(denial(0, Some("ada"))).is_some());
        let rest = denials.take();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].times as usize, 10_000 - KINDS - 1);
        assert_eq!((rest[0].resource.as_str(), rest[0].code.as_deref()), ("*", Some("several")));
    }
}

//! Looks for consents that ended without a request.
//!
//! Records end a consent when they are loaded. Whoever loaded them may be gone before anybody looks, and
//! a promotion may have taken the rows out by then. So a look goes by the log of the table of those who
//! consent ([`Promotion::ended`](crate::promotion::Promotion::ended)), from where the last look ended, and
//! what it decides is an object of the lake before anything is done: `system/ended/<number>.json`, numbered
//! without a gap, created with `If-None-Match: *`. Of two servers that look at once one decides; what it
//! decided is carried out by whoever looks next, under the id that the object names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use stedi_openapi::{CertificateKind, RevocationCause};
use uuid::Uuid;

use super::error::ConsentError;
use super::needles::Identifiers;
use super::saga::{Order, Saga, acknowledge};
use super::secrets::Secret;
use crate::lake::Lake;
use crate::ledger::{Asker, Attempt, LedgerError};
use crate::promotion::{Ended, Looked};

const FOLDER: &str = "system/ended";
/// How often it is looked again when others were faster.
const ATTEMPTS: usize = 20;

/// What a look decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Look {
    /// Tells whose it is where the answer to its creation was lost.
    writer: String,
    /// Up to where it was looked.
    pub looked: Looked,
    /// Pseudonyms of those who will leave, with the revocations that are theirs.
    pub announced: BTreeMap<String, String>,
    /// The revocation that it opens.
    opens: Option<Opens>,
}

/// A revocation that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Opens {
    pub id: String,
    /// Pseudonyms; none any more once the next look was made.
    pub subjects: BTreeSet<String>,
}

/// The looks of a lake; clones are the same.
#[derive(Clone, Debug)]
pub struct Looks {
    lake: Lake,
    /// The newest that was seen.
    known: Arc<Mutex<u64>>,
}

impl Look {
    /// What the next look decides by what it finds; `id` is that of the revocation, if it opens one.
    fn next(&self, ended: Ended, id: &str) -> Self {
        let mut announced = self.announced.clone();
        let mut subjects = BTreeSet::new();
        for left in ended.left {
            for subject in left.all {
                // Theirs was opened before they left.
                let known = announced.remove(&subject).is_some();
                if !known && left.withdrew.contains(&subject) {
                    subjects.insert(subject);
                }
            }
        }
        // Who does not leave after all consents again.
        announced.retain(|subject, _| ended.leaving.all.contains(subject));
        for subject in ended.leaving.withdrew {
            if !announced.contains_key(&subject) {
                announced.insert(subject.clone(), id.to_owned());
                subjects.insert(subject);
            }
        }
        let opens = (!subjects.is_empty()).then(|| Opens { id: id.to_owned(), subjects });
        Self { writer: Uuid::new_v4().simple().to_string(), looked: ended.looked, announced, opens }
    }

    /// Whether it says the same as the one after it.
    fn is_enough(&self, next: &Self) -> bool {
        let done = |look: &Self| look.opens.as_ref().is_none_or(|opens| opens.subjects.is_empty());
        done(self) && done(next) && self.looked == next.looked && self.announced == next.announced
    }

    /// Whether it names nobody.
    fn is_empty(&self) -> bool {
        self.announced.is_empty()
            && self.opens.as_ref().is_none_or(|opens| opens.subjects.is_empty())
    }
}

impl Looks {
    /// Those of a lake.
    pub fn new(lake: Lake) -> Self {
        Self { lake, known: Arc::default() }
    }

    /// The newest with its number; 0 if there was none yet.
    pub(super) async fn newest(&self) -> Result<(u64, Look), ConsentError> {
        let mut number = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if number == 0 {
            let names = self.lake.list_objects(FOLDER).await?;
            let numbers = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok());
            number = numbers.max().unwrap_or_default();
        }
        let mut newest = self.read(number).await?.unwrap_or_default();
        while let Some(next) = self.read(number + 1).await? {
            (number, newest) = (number + 1, next);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = number;
        Ok((number, newest))
    }

    /// Adds one; false if somebody else was faster. Those before it name nobody any more.
    async fn add(&self, number: u64, look: &Look) -> Result<bool, ConsentError> {
        if !self.lake.create_object(&path(number), bytes(number, look)?).await? {
            // Stores repeat a conditional write whose answer was lost, and then find their own.
            let found = self.read(number).await?;
            if found.is_none_or(|found| found.writer != look.writer) {
                return Ok(false);
            }
        }
        for before in (1..number).rev() {
            let Some(old) = self.read(before).await?.filter(|old| !old.is_empty()) else { break };
            let emptied = Look { announced: BTreeMap::new(), opens: None, ..old };
            self.lake.put_object(&path(before), bytes(before, &emptied)?).await?;
        }
        Ok(true)
    }

    async fn read(&self, number: u64) -> Result<Option<Look>, ConsentError> {
        let Some(bytes) = self.lake.read_object(&path(number)).await? else { return Ok(None) };
        let look = serde_json::from_slice(&bytes);
        Ok(look.map(Some).map_err(|error| unreadable(number, &error))?)
    }
}

impl Saga {
    /// Looks once more, and says what revocation is to be opened. It is to be called again with its id
    /// until there is none: only then a look is complete.
    pub(super) async fn look(&self, opened: Option<&str>) -> Result<Option<Opens>, ConsentError> {
        let Some(consent) = &self.pipeline.consent else { return Ok(None) };
        for _ in 0..ATTEMPTS {
            let (number, last) = self.looks.newest().await?;
            let waits = last.opens.as_ref().filter(|opens| !opens.subjects.is_empty());
            if let Some(opens) = waits.filter(|opens| Some(opens.id.as_str()) != opened) {
                return Ok(Some(opens.clone()));
            }
            let mut ended = self.promotion.ended(consent, &last.looked).await?;
            self.by_records(&mut ended).await?;
            let next = last.next(ended, &Uuid::now_v7().simple().to_string());
            if last.is_enough(&next) {
                return Ok(None);
            }
            if self.looks.add(number + 1, &next).await? {
                return Ok(next.opens);
            }
        }
        Err(LedgerError::Contended.into())
    }

    /// The order of a revocation that a look opens. Whom it is about is kept before.
    pub(super) async fn opened(&self, opens: &Opens) -> Result<Order, ConsentError> {
        let secret = Secret::new(opens.subjects.clone(), Identifiers::new());
        self.secrets.put((CertificateKind::Revocation, &opens.id), &secret).await?;
        Ok(self.order(&secret, CertificateKind::Revocation, RevocationCause::Load))
    }

    /// Without those who did not withdraw by a record: who was erased has none any more, and who is
    /// being erased needs no revocation.
    async fn by_records(&self, ended: &mut Ended) -> Result<(), ConsentError> {
        let lefts = || ended.left.iter().chain([&ended.leaving]);
        let all: BTreeSet<String> = lefts().flat_map(|left| left.withdrew.clone()).collect();
        if all.is_empty() {
            return Ok(());
        }
        let mut known = self.promotion.known(&all).await?;
        for id in self.secrets.erasures().await? {
            let secret = self.secrets.get((CertificateKind::Erasure, &id)).await?;
            let erased = secret.unwrap_or_default().subjects;
            known.retain(|subject| !erased.contains(subject));
        }
        for left in ended.left.iter_mut().chain([&mut ended.leaving]) {
            left.withdrew.retain(|subject| known.contains(subject));
        }
        Ok(())
    }

    /// Looks in the course of a revocation, so that nobody's end is among what it purges; what is found
    /// is denied at once and waits its turn.
    pub(super) async fn look_on(&self, attempt: &Attempt<'_, Self>) -> Result<(), ConsentError> {
        let mut opened = None::<String>;
        while let Some(opens) = self.look(opened.as_deref()).await? {
            let also =
                attempt.also(&opens.id, Asker::service(), self.opened(&opens).await?).await?;
            if let Some((asked, mut run)) = also
                && run.what.acknowledged.is_none()
                && !run.state.is_final()
            {
                let secret = Secret::new(opens.subjects.clone(), Identifiers::new());
                let at = self.deny(&opens.id, &asked, &secret).await?;
                acknowledge(&mut run.what, at);
                attempt.tell(&run).await?;
            }
            opened = Some(opens.id);
        }
        Ok(())
    }
}

fn path(number: u64) -> String {
    format!("{FOLDER}/{number:020}.json")
}

fn bytes(number: u64, look: &Look) -> Result<Vec<u8>, LedgerError> {
    serde_json::to_vec(look).map_err(|error| unreadable(number, &error))
}

fn unreadable(number: u64, error: &serde_json::Error) -> LedgerError {
    LedgerError::Unreadable { path: path(number), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Left;

    fn left(all: &[&str], withdrew: &[&str]) -> Left {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Left { all: set(all), withdrew: set(withdrew) }
    }

    fn opened(look: &Look) -> Vec<&str> {
        let opens = look.opens.iter();
        opens.flat_map(|opens| opens.subjects.iter().map(String::as_str)).collect()
    }

    #[test]
    fn who_leaves_has_one_revocation_before_or_after() {
        let will = Ended { leaving: left(&["a", "b"], &["a"]), ..Ended::default() };
        let first = Look::default().next(will.clone(), "1");
        assert_eq!(opened(&first), ["a"]);
        let again = first.next(will, "2");
        assert!(again.opens.is_none() && again.announced["a"] == "1");
        // Somebody left whom no look saw leaving, and somebody who asked for it.
        let did = vec![left(&["a", "b", "c"], &["a", "c"])];
        let after = again.next(Ended { left: did, ..Ended::default() }, "3");
        assert_eq!(opened(&after), ["c"]);
        assert!(after.announced.is_empty());
    }

    #[test]
    fn who_consents_again_and_ends_it_again_has_another_one() {
        let will = Ended { leaving: left(&["a"], &["a"]), ..Ended::default() };
        let first = Look::default().next(will, "1");
        let stays = first.next(Ended::default(), "2");
        assert!(stays.announced.is_empty() && stays.opens.is_none());
        let did = vec![left(&["a"], &["a"])];
        assert_eq!(opened(&stays.next(Ended { left: did, ..Ended::default() }, "3")), ["a"]);
        // Between two looks: left, came back, left again.
        let twice = vec![left(&["a"], &["a"]), left(&["a"], &["a"])];
        assert_eq!(opened(&first.next(Ended { left: twice, ..Ended::default() }, "4")), ["a"]);
    }

    #[test]
    fn a_look_that_finds_nothing_new_is_not_written() {
        let nothing = Look::default().next(Ended::default(), "1");
        assert!(Look::default().is_enough(&nothing));
        let will = Ended { leaving: left(&["a"], &["a"]), ..Ended::default() };
        let first = nothing.next(will.clone(), "2");
        assert!(!nothing.is_enough(&first));
        // What it opened is not named for longer than it takes.
        let next = first.next(will.clone(), "3");
        assert!(!first.is_enough(&next) && next.is_enough(&next.next(will, "4")));
    }
}

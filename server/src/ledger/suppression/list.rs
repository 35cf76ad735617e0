//! The list as it is up to a number of the log.

use std::collections::{BTreeMap, HashMap, HashSet};

use hmac::Hmac;
use sha2::Sha256;

use super::entry::{Entry, Hash, of_device, of_email};
use super::ring::Ring;

/// Whose records are kept out, as the log says up to some object.
#[derive(Clone, Debug, Default)]
pub struct SuppressionList {
    number: u64,
    /// The object that each request is in.
    requests: BTreeMap<String, u64>,
    keys: Vec<Keyed>,
}

/// The entries under one key.
#[derive(Clone, Debug)]
struct Keyed {
    id: String,
    mac: Hmac<Sha256>,
    emails: HashSet<Hash>,
    /// With the latest time of an erasure, in epoch milliseconds.
    devices: HashMap<Hash, i64>,
}

impl SuppressionList {
    /// The last object of the log that is in it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether nobody was erased.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether somebody with this e-mail, trimmed and lower-cased, was erased.
    pub fn email(&self, email: &str) -> bool {
        self.keys.iter().any(|key| key.emails.contains(&of_email(&key.mac, email)))
    }

    /// When somebody was erased who claimed this device: the last time, in epoch milliseconds.
    pub fn device(&self, device: &str) -> Option<i64> {
        let times = self.keys.iter().filter_map(|key| {
            let hash = of_device(&key.mac, device);
            key.devices.get(&hash).copied()
        });
        times.max()
    }

    /// A list for tests: e-mails, devices and times.
    #[cfg(test)]
    pub(crate) fn of(erased: &[(&str, &[&str], i64)]) -> Self {
        use std::collections::BTreeSet;

        use super::entry::Suppressed;
        let ring = Ring::of(&[[9; 32]]);
        erased.iter().fold(Self::default(), |list, (email, devices, until)| {
            let erased = Suppressed {
                request: (*email).to_owned(),
                emails: BTreeSet::from([(*email).to_owned()]),
                devices: devices.iter().map(|device| (*device).to_owned()).collect(),
                until: *until,
            };
            let entry = ring.newest().map(|key| Entry::new(&erased, key));
            list.with(&Vec::from_iter(entry), &ring).unwrap_or_default()
        })
    }

    /// The object that a request is in.
    pub(super) fn request(&self, request: &str) -> Option<u64> {
        self.requests.get(request).copied()
    }

    /// With the next object of the log.
    ///
    /// # Errors
    /// The check value of a key that is not in the ring, or what is not a hash.
    pub(super) fn with(mut self, entries: &[Entry], ring: &Ring) -> Result<Self, NotRead> {
        self.number += 1;
        for entry in entries {
            self.requests.entry(entry.request.clone()).or_insert(self.number);
            let keyed = self.keyed(&entry.key, ring)?;
            for email in &entry.emails {
                keyed.emails.insert(hash(email)?);
            }
            for device in &entry.devices {
                let until = keyed.devices.entry(hash(device)?).or_insert(entry.until);
                *until = entry.until.max(*until);
            }
        }
        Ok(self)
    }

    fn keyed(&mut self, id: &str, ring: &Ring) -> Result<&mut Keyed, NotRead> {
        let at = match self.keys.iter().position(|key| key.id == id) {
            Some(at) => at,
            None => {
                let key = ring.key(id).ok_or_else(|| NotRead::NoKey(id.to_owned()))?;
                self.keys.push(Keyed {
                    id: key.id.clone(),
                    mac: key.mac.clone(),
                    emails: HashSet::new(),
                    devices: HashMap::new(),
                });
                self.keys.len() - 1
            }
        };
        Ok(&mut self.keys[at])
    }
}

/// Why an object is not read.
#[derive(Debug)]
pub(super) enum NotRead {
    /// No key of the ring has this check value.
    NoKey(String),
    /// Something in it is not a hash.
    NoHash,
}

fn hash(text: &str) -> Result<Hash, NotRead> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).map_err(|_| NotRead::NoHash)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ledger::suppression::entry::Suppressed;

    fn erased(request: &str, email: &str, device: &str, until: i64) -> Suppressed {
        Suppressed {
            request: request.to_owned(),
            emails: BTreeSet::from([email.to_owned()]),
            devices: BTreeSet::from([device.to_owned()]),
            until,
        }
    }

    fn entry(suppressed: &Suppressed, ring: &Ring) -> Entry {
        Entry::new(suppressed, ring.newest().unwrap())
    }

    #[test]
    fn what_was_erased_is_known_and_nothing_else() {
        let ring = Ring::of(&[[7; 32]]);
        let ada = entry(&erased("r", "ada@x.c", "d1", 50), &ring);
        let again = entry(&erased("q", "bob@x.c", "d1", 90), &ring);
        let text = serde_json::to_string(&[&ada, &again]).unwrap();
        assert!(!text.contains("ada") && !text.contains("d1\""), "{text}");
        let list = SuppressionList::default();
        assert!(list.is_empty() && !list.email("ada@x.c"));
        let list = list.with(&[ada], &ring).unwrap();
        assert_eq!((list.number(), list.request("r"), list.request("q")), (1, Some(1), None));
        assert!(list.email("ada@x.c") && !list.email("bob@x.c") && !list.email("d1"));
        assert_eq!((list.device("d1"), list.device("d2")), (Some(50), None));
        assert_eq!(list.device("ada@x.c"), None);
        let list = list.with(&[again], &ring).unwrap();
        assert_eq!((list.number(), list.device("d1")), (2, Some(90)));
        assert!(list.email("ada@x.c") && list.email("bob@x.c"));
    }

    #[test]
    fn older_keys_are_looked_up_and_new_entries_are_under_the_newest() {
        let (old, new) = (Ring::of(&[[1; 32]]), Ring::of(&[[2; 32], [1; 32]]));
        let before = entry(&erased("r", "ada@x.c", "d", 5), &old);
        let after = entry(&erased("q", "bob@x.c", "d", 4), &new);
        assert_ne!(before.key, after.key);
        assert_eq!(before.key, new.ids().next().unwrap());
        let list = SuppressionList::default();
        let list =
            list.with(&[before], &new).unwrap().with(std::slice::from_ref(&after), &new).unwrap();
        assert!(list.email("ada@x.c") && list.email("bob@x.c"));
        assert_eq!(list.device("d"), Some(5));
        let unread =
            SuppressionList::default().with(std::slice::from_ref(&after), &old).unwrap_err();
        assert!(matches!(unread, NotRead::NoKey(id) if id == after.key));
    }

    #[test]
    fn what_is_no_hash_is_not_taken_for_one() {
        let ring = Ring::of(&[[7; 32]]);
        let mut odd = entry(&erased("r", "ada@x.c", "d", 5), &ring);
        odd.emails.insert("ada@x.c".to_owned());
        let unread = SuppressionList::default().with(&[odd], &ring).unwrap_err();
        assert!(matches!(unread, NotRead::NoHash));
    }
}

//! A record becomes a row of its landing table, or is rejected with a reason.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::record::Record;
use super::suppress::{Guard, Named};
use super::value::{self, Stored};
use crate::ledger::SubjectKey;
use crate::pipeline::{Kind, Rule, Source};

/// Different unknown fields that are counted by name; those beyond are counted together.
const UNKNOWN_NAMES: usize = 100;
/// Field names and subjects that are remembered between records, and how long they may be, in
/// bytes: what is sent must not decide how much memory is used.
const REMEMBERED: usize = 16 * 1024;
const REMEMBERED_BYTES: usize = 320;

/// Reads the records of one source.
pub(super) struct Decoder {
    rules: Vec<Rule>,
    subject: Option<usize>,
    device: Option<usize>,
    recorded: Vec<usize>,
    /// Those that say when a record is from.
    moments: Vec<usize>,
    any_of: Vec<usize>,
    /// The latest moment that a record may have, in epoch milliseconds.
    latest: i64,
    key: SubjectKey,
    guard: Guard,
    /// Column by field name, as names were met; `None` for unknown ones.
    names: HashMap<String, Option<usize>>,
    /// The names of the record before, in their order: the next one mostly has the same.
    before: Vec<(String, Option<usize>)>,
    subjects: HashMap<String, String>,
    /// E-mail and pseudonym of the record before: readings of one customer mostly come together.
    last_subject: (String, String),
    unknown: BTreeMap<String, u64>,
}

/// What becomes of a record.
pub(super) enum Decoded<'a> {
    /// It is a row.
    Row(Vec<Option<Stored<'a>>>),
    /// It cannot be used.
    Rejected { reason: String, subject_id: Option<String> },
    /// It is kept out.
    Suppressed,
}

impl Decoder {
    /// A decoder of the source's records, none of which may be later than `latest`, and without those
    /// that the guard keeps out.
    pub fn new(source: &Source, key: SubjectKey, guard: Guard, latest: i64) -> Self {
        let index = |name: &String| source.rules.iter().position(|rule| rule.name == *name);
        Self {
            subject: source.subject.as_ref().and_then(index),
            device: source.device.as_ref().and_then(index),
            recorded: source.recorded.iter().filter_map(index).collect(),
            moments: source.moments().filter_map(index).collect(),
            any_of: source.any_of.iter().filter_map(index).collect(),
            rules: source.rules.clone(),
            latest,
            key,
            guard,
            names: HashMap::new(),
            before: Vec::new(),
            subjects: HashMap::new(),
            last_subject: Default::default(),
            unknown: BTreeMap::new(),
        }
    }

    /// The record's row without the columns that order arrivals: the pseudonym, if the source
    /// names customers, then the declared columns. `raw` is its text.
    pub fn decode<'a>(&mut self, record: Record<'a>, raw: &[u8]) -> Decoded<'a> {
        let mut row: Vec<Option<Stored<'a>>> = vec![None; self.rules.len()];
        let (outcome, unknown) = self.fill(&mut row, record);
        let outcome = outcome.and_then(|()| self.complete(&row));
        let named = self.named(&row);
        let kept_out = match outcome {
            Ok(()) => self.guard.keeps_out(named),
            Err(_) => self.guard.keeps_out_rejected(named, &String::from_utf8_lossy(raw)),
        };
        if kept_out {
            return Decoded::Suppressed;
        }
        unknown.into_iter().for_each(|name| self.count_unknown(name));
        let subject_id = self.subject.map(|at| self.subject_id(row[at].as_ref()));
        match (outcome, subject_id) {
            (Ok(()), None) => Decoded::Row(row),
            (Ok(()), Some(subject_id)) => {
                row.insert(0, subject_id.map(|id| Stored::Text(Cow::Owned(id))));
                Decoded::Row(row)
            }
            (Err(reason), subject_id) => {
                Decoded::Rejected { reason, subject_id: subject_id.flatten() }
            }
        }
    }

    /// Whether a text that is no record is kept out.
    pub fn keeps_out(&mut self, raw: &[u8]) -> bool {
        self.guard.keeps_out_rejected(Named::default(), &String::from_utf8_lossy(raw))
    }

    fn named<'a>(&self, row: &'a [Option<Stored<'_>>]) -> Named<'a> {
        let text = |at: Option<usize>| match row.get(at?)?.as_ref()? {
            Stored::Text(text) => Some(text.as_ref()),
            _ => None,
        };
        Named {
            email: text(self.subject),
            device: text(self.device),
            moment: self.moments.iter().find_map(|at| match row[*at] {
                Some(Stored::Epoch(moment)) => Some(moment),
                _ => None,
            }),
        }
    }

    /// All names of the source's fields, in lower case.
    pub fn names(&self) -> HashSet<String> {
        let names = |rule: &Rule| std::iter::once(rule.name.clone()).chain(rule.aliases.clone());
        self.rules.iter().flat_map(names).collect()
    }

    /// How often each field that no column takes was met.
    pub fn into_unknown(self) -> BTreeMap<String, u64> {
        self.unknown
    }

    /// Reads every field, also behind a wrong one, so that the record's subject is known; the names of
    /// those that no column takes, too.
    fn fill<'a>(
        &mut self,
        row: &mut [Option<Stored<'a>>],
        record: Record<'a>,
    ) -> (Result<(), String>, Vec<Cow<'a, str>>) {
        let (mut outcome, mut unknown) = (Ok(()), Vec::new());
        let mut given = vec![false; row.len()];
        for (position, (name, value)) in record.0.into_iter().enumerate() {
            let Some(at) = self.column(position, &name) else {
                unknown.push(name);
                continue;
            };
            let read = value::read(self.rules[at].kind, &value);
            let says_something = !matches!(read, Ok(None));
            let twice = says_something && std::mem::replace(&mut given[at], true);
            match self.judge(at, read, twice) {
                Ok(Some(value)) => row[at] = Some(value),
                Ok(None) => {}
                Err(reason) => outcome = outcome.and(Err(reason)),
            }
        }
        (outcome, unknown)
    }

    fn judge<'a>(
        &self,
        at: usize,
        read: Result<Option<Stored<'a>>, String>,
        twice: bool,
    ) -> Result<Option<Stored<'a>>, String> {
        let rule = &self.rules[at];
        // A date that may be missing and cannot be read is missing: no consent follows from it. But
        // not the record's moment: dated earlier, a withdrawal would not be the latest record.
        let lenient = rule.kind == Kind::Epoch && !rule.required && !self.recorded.contains(&at);
        match read {
            _ if twice => Err(format!("{}: given twice", rule.name)),
            Err(_) if lenient => Ok(None),
            read => read.map_err(|reason| format!("{}: {reason}", rule.name)),
        }
    }

    /// What a record must have.
    fn complete(&self, row: &[Option<Stored<'_>>]) -> Result<(), String> {
        let missing =
            self.rules.iter().zip(row).find(|(rule, value)| rule.required && value.is_none());
        if let Some((rule, _)) = missing {
            return Err(format!("{}: missing", rule.name));
        }
        let names = |columns: &[usize]| {
            columns.iter().map(|at| self.rules[*at].name.as_str()).collect::<Vec<_>>().join(" or ")
        };
        if !self.any_of.is_empty() && self.any_of.iter().all(|at| row[*at].is_none()) {
            return Err(format!("{}: missing", names(&self.any_of)));
        }
        let moment = self.recorded.iter().find_map(|at| match row[*at] {
            Some(Stored::Epoch(moment)) => Some((*at, moment)),
            _ => None,
        });
        match moment {
            None if self.recorded.is_empty() => Ok(()),
            None => Err(format!("{}: missing", names(&self.recorded))),
            Some((at, moment)) if moment > self.latest => {
                Err(format!("{}: in the future", self.rules[at].name))
            }
            Some(_) => Ok(()),
        }
    }

    fn subject_id(&mut self, email: Option<&Stored<'_>>) -> Option<String> {
        let Some(Stored::Text(email)) = email else { return None };
        if self.last_subject.0 != *email {
            self.last_subject = (email.clone().into_owned(), self.look_up(email));
        }
        Some(self.last_subject.1.clone())
    }

    fn look_up(&mut self, email: &str) -> String {
        if let Some(known) = self.subjects.get(email) {
            return known.clone();
        }
        let id = self.key.subject_id(email);
        if self.subjects.len() == REMEMBERED {
            self.subjects.clear();
        }
        if email.len() <= REMEMBERED_BYTES {
            self.subjects.insert(email.to_owned(), id.clone());
        }
        id
    }

    /// The column of the field at a position of its record.
    fn column(&mut self, position: usize, name: &str) -> Option<usize> {
        if let Some((before, column)) = self.before.get(position)
            && before == name
        {
            return *column;
        }
        let column = self.column_by_name(name);
        if name.len() <= REMEMBERED_BYTES && position < REMEMBERED {
            self.before.truncate(position);
            if self.before.len() == position {
                self.before.push((name.to_owned(), column));
            }
        }
        column
    }

    fn column_by_name(&mut self, name: &str) -> Option<usize> {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let lower = name.trim().to_lowercase();
        let found =
            self.rules.iter().position(|rule| rule.name == lower || rule.aliases.contains(&lower));
        if self.names.len() < REMEMBERED && name.len() <= REMEMBERED_BYTES {
            self.names.insert(name.to_owned(), found);
        }
        found
    }

    fn count_unknown(&mut self, name: Cow<'_, str>) {
        let known = self.unknown.contains_key(name.as_ref());
        let name = match known || self.unknown.len() < UNKNOWN_NAMES {
            true => name.chars().take(100).collect(),
            false => "(others)".to_owned(),
        };
        *self.unknown.entry(name).or_default() += 1;
    }
}

//! The chain: each record covers the hash of the one before, so that a record that is changed,
//! missing, added or moved shows.
//!
//! A record's hash is the SHA-256 of its covered columns, each written so that no two records have
//! the same bytes:
//!
//! ```text
//! "stedi audit 1\n"
//! for each covered column in stored order:
//!   length of the name (u64, big-endian), the name,
//!   0                                          where it is null, or
//!   1, the value (i64, big-endian)             for a number, or
//!   2, length in bytes (u64, big-endian), UTF-8 for a text
//! ```
//!
//! Covered are all columns but the hash itself and, of each field that an erasure may redact, value
//! and salt: their digest is covered instead. The first record follows 64 zeros.

use sha2::{Digest, Sha256};

use super::columns::{Cell, SPECS};
use super::record::{Facts, Row};

/// What a hash begins with; another form of record begins with another number.
const FORM: &[u8] = b"stedi audit 1\n";

/// The newest record of a chain.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// Its place; 0 in a chain without records.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl Head {
    /// The head of a chain without records.
    pub fn none() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }

    /// The head with a record on top, and that record.
    pub(super) fn seal(&self, chain: &str, facts: Facts) -> (Self, Row) {
        let mut row = Row {
            chain: chain.to_owned(),
            seq: self.seq + 1,
            previous: self.hash.clone(),
            hash: String::new(),
            facts,
        };
        row.hash = hash(&row);
        (Self { seq: row.seq, hash: row.hash.clone() }, row)
    }
}

fn hash(row: &Row) -> String {
    let mut hash = Sha256::new_with_prefix(FORM);
    let sized = |hash: &mut Sha256, text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    for spec in SPECS.iter().filter(|spec| spec.hashed) {
        sized(&mut hash, spec.name);
        match row.cell(spec.name) {
            Cell::Text(None) | Cell::Number(None) => hash.update([0]),
            Cell::Number(Some(number)) => {
                hash.update([1]);
                hash.update(number.to_be_bytes());
            }
            Cell::Text(Some(text)) => {
                hash.update([2]);
                sized(&mut hash, text);
            }
        }
    }
    hex::encode(hash.finalize())
}

/// Where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The place.
    pub seq: i64,
    /// What is wrong there.
    pub reason: String,
}

/// Walks one chain, record by record in the order of their places.
#[derive(Clone, Debug)]
pub struct Walk {
    head: Head,
    /// What this server knows to be in the chain.
    kept: Option<Head>,
    /// Records seen.
    pub records: u64,
    /// Fields that were redacted.
    pub redacted: u64,
    /// The first break.
    pub broken: Option<Break>,
}

impl Walk {
    /// A walk from the beginning; `kept` is a head that the chain had once, kept elsewhere.
    pub fn new(kept: Option<Head>) -> Self {
        Self { head: Head::none(), kept, records: 0, redacted: 0, broken: None }
    }

    /// The last record that was seen.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Takes the next record.
    pub fn step(&mut self, row: &Row) {
        self.records += 1;
        let facts = &row.facts;
        let fields = [&facts.principal, &facts.peer, &facts.subject, &facts.statement];
        self.redacted += fields.iter().filter(|field| field.is_redacted()).count() as u64;
        if self.broken.is_none() {
            self.broken = self.fault(row);
        }
        self.head = Head { seq: row.seq, hash: row.hash.clone() };
    }

    fn fault(&self, row: &Row) -> Option<Break> {
        let broken = |seq: i64, reason: &str| Some(Break { seq, reason: reason.to_owned() });
        let expected = self.head.seq + 1;
        if row.seq < expected {
            return broken(row.seq, "there is more than one record at this place");
        }
        if row.seq > expected {
            let reason = format!("the records from here to {} are missing", row.seq - 1);
            return broken(expected, &reason);
        }
        if row.hash != hash(row) {
            return broken(row.seq, "the record was changed: its hash is not that of its content");
        }
        if row.previous != self.head.hash {
            return broken(row.seq, "the record does not follow the one before it");
        }
        let facts = &row.facts;
        for (name, field) in [
            ("principal", &facts.principal),
            ("peer", &facts.peer),
            ("subject", &facts.subject),
            ("statement", &facts.statement),
        ] {
            if !field.holds() {
                return broken(
                    row.seq,
                    &format!("{name} was changed: it does not match its digest"),
                );
            }
        }
        match &self.kept {
            Some(kept) if kept.seq == row.seq && kept.hash != row.hash => {
                broken(row.seq, "the chain was written anew: this server wrote another record here")
            }
            _ => None,
        }
    }

    /// Ends the walk: the chain must go as far as the table's log says (its `txn` action), and as
    /// this server knows.
    pub fn end(mut self, logged: Option<i64>) -> Self {
        let kept = self.kept.as_ref().map_or(0, |kept| kept.seq);
        let last = logged.unwrap_or_default().max(kept);
        if self.broken.is_none() && self.head.seq < last {
            let seq = self.head.seq + 1;
            let reason = format!("the newest records, from here to {last}, are missing");
            self.broken = Some(Break { seq, reason });
        }
        if self.broken.is_none() && logged.unwrap_or_default() < self.head.seq {
            let seq = logged.unwrap_or_default() + 1;
            let reason = "records from here on were added by no commit of the chain's server";
            self.broken = Some(Break { seq, reason: reason.to_owned() });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Action, Draft, End};
    use super::super::redactable::Redactable;
    use super::*;

    const RECORDS: usize = 6;

    fn chain() -> Vec<Row> {
        let mut head = Head::none();
        let rows = (0..RECORDS).map(|place| {
            let mut facts = Facts::begun(Draft {
                principal: Some(format!("somebody {place}")),
                peer: Some("192.0.2.1".to_owned()),
                subject: Some("0123".to_owned()),
                request_id: Some("r".to_owned()),
                roles: vec!["analyst"],
                tables: [("t".to_owned(), Some(3))].into(),
                ..Draft::new(Action::Sql, "POST /v1/sql")
            });
            facts.statement = Redactable::new(Some("SELECT 'h:00'".to_owned()));
            let end = End { rows_in: Some(0), rows_out: Some(3), bytes_out: Some(4), ..End::ok() };
            facts.end(End { code: Some("code".to_owned()), ..end }, 5);
            let (next, row) = head.seal("c", facts);
            head = next;
            row
        });
        rows.collect()
    }

    /// Walks records in the order in which the table is read.
    fn walk(rows: &[Row], kept: Option<&Row>) -> Walk {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.seq);
        let kept = kept.map(|row| Head { seq: row.seq, hash: row.hash.clone() });
        let mut walk = Walk::new(kept);
        for row in &rows {
            walk.step(row);
        }
        walk.end(Some(RECORDS as i64))
    }

    fn found(rows: &[Row], what: &str) {
        assert!(walk(rows, None).broken.is_some(), "{what}");
    }

    /// The record with one cell changed, or made null.
    fn changed(row: &Row, column: &str, null: bool) -> Row {
        let mut row = row.clone();
        let facts = &mut row.facts;
        let field = |field: &mut Option<String>| *field = (!null).then(|| "other".to_owned());
        let must = |field: &mut String| *field = if null { String::new() } else { "other".into() };
        let number = |field: &mut Option<i64>| *field = field.filter(|_| !null).map(|n| n + 1);
        match column {
            "chain" => must(&mut row.chain),
            "seq" => row.seq += 1,
            "id" => must(&mut facts.id),
            "at" => facts.at += 1,
            "request_id" => field(&mut facts.request_id),
            "principal" => field(&mut facts.principal.value),
            "principal_salt" => field(&mut facts.principal.salt),
            "principal_digest" => field(&mut facts.principal.digest),
            "roles" => field(&mut facts.roles),
            "peer" => field(&mut facts.peer.value),
            "peer_salt" => field(&mut facts.peer.salt),
            "peer_digest" => field(&mut facts.peer.digest),
            "action" => must(&mut facts.action),
            "resource" => must(&mut facts.resource),
            "subject" => field(&mut facts.subject.value),
            "subject_salt" => field(&mut facts.subject.salt),
            "subject_digest" => field(&mut facts.subject.digest),
            "tables" => field(&mut facts.tables),
            "rows_in" => number(&mut facts.rows_in),
            "rows_out" => number(&mut facts.rows_out),
            "bytes_out" => number(&mut facts.bytes_out),
            "times" => facts.times += 1,
            "outcome" => must(&mut facts.outcome),
            "code" => field(&mut facts.code),
            "duration_ms" => number(&mut facts.duration_ms),
            "statement" => field(&mut facts.statement.value),
            "statement_salt" => field(&mut facts.statement.salt),
            "statement_digest" => field(&mut facts.statement.digest),
            "previous" => must(&mut row.previous),
            "hash" => must(&mut row.hash),
            other => panic!("{other} is not tested"),
        }
        row
    }

    #[test]
    fn a_whole_chain_is_whole() {
        let rows = chain();
        let walk = walk(&rows, rows.last());
        assert_eq!((walk.broken, walk.records, walk.redacted), (None, RECORDS as u64, 0));
        assert_eq!(Walk::new(None).end(None).broken, None);
    }

    #[test]
    fn any_change_of_any_column_of_any_record_is_found() {
        let rows = chain();
        for place in 0..RECORDS {
            for spec in &SPECS {
                for null in [false, true] {
                    let mut rows = rows.clone();
                    rows[place] = changed(&rows[place], spec.name, null);
                    found(&rows, &format!("{} of {place}, null: {null}", spec.name));
                }
            }
        }
    }

    #[test]
    fn a_removed_added_or_moved_record_is_found() {
        let rows = chain();
        for place in 0..RECORDS {
            let mut removed = rows.clone();
            removed.remove(place);
            found(&removed, &format!("removed {place}"));
            // Those behind it closed ranks.
            for row in &mut removed[place..] {
                row.seq -= 1;
            }
            found(&removed, &format!("removed and renumbered {place}"));
            found(&rows[..place], &format!("all from {place} on removed"));
            let mut doubled = rows.clone();
            doubled.push(rows[place].clone());
            found(&doubled, &format!("doubled {place}"));
            for other in 0..place {
                let mut swapped = rows.clone();
                let (a, b) = (swapped[place].facts.clone(), swapped[other].facts.clone());
                (swapped[other].facts, swapped[place].facts) = (a, b);
                found(&swapped, &format!("contents of {place} and {other} swapped"));
                let mut swapped = rows.clone();
                (swapped[place].seq, swapped[other].seq) = (rows[other].seq, rows[place].seq);
                found(&swapped, &format!("places of {place} and {other} swapped"));
            }
        }
        let mut longer = rows.clone();
        let head = Head { seq: RECORDS as i64, hash: rows[RECORDS - 1].hash.clone() };
        longer.push(head.seal("c", rows[0].facts.clone()).1);
        found(&longer, "one added that no commit names");
    }

    #[test]
    fn a_chain_that_was_written_anew_is_found_by_what_the_server_kept() {
        let rows = chain();
        let mut head = Head::none();
        let mut anew = Vec::new();
        for row in &rows {
            let mut facts = row.facts.clone();
            facts.rows_out = Some(0);
            let (next, row) = head.seal("c", facts);
            head = next;
            anew.push(row);
        }
        // Whoever can write the whole table can also write a chain that holds.
        assert_eq!(walk(&anew, None).broken, None);
        assert_eq!(walk(&anew, rows.get(3)).broken.unwrap().seq, 4);
    }

    #[test]
    fn a_redaction_is_no_break_and_is_seen() {
        let mut rows = chain();
        for row in &mut rows {
            let facts = &mut row.facts;
            for field in [&mut facts.principal, &mut facts.statement] {
                (field.value, field.salt) = (None, None);
            }
        }
        let walk = walk(&rows, rows.last());
        assert_eq!((walk.broken, walk.redacted), (None, 2 * RECORDS as u64));
    }

    #[test]
    fn the_form_of_what_is_hashed_does_not_change() {
        let head = Head::none();
        let facts = Facts {
            id: "id".to_owned(),
            at: 1,
            ..Facts::begun(Draft::new(Action::Load, "POST /v1/landing/{table}"))
        };
        // Computed with the program in the comment below.
        assert_eq!(head.seal("c", facts).1.hash, INDEPENDENT);
    }

    /// ```python
    /// import hashlib, struct
    /// h = hashlib.sha256(b"stedi audit 1\n")
    /// text = lambda s: struct.pack(">Q", len(s)) + s.encode()
    /// for name, value in [("chain", "c"), ("seq", 1), ("id", "id"), ("at", 1), ("request_id", None),
    ///         ("roles", None), ("action", "load"), ("resource", "POST /v1/landing/{table}"),
    ///         ("tables", None), ("rows_in", None), ("rows_out", None), ("bytes_out", None),
    ///         ("times", 1), ("outcome", "interrupted"), ("code", None), ("duration_ms", None),
    ///         ("previous", "0" * 64), ("principal_digest", None), ("peer_digest", None),
    ///         ("subject_digest", None), ("statement_digest", None)]:
    ///     h.update(text(name))
    ///     h.update(b"\0" if value is None else b"\1" + struct.pack(">q", value)
    ///              if isinstance(value, int) else b"\2" + text(value))
    /// print(h.hexdigest())
    /// ```
    const INDEPENDENT: &str = "613f438b9cbb4395299f8851009772e492f760d39f2e11ce8a4ac1f31b31e698";
}

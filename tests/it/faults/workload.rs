//! Loads by chance, and what was said about each.

use stedi_openapi::LoadResult;

use crate::support::{Dice, adds_up};

/// The landing tables, each with the column that tells its rows apart here.
pub const SOURCES: [(&str, &str); 3] = [
    ("customer_landing", "lastupdatedate"),
    ("accelerometer_landing", "x"),
    ("step_trainer_landing", "distancefromobject"),
];

/// Customers, and devices; some customers share one.
const CUSTOMERS: usize = 12;
const DEVICES: usize = 9;
/// Different moments of readings: few, so that readings of both kinds meet.
const MOMENTS: usize = 6;
/// Records of a load.
const RECORDS: usize = 8;

/// A content, and what is known about it.
#[derive(Clone, Debug)]
pub struct Load {
    pub table: &'static str,
    pub text: String,
    /// Of its rows; the first is in no other load.
    pub ids: Vec<i64>,
    /// It was reported as accepted, or as there already.
    pub acknowledged: bool,
    /// It was sent, and whether it is there was not said.
    pub unclear: bool,
}

/// What was said about a load.
#[derive(Debug)]
pub enum Sent {
    Answered(LoadResult),
    Failed,
}

/// Everything that was sent.
#[derive(Debug)]
pub struct Ledger {
    pub loads: Vec<Load>,
    dice: Dice,
    next: i64,
    failed: usize,
    duplicates: usize,
}

impl Ledger {
    pub fn new(seed: u64) -> Self {
        Self { loads: Vec::new(), dice: Dice::new(seed), next: 1, failed: 0, duplicates: 0 }
    }

    /// A new load, or one that was sent before.
    pub fn next(&mut self) -> usize {
        if !self.loads.is_empty() && self.dice.below(6) == 0 {
            return self.dice.below(self.loads.len());
        }
        // The first of each kind come first, so that there is something to join.
        let kind = match self.loads.len() {
            few @ 0..3 => few,
            _ => self.dice.below(SOURCES.len()),
        };
        let (mut text, mut ids) = (String::new(), Vec::new());
        for n in 0..RECORDS {
            let id = self.next;
            self.next += 1;
            ids.push(id);
            text.push_str(&self.record(kind, id, n));
            text.push('\n');
        }
        if kind > 0 {
            self.resend(kind, &mut text, &mut ids);
        }
        let table = SOURCES[kind].0;
        self.loads.push(Load { table, text, ids, acknowledged: false, unclear: false });
        self.loads.len() - 1
    }

    fn record(&mut self, kind: usize, id: i64, n: usize) -> String {
        // The first load of customers gives consents, so that there is something to withdraw.
        let first = self.loads.is_empty();
        let customer = if first { n } else { self.dice.below(CUSTOMERS) };
        // Late ones too: a moment has nothing to do with when it is loaded.
        let moment = 1000 * (1 + self.dice.below(MOMENTS));
        match kind {
            0 => {
                let consents = first || self.dice.below(3) > 0;
                let consent = if consents { "1" } else { "null" };
                let device = match self.dice.below(5) {
                    0 => self.dice.below(DEVICES),
                    _ => customer % DEVICES,
                };
                format!(
                    r#"{{"customerName":"c{customer}","email":"c{customer}@example.com","serialNumber":"d{device}","lastUpdateDate":{id},"shareWithResearchAsOfDate":{consent}}}"#
                )
            }
            1 => format!(
                r#"{{"user":"c{customer}@example.com","timestamp":{moment},"x":{id},"y":0,"z":1}}"#
            ),
            _ => format!(
                r#"{{"sensorReadingTime":{moment},"serialNumber":"d{}","distanceFromObject":{id}}}"#,
                customer % DEVICES
            ),
        }
    }

    /// Some rows of an earlier load once more, in another content.
    fn resend(&mut self, kind: usize, text: &mut String, ids: &mut Vec<i64>) {
        let same: Vec<&Load> = self.loads.iter().filter(|l| l.table == SOURCES[kind].0).collect();
        if same.is_empty() || self.dice.below(2) == 0 {
            return;
        }
        let other = same[self.dice.below(same.len())];
        for (line, id) in other.text.lines().zip(&other.ids).skip(1).take(2) {
            text.push_str(line);
            text.push('\n');
            ids.push(*id);
        }
    }

    /// Notes what was said about a load; true if its client is content.
    pub fn note(&mut self, number: usize, sent: Sent) -> bool {
        let load = &mut self.loads[number];
        let result = match sent {
            Sent::Failed => {
                load.unclear = true;
                self.failed += 1;
                return false;
            }
            Sent::Answered(result) => adds_up(result),
        };
        assert_eq!(result.received, load.ids.len() as u64, "{result:?}");
        if result.duplicate > 0 {
            let known = load.acknowledged || load.unclear;
            assert!(known, "load {number} was never sent before: {result:?}");
            self.duplicates += 1;
        } else {
            assert_eq!(result.accepted, result.received, "{result:?}");
            assert!(!load.acknowledged, "load {number} is accepted a second time: {result:?}");
        }
        load.acknowledged = true;
        true
    }

    pub fn report(&self) -> String {
        let acknowledged = self.loads.iter().filter(|load| load.acknowledged).count();
        format!(
            "  {} loads, {acknowledged} acknowledged, {} attempts failed, {} duplicates\n",
            self.loads.len(),
            self.failed,
            self.duplicates
        )
    }
}

//! Everything that may happen, in any order: after each promotion every derived table equals its
//! SELECT over its sources, row for row, and every landing table a ledger that the test keeps
//! (design, invariants 1 and 2).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use stedi_server::app::App;
use stedi_server::config::PipelineConfig;

use crate::maintenance::{eager, maintain};
use crate::support::{TestLake, author, seed, sized};

/// What may happen.
#[derive(Clone, Debug)]
enum Event {
    /// Records of customers: who, device, date, consent.
    Customers(Vec<(u8, Option<u8>, i64, Option<i64>)>),
    /// Readings of the app: who, device, time, x.
    Movements(Vec<(Option<u8>, Option<u8>, i64, i8)>),
    /// Readings of the sensor: device, time, distance.
    Steps(Vec<(u8, i64, u8)>),
    /// The same content as once before.
    Again(usize),
    /// A customer revokes at a time; with a request of their own, or with one that was sent before.
    Revoke(u8, i64, Option<usize>),
    /// A customer is erased at a time, with the devices that they claim.
    Erase(u8, i64),
    /// All tables are brought up to date.
    Promote,
    /// One table is.
    PromoteOne(usize),
    /// All tables are maintained, and nothing is kept for longer than it must be.
    Maintain,
    /// The server starts anew.
    Restart,
}

const CUSTOMERS: u8 = 5;
const DEVICES: u8 = 4;
/// Few moments, so that readings meet, arrive late, and are sent again.
const TIMES: i64 = 6;

fn event() -> impl Strategy<Value = Event> {
    let customer = (0..CUSTOMERS, option::of(0..DEVICES), 1..40_i64, option::of(0..30_i64));
    let movement = (option::of(0..CUSTOMERS), option::of(0..DEVICES), 1..=TIMES, -1..2_i8);
    let named = movement
        .prop_filter("names somebody", |(user, device, ..)| user.is_some() || device.is_some());
    let step = (0..DEVICES, 1..=TIMES, 0..3_u8);
    prop_oneof![
        3 => vec(customer, 1..4).prop_map(Event::Customers),
        3 => vec(named, 1..8).prop_map(Event::Movements),
        3 => vec(step, 1..8).prop_map(Event::Steps),
        1 => any::<usize>().prop_map(Event::Again),
        2 => (0..CUSTOMERS, 1..30_i64, option::weighted(0.2, any::<usize>()))
            .prop_map(|(who, at, again)| Event::Revoke(who, at, again)),
        1 => (0..CUSTOMERS, 1..=TIMES).prop_map(|(who, at)| Event::Erase(who, at)),
        5 => Just(Event::Promote),
        1 => any::<usize>().prop_map(Event::PromoteOne),
        2 => Just(Event::Maintain),
        1 => Just(Event::Restart),
    ]
}

/// A record that is sent, and the row that it is in the landing table.
type Sent = (String, Vec<String>);

fn customer((who, device, date, consent): (u8, Option<u8>, i64, Option<i64>)) -> Sent {
    let device = device.map(|device| format!("d{device}"));
    let mut fields = vec![format!(r#""email":"C{who}@x","lastUpdateDate":{date}"#)];
    fields.extend(device.iter().map(|device| format!(r#""serialNumber":"{device}""#)));
    fields.extend(consent.map(|date| format!(r#""shareWithResearchAsOfDate":{date}"#)));
    // 0 is no date.
    let consent = consent.filter(|date| *date > 0);
    let row = vec![format!("c{who}@x"), text(device), date.to_string(), text(consent)];
    (format!("{{{}}}", fields.join(",")), row)
}

fn movement((who, device, time, x): (Option<u8>, Option<u8>, i64, i8)) -> Sent {
    let (who, device) = (who.map(|who| format!("c{who}@x")), device.map(|it| format!("d{it}")));
    let mut fields = vec![format!(r#""timestamp":{time},"x":{x},"y":0,"z":1"#)];
    fields.extend(who.iter().map(|who| format!(r#""user":"{who}""#)));
    fields.extend(device.iter().map(|device| format!(r#""serialNumber":"{device}""#)));
    let row = vec![text(who), text(device), time.to_string(), format!("{x}.0")];
    (format!("{{{}}}", fields.join(",")), row)
}

fn step((device, time, distance): (u8, i64, u8)) -> Sent {
    let record = format!(
        r#"{{"sensorReadingTime":{time},"serialNumber":"d{device}","distanceFromObject":{distance}}}"#
    );
    (record, vec![format!("d{device}"), time.to_string(), format!("{distance}.0")])
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

/// Landing tables, and the columns that the ledger has.
const LANDING: [(&str, &str); 3] = [
    ("customer_landing", "email, serialnumber, lastupdatedate, sharewithresearchasofdate"),
    ("accelerometer_landing", "\"user\", serialnumber, timestamp, x"),
    ("step_trainer_landing", "serialnumber, sensorreadingtime, distancefromobject"),
];

struct Model {
    lake: TestLake,
    /// Requests: whose, and up to when no consent of theirs counts.
    revoked: Vec<(String, i64)>,
    /// The rows of each landing table.
    ledger: BTreeMap<&'static str, Vec<Vec<String>>>,
    /// What was sent.
    sent: Vec<(&'static str, String)>,
    contents: BTreeSet<(&'static str, String)>,
    /// E-mails of those who were erased, and how often somebody was.
    erased: BTreeSet<String>,
    erasures: usize,
    /// Their devices, with the latest time of an erasure.
    devices: BTreeMap<String, i64>,
    modes: BTreeMap<&'static str, u64>,
}

impl Model {
    async fn happen(&mut self, event: Event) {
        match event {
            Event::Customers(records) => self.load(0, records.into_iter().map(customer)).await,
            Event::Movements(records) => self.load(1, records.into_iter().map(movement)).await,
            Event::Steps(records) => self.load(2, records.into_iter().map(step)).await,
            Event::Again(which) => {
                if let Some((table, text)) = self.sent.get(which % self.sent.len().max(1)) {
                    let result = self.lake.load(table, text.clone()).await;
                    assert_eq!(result.duplicate, result.received);
                }
            }
            Event::Revoke(who, at, again) => self.revoke(who, at, again).await,
            Event::Erase(who, at) => self.erase(&format!("c{who}@x"), at).await,
            Event::Promote => self.promote().await,
            Event::PromoteOne(which) => {
                let derived = &self.lake.app.pipeline.derived;
                let table = &derived[which % derived.len()].name;
                let promotion = &self.lake.app.promotion;
                let run = promotion.promote(table, &author(), &Default::default()).await.unwrap();
                *self.modes.entry(run.mode.name()).or_default() += 1;
            }
            Event::Maintain => {
                maintain(&self.lake.app, &[]).await;
            }
            Event::Restart => self.lake.app = App::open(&self.lake.config).await.unwrap(),
        }
    }

    async fn load(&mut self, table: usize, records: impl Iterator<Item = Sent>) {
        let table = LANDING[table].0;
        let (records, rows): (Vec<String>, Vec<Vec<String>>) = records.unzip();
        let text = records.join("\n");
        let result = self.lake.load(table, text.clone()).await;
        if self.contents.insert((table, text.clone())) {
            let sent = rows.len();
            let kept: Vec<_> = rows.into_iter().filter(|row| self.keeps(table, row)).collect();
            let counts = (kept.len() as u64, (sent - kept.len()) as u64);
            assert_eq!((result.accepted, result.suppressed), counts);
            self.ledger.entry(table).or_default().extend(kept);
            self.sent.push((table, text));
        } else {
            assert_eq!(result.duplicate, rows.len() as u64);
        }
    }

    async fn revoke(&mut self, who: u8, at: i64, again: Option<usize>) {
        let email = format!("c{who}@x");
        if self.lake.subject(&email).await == "NULL" {
            return;
        }
        let again = again.filter(|_| !self.revoked.is_empty());
        let number = again.map_or(self.revoked.len(), |which| which % self.revoked.len());
        // What it was sent for first is gone.
        if self.revoked.get(number).is_some_and(|(whose, _)| self.erased.contains(whose)) {
            return;
        }
        if number == self.revoked.len() {
            let records = self.ledger.get("customer_landing").into_iter().flatten();
            let dates = records.filter(|row| row[0] == email).filter_map(|row| row[3].parse().ok());
            let until = dates.fold(at, i64::max);
            self.revoked.push((email.clone(), until));
        }
        self.lake.revoke(&[(&format!("r{number}"), &email, at)]).await;
    }

    async fn erase(&mut self, email: &str, at: i64) {
        let records = self.ledger.get("customer_landing").into_iter().flatten();
        let devices = records.filter(|row| row[0] == email && row[1] != "NULL");
        let devices: BTreeSet<String> = devices.map(|row| row[1].clone()).collect();
        let names: Vec<&str> = devices.iter().map(String::as_str).collect();
        self.erasures += 1;
        let request = format!("e{}", self.erasures);
        let done = self.lake.erase((&request, email, at), &names).await;
        self.erased.insert(email.to_owned());
        for device in devices {
            let until = self.devices.entry(device).or_default();
            *until = at.max(*until);
        }
        for (table, _) in LANDING {
            let rows = self.ledger.remove(table).unwrap_or_default();
            let before = rows.len() as u64;
            let kept: Vec<_> = rows.into_iter().filter(|row| self.keeps(table, row)).collect();
            let done = done.iter().find(|done| done.table == table).unwrap();
            assert_eq!((done.rows_before, done.rows_after), (before, kept.len() as u64), "{table}");
            assert_eq!(done.files_rewritten > 0, done.rows_before > done.rows_after, "{done:?}");
            self.ledger.insert(table, kept);
        }
    }

    /// Whether a row is of nobody who was erased.
    fn keeps(&self, table: &str, row: &[String]) -> bool {
        let nobody = "NULL".to_owned();
        let (who, device, time) = match table {
            "customer_landing" => return !self.erased.contains(&row[0]),
            "accelerometer_landing" => (&row[0], &row[1], &row[2]),
            _ => (&nobody, &row[0], &row[1]),
        };
        match who == "NULL" {
            true => {
                self.devices.get(device).is_none_or(|until| time.parse::<i64>().unwrap() > *until)
            }
            false => !self.erased.contains(who),
        }
    }

    /// Whose current record has a consent that they did not revoke, by the ledger alone.
    fn consenting(&self) -> Vec<Vec<String>> {
        let mut current = BTreeMap::new();
        for row in self.ledger.get("customer_landing").into_iter().flatten() {
            let date: i64 = row[2].parse().unwrap();
            let consent: i64 = row[3].parse().unwrap_or_default();
            let known = current.entry(&row[0]).or_insert((date, consent));
            // Of two of one date the one that arrived last.
            if date >= known.0 {
                *known = (date, consent);
            }
        }
        let revoked = |email: &String| {
            self.revoked.iter().filter(|(whose, _)| whose == email).map(|(_, until)| *until).max()
        };
        let consents = |(email, (_, consent)): &(&String, (i64, i64))| {
            *consent > revoked(email).unwrap_or_default()
        };
        current.into_iter().filter(consents).map(|(email, _)| vec![email.clone()]).collect()
    }

    async fn promote(&mut self) {
        for mode in self.lake.promote().await.into_values() {
            *self.modes.entry(mode).or_default() += 1;
        }
        self.check().await;
        let again = self.lake.promote().await;
        assert!(again.values().all(|mode| *mode == "nothing"), "{again:?}");
    }

    async fn check(&self) {
        for (table, columns) in LANDING {
            let found = self.rows(&format!("SELECT {columns} FROM {table}")).await;
            let mut kept = self.ledger.get(table).cloned().unwrap_or_default();
            kept.sort();
            assert_eq!(found, kept, "{table}");
        }
        let revoked = self.rows("SELECT request, revokedat FROM customer_revocation").await;
        let kept = self.revoked.iter().enumerate();
        let kept = kept.filter(|(_, (whose, _))| !self.erased.contains(whose));
        let kept = kept.map(|(number, (_, until))| vec![format!("r{number}"), until.to_string()]);
        let mut kept: Vec<_> = kept.collect();
        kept.sort();
        assert_eq!(revoked, kept);
        let consenting = self.rows("SELECT email FROM customer_trusted").await;
        assert_eq!(consenting, self.consenting());
        self.lake.is_derived().await;
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.lake.sorted(sql).await
    }
}

async fn live(readings: &str, events: Vec<Event>) -> BTreeMap<&'static str, u64> {
    let options = BTreeMap::from([("readings".to_owned(), readings.to_owned())]);
    let mut lake = TestLake::with(PipelineConfig { dir: None, options }).await.unwrap();
    lake.config.maintenance = eager();
    lake.app = App::open(&lake.config).await.unwrap();
    let mut model = Model {
        lake,
        revoked: Vec::new(),
        ledger: BTreeMap::new(),
        sent: Vec::new(),
        contents: BTreeSet::new(),
        erased: BTreeSet::new(),
        erasures: 0,
        devices: BTreeMap::new(),
        modes: BTreeMap::new(),
    };
    for event in events.into_iter().chain([Event::Promote]) {
        model.happen(event).await;
    }
    model.modes
}

/// Who shares a device is touched by the other's claim and consent: readings that name only the
/// device are nobody's once two claim it, and the sensor's count only if both consent.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_touches_everybody_on_the_device() {
    let movement = |user, time| (user, Some(1), time, 1);
    let modes = live(
        "all",
        vec![
            Event::Customers(vec![(0, Some(1), 1, Some(1)), (1, Some(2), 1, Some(1))]),
            Event::Movements(vec![movement(None, 1), movement(Some(0), 2), (Some(1), None, 2, 1)]),
            Event::Steps(vec![(1, 1, 1), (1, 2, 1), (2, 2, 1)]),
            Event::Promote,
            // A second one claims the device, and does not consent.
            Event::Customers(vec![(2, Some(1), 2, None)]),
            Event::Promote,
            Event::Customers(vec![(2, Some(1), 3, Some(3))]),
            Event::Promote,
            // Somebody with readings of their own claims it, consents, and does not any more.
            Event::Customers(vec![(1, Some(1), 4, Some(1))]),
            Event::Promote,
            Event::Customers(vec![(1, None, 5, None)]),
            Event::Promote,
        ],
    )
    .await;
    assert!(modes["subjects"] > 4, "{modes:?}");
}

/// Who refused is erased from a device that somebody else claims too: what it measured before stays
/// out, what it measures afterwards is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_touches_everybody_on_the_device() {
    let modes = live(
        "all",
        vec![
            Event::Customers(vec![(0, Some(1), 1, Some(1)), (1, Some(1), 1, None)]),
            Event::Customers(vec![(2, Some(2), 1, Some(1))]),
            Event::Movements(vec![
                (Some(0), None, 1, 1),
                (Some(0), None, 4, 1),
                (None, Some(1), 2, 1),
            ]),
            Event::Movements(vec![(Some(1), Some(1), 1, 1), (Some(2), None, 4, 1)]),
            Event::Steps(vec![(1, 1, 1), (1, 4, 1), (2, 4, 1)]),
            Event::Promote,
            Event::Erase(1, 3),
            Event::Promote,
            Event::Steps(vec![(1, 1, 2), (1, 5, 1)]),
            Event::Movements(vec![
                (Some(1), None, 6, 1),
                (None, Some(1), 3, 0),
                (None, Some(1), 5, 1),
            ]),
            Event::Promote,
            Event::Erase(1, 5),
            Event::Erase(2, 1),
        ],
    )
    .await;
    assert!(modes["subjects"] > 4, "{modes:?}");
}

#[test]
fn every_derived_table_is_always_its_select() {
    let cases = sized(10, 200);
    let seed = seed();
    println!("{cases} cases, STEDI_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 60, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let modes = Mutex::new(BTreeMap::<&str, u64>::new());
    let strategy = (prop_oneof![Just("all"), Just("since_consent")], vec(event(), 4..24));
    let outcome = runner.run(&strategy, |(readings, events)| {
        for (mode, times) in runtime.block_on(live(readings, events)) {
            *modes.lock().unwrap().entry(mode).or_default() += times;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("STEDI_TEST_SEED={seed}: {error}");
    }
    let modes = modes.into_inner().unwrap();
    println!("{modes:?}");
    // A model in which a mode never happens says nothing of it.
    for mode in ["nothing", "append", "subjects", "rebuild"] {
        assert!(modes.contains_key(mode), "{mode} never happened: {modes:?}");
    }
}

//! Whose rows are denied: no read of any server returns them, from the acknowledgement on
//! (invariant 3), and nobody else's rows change.

mod fails;
mod flight;
mod kept;
mod log;
mod seen;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use stedi_server::app::App;
use stedi_server::ledger::{Denied, Reason};

use crate::support::{TestLake, TestServer};

/// Every derived table.
const DERIVED: [&str; 5] = [
    "customer_trusted",
    "accelerometer_trusted",
    "customer_curated",
    "step_trainer_trusted",
    "machine_learning_curated",
];
/// Those whose rows are replaced by device.
const BY_DEVICE: [&str; 2] = ["step_trainer_trusted", "machine_learning_curated"];

/// A lake with two promotions behind it, and two servers on it.
struct Site {
    lake: TestLake,
    servers: [TestServer; 2],
}

impl Site {
    async fn new() -> Self {
        let lake = TestLake::filled().await;
        // A second version of each table, with more rows of everybody.
        let more = [("ada", 5000), ("eve", 5000), ("dan", 5000)].map(|(user, time)| {
            format!(r#"{{"user":"{user}@example.com","timestamp":{time},"x":2,"y":2,"z":2}}"#)
        });
        lake.load("accelerometer_landing", more.join("\n")).await;
        let steps = ["d1", "d4", "d6"].map(|device| {
            format!(
                r#"{{"sensorReadingTime":5000,"serialNumber":"{device}","distanceFromObject":9}}"#
            )
        });
        lake.load("step_trainer_landing", steps.join("\n")).await;
        lake.promote().await;
        let servers =
            [TestServer::start(&lake.config).await, TestServer::start(&lake.config).await];
        Self { lake, servers }
    }

    /// Whoever is called so, with their devices.
    async fn denied(&self, request: &str, names: &[&str]) -> Denied {
        let (mut subjects, mut devices) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            let email = format!("{name}@example.com");
            subjects.insert(self.lake.subject(&email).await);
            let claimed = format!(
                "SELECT DISTINCT serialnumber FROM customer_landing \
                 WHERE email = '{email}' AND serialnumber IS NOT NULL"
            );
            devices.extend(self.lake.select(&claimed).await.into_iter().map(|row| row[0].clone()));
        }
        Denied {
            request: request.to_owned(),
            reason: Reason::Revocation,
            since: 1,
            subjects,
            devices,
        }
    }

    /// Denies the rows of somebody, as a server of its own that is neither of the two.
    async fn deny(&self, request: &str, names: &[&str]) -> Denied {
        let denied = self.denied(request, names).await;
        self.lake.app.deny.add(std::slice::from_ref(&denied)).await.unwrap();
        denied
    }

    /// The newest version of a table.
    async fn version(&self, table: &str) -> u64 {
        self.lake.app.query.table(table).await.unwrap().version()
    }

    /// The newest version of each derived table.
    async fn versions(&self) -> BTreeMap<String, u64> {
        let mut versions = BTreeMap::new();
        for table in DERIVED {
            versions.insert(table.to_owned(), self.version(table).await);
        }
        versions
    }
}

/// What a table would be without somebody's rows, in SQL. Behind its LIMIT a condition is not looked
/// at before theirs are gone.
fn without(table: &str, version: &str, denied: &Denied) -> String {
    let quoted = |values: &BTreeSet<String>| {
        values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(", ")
    };
    let (subjects, devices) = (quoted(&denied.subjects), quoted(&denied.devices));
    let by_device = match BY_DEVICE.contains(&table) {
        true => format!(" AND coalesce(serialnumber, '') NOT IN ({devices})"),
        false => String::new(),
    };
    format!(
        "(SELECT * FROM {table}{version} \
         WHERE coalesce(subject_id, '') NOT IN ({subjects}){by_device} LIMIT 1000000)"
    )
}

/// One request.
fn requests<const N: usize>(requests: [&str; N]) -> BTreeSet<String> {
    requests.map(str::to_owned).into()
}

/// Another server on the same lake.
async fn another(lake: &TestLake) -> App {
    App::open(&lake.config).await.unwrap()
}

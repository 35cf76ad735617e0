//! Who asks, and of what: a lake with a canary in every PII column.

use std::io::Cursor;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deltalake::arrow::util::pretty::pretty_format_batches;
use deltalake::datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use stedi_server::app::token_rules;
use stedi_server::auth::{LocalKey, Role};
use stedi_server::config::Config;
use stedi_server::landing::Content;
use stedi_server::pipeline::{Class, Declared, Zone};

use crate::support::{TestLake, TestServer, author};

/// In every value of a PII column, in any case; in no statement.
const CANARY: &str = "canary";
/// Names that say nothing to whoever must not know them, and that no other text holds.
const NAMES: [&str; 4] = ["customername", "email", "phone", "birthday"];
pub const FORMATS: [&str; 5] = [
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
];

/// Somebody, and what the contract gives them.
pub struct Asker {
    pub name: &'static str,
    pub token: Option<String>,
    /// The status of what is refused before anything is looked at.
    pub refused: Option<u16>,
    pub zones: &'static [Zone],
    pub pii: bool,
}

impl Asker {
    pub fn sees_table(&self, table: &Declared) -> bool {
        self.zones.contains(&table.zone)
    }

    pub fn sees(&self, table: &Declared, class: Class) -> bool {
        self.sees_table(table) && (self.pii || class != Class::Pii)
    }
}

pub fn askers(config: &Config) -> Vec<Asker> {
    let token = |subject: &str, roles: &[&str]| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let hour = Duration::from_secs(3600);
        let mut claims = token_rules(config).claims(subject, Role::Ingest, now, hour);
        claims.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Some(LocalKey::open(&config.auth_key()).unwrap().sign(&claims).unwrap())
    };
    let all = &[Zone::Landing, Zone::Trusted, Zone::Curated, Zone::System];
    let asker = |name, token, refused, zones, pii| Asker { name, token, refused, zones, pii };
    vec![
        asker("nobody", None, Some(401), &[], false),
        asker("no role", token("n", &[]), Some(403), &[], false),
        asker(
            "an unknown role",
            token("u", &["superuser", "Admin", "ADMIN "]),
            Some(403),
            &[],
            false,
        ),
        asker("ingest", token("i", &["ingest"]), Some(403), &[], false),
        asker("analyst", token("a", &["analyst"]), None, &[Zone::Trusted, Zone::Curated], false),
        asker("trainer", token("t", &["trainer"]), None, &[Zone::Curated], false),
        asker("admin", token("x", &["admin"]), None, all, true),
    ]
}

/// A lake in which every PII column of every table holds a canary, at two versions.
async fn planted() -> TestLake {
    let lake = TestLake::new().await;
    let customer = |number: u64, updated: u64| {
        json!({
            "customername": format!("Canary Name{number}"), "email": format!("canary{number}@x.org"),
            "phone": format!("canary-phone-{number}"), "birthday": format!("canary-{number}-1-1"),
            "serialnumber": format!("device{number}"), "registrationdate": 1_600_000_000_000_u64,
            "lastupdatedate": updated, "sharewithresearchasofdate": 1_600_000_000_001_u64,
        })
    };
    let reading = |number: u64, at: u64| json!({ "user": format!("canary{number}@x.org"), "timestamp": at, "x": 1, "y": 2, "z": 3 });
    let step = |number: u64, at: u64| json!({ "sensorreadingtime": at, "serialnumber": format!("device{number}"), "distancefromobject": 5 });
    for round in 1..=2_u64 {
        let at = 1_650_000_000_000 + round;
        let lines = |record: &dyn Fn(u64) -> Value, bad: Value| {
            let good = (1..=3).map(|number| record(number).to_string());
            good.chain([bad.to_string()]).collect::<Vec<_>>().join("\n")
        };
        let bad = |key: &str| json!({ (key): "canary-raw", "user": "canary9@x.org", "email": "canary9@x.org", "round": round });
        for (table, text) in [
            ("customer_landing", lines(&|n| customer(n, at), bad("customername"))),
            ("accelerometer_landing", lines(&|n| reading(n, at), bad("x"))),
            ("step_trainer_landing", lines(&|n| step(n, at), bad("serialnumber"))),
        ] {
            let name = format!("canary-file-{round}.json");
            let content = Content { name, reader: Cursor::new(text), most: None };
            let loaded = lake.app.landing.load(table, content, &author(), None).await.unwrap();
            assert_eq!((loaded.accepted, loaded.rejected), (3, 1), "{table}");
        }
        lake.promote().await;
    }
    lake.revoke(&[("r1", "canary3@x.org", 1)]).await;
    lake
}

/// Everything of an answer that somebody can look at.
pub struct Told {
    pub status: u16,
    head: String,
    body: Vec<u8>,
    /// The body as text; of Parquet its rows.
    pub text: String,
}

impl Told {
    async fn of(answer: Response) -> Self {
        let status = answer.status().as_u16();
        let head = format!("{status} {:?}", answer.headers());
        let parquet = answer
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind.to_str().unwrap().contains("parquet"));
        let body = answer.bytes().await.unwrap();
        let text = match parquet {
            true => {
                let reader = ParquetRecordBatchReaderBuilder::try_new(body.clone()).unwrap();
                let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
                pretty_format_batches(&batches).unwrap().to_string()
            }
            false => String::from_utf8_lossy(&body).into_owned(),
        };
        Self { status, head, body: body.to_vec(), text }
    }

    pub fn canary(&self) -> bool {
        let found = |text: &str| text.to_lowercase().contains(CANARY);
        found(&self.head) || found(&self.text) || found(&String::from_utf8_lossy(&self.body))
    }

    /// What is wrong with it for somebody who does not see PII.
    pub fn leak(&self, asked: &str) -> Option<String> {
        if self.canary() {
            return Some("a canary".to_owned());
        }
        let asked = asked.to_lowercase();
        let told = format!("{} {}", self.head, self.text).to_lowercase();
        let name = NAMES.iter().find(|name| told.contains(**name) && !asked.contains(**name));
        name.map(|name| format!("the column {name}"))
    }
}

pub struct Site {
    pub url: String,
    pub http: Client,
}

impl Site {
    pub async fn send(
        &self,
        asker: &Asker,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Told {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(token) = &asker.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Told::of(request.body(body).send().await.unwrap()).await
    }

    pub async fn sql(&self, asker: &Asker, sql: &str, format: &str) -> Told {
        let headers = [("accept", format), ("content-type", "text/plain")];
        self.send(asker, Method::POST, "/v1/sql", &headers, sql.to_owned()).await
    }

    pub async fn get(&self, asker: &Asker, path: &str) -> Told {
        self.send(asker, Method::GET, path, &[], String::new()).await
    }
}

/// The lake, served, and how to ask.
pub async fn served() -> (TestLake, TestServer, Site) {
    let lake = planted().await;
    let server = TestServer::start(&lake.config).await;
    let site = Site { url: server.url.clone(), http: Client::new() };
    (lake, server, site)
}

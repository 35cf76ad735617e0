//! Statements that are under way when somebody is denied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use stedi_server::auth::Role;

use super::Site;
use crate::support::{DIGITS, TestServer, answered};

/// A long result over a table.
fn long(table: &str) -> String {
    let digits = (0..6).map(|at| format!("digits d{at}")).collect::<Vec<_>>().join(", ");
    format!("WITH {DIGITS} SELECT t.serialnumber, d0.n FROM {table} AS t, {digits}")
}

/// Begins a statement in NDJSON and reads some of it, lets something happen, and reads the rest.
async fn interrupted(
    server: &TestServer,
    sql: &str,
    meanwhile: impl Future<Output = ()>,
) -> (usize, String) {
    let request = server.statement(Role::Admin, sql).header("accept", "application/x-ndjson");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.bytes_stream();
    let mut bytes = body.next().await.unwrap().unwrap().to_vec();
    meanwhile.await;
    while let Some(Ok(more)) = body.next().await {
        bytes.extend_from_slice(&more);
    }
    let text = String::from_utf8(bytes).unwrap();
    (text.lines().count(), text.lines().last().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_being_read_ends() {
    let site = Site::new().await;
    let deny = async {
        site.deny("r1", &["ada"]).await;
    };
    let (lines, last) = interrupted(&site.servers[1], &long("customer_trusted"), deny).await;
    assert!(last.contains(r#""code":"consent_changed""#), "{last}");
    assert!(lines < 5_000_000, "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_nothing_of_theirs_goes_on() {
    let site = Site::new().await;
    let deny = async {
        site.deny("r1", &["ada"]).await;
    };
    let few = format!("{} LIMIT 300000", long("customer_landing"));
    let (lines, last) = interrupted(&site.servers[1], &few, deny).await;
    assert_eq!((lines, last.as_str()), (300_001, r#"{"end":{"row_count":300000}}"#));
    // Nor does it end who is under the entry already.
    let (again, few) =
        (site.deny("r1", &["ada"]), format!("{} LIMIT 300000", long("customer_trusted")));
    let (lines, last) = interrupted(&site.servers[1], &few, async move { drop(again.await) }).await;
    assert_eq!((lines, last.as_str()), (300_001, r#"{"end":{"row_count":300000}}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_a_row_yet_says_so() {
    let site = Site::new().await;
    let digits = (0..12).map(|at| format!("digits d{at}")).collect::<Vec<_>>().join(", ");
    let endless = format!(
        "WITH {DIGITS} SELECT count(*) FROM customer_trusted AS t, {digits} \
         WHERE sqrt(d0.n + length(t.serialnumber)) > 1.5"
    );
    let server = &site.servers[1];
    let statement = tokio::spawn(answered(server.statement(Role::Analyst, &endless)));
    server.until_going_on((1, 0)).await;
    let began = Instant::now();
    site.deny("r1", &["ada"]).await;
    let answer = statement.await.unwrap();
    assert_eq!(answer.problem(), (503, "consent_changed".to_owned()));
    assert_eq!(answer.header("retry-after"), "1");
    assert!(began.elapsed() < Duration::from_secs(20), "not by its own limit");
    server.until_going_on((0, 0)).await;
}

/// Somebody asks all the time: a list that is always fresh must not be an old one.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_after_the_acknowledgement_sees_nothing() {
    let site = Arc::new(Site::new().await);
    let subject = site.lake.subject("ada@example.com").await;
    let sql = format!("SELECT count(*) FROM customer_trusted WHERE subject_id = '{subject}'");
    let acknowledged = Arc::new(AtomicBool::new(false));
    let shown: Arc<[AtomicBool; 2]> = Arc::default();
    let tasks: Vec<_> = (0..2)
        .map(|at| {
            let (site, acknowledged, sql) =
                (Arc::clone(&site), Arc::clone(&acknowledged), sql.clone());
            let shown = Arc::clone(&shown);
            tokio::spawn(async move {
                let mut after = 0;
                while after < 20 {
                    let is_after = acknowledged.load(Ordering::SeqCst);
                    let answer = site.servers[at].sql(Role::Analyst, &sql).await;
                    if answer.status == 503 {
                        assert_eq!(answer.problem().1, "consent_changed");
                        continue;
                    }
                    let seen = answer.rows()[0][0].as_i64().unwrap();
                    match is_after {
                        true => {
                            assert_eq!(seen, 0, "seen by server {at} after the acknowledgement");
                            after += 1;
                        }
                        false => drop(shown[at].fetch_or(seen > 0, Ordering::SeqCst)),
                    }
                }
            })
        })
        .collect();
    let began = Instant::now();
    while !shown.iter().all(|shown| shown.load(Ordering::SeqCst)) {
        assert!(began.elapsed() < Duration::from_secs(60), "it was never seen before");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site.deny("r1", &["ada"]).await;
    acknowledged.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
}

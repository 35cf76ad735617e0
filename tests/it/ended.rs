//! Consents that end by a load: each has one revocation, whoever commits what in whichever order, and
//! whoever ends in between (invariant 3).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use stedi_openapi::{CertificateKind, RevocationCause, RevocationInfo, WorkState};
use stedi_server::app::App;
use stedi_server::config::{Config, PipelineConfig};
use stedi_server::consent::Who;
use stedi_server::ledger::Asker;

use crate::support::{TestLake, author, fixture, holding};

const CUSTOMERS: &str = "customer_landing";
const TRUSTED: &str = "customer_trusted";

/// A customer with a device, and the date of a consent; 0 is none.
fn customer(name: &str, updated: i64, shared: i64) -> String {
    let record = json!({
        "customerName": format!("Name Of {name}"),
        "email": format!("{name}@end"),
        "birthDay": "1950-01-01",
        "serialNumber": format!("Q-of-{name}"),
        "lastUpdateDate": updated,
        "shareWithResearchAsOfDate": shared,
    });
    record.to_string() + "\n"
}

fn reading(name: &str) -> String {
    format!("{{\"user\":\"{name}@end\",\"timestamp\":5,\"x\":1,\"y\":1,\"z\":1}}\n")
}

/// A lake with customers who consent, promoted. A load into it is that of a server that is killed
/// before it looks what it ended, and a promotion that of one that never looks.
async fn site(names: &[&str]) -> TestLake {
    let mut lake = TestLake::new().await;
    lake.config.consent.grace_seconds = Some(0);
    lake.load(CUSTOMERS, names.iter().map(|name| customer(name, 10, 1000)).collect::<String>())
        .await;
    lake.load("accelerometer_landing", names.iter().map(|name| reading(name)).collect::<String>())
        .await;
    lake.promote().await;
    lake
}

/// Another server, which carries nothing out by itself.
async fn server(config: &Config) -> App {
    App::open(config).await.unwrap()
}

/// What a server finds when it looks.
async fn look(server: &App) -> Vec<String> {
    server.revocations.ended(Asker::service(), CUSTOMERS).await.unwrap()
}

/// All revocations that there are.
async fn all(server: &App) -> Vec<RevocationInfo> {
    let kind = stedi_openapi::CertificateKind::Revocation;
    server.revocations.list(kind, None, 100, None).await.unwrap().0
}

/// Carries everything out that is open.
async fn carry_out(server: &App) {
    let ended = async {
        for revocation in all(server).await {
            let work = server.revocations.work();
            let ended = work.wait(&revocation.id, Duration::from_secs(120)).await.unwrap();
            assert_eq!(ended.state, WorkState::Succeeded, "{ended:?}");
        }
    };
    tokio::select! {
        () = ended => {}
        () = server.revocations.work().keep_working() => panic!("it works until it is told to stop"),
        () = server.promotions.work().keep_working() => panic!("it works until it is told to stop"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_before_anybody_looks_hides_nothing() {
    let lake = site(&["ada", "bob", "cyd"]).await;
    let before = lake.app.query.table(TRUSTED).await.unwrap().version();
    lake.load(CUSTOMERS, customer("ada", 20, 0)).await;
    // Two promotions by somebody else: the rows are gone, and the table went on.
    lake.promote().await;
    lake.load(CUSTOMERS, customer("dan", 10, 1000)).await;
    lake.promote().await;
    assert_eq!(lake.count(TRUSTED).await, 3);

    let other = server(&lake.config).await;
    let ids = look(&other).await;
    assert_eq!(ids.len(), 1, "{ids:?}");
    let revocations = all(&other).await;
    assert_eq!(revocations.len(), 1, "{revocations:?}");
    let what = &revocations[0].what;
    assert_eq!((what.cause, what.customers), (RevocationCause::Load, 1));
    assert!(what.acknowledged.is_some(), "{what:?}");
    // Old versions do not show her any more, and show everybody else.
    let old = format!("SELECT email FROM {TRUSTED} VERSION AS OF {before} ORDER BY email");
    assert_eq!(lake.select(&old).await, [["bob@end"], ["cyd@end"]]);
    carry_out(&other).await;
    for server in [&other, &server(&lake.config).await] {
        assert_eq!(look(server).await, Vec::<String>::new());
        let revocations = all(server).await;
        assert_eq!(revocations.len(), 1, "{revocations:?}");
        assert_eq!(revocations[0].what.certificate, Some(1));
    }
    for zone in ["trusted", "curated", "system"] {
        for text in ["ada@end", "Q-of-ada"] {
            let found = holding(&lake.root().join(zone), text);
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }
    assert_eq!(lake.count(TRUSTED).await, 3);
    // Who left is named nowhere in what was noted of it.
    let pseudonym = lake.subject("ada@end").await;
    let found = holding(&lake.root().join("system/ended"), &pseudonym);
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_does_not_take_what_nobody_looked_at() {
    let lake = site(&["ada", "bob", "cyd"]).await;
    let servers = [server(&lake.config).await, server(&lake.config).await];
    let asked = [Who::Email("bob@end".to_owned())];
    servers[0]
        .revocations
        .ask(CertificateKind::Revocation, Asker::service(), &asked, None, None)
        .await
        .unwrap();
    // Her consent ends, and the promotion of his revocation takes her out too, before anybody looks.
    lake.load(CUSTOMERS, customer("ada", 20, 0)).await;
    carry_out(&servers[1]).await;
    carry_out(&servers[1]).await;
    let causes: Vec<RevocationCause> =
        all(&servers[0]).await.iter().map(|revocation| revocation.what.cause).collect();
    assert_eq!(causes, [RevocationCause::Load, RevocationCause::Request]);
    let certificates: BTreeSet<Option<u64>> =
        all(&servers[0]).await.iter().map(|revocation| revocation.what.certificate).collect();
    assert_eq!(certificates, [Some(1), Some(2)].into());
    assert_eq!(look(&servers[0]).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_two_revocations_for_one_end() {
    let lake = site(&["ada", "bob", "cyd", "dan"]).await;
    let servers = [
        server(&lake.config).await,
        server(&lake.config).await,
        server(&lake.config).await,
        server(&lake.config).await,
    ];
    // All look at once, before the promotion and behind it.
    lake.load(CUSTOMERS, customer("ada", 20, 0)).await;
    let found = futures::future::join_all(servers.iter().map(look)).await;
    let found: BTreeSet<Vec<String>> = found.into_iter().collect();
    assert_eq!(found.len(), 1, "{found:?}");
    lake.load(CUSTOMERS, customer("cyd", 20, 0)).await;
    lake.promote().await;
    let found = futures::future::join_all(servers.iter().map(look)).await;
    let found: BTreeSet<String> = found.into_iter().flatten().collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(all(&servers[0]).await.len(), 2);
    // Who asks for it is not found as well.
    let asked = [Who::Email("bob@end".to_owned())];
    servers[2]
        .revocations
        .ask(CertificateKind::Revocation, Asker::service(), &asked, None, None)
        .await
        .unwrap();
    assert_eq!(look(&servers[1]).await, Vec::<String>::new());
    lake.promote().await;
    assert_eq!(look(&servers[3]).await, Vec::<String>::new());
    assert_eq!(all(&servers[0]).await.len(), 3);
    carry_out(&servers[0]).await;
    assert_eq!(look(&servers[1]).await, Vec::<String>::new());
    // A consent that is given again ends again, also for who had asked once; between two looks too.
    lake.load(CUSTOMERS, customer("ada", 30, 1000) + &customer("bob", 30, 4_000_000_000_000)).await;
    lake.promote().await;
    assert_eq!(lake.count(TRUSTED).await, 3);
    lake.load(CUSTOMERS, customer("ada", 40, 0) + &customer("bob", 40, 0)).await;
    lake.promote().await;
    let again = look(&servers[3]).await;
    assert_eq!(again.len(), 1, "{again:?}");
    let again = servers[0].revocations.work().get(&again[0]).await.unwrap();
    assert_eq!((again.what.cause, again.what.customers), (RevocationCause::Load, 2));
    carry_out(&servers[0]).await;
    assert_eq!(all(&servers[0]).await.len(), 4);
    assert_eq!(lake.count(TRUSTED).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_select_withdraws_nobodys_consent() {
    let lake = site(&["ada", "bob", "cyd"]).await;
    // Consents count from a date on that ada's and bob's do not reach; bob ends his as well.
    let folder = tempfile::tempdir().unwrap();
    let built_in = fixture().join("../../server/pipelines/stedi");
    for file in std::fs::read_dir(built_in).unwrap() {
        let file = file.unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let text = text.replace(
            "WHERE customer.age = 1 AND",
            "WHERE customer.age = 1 AND customer.sharewithresearchasofdate > 1500 AND",
        );
        std::fs::write(folder.path().join(file.file_name()), text).unwrap();
    }
    lake.load(CUSTOMERS, customer("cyd", 20, 2000)).await;
    lake.promote().await;
    assert_eq!(look(&lake.app).await, Vec::<String>::new());
    lake.load(CUSTOMERS, customer("bob", 20, 0)).await;
    let dir = Some(folder.path().to_owned());
    let pipeline = PipelineConfig { dir, ..PipelineConfig::default() };
    let other = server(&Config { pipeline, ..lake.config.clone() }).await;
    let promote = async || {
        let author = author();
        other.promotion.run(&author, |_| {}).await.unwrap();
    };
    for promoted in [false, true] {
        if promoted {
            promote().await;
        }
        look(&other).await;
        let revocations = all(&other).await;
        assert_eq!(revocations.len(), 1, "{revocations:?}");
        assert_eq!(revocations[0].what.customers, 1);
    }
    // And where nobody looked before the promotion.
    lake.load(CUSTOMERS, customer("eve", 10, 1000)).await;
    lake.promote().await;
    look(&lake.app).await;
    let known = all(&other).await.len();
    promote().await;
    assert_eq!(look(&other).await, Vec::<String>::new());
    assert_eq!(all(&other).await.len(), known);
    assert_eq!(lake.count(TRUSTED).await, 1);
}

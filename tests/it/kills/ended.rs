//! Steps of a load that ends a consent, up to its revocation.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stedi_server::auth::Role;

use super::{both, kill_when_held};
use crate::support::{SeaweedFs, Serving};

const TOML: &str = "[consent]\ngrace_seconds = 0\nlease_seconds = 2\n[promotion]\nlease_seconds = 2\n[maintenance]\nevery_seconds = 0\nlease_seconds = 2\n";

fn record(name: &str, updated: i64, shared: i64) -> String {
    format!(
        "{{\"email\":\"{name}@stop\",\"serialNumber\":\"Q-{name}-serial\",\"lastUpdateDate\":{updated},\"shareWithResearchAsOfDate\":{shared}}}\n"
    )
}

async fn post(serving: &Serving, path: &str, body: String) -> (u16, Value) {
    let token = serving.token(Role::Admin, "admin");
    let request = serving.http.post(format!("{}{path}", serving.url)).bearer_auth(token);
    let request = request.header("content-type", "application/json").header("prefer", "wait=60");
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(
    not(all(seaweedfs, python_readers)),
    ignore = "SeaweedFS is not installed; tests/run installs it"
)]
async fn killed_between_a_load_and_the_revocation_that_it_opens() {
    let steps = [
        both("/landing/customer_landing/_delta_log/", ".json")[1],
        both("/system/ended/", ".json")[0],
        both("/system/ended/", ".json")[1],
        both("/system/revocations/open/", ".json")[1],
        both("/system/deny/", ".json")[0],
    ];
    let s3 = SeaweedFs::start();
    let direct = s3.environment();
    let folder = tempfile::tempdir().unwrap();
    let start = async |environment: Vec<(String, String)>| {
        Serving::start_with(folder.path(), TOML, |command| {
            command.args(["--storage", "s3://lake/stopped"]).envs(environment);
        })
        .await
    };
    let serving = start(direct.clone()).await;
    let names: Vec<String> = (0..steps.len()).map(|number| format!("c{number}")).collect();
    let all = names.iter().map(|name| record(name, 1, 1000)).collect::<String>();
    let (status, result) = post(&serving, "/v1/landing/customer_landing", all).await;
    assert_eq!(status, 200, "{result}");
    let (status, run) = post(&serving, "/v1/promotions", "{}".to_owned()).await;
    assert_eq!((status, &run["state"]), (200, &json!("succeeded")), "{run}");
    assert_eq!(serving.process.terminate(), Some(0));

    for (step, name) in steps.into_iter().zip(&names) {
        // A server that starts looks by itself, too.
        let loaded = AtomicBool::new(false);
        let proxy = step.proxy_once(&s3.endpoint(), "stopped", move |line| {
            let loads = "/landing/customer_landing/_delta_log/";
            let commit = line.starts_with("PUT ") && line.contains(loads);
            loaded.fetch_or(commit, Ordering::SeqCst) || commit
        });
        let serving = start(proxy.through(&direct)).await;
        let token = serving.token(Role::Admin, "admin");
        let url = format!("{}/v1/landing/customer_landing", serving.url);
        let request = serving.http.post(url).bearer_auth(token).body(record(name, 2, 0));
        let asked = tokio::spawn(request.send());
        let process = serving.process;
        tokio::task::spawn_blocking(move || kill_when_held(&proxy, process, step)).await.unwrap();
        assert!(asked.await.unwrap().is_err(), "{}: it was answered", step.name());

        // The next one promotes, whether or not it has looked before.
        let serving = start(direct.clone()).await;
        let (status, run) = post(&serving, "/v1/promotions", "{}".to_owned()).await;
        assert!([200, 202].contains(&status), "{run}");
        let number = names.iter().position(|known| known == name).unwrap() + 1;
        let began = Instant::now();
        loop {
            let list = serving.json("/v1/revocations").await;
            let list = list["revocations"].as_array().unwrap();
            assert!(list.len() <= number, "{}: {list:?}", step.name());
            let done = |one: &Value| one["state"] == "succeeded" && one["certificate"].is_u64();
            if list.len() == number && list.iter().all(done) {
                assert!(list.iter().all(|one| one["customers"] == 1 && one["cause"] == "load"));
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "{}: {list:?}", step.name());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(serving.process.terminate(), Some(0));
    }
}

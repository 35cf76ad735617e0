//! The service's description of itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use stedi_openapi::Code;
use stedi_server::auth::Role;

use crate::support::{TestLake, TestServer, python, server};

/// What is asked for with an address that was signed.
const SIGNED: &str = "/sharing/files/{token}";
const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json")
}

fn document() -> Value {
    serde_json::from_slice(&std::fs::read(committed()).unwrap()).unwrap()
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Map<String, Value>)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let operation = |method| Some((path.as_str(), method, item[method].as_object()?));
            METHODS.into_iter().filter_map(operation)
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_code_s() {
    let output = server().arg("openapi").output().unwrap();
    assert!(output.status.success());
    let committed = std::fs::read(committed()).unwrap_or_default();
    assert!(
        output.stdout == committed,
        "the service's description changed; write it anew and look at the difference:\n    \
         cargo run --bin stedi-server -- openapi > openapi/openapi.json"
    );
}

#[test]
#[cfg_attr(not(python_readers), ignore = "no validator is installed; tests/run installs it")]
fn it_is_valid_and_so_are_its_examples() {
    let text = python("check_openapi.py", &[committed().to_str().unwrap()], &[]);
    assert!(text.contains(&format!("{} paths", document()["paths"].as_object().unwrap().len())));
}

/// A route gets into the router only together with its description: all of them go through
/// `Routes`, and the only pages that do not are those that show the document.
#[test]
fn no_route_goes_around_it() {
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src/api");
    for entry in std::fs::read_dir(api).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for around in [".route(", ".route_service(", ".nest(", ".nest_service(", ".merge("] {
            let count = text.matches(around).count();
            let allowed = match (name.as_str(), around) {
                ("docs.rs", ".route(") => 3,
                ("router.rs", ".merge(") => 1,
                // Metrics on an address of their own.
                ("metrics.rs", ".route(") => 1,
                _ => 0,
            };
            assert_eq!(count, allowed, "{name} has {count} times {around}");
        }
    }
}

#[test]
fn every_code_is_listed_and_every_operation_says_what_it_answers() {
    let document = document();
    let listed = document["components"]["schemas"]["Code"]["enum"].as_array().unwrap();
    let listed: BTreeSet<&str> = listed.iter().map(|code| code.as_str().unwrap()).collect();
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(listed, all);
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{at}: id is taken");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{at}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{at}");
        assert!(answers.contains_key("500"), "{at}");
        let open = !operation.contains_key("security");
        let closed = ["/v1/", "/sharing/shares"].iter().any(|below| path.starts_with(below));
        assert_eq!(open, !closed && path != "/metrics", "{at}");
        assert_eq!(answers.contains_key("401"), !open, "{at}");
        assert_eq!(answers.contains_key("403"), !open || path == SIGNED, "{at}");
        for variable in path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()) {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|it| it["name"] == variable && it["in"] == "path"));
        }
    }
}

/// What the document says about roles is what happens.
#[tokio::test(flavor = "multi_thread")]
async fn each_operation_lets_in_whom_it_says() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let document = document();
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        // Names of nothing: who is let in learns that it is not there.
        let path: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "/nothing" } else { part })
            .map(|part| format!("/{}", part.trim_start_matches('/')))
            .collect::<String>()
            .replacen('/', "", 1);
        let ask = async |token: Option<&str>| {
            let method = method.to_uppercase().parse().unwrap();
            server.request(method, &path, token).send().await.unwrap().status().as_u16()
        };
        let Some(security) = operation.get("security") else {
            let expected = if path.starts_with("/sharing/") { 403 } else { 200 };
            assert_eq!(ask(None).await, expected, "{at}");
            continue;
        };
        assert_eq!(ask(None).await, 401, "{at}");
        let allowed: Vec<&str> = security.as_array().unwrap().iter().map(role).collect();
        for role in Role::ALL {
            let status = ask(Some(&server.token(role))).await;
            assert_eq!(status != 403, allowed.contains(&role.name()), "{at} {role:?}: {status}");
            assert_ne!(status, 401, "{at}");
        }
    }
}

fn role(requirement: &Value) -> &str {
    requirement["token"][0].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_served_with_a_page_that_asks_no_other_host() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let (status, served) = server.json("/openapi.json", None).await;
    assert_eq!((status.as_u16(), served), (200, document()));

    let page = server.get("/docs", None).await;
    assert!(page.url().path().ends_with("/docs/"), "{}", page.url());
    let html = page.text().await.unwrap();
    let files: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| html.split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap().trim_start_matches("./"))
        .collect();
    assert!(files.len() >= 6, "{html}");
    for file in files.iter().chain(&[""]) {
        assert!(!file.contains("//"), "the page asks for {file}");
        let answer = server.get(&format!("/docs/{file}"), None).await;
        assert_eq!(answer.status(), 200, "{file}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        for source in policy.split(';').flat_map(|part| part.split_whitespace().skip(1)) {
            let own = ["'self'", "'none'", "'unsafe-inline'", "data:"].contains(&source);
            assert!(own, "{file}: {policy}");
        }
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        let text = answer.text().await;
        if file.ends_with(".css") {
            let text = text.unwrap();
            let inner = text
                .split("url(")
                .skip(1)
                .all(|rest| rest.trim_start_matches('"').starts_with("data:"));
            assert!(inner && !text.contains("@import"), "{file} loads something");
        } else if file.ends_with("initializer.js") {
            let text = text.unwrap();
            assert!(text.contains("\"/openapi.json\"") && !text.contains("://"), "{text}");
            assert!(text.contains("\"validatorUrl\": \"none\""), "{text}");
        }
    }
    assert_eq!(server.problem("/docs/nothing", None).await, (404, "not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_a_problem_too() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let token = server.token(Role::Admin);
    let problem = server.problem("/v1/tables/%ff", Some(&token)).await;
    assert_eq!(problem, (400, "malformed".to_owned()));
}

//! The log: a line for each answer, for people or for programs, without secrets.

use reqwest::Client;
use serde_json::Value;
use stedi_server::auth::Role;

use crate::support::{Service, server};

#[tokio::test(flavor = "multi_thread")]
async fn json_lines_name_the_request_and_hold_no_token() {
    // With everything that any crate has to say.
    let service = Service::start_with("[log]\nformat = 'text'\nfilter = 'error'\n", |command| {
        command.env("STEDI_LOG_FORMAT", "json").env("STEDI_LOG_FILTER", "trace");
    });
    let http = Client::new();
    let token = service.token(Role::Analyst);
    let ask = |path: &str, id: &str, token: &str| {
        let request = http.get(format!("{}{path}", service.url));
        request.header("x-request-id", id).bearer_auth(token).send()
    };
    let path = "/v1/tables/customer_trusted?hidden=hidden-value";
    assert_eq!(ask(path, "job-1", &token).await.unwrap().status(), 200);
    let wrong = format!("{}x", &token[..token.len() - 2]);
    let answer = ask("/v1/tables", "job-2", &wrong).await.unwrap();
    assert_eq!(answer.status(), 401);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["request_id"], "job-2");
    assert_eq!(ask("/hidden-path", "bad id", &token).await.unwrap().status(), 404);

    let log = service.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect();
    let answered = |id: &str| {
        let of = |line: &&Value| line["message"] == "answered" && line["span"]["request_id"] == id;
        lines.iter().find(of).unwrap_or_else(|| panic!("{id} is not in the log"))
    };
    let line = answered("job-1");
    assert_eq!(line["span"]["method"], "GET");
    assert_eq!(line["span"]["route"], "/v1/tables/{table}");
    assert_eq!(line["span"]["principal"], "test");
    assert_eq!(line["span"]["roles"], "analyst");
    assert_eq!(line["status"], 200);
    assert!(line["bytes"].as_u64().unwrap() > 100, "{line}");
    assert!(line["ms"].is_u64() && line["complete"] == true, "{line}");
    let line = answered("job-2");
    assert_eq!(
        (line["status"].as_u64(), line["code"].as_str()),
        (Some(401), Some("token_invalid"))
    );
    let lost = |line: &&Value| line["message"] == "answered" && line["status"] == 404;
    let line = lines.iter().find(lost).unwrap();
    assert_eq!(line["span"]["route"], "none");
    assert_eq!(line["span"]["request_id"].as_str().unwrap().len(), 36);

    // Neither whole nor in part, by nobody.
    for (what, secret) in [("token", &*token), ("signature", token.rsplit('.').next().unwrap())] {
        assert!(!log.contains(secret), "a {what} is in the log");
    }
    for (what, line) in [("the query", "hidden-value"), ("a path", "hidden-path")] {
        let ours = |text: &&str| text.contains(line) && text.contains("\"target\":\"stedi");
        assert_eq!(log.lines().find(ours), None, "{what} is in the log");
    }
    assert_eq!(service.terminate(), Some(0));
}

#[test]
fn text_is_the_usual_form_and_the_file_counts() {
    let service = Service::start("[log]\nfilter = 'warn'\n");
    assert_eq!(service.log(), "");
    let service = Service::start("");
    let log = service.log();
    assert!(!log.contains('\u{1b}') && !log.starts_with('{'), "{log}");
    for (variable, value) in [("STEDI_LOG_FORMAT", "xml"), ("STEDI_LOG_FILTER", "=[")] {
        let output = server().env(variable, value).arg("serve").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(value), "{errors}");
    }
}

//! Tokens: who is let in, and every known way in that must stay closed (RFC 8725).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use stedi_server::auth::Role;
use stedi_server::config::{AuthConfig, Config};
use tokio::sync::Mutex;

use crate::support::{SigningKey, TestLake, TestServer, base64url, server};

const PATH: &str = "/v1/tables";

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Claims that are accepted.
fn claims() -> Value {
    json!({
        "iss": "stedi", "aud": "stedi", "sub": "somebody", "roles": ["analyst"],
        "exp": now() + 600, "nbf": now() - 1,
    })
}

/// The same with one claim changed, or without it.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => claims.as_object_mut().unwrap().remove(name),
        value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
    };
    claims
}

/// A token put together by hand.
fn crafted(header: Value, claims: &Value, signature: &[u8]) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(&header), part(claims), base64url(signature))
}

/// A JWKS over HTTP that a test can change, and how often it was asked for.
struct Issuer {
    url: String,
    keys: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(keys: &[&SigningKey]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let issuer = Self {
            url,
            keys: Arc::new(Mutex::new(Value::Null)),
            asked: Arc::new(AtomicUsize::new(0)),
        };
        issuer.publish(keys).await;
        let (keys, asked) = (Arc::clone(&issuer.keys), Arc::clone(&issuer.asked));
        let answer = axum::routing::get(async move || {
            asked.fetch_add(1, Ordering::SeqCst);
            axum::Json(keys.lock().await.clone())
        });
        let service = axum::Router::new().route("/jwks.json", answer);
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        issuer
    }

    async fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        *self.keys.lock().await = json!({ "keys": keys });
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn serve(&self, lake: &TestLake, auth: AuthConfig) -> TestServer {
        let auth = AuthConfig { jwks: Some(self.url.clone()), ..auth };
        TestServer::start(&Config { auth, ..lake.config.clone() }).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_key_lets_its_tokens_in() {
    let lake = TestLake::new().await;
    let server = TestServer::start(&lake.config).await;
    let (status, tables) = server.json(PATH, Some(&server.token(Role::Analyst))).await;
    assert_eq!(status, 200, "{tables}");
    assert_eq!(server.problem(PATH, None).await, (401, "token_missing".to_owned()));
    let ingest = server.token(Role::Ingest);
    assert_eq!(server.problem(PATH, Some(&ingest)).await, (403, "forbidden".to_owned()));
    // Health needs no token.
    assert_eq!(server.get("/readyz", None).await.status(), 200);
    assert_eq!(server.problem("/v1/nothing", None).await, (404, "not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_signs_tokens_that_the_server_takes() {
    let lake = TestLake::new().await;
    let test = TestServer::start(&lake.config).await;
    let token = |arguments: &[&str]| {
        let mut command = server();
        command.arg("token").args(arguments).arg("--state-dir").arg(&lake.config.state_dir);
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (success, analyst, _) = token(&["--role", "analyst", "--subject", "ann", "--ttl", "5m"]);
    assert!(success);
    assert_eq!(test.get(PATH, Some(&analyst)).await.status(), 200);
    for wrong in [
        &["--role", "root"][..],
        &["--role", "admin", "--ttl", "0s"],
        &["--role", "admin", "--ttl", "1€"],
    ] {
        let (success, _, errors) = token(wrong);
        assert!(!success && errors.contains("expected"), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_algorithm_of_a_jwks_and_a_file() {
    let lake = TestLake::new().await;
    let keys = [("a", Algorithm::EdDSA), ("b", Algorithm::ES256), ("c", Algorithm::RS256)]
        .map(|(kid, algorithm)| SigningKey::new(kid, algorithm));
    let issuer = Issuer::start(&keys.each_ref()).await;
    let server = issuer.serve(&lake, AuthConfig::default()).await;
    for key in &keys {
        let answer = server.get(PATH, Some(&key.sign(&claims()))).await;
        assert_eq!(answer.status(), 200, "{:?}", key.algorithm);
    }
    // With a JWKS the local key counts for nothing.
    let local = server.token(Role::Admin);
    assert_eq!(server.problem(PATH, Some(&local)).await, (401, "token_invalid".to_owned()));

    let file = lake.config.state_dir.join("jwks.json");
    std::fs::write(&file, issuer.keys.lock().await.to_string()).unwrap();
    let jwks = Some(file.to_str().unwrap().to_owned());
    let config =
        Config { auth: AuthConfig { jwks, ..AuthConfig::default() }, ..lake.config.clone() };
    let server = TestServer::start(&config).await;
    assert_eq!(server.get(PATH, Some(&keys[0].sign(&claims()))).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks() {
    let lake = TestLake::new().await;
    let rsa = SigningKey::new("rsa", Algorithm::RS256);
    let other = SigningKey::new("rsa", Algorithm::RS256);
    let issuer = Issuer::start(&[&rsa]).await;
    let server = issuer.serve(&lake, AuthConfig::default()).await;
    assert_eq!(server.get(PATH, Some(&rsa.sign(&claims()))).await.status(), 200);

    let hs256 = |header: Header, secret: &[u8]| {
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap()
    };
    let symmetric =
        |kid: &str| Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::HS256) };
    let public = rsa.jwk();
    let signed = |kid: &str, extra: Value| {
        let mut header = json!({ "alg": "RS256", "typ": "JWT", "kid": kid });
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let key =
            SigningKey { kid: kid.to_owned(), algorithm: Algorithm::RS256, key: other.key.clone() };
        // The signature of another key over other bytes: nothing in the header may make it count.
        let token = key.sign(&claims());
        let signature = token.rsplit('.').next().unwrap();
        let unsigned = crafted(header, &claims(), b"");
        format!("{unsigned}{signature}")
    };
    let good = rsa.sign(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let admin = base64url(with("roles", json!(["admin"])).to_string().as_bytes());
    let tokens = [
        ("none", crafted(json!({ "alg": "none", "kid": "rsa" }), &claims(), b"")),
        ("None", crafted(json!({ "alg": "None", "kid": "rsa" }), &claims(), b"")),
        ("nOnE with a signature", crafted(json!({ "alg": "nOnE", "kid": "rsa" }), &claims(), b"x")),
        ("HS256 by the modulus", hs256(symmetric("rsa"), public["n"].as_str().unwrap().as_bytes())),
        ("HS256 by the JWK", hs256(symmetric("rsa"), public.to_string().as_bytes())),
        ("HS256 by nothing", hs256(symmetric("rsa"), b"")),
        ("another key of the same name", other.sign(&claims())),
        ("jku", signed("rsa", json!({ "jku": "http://127.0.0.1:1/jwks" }))),
        ("x5u", signed("rsa", json!({ "x5u": "http://127.0.0.1:1/cert" }))),
        ("embedded jwk", signed("rsa", json!({ "jwk": other.jwk() }))),
        ("kid with ../", signed("../../../../dev/null", json!({}))),
        ("kid with SQL", signed("' OR 1=1 --", json!({}))),
        ("critical extension", signed("rsa", json!({ "crit": ["x"], "x": 1 }))),
        ("no kid", crafted(json!({ "alg": "RS256" }), &claims(), b"x")),
        ("another type", signed("rsa", json!({ "typ": "secevent+jwt" }))),
        ("changed claims", format!("{}.{admin}.{}", parts[0], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.x")),
        ("nothing", String::from("x")),
        ("too long", format!("{good}{}", "a".repeat(9000))),
    ];
    for (attack, token) in tokens {
        assert_eq!(
            server.problem(PATH, Some(&token)).await,
            (401, "token_invalid".to_owned()),
            "{attack}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_required_and_checked() {
    let lake = TestLake::new().await;
    let key = SigningKey::new("k", Algorithm::EdDSA);
    let issuer = Issuer::start(&[&key]).await;
    let auth = AuthConfig { leeway_seconds: 5, ..AuthConfig::default() };
    let server = issuer.serve(&lake, auth).await;
    let accepted = [
        claims(),
        with("aud", json!(["other", "stedi"])),
        with("exp", json!(now() - 2)),
        with("nbf", json!(now() + 2)),
    ];
    for claims in accepted {
        assert_eq!(server.get(PATH, Some(&key.sign(&claims))).await.status(), 200, "{claims}");
    }
    let refused = [
        ("iss", Value::Null, "token_invalid"),
        ("iss", json!("other"), "token_invalid"),
        ("iss", json!(["stedi"]), "token_invalid"),
        ("aud", Value::Null, "token_invalid"),
        ("aud", json!("other"), "token_invalid"),
        ("aud", json!(["other"]), "token_invalid"),
        ("aud", json!([]), "token_invalid"),
        ("aud", json!("*"), "token_invalid"),
        ("sub", Value::Null, "token_invalid"),
        ("sub", json!(""), "token_invalid"),
        ("sub", json!("x".repeat(300)), "token_invalid"),
        ("sub", json!(5), "token_invalid"),
        ("exp", Value::Null, "token_invalid"),
        ("exp", json!((now() + 600).to_string()), "token_invalid"),
        ("exp", json!(-1), "token_invalid"),
        ("exp", json!(now() - 60), "token_expired"),
        ("nbf", Value::Null, "token_invalid"),
        ("nbf", json!(now() + 60), "token_invalid"),
        ("nbf", json!("now"), "token_invalid"),
        ("roles", json!("admin"), "token_invalid"),
    ];
    for (name, value, code) in refused {
        let token = key.sign(&with(name, value.clone()));
        let expected = (401, code.to_owned());
        assert_eq!(server.problem(PATH, Some(&token)).await, expected, "{name}: {value}");
    }
    for roles in [Value::Null, json!([]), json!(["root"]), json!(["ADMIN"])] {
        let token = key.sign(&with("roles", roles.clone()));
        assert_eq!(server.problem(PATH, Some(&token)).await.0, 403, "{roles}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go_and_unknown_ones_cost_one_question() {
    let lake = TestLake::new().await;
    let first = SigningKey::new("first", Algorithm::EdDSA);
    let second = SigningKey::new("second", Algorithm::ES256);
    let issuer = Issuer::start(&[&first]).await;
    // A long life of the set and a short pause: only an unknown name makes it be read again.
    let auth = AuthConfig { jwks_pause_seconds: 1, ..AuthConfig::default() };
    let server = issuer.serve(&lake, auth).await;
    assert_eq!(issuer.asked(), 1);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;

    let unknown = SigningKey::new("unknown", Algorithm::EdDSA).sign(&claims());
    let began = std::time::Instant::now();
    let flood = (0..100).map(|_| server.problem(PATH, Some(&unknown)));
    for (status, _) in futures::future::join_all(flood).await {
        assert_eq!(status, 401);
    }
    // One question for a hundred unknown names, and one for each pause that they took.
    let most = 2 + began.elapsed().as_secs() as usize;
    assert!((2..=most).contains(&issuer.asked()), "{} of {most}", issuer.asked());

    // A new key works once the pause is over.
    issuer.publish(&[&first, &second]).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(server.get(PATH, Some(&second.sign(&claims()))).await.status(), 200);

    // A removed one stops working once the set is read again.
    let auth =
        AuthConfig { jwks_refresh_seconds: 1, jwks_pause_seconds: 0, ..AuthConfig::default() };
    let server = issuer.serve(&lake, auth).await;
    assert_eq!(server.get(PATH, Some(&first.sign(&claims()))).await.status(), 200);
    issuer.publish(&[&second]).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(server.problem(PATH, Some(&first.sign(&claims()))).await.0, 401);
    assert_eq!(server.get(PATH, Some(&second.sign(&claims()))).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_cannot_be_used_are_refused_at_start() {
    let lake = TestLake::new().await;
    let file = lake.config.state_dir.join("jwks.json");
    let symmetric = r#"{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"c2VjcmV0"}]}"#;
    let weak = r#"{"keys":[{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}]}"#;
    let file_name = file.to_str().unwrap().to_owned();
    for (text, source, reason) in [
        (Some("{"), file_name.as_str(), "jwks.json"),
        (Some("{\"keys\":[]}"), &file_name, "holds no"),
        (Some(symmetric), &file_name, "holds no"),
        (Some(weak), &file_name, "holds no"),
        (None, "http://example.com/jwks", "expected a file, https"),
        (None, "nowhere/jwks.json", "nowhere"),
    ] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let auth = AuthConfig { jwks: Some(source.to_owned()), ..AuthConfig::default() };
        let config = Config { auth, ..lake.config.clone() };
        let error = stedi_server::app::verifier(&config).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{source}: {error}");
    }
}

//! TLS by configuration.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::{Certificate, Client, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Service, server};

/// A certificate of its own for 127.0.0.1, and its key.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) =
        (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"])
        .arg("-out")
        .arg(&certificate)
        .arg("-keyout")
        .arg(&key)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}

/// A client that trusts one certificate and keeps no connection.
fn trusting(certificate: &Path) -> reqwest::ClientBuilder {
    let pem = std::fs::read(certificate).unwrap();
    Client::builder()
        .add_root_certificate(Certificate::from_pem(&pem).unwrap())
        .tls_built_in_root_certs(false)
        .pool_max_idle_per_host(0)
}

fn config(certificate: &Path, key: &Path) -> String {
    format!(
        "[http.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n\
         handshake_seconds = 1\nreload_seconds = 1\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(openssl), ignore = "needs the command openssl")]
async fn both_versions_of_http_and_nothing_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (first, key) = certificate(folder.path(), "first");
    let service = Service::start(&config(&first, &key));
    assert!(service.url.starts_with("https://127.0.0.1:"), "{}", service.url);
    let url = format!("{}/healthz", service.url);

    let answer = trusting(&first).build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    let mut check = server();
    check.current_dir(service.folder()).args(["healthcheck", "--config", "stedi.toml"]);
    assert!(check.args(["--listen", service.address()]).status().unwrap().success());
    let http1 = trusting(&first).http1_only().build().unwrap();
    assert_eq!(http1.get(&url).send().await.unwrap().version(), Version::HTTP_11);
    let openssl = Command::new("sh")
        .arg("-c")
        .arg(format!("openssl s_client -alpn h2 -connect {} </dev/null", service.address()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&openssl.stdout);
    assert!(said.contains("ALPN protocol: h2") && said.contains("TLSv1.3"), "{said}");

    // Who does not speak TLS gets no answer, and does no harm; neither does who says nothing.
    let mut plain = TcpStream::connect(service.address()).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut silent = TcpStream::connect(service.address()).await.unwrap();
    for stream in [&mut plain, &mut silent] {
        let mut bytes = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut bytes));
        let _ = closed.await.expect("the server does not close it");
        assert!(!String::from_utf8_lossy(&bytes).contains("HTTP/"), "{bytes:?}");
    }

    // A new certificate is taken without a restart; one that cannot be used is not.
    let (second, new_key) = certificate(folder.path(), "second");
    std::fs::write(&first, "nothing").unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let old = std::fs::read(&second).unwrap();
    assert!(http1.get(&url).send().await.is_ok(), "the certificate before it stays");
    std::fs::write(&first, old).unwrap();
    std::fs::copy(&new_key, &key).unwrap();
    let renewed = trusting(&second).build().unwrap();
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if renewed.get(&url).send().await.is_ok() {
            break;
        }
    }
    assert_eq!(renewed.get(&url).send().await.unwrap().status(), 200);
    assert!(http1.get(&url).send().await.is_err(), "the old one is gone");
    assert_eq!(service.terminate(), Some(0));
}

#[test]
#[cfg_attr(not(openssl), ignore = "needs the command openssl")]
fn files_that_cannot_be_used_are_said_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate_file, key) = certificate(folder.path(), "one");
    let (_, other) = certificate(folder.path(), "other");
    let missing = folder.path().join("missing.pem");
    for (certificate, key, reason) in [
        (&missing, &key, "missing.pem"),
        (&key, &key, "holds no certificate"),
        (&certificate_file, &certificate_file, "one.pem"),
        (&certificate_file, &other, "TLS certificate and key"),
    ] {
        let file = folder.path().join("stedi.toml");
        std::fs::write(&file, config(certificate, key)).unwrap();
        let output = server()
            .current_dir(folder.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(reason), "{reason}: {errors}");
        assert!(!errors.contains("PRIVATE KEY"), "{errors}");
    }
    assert!(!folder.path().join(".stedi/lake").exists());
}

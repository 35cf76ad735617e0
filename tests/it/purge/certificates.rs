//! Certificates: signed, chained, checked offline by the client and by OpenSSL.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use stedi_openapi::{
    Certificate, CertificateKind, CertifiedExclusion, CertifiedIdentifier, CertifiedRequest,
    CertifiedScan, CertifiedSnapshot, CertifiedTable, CertifiedTimes,
};
use stedi_server::consent::{CertificateDraft, Certificates, SigningKey};

use crate::support::{TestLake, client};

fn draft(key: &SigningKey, work: &str, requested: i64) -> CertificateDraft {
    CertificateDraft {
        work: work.to_owned(),
        kind: CertificateKind::Erasure,
        requests: vec![CertifiedRequest {
            id: "r-1".to_owned(),
            subject: key.reference("0123456789abcdef"),
            requested,
            acknowledged: requested + 5,
        }],
        times: CertifiedTimes {
            deleted: requested + 10,
            purged: requested + 20,
            verified: requested + 30,
            issued: requested + 40,
        },
        tables: vec![CertifiedTable {
            table: "customer_trusted".to_owned(),
            version_before: 3,
            version_after: 5,
            history_from: 5,
            rows_before: 3,
            rows_after: 2,
            files_removed: 4,
            bytes_removed: 9_007_199_254_740_991,
            ..CertifiedTable::default()
        }],
        scan: CertifiedScan {
            objects: 10,
            bytes: 1_000,
            identifiers: vec![CertifiedIdentifier { kind: "email".to_owned(), count: 1 }],
            ..CertifiedScan::default()
        },
        snapshots: vec![CertifiedSnapshot { id: "a".to_owned(), superseded_by: "b".to_owned() }],
        recipients: vec!["trainer".to_owned()],
        excluded: vec![CertifiedExclusion {
            what: "backups \"elsewhere\" – ü".to_owned(),
            why: "not ours".to_owned(),
            until: Some(requested + 99),
        }],
    }
}

/// Three certificates as files, and the public key.
struct Issued {
    folder: tempfile::TempDir,
    files: Vec<PathBuf>,
    key: PathBuf,
    certificates: Certificates,
    lake: TestLake,
}

async fn issued() -> Issued {
    let lake = TestLake::new().await;
    let key = SigningKey::open(&lake.config.certificate_key()).unwrap();
    let certificates = Certificates::new(lake.app.lake.clone(), key.clone());
    for work in 1..=3 {
        let draft = draft(&key, &format!("work-{work}"), 1_000 * work);
        assert_eq!(certificates.issue(&draft).await.unwrap().sequence, work as u64);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for sequence in 1..=3 {
        let bytes = certificates.get(sequence).await.unwrap().unwrap();
        files.push(folder.path().join(format!("{sequence}.json")));
        std::fs::write(files.last().unwrap(), bytes).unwrap();
    }
    let file = folder.path().join("key.pem");
    std::fs::write(&file, key.public_pem()).unwrap();
    Issued { folder, files, key: file, certificates, lake }
}

fn verify(files: &[&Path], key: &Path) -> Output {
    let mut command = client();
    command.args(["certificate", "verify"]).args(files).arg("--key").arg(key);
    // Nobody is there to ask.
    command.env("STEDI_SERVER", "http://127.0.0.1:9").output().unwrap()
}

fn refused(files: &[&Path], key: &Path, why: &str) {
    let output = verify(files, key);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains(why), "{why}: {errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_issued_is_verified() {
    let Issued { files, key, certificates, lake, folder: _folder } = issued().await;
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    for some in [&files[..], &files[..1], &files[1..], &[files[2], files[0], files[1]]] {
        let output = verify(some, &key);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The key is the service's, and only its own to read.
    let mode = std::fs::metadata(lake.config.certificate_key()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = SigningKey::open(&lake.config.certificate_key()).unwrap();
    assert_eq!(again.id(), certificates.key().id());
    // A work has one certificate, whatever is asked for again.
    let second = certificates.issue(&draft(&again, "work-2", 2_000)).await.unwrap();
    assert_eq!((second.sequence, certificates.newest().await.unwrap()), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(openssl), ignore = "openssl is not installed")]
async fn openssl_says_the_same_of_the_signature() {
    let Issued { files, folder, .. } = issued().await;
    let text = std::fs::read_to_string(&files[1]).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    let signature = value.as_object_mut().unwrap().remove("signature").unwrap();
    let signed = text.replace(&format!(",\"signature\":{signature}"), "");
    assert_eq!(serde_json::from_str::<Value>(&signed).unwrap(), value);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("signed"), signed).unwrap();
    std::fs::write(path("base64"), signature.as_str().unwrap()).unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(&["base64", "-d", "-A", "-in", "base64", "-out", "signature"]);
    openssl(&[
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key.pem",
        "-rawin",
        "-in",
        "signed",
        "-sigfile",
        "signature",
    ]);
}

/// Every value of JSON, by a path that leads to it.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), found));
        }
        Value::Array(values) => {
            let mut at = 0..;
            values.iter().for_each(|value| {
                leaves(value, &format!("{path}/{}", at.next().unwrap()), found);
            });
        }
        _ => found.push(path.to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_changed() {
    let Issued { folder, files, key, .. } = issued().await;
    let text = std::fs::read_to_string(&files[1]).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let mut paths = Vec::new();
    leaves(&value, "", &mut paths);
    assert!(paths.len() > 35, "{paths:?}");
    let changed = folder.path().join("changed.json");
    for path in paths {
        let mut other = value.clone();
        let leaf = other.pointer_mut(&path).unwrap();
        *leaf = match &*leaf {
            Value::Number(number) => match number.as_u64().unwrap() {
                0 => 1.into(),
                number => (number - 1).into(),
            },
            Value::String(text) if path == "/kind" => text.replace("erasure", "revocation").into(),
            Value::String(text) if path == "/signature" => {
                let flipped = if text.starts_with('A') { "B" } else { "A" };
                format!("{flipped}{}", &text[1..]).into()
            }
            Value::String(text) => format!("{text}x").into(),
            _ => panic!("{path}"),
        };
        // As canonical as before: the order of names stays.
        std::fs::write(&changed, serde_json::to_string(&other).unwrap()).unwrap();
        let why = match path.as_str() {
            "/format" => "not a certificate",
            "/key" => "signed with the key",
            _ => "the signature is wrong",
        };
        refused(&[&changed], &key, why);
    }
    // The same content, written in another way.
    std::fs::write(&changed, serde_json::to_string_pretty(&value).unwrap()).unwrap();
    refused(&[&changed], &key, "canonical");
    std::fs::write(&changed, text.replacen('{', "{\"also\":1,", 1)).unwrap();
    refused(&[&changed], &key, "not a certificate");
    // Another key.
    let other = SigningKey::open(&folder.path().join("other.key")).unwrap();
    let other_key = folder.path().join("other.pem");
    std::fs::write(&other_key, other.public_pem()).unwrap();
    refused(&[&files[1]], &other_key, "signed with the key");
    let mut forged: Certificate = serde_json::from_str(&text).unwrap();
    forged.key = other.id();
    std::fs::write(&changed, serde_json::to_string(&sorted(&forged)).unwrap()).unwrap();
    refused(&[&changed], &other_key, "the signature is wrong");
    refused(&[&files[1]], &files[1], "not a public key");
}

fn sorted(certificate: &Certificate) -> Value {
    serde_json::to_value(certificate).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn none_can_be_taken_out_of_the_chain() {
    let Issued { folder, files, key, lake, .. } = issued().await;
    refused(&[&files[0], &files[2]], &key, "certificate 2 is missing");
    refused(&[&files[0], &files[0]], &key, "two certificates 1");
    // Another history, signed with the same key: what it begins with is not what came before.
    let other = TestLake::new().await;
    let signing = SigningKey::open(&lake.config.certificate_key()).unwrap();
    let certificates = Certificates::new(other.app.lake.clone(), signing.clone());
    certificates.issue(&draft(&signing, "work-x", 1_000)).await.unwrap();
    let first = folder.path().join("other.json");
    std::fs::write(&first, certificates.get(1).await.unwrap().unwrap()).unwrap();
    assert!(verify(&[&first], &key).status.success());
    refused(&[&first, &files[1]], &key, "does not follow certificate 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_certify_at_once_make_one_chain() {
    let Issued { folder, key, certificates, lake, .. } = issued().await;
    let signing = certificates.key().clone();
    let others: Vec<_> =
        (0..4).map(|_| Certificates::new(lake.app.lake.clone(), signing.clone())).collect();
    let works = (0..12).map(|n| (n, draft(&signing, &format!("at-once-{}", n % 8), 5_000)));
    let issues = works.map(|(n, draft)| {
        let certificates = others[n % others.len()].clone();
        async move { certificates.issue(&draft).await.unwrap().sequence }
    });
    futures::future::join_all(issues).await;
    let newest = certificates.newest().await.unwrap();
    assert_eq!(newest, 3 + 8);
    let mut files = Vec::new();
    for sequence in 1..=newest {
        let bytes = certificates.get(sequence).await.unwrap().unwrap();
        files.push(folder.path().join(format!("all-{sequence}.json")));
        std::fs::write(files.last().unwrap(), bytes).unwrap();
    }
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let output = verify(&files, &key);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

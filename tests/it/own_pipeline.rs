//! A pipeline of the user's own: nothing in the server knows a table by name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stedi_server::config::PipelineConfig;

use crate::support::{TestLake, server};

fn weather() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines/weather"))
}

const STATIONS: &str = r#"{"station":"s1","keeper":"Kim"} {"station":"s2"}"#;
const MEASUREMENTS: &str = r#"
    {"station":"s1","at":1,"degrees":3}
    {"station":"s1","at":2,"degrees":4.5}
    {"station":"s3","at":1,"degrees":9}"#;

#[tokio::test(flavor = "multi_thread")]
async fn lands_and_is_promoted_in_the_order_of_its_graph() {
    for (scale, warmest) in [("celsius", "4.5"), ("kelvin", "277.65")] {
        let options = BTreeMap::from([("scale".to_owned(), scale.to_owned())]);
        let pipeline = PipelineConfig { dir: Some(weather()), options };
        let lake = TestLake::with(pipeline).await.unwrap();
        lake.load("stations", STATIONS).await;
        lake.load("measurements", MEASUREMENTS).await;
        lake.promote().await;
        assert_eq!(lake.select("SELECT station, warmest FROM climate").await, [["s1", warmest]]);
        assert_eq!(lake.counts(["measurements", "measured"]).await, [3, 2]);
    }
}

#[test]
fn the_demo_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    for (name, text) in [("stations", STATIONS), ("measurements", MEASUREMENTS)] {
        std::fs::create_dir_all(source.join(name)).unwrap();
        std::fs::write(source.join(name).join("1.json"), text).unwrap();
    }
    let demo = |arguments: &[&str]| {
        let mut command = server();
        command.current_dir(&folder).args(["demo", "--exit"]).args(arguments);
        command.output().unwrap()
    };
    let weather = weather();
    let weather = weather.to_str().unwrap();
    let output = demo(&["--pipeline", weather, "--source", source.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("climate") && text.contains("4.5"), "{text}");
    // There is no sample data for somebody else's tables.
    let output = demo(&["--pipeline", weather]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--source"), "{output:?}");
}

//! Landing, for any mixture of records and what stands between them.

use proptest::prelude::*;
use proptest::sample::select;
use stedi_openapi::LoadResult;

use crate::support::TestLake;

/// A record that is loaded, one that is valid JSON and not loaded, or one that is not JSON.
#[derive(Clone, Debug)]
enum Part {
    Good(i64, f64),
    Unusable,
    Broken(&'static str),
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        6 => (1..=253_402_300_799_999_i64, -1e300..1e300_f64).prop_map(|(time, x)| Part::Good(time, x)),
        1 => Just(Part::Unusable),
        // Each on a line of its own: where the next one begins is known then.
        1 => select(vec!["{\"a\":}", "{\"a\" 1}", "{\"a\":\"b}", "{\"a\":[1}", "{", "hello", "\u{1F9B6}"])
            .prop_map(Part::Broken),
    ]
}

fn separator() -> impl Strategy<Value = &'static str> {
    select(vec!["", "\n", ",", " ,\r\n", "\n\n", "][", "\t"])
}

fn text(parts: &[(Part, &'static str, bool)]) -> String {
    let mut text = String::new();
    for (part, separator, spaced) in parts {
        match part {
            Part::Good(time, distance) if *spaced => text.push_str(&format!(
                "{{\n \"SensorReadingTime\" : \"{time}\" ,\n \"serialNumber\":\"d\\u0031\", \"distanceFromObject\" : {distance:e}\n}}"
            )),
            Part::Good(time, distance) => text.push_str(&format!(
                "{{\"sensorReadingTime\":{time},\"serialNumber\":\"d1\",\"distanceFromObject\":{distance:?}}}"
            )),
            Part::Unusable => text.push_str("{\"sensorReadingTime\":1,\"serialNumber\":\"}{\"}"),
            Part::Broken(broken) => {
                text.push_str(&format!("\n{broken}\n"));
                continue;
            }
        }
        text.push_str(separator);
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_good_record_is_loaded_as_it_was_sent(
        parts in prop::collection::vec((part(), separator(), any::<bool>()), 0..60)
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (result, rows): (LoadResult, _) = runtime.block_on(async {
            let lake = TestLake::new().await;
            let result = lake.load("step_trainer_landing", text(&parts)).await;
            let sql = "SELECT sensorreadingtime, serialnumber, distancefromobject \
                       FROM step_trainer_landing ORDER BY load_position";
            (result, lake.select(sql).await)
        });
        let good: Vec<(i64, f64)> = parts
            .iter()
            .filter_map(|(part, _, _)| match part {
                Part::Good(time, distance) => Some((*time, *distance)),
                _ => None,
            })
            .collect();
        prop_assert_eq!(result.accepted, good.len() as u64);
        // What is broken on neighbouring lines may count as one.
        let bad = parts.len() - good.len();
        prop_assert!(result.rejected <= bad as u64, "{:?}", result.rejects);
        prop_assert_eq!(result.rejected == 0, bad == 0, "{:?}", result.rejects);
        let read: Vec<(i64, f64)> = rows
            .iter()
            .map(|row| (row[0].parse().unwrap(), row[2].parse().unwrap()))
            .collect();
        prop_assert_eq!(read, good);
        prop_assert!(rows.iter().all(|row| row[1] == "d1"));
    }
}

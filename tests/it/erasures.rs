//! Customers are forgotten: nothing of them is left anywhere, and that is proved.

mod everywhere;
mod refused;
mod shell;
mod strangers;
mod waits;

use serde_json::Value;

use crate::support::{DERIVED, QUICK, Site, customer};

impl Site {
    /// All rows that are somebody's or their device's, in every table that anybody reads.
    pub async fn rows(&self, name: &str, subject: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        for (table, column) in [
            ("customer_landing", "subject_id"),
            ("accelerometer_landing", "coalesce(subject_id, serialnumber)"),
            ("step_trainer_landing", "serialnumber"),
            ("customer_trusted", "subject_id"),
            ("accelerometer_trusted", "subject_id"),
            ("customer_curated", "subject_id"),
            ("step_trainer_trusted", "serialnumber"),
            ("machine_learning_curated", "subject_id"),
        ] {
            let sql = format!(
                "SELECT * FROM {table} WHERE {column} IN ('{subject}', 'serial-of-{name}')"
            );
            let mut found = self.sql(&sql).await;
            found.as_array_mut().unwrap().sort_by_key(Value::to_string);
            rows.push(found);
        }
        rows
    }

    pub async fn erase(&self, body: Value) -> Value {
        let (status, erasure) = self.answer(self.post("/v1/erasures").json(&body)).await;
        assert!([200, 202].contains(&status), "{erasure}");
        assert!(erasure["acknowledged"].as_i64().is_some(), "{erasure}");
        assert_eq!(erasure["kind"], "erasure");
        erasure
    }

    /// An erasure that must succeed.
    pub async fn erased(&self, body: Value) -> Value {
        let erasure = self.erase(body).await;
        let ended = self.ended(&format!("/v1/erasures/{}", erasure["id"].as_str().unwrap())).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        ended
    }
}

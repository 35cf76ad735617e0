//! Requests and connections.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::gauge::Gauge;

use super::family::{Book, Counters, Durations, durations};
use super::{GoingOn, Metrics};

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// One of the methods of HTTP, or `other`.
    pub method: &'static str,
    /// The route that matched, as the router spells it.
    pub route: &'a str,
    /// The answer's status.
    pub status: u16,
    /// From its head to the last byte of the answer.
    pub elapsed: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: String,
}

#[derive(Debug)]
pub(super) struct EdgeFamilies {
    requests: Counters<RequestLabels>,
    durations: Durations<RequestLabels>,
    in_flight: Gauge,
    connections: Gauge,
    denied: Counters<CodeLabels>,
}

impl EdgeFamilies {
    pub fn register(book: &mut Book) -> Self {
        let families = Self {
            requests: Counters::default(),
            durations: durations(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            denied: Counters::default(),
        };
        book.counter("http_requests", "Requests answered", &families.requests);
        book.seconds(
            "http_request",
            "From the head of a request to the last byte of its answer",
            &families.durations,
        );
        book.gauge("http_requests_in_flight", "Requests under way", &families.in_flight);
        book.gauge("http_connections", "Open connections", &families.connections);
        book.counter("http_denied", "Requests that were not let in", &families.denied);
        families
    }
}

impl Metrics {
    /// A request was answered.
    pub fn request(&self, request: &Request<'_>) {
        let families = &self.families.edge;
        let labels = RequestLabels {
            method: request.method,
            route: request.route.to_owned(),
            status: request.status,
        };
        families.requests.get_or_create(&labels).inc();
        families.durations.get_or_create(&labels).observe(request.elapsed.as_secs_f64());
    }

    /// A request is being answered.
    pub fn request_begins(&self) -> GoingOn {
        GoingOn::begin(&self.families.edge.in_flight)
    }

    /// A connection is open.
    pub fn connection_begins(&self) -> GoingOn {
        GoingOn::begin(&self.families.edge.connections)
    }

    /// Somebody was not let in; `code` is that of the answer.
    pub fn denied(&self, code: &str) {
        let labels = CodeLabels { code: code.to_owned() };
        self.families.edge.denied.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_connections() {
        let metrics = Metrics::new();
        let request = |status, millis| {
            let elapsed = Duration::from_millis(millis);
            metrics.request(&Request { method: "GET", route: "/v1/x/{id}", status, elapsed });
        };
        request(200, 3);
        request(200, 70);
        request(404, 1);
        metrics.denied("token_missing");
        let connection = metrics.connection_begins();
        let begun = metrics.request_begins();
        let text = metrics.text();
        for line in [
            r#"stedi_http_requests_total{method="GET",route="/v1/x/{id}",status="200"} 2"#,
            r#"stedi_http_requests_total{method="GET",route="/v1/x/{id}",status="404"} 1"#,
            r#"stedi_http_request_seconds_bucket{le="0.005",method="GET",route="/v1/x/{id}",status="200"} 1"#,
            r#"stedi_http_request_seconds_count{method="GET",route="/v1/x/{id}",status="200"} 2"#,
            "# UNIT stedi_http_request_seconds seconds",
            "stedi_http_requests_in_flight 1",
            "stedi_http_connections 1",
            r#"stedi_http_denied_total{code="token_missing"} 1"#,
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop((connection, begun));
        let text = metrics.text();
        assert!(text.contains("stedi_http_connections 0\n"), "{text}");
        assert!(text.contains("stedi_http_requests_in_flight 0\n"), "{text}");
    }
}

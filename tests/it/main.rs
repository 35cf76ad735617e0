//! Integration tests: one binary, a module per capability.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_doc;
mod audit;
mod audit_crash;
mod audit_sql;
mod auth;
mod catalog;
mod consent;
mod crash;
mod demo;
mod edge;
mod forms;
mod golden;
mod history;
mod house;
mod keys;
mod limits;
mod load_http;
mod metrics;
mod once;
mod openapi;
mod own_pipeline;
mod pipeline_errors;
mod promotion;
mod properties;
mod readers;
mod rejects;
mod serve;
mod sql;
mod statements;
mod store;
mod support;
mod time_travel;

//! Integration tests: one binary, a module per capability.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod audit;
mod audit_crash;
mod auth;
mod catalog;
mod consent;
mod crash;
mod demo;
mod forms;
mod golden;
mod house;
mod keys;
mod once;
mod own_pipeline;
mod pipeline_errors;
mod promotion;
mod properties;
mod readers;
mod rejects;
mod serve;
mod store;
mod support;

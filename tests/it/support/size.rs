//! How much a test does: some are bounded in the suite and have a full size.

/// Whether tests run at full size (`tests/run --full`).
pub fn full() -> bool {
    std::env::var_os("STEDI_TEST_FULL").is_some()
}

/// The one or the other.
pub fn sized<T>(suite: T, full: T) -> T {
    if self::full() { full } else { suite }
}

/// The seed of a test: `STEDI_TEST_SEED`, else by the clock at full size, else always the same.
pub fn seed() -> u64 {
    match std::env::var("STEDI_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) if full() => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            now.as_secs()
        }
        Err(_) => 1,
    }
}

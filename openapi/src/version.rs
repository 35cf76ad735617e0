//! The version, one for server, client and image.

/// What server and client say of themselves: the version of the workspace, with the revision behind `+`
/// where whoever built it gave that (`STEDI_BUILD_VERSION`, as the image does). It comes from the
/// environment of the build and not from git, so that the same inputs make the same binary.
pub const VERSION: &str = match option_env!("STEDI_BUILD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_was_given_is_of_this_workspace() {
        let rest = VERSION.strip_prefix(env!("CARGO_PKG_VERSION"));
        assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+')), "{VERSION}");
    }
}

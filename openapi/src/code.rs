//! The stable words of problems: one list, from which the server takes status and word, and the
//! OpenAPI document what they mean.

use std::borrow::Cow;
use std::fmt;

use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema::SchemaType};
use utoipa::{PartialSchema, ToSchema};

macro_rules! codes {
    ($($name:ident $status:literal $word:literal $meaning:literal)*) => {
        /// What kind of problem it is: a word that stays, for programs to decide by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// All of them, by status.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The word.
            pub const fn name(self) -> &'static str {
                match self { $(Code::$name => $word,)* }
            }

            /// The HTTP status that it comes with (RFC 9110, section 15).
            pub const fn status(self) -> u16 {
                match self { $(Code::$name => $status,)* }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Code::$name => $meaning,)* }
            }
        }
    };
}

codes! {
    Malformed 400 "malformed" "The request cannot be read: a parameter is missing, unknown, or not of its type."
    BodyBroken 400 "body_broken" "The body broke off; nothing of it is loaded."
    TokenMissing 401 "token_missing" "There is no `Authorization: Bearer` header."
    TokenExpired 401 "token_expired" "The token was valid once."
    TokenInvalid 401 "token_invalid" "The token is not one that this server accepts."
    Forbidden 403 "forbidden" "The token's roles do not allow this."
    NotFound 404 "not_found" "There is nothing at this path."
    TableNotFound 404 "table_not_found" "There is no such table, or none that the token's roles may see."
    MethodNotAllowed 405 "method_not_allowed" "The path is there, and does not take this method."
    Conflict 409 "conflict" "Others kept changing the same thing; nothing was done."
    BodyTooLarge 413 "body_too_large" "The body has more bytes than the server takes; nothing of it is used."
    MediaTypeUnsupported 415 "media_type_unsupported" "The body is of a `Content-Type` that is not taken here."
    EncodingUnsupported 415 "encoding_unsupported" "The body is in a `Content-Encoding` other than gzip and zstd."
    NotASelect 422 "not_a_select" "The statement is anything but one SELECT."
    Internal 500 "internal" "The server failed; its log says why."
    Busy 503 "busy" "As much of this runs as may run at once."
    NoKeys 503 "no_keys" "The keys that tokens are checked with cannot be had at the moment."
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let line = |code: &Code| format!("- `{code}` ({}): {}", code.status(), code.meaning());
        let lines: Vec<String> = Code::ALL.iter().map(line).collect();
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .enum_values(Some(Code::ALL.iter().map(|code| code.name())))
            .description(Some(format!("A stable word for programs:\n{}", lines.join("\n"))))
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Code")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_are_unique_and_statuses_are_those_of_errors() {
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| (400..600).contains(&code.status())));
        assert!(Code::ALL.is_sorted_by_key(|code| code.status()));
    }
}

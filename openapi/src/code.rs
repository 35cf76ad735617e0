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
    SourceNotAllowed 403 "source_not_allowed" "The server may not import from there."
    UrlInvalid 403 "url_invalid" "The address of a shared file is not one that this server gave, or has expired; ask for the files again."
    NotFound 404 "not_found" "There is nothing at this path."
    TableNotFound 404 "table_not_found" "There is no such table, or none that the token's roles may see."
    StatementNotFound 404 "statement_not_found" "There is no such statement, or it is somebody else's, or its result is not kept any more."
    ImportNotFound 404 "import_not_found" "There is no such import, or it is not kept any more."
    MaintenanceNotFound 404 "maintenance_not_found" "There is no such maintenance, or it is not kept any more."
    CustomerNotFound 404 "customer_not_found" "There are no records of a customer who is named; nothing was done for any."
    RevocationNotFound 404 "revocation_not_found" "There is no such revocation, or it is not kept any more."
    ErasureNotFound 404 "erasure_not_found" "There is no such erasure, or it is not kept any more."
    LegalHoldNotFound 404 "legal_hold_not_found" "There is no such legal hold, or it has ended."
    CertificateNotFound 404 "certificate_not_found" "There is no certificate: nothing is proved yet."
    PromotionNotFound 404 "promotion_not_found" "There is no such promotion, or it is not kept any more."
    SnapshotNotFound 404 "snapshot_not_found" "There is no such snapshot, or none whose tables the token's roles may see; or it has no such file or table."
    MethodNotAllowed 405 "method_not_allowed" "The path is there, and does not take this method."
    NotAcceptable 406 "not_acceptable" "The result has none of the formats that `Accept` names."
    BodyTimeout 408 "body_timeout" "The rest of the body did not come in time."
    TimeLimit 408 "statement_timeout" "The statement took longer than its role's time limit."
    NotDone 409 "statement_not_done" "The statement has no result yet, or has failed or been cancelled."
    DeviceShared 409 "device_shared" "Several customers claim a device that is to name one; nothing was done for any."
    LegalHold 409 "legal_hold" "A customer's data is held for a legal reason; nothing was done for any."
    ErasureOpen 409 "erasure_open" "A customer is being erased already; nothing was done for any."
    NotCancelled 409 "not_cancelled" "It cannot be cancelled any more."
    NameTaken 409 "name_taken" "Another snapshot has this name."
    Conflict 409 "conflict" "Others kept changing the same thing; nothing was done."
    Purged 410 "purged" "The history of a table before this version was removed for good; `detail` names the request."
    Redacted 410 "redacted" "Rows of this snapshot are not given any more, as a consent ended; `superseded_by` is the snapshot without them."
    FileGone 410 "file_gone" "The shared file is not there any more; ask for the files again."
    BodyTooLarge 413 "body_too_large" "The body has more bytes than the server takes; nothing of it is used."
    StatementTooLong 413 "statement_too_long" "The text of the statement is longer than its role may send."
    UnsupportedMediaType 415 "unsupported_media_type" "The body has a content type, or an encoding, that this path does not take."
    EncodingUnsupported 415 "encoding_unsupported" "The body is in a `Content-Encoding` other than gzip and zstd."
    RangeNotSatisfiable 416 "range_not_satisfiable" "The file has no such bytes."
    NotASelect 422 "not_a_select" "The statement is anything but a SELECT, or EXPLAIN of one."
    StatementEmpty 422 "statement_empty" "There is no statement."
    StatementTooDeep 422 "statement_too_deep" "The statement is nested, or chains operators, deeper than its role may."
    SeveralStatements 422 "several_statements" "There is more than one statement."
    SyntaxError 422 "syntax_error" "The statement is not SQL."
    NotSupported 422 "not_supported" "The statement has a part that is not answered here."
    Parameters 422 "parameters" "Values and placeholders do not go together."
    NoSuchVersion 422 "no_such_version" "A table has no such version, or had none at that time."
    StatementInvalid 422 "statement_invalid" "The statement cannot be planned: a column or function is not there, or types do not fit."
    StatementFailed 422 "statement_failed" "The statement cannot be carried out on this data."
    OutOfMemory 422 "out_of_memory" "The statement needs more memory than it may have."
    RowLimit 422 "too_many_rows" "The result has more rows than its role may ask for."
    ByteLimit 422 "too_many_bytes" "The result has more bytes than its role may ask for."
    Cancelled 422 "cancelled" "The statement was cancelled."
    PromotionFailed 422 "promotion_failed" "A table cannot be brought up to date: its SELECT fails on this data, or one of its quality rules is broken."
    RevocationFailed 422 "revocation_failed" "Something is left that must not be there; the revocation names where."
    ErasureFailed 422 "erasure_failed" "Something is left that must not be there; the erasure names where."
    KeyReused 422 "idempotency_key_reused" "The `Idempotency-Key` was used with another body."
    QueueFull 429 "too_many_statements" "Too many statements wait already."
    NoTurn 429 "no_turn" "The statement waited for its turn too long."
    PromotionsWait 429 "too_many_promotions" "Too many promotions wait already."
    HeadersTooLarge 431 "headers_too_large" "The head of the request is larger than it may be."
    Internal 500 "internal" "The server failed; its log says why."
    Timeout 503 "timeout" "The request took longer than requests may."
    Stopping 503 "stopping" "The server is stopping."
    Busy 503 "busy" "As much of this runs as may run at once."
    ConsentChanged 503 "consent_changed" "A customer withdrew their consent while this was read; ask again."
    Redacting 503 "redacting" "A consent ended, and the snapshot is being rewritten without its rows; ask again."
    ConsentUnknown 503 "consent_unknown" "Whether consents were withdrawn cannot be found out at the moment, so no row is given."
    AuditUnavailable 503 "audit_unavailable" "Requests cannot be recorded at the moment, so none is answered."
    NoKeys 503 "no_keys" "The keys that tokens are checked with cannot be had at the moment."
    StorageFull 507 "storage_full" "The disk that the lake or the spilled rows are on is full; nothing was done."
}

impl Code {
    /// The code of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == word)
    }

    /// The name of its status (RFC 9110, section 15; RFC 6585 for 429 and 431; RFC 4918 for 507).
    pub const fn title(self) -> &'static str {
        match self.status() {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            413 => "Payload Too Large",
            415 => "Unsupported Media Type",
            416 => "Range Not Satisfiable",
            422 => "Unprocessable Entity",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            507 => "Insufficient Storage",
            _ => "Internal Server Error",
        }
    }
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

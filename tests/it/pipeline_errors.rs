//! Every way in which a pipeline can be wrong, and what is said about it.

use std::collections::BTreeMap;

use stedi_server::pipeline::{Pipeline, PipelineFiles};

const DECLARATION: &str = r#"
name = "p"

[[option]]
name = "o"
values = ["a", "b"]
default = "a"

[[source]]
name = "s"
folder = "s"
recorded = ["t"]
columns = [
  { name = "k", type = "key", class = "plain", required = true },
  { name = "e", type = "email", class = "pii" },
  { name = "t", type = "epoch", class = "plain" },
]

[[derived]]
name = "d1"
zone = "trusted"
sources = ["s"]
linear = ["s"]
replace_by = "k"
columns = [{ name = "k", class = "plain" }, { name = "t", class = "plain" }]

[[derived]]
name = "d2"
zone = "curated"
sources = ["d1"]
replace_by = "k"
columns = [{ name = "k", class = "plain" }]
"#;
const D1: &str = "SELECT k, t FROM s WHERE $o = 'a'";
const D2: &str = "SELECT DISTINCT k FROM d1";

async fn load(
    declaration: &str,
    d1: &str,
    d2: &str,
    options: &[(&str, &str)],
) -> Result<Pipeline, String> {
    let files =
        PipelineFiles::from_texts([("pipeline.toml", declaration), ("d1.sql", d1), ("d2.sql", d2)]);
    let options = options.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    Pipeline::load(&files, &options.collect()).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_sound_pipeline_is_in_dependency_order() {
    let pipeline = load(DECLARATION, D1, D2, &[("o", "b")]).await.unwrap();
    let order: Vec<&str> = pipeline.derived.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(order, ["d1", "d2"]);
    assert_eq!(pipeline.options["o"], "b");
}

#[tokio::test]
async fn the_built_in_pipeline_is_sound() {
    let pipeline = Pipeline::load(&PipelineFiles::built_in(), &BTreeMap::new()).await.unwrap();
    assert_eq!((pipeline.sources.len(), pipeline.derived.len()), (3, 5));
}

/// What is changed in the sound pipeline, and what the message must hold: the file, the table and
/// column, and what is wrong.
#[tokio::test]
async fn what_is_wrong_is_named() {
    let declaration_cases: &[(&str, &str, &[&str])] = &[
        ("name = \"p\"", "nam = \"p\"", &["pipeline.toml", "nam"]),
        ("[[source]]", "[[source", &["pipeline.toml", "TOML parse error at line 9"]),
        ("type = \"key\"", "type = \"kee\"", &["pipeline.toml", "line 14", "kee"]),
        (
            "name = \"k\", type = \"key\", class = \"plain\"",
            "name = \"k\", type = \"key\"",
            &["pipeline.toml", "table s", "column k", "class"],
        ),
        ("class = \"pii\"", "class = \"secret\"", &["pipeline.toml", "secret"]),
        ("name = \"e\"", "name = \"k\"", &["pipeline.toml", "table s", "column k", "twice"]),
        ("name = \"e\"", "name = \"E\"", &["pipeline.toml", "table s", "column E", "lower-case"]),
        ("name = \"e\"", "name = \"subject_id\"", &["table s", "column subject_id", "taken"]),
        ("recorded = [\"t\"]", "recorded = [\"k\"]", &["table s", "column k", "epoch"]),
        ("recorded = [\"t\"]", "recorded = [\"u\"]", &["table s", "column u", "not declared"]),
        ("recorded = [\"t\"]", "subject = \"k\"", &["table s", "column k", "email"]),
        ("recorded = [\"t\"]", "device = \"e\"", &["table s", "column e", "key"]),
        ("name = \"d2\"", "name = \"s\"", &["pipeline.toml", "table s", "twice"]),
        ("name = \"d2\"", "name = \"s_rejected\"", &["table s_rejected", "taken"]),
        ("name = \"d2\"", "name = \"d3\"", &["pipeline.toml", "table d3", "d3.sql"]),
        ("zone = \"curated\"", "zone = \"landing\"", &["table d2", "zone landing"]),
        (
            "sources = [\"d1\"]",
            "sources = [\"nowhere\"]",
            &["pipeline.toml", "table d2", "nowhere"],
        ),
        ("sources = [\"d1\"]", "sources = [\"d1\", \"s\"]", &["d2.sql", "table d2", "source s"]),
        ("sources = [\"d1\"]", "sources = [\"d1\", \"d1\"]", &["table d2", "d1", "twice"]),
        ("linear = [\"s\"]", "linear = [\"d2\"]", &["table d1", "linear in d2"]),
        (
            "sources = [\"s\"]\nlinear = [\"s\"]",
            "sources = [\"s\", \"d2\"]",
            &["pipeline.toml", "d1 <- d2 <- d1"],
        ),
        (
            "replace_by = \"k\"\ncolumns = [{ name = \"k\", class = \"plain\" }]",
            "replace_by = \"z\"\ncolumns = [{ name = \"k\", class = \"plain\" }]",
            &["table d2", "column z", "replace_by"],
        ),
        (
            "{ name = \"t\", class = \"plain\" }]",
            "]",
            &["pipeline.toml", "table d1", "column t", "no class"],
        ),
        (
            "{ name = \"t\", class = \"plain\" }]",
            "{ name = \"t\" }]",
            &["pipeline.toml", "table d1", "column t", "no class"],
        ),
        (
            "{ name = \"t\", class = \"plain\" }]",
            "{ name = \"t\", class = \"plain\" }, { name = \"z\", class = \"plain\" }]",
            &["table d1", "column z", "d1.sql"],
        ),
        ("default = \"a\"", "default = \"c\"", &["option o", "\"c\"", "a, b"]),
    ];
    for (from, to, expected) in declaration_cases {
        assert!(DECLARATION.contains(from), "{from}");
        // The last one: tables come after the source.
        let at = DECLARATION.rfind(from).unwrap();
        let changed = format!("{}{to}{}", &DECLARATION[..at], &DECLARATION[at + from.len()..]);
        let error = load(&changed, D1, D2, &[]).await.expect_err(to);
        assert!(expected.iter().all(|part| error.contains(part)), "{to}: {error}");
    }

    let select_cases: &[(&str, &[&str])] = &[
        ("SELECT k FROM d1, s", &["d2.sql", "table d2", "reads s"]),
        ("SELECT k FROM nowhere", &["d2.sql", "table d2", "reads nowhere"]),
        ("SELECT 'x' AS k", &["d2.sql", "table d2", "d1", "does not read"]),
        ("SELECT z AS k FROM d1", &["d2.sql", "table d2", "z"]),
        ("SELECT k FROM d1 WHERE", &["d2.sql", "table d2"]),
        ("DELETE FROM d1", &["d2.sql", "table d2", "one SELECT"]),
        ("SELECT k FROM d1; SELECT k FROM d1", &["d2.sql", "table d2"]),
        ("SELECT k, now() AS n FROM d1", &["d2.sql", "table d2", "now"]),
        ("SELECT k FROM d1 WHERE random() > 0.5", &["d2.sql", "table d2", "random"]),
        (
            "SELECT k FROM d1 WHERE k IN (SELECT k FROM d1 WHERE t > random())",
            &["table d2", "random"],
        ),
        ("SELECT k, [1] AS l FROM d1", &["column l", "no class"]),
        ("SELECT [1] AS k FROM d1", &["d2.sql", "table d2", "column k", "CAST"]),
        ("SELECT k FROM d1 WHERE $p = 'a'", &["d2.sql", "table d2", "p"]),
        ("", &["d2.sql", "table d2"]),
    ];
    for (sql, expected) in select_cases {
        let error = load(DECLARATION, D1, sql, &[]).await.expect_err(sql);
        assert!(expected.iter().all(|part| error.contains(part)), "{sql}: {error}");
    }

    for (option, value, expected) in [("o", "c", "\"c\""), ("x", "a", "no such option")] {
        let error = load(DECLARATION, D1, D2, &[(option, value)]).await.unwrap_err();
        assert!(error.contains(option) && error.contains(expected), "{error}");
    }
    let files = [("pipeline.toml", DECLARATION), ("d1.sql", D1), ("d2.sql", D2), ("d3.sql", D2)];
    let error = Pipeline::load(&PipelineFiles::from_texts(files), &BTreeMap::new()).await;
    assert!(error.unwrap_err().to_string().contains("d3.sql"), "a SELECT that nobody declares");
    let error = Pipeline::load(&PipelineFiles::from_texts([("x", "y")]), &BTreeMap::new()).await;
    assert!(error.unwrap_err().to_string().contains("pipeline.toml"));
}

#[tokio::test]
async fn what_is_wrong_with_consent_is_named() {
    let consent = |customers: &str, date: &str, consenting: &str, revocations: &str| {
        format!(
            "[consent]\ncustomers = '{customers}'\ndate = '{date}'\nconsenting = '{consenting}'\n\
             revocations = '{revocations}'\n[[source]]"
        )
    };
    let declaration = DECLARATION
        .replace("recorded = [\"t\"]", "recorded = [\"t\"]\nsubject = \"e\"")
        .replace("sources = [\"s\"]\nlinear = [\"s\"]", "sources = [\"s\", \"r\"]")
        .replacen(
            "replace_by = \"k\"\ncolumns = [{ name = \"k\", class = \"plain\" }, ",
            "replace_by = \"subject_id\"\ncolumns = [{ name = \"k\", class = \"plain\" }, \
             { name = \"subject_id\", class = \"pseudonym\" }, ",
            1,
        );
    let d1 = "SELECT s.k, s.subject_id, s.t FROM s LEFT JOIN r ON r.subject_id = s.subject_id \
              WHERE s.t > coalesce(r.revokedat, 0) AND $o = 'a'";
    let with = |consent: String| declaration.replace("[[source]]", &consent);
    let sound = load(&with(consent("s", "t", "d1", "r")), d1, D2, &[]).await.unwrap();
    assert_eq!(
        sound.tables().iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
        ["s", "s_rejected", "r", "d1", "d2"]
    );
    for (customers, date, consenting, revocations, expected) in [
        ("x", "t", "d1", "r", "table x: [consent]: customers is not a source"),
        ("d1", "t", "d1", "r", "table d1: [consent]: customers is not a source"),
        ("s", "k", "d1", "r", "table s: [consent]: date: it has no column k of type epoch"),
        ("s", "t", "d2", "r", "table d2: [consent]: consenting is not"),
        ("s", "t", "s", "r", "table s: [consent]: consenting is not"),
        ("s", "t", "d1", "d2", "table d2: [consent]: revocations: the name is taken"),
        ("s", "t", "d1", "s_rejected", "table s_rejected: the name is taken"),
        ("s", "t", "d1", "R", "table R: [consent]: revocations: must be lower-case"),
        ("s", "t", "d1", "q", "source r is not a table"),
    ] {
        let declaration = with(consent(customers, date, consenting, revocations));
        let error = load(&declaration, d1, D2, &[]).await.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // Who consents must depend on who revoked.
    let unread = with(consent("s", "t", "d1", "r")).replace("[\"s\", \"r\"]", "[\"s\"]");
    let error = load(&unread, d1, D2, &[]).await.unwrap_err();
    assert!(error.contains("table d1: [consent]: it does not read r"), "{error}");
    // Without the section there is no such table.
    let error = load(&declaration, d1, D2, &[]).await.unwrap_err();
    assert!(error.contains("source r is not a table of this pipeline"), "{error}");
}

#[tokio::test]
async fn rules_are_checked_against_the_table() {
    for (rule, reason) in [
        ("", "needs one of not_null"),
        ("min = 1", "needs one of not_null"),
        ("not_null = ['k']\nunique = ['k']", "needs one of not_null"),
        ("not_null = []", "names no column"),
        ("unique = ['x']", "column x is not one of the table's"),
        ("column = 'k'\nmin = 1", "column k is not a number"),
        ("column = 't'", "needs min or max"),
        ("column = 't'\nmin = 2\nmax = 1", "min is above max"),
        ("rows = {}", "needs min or max"),
        ("condition = 'nothing > 1'", "nothing"),
        ("condition = 't + 1'", "not true or false"),
        ("condition = 'max(t) > 1'", "more than one row"),
        ("condition = 't > (SELECT 1)'", "subquery"),
        ("condition = 't > $1'", "parameter"),
        ("condition = 'random() > 0.5'", "always give the same"),
        ("condition = 't >'", "check number 1"),
        ("not_null = ['k']\naction = 'stop'", "unknown variant"),
        ("not_null = ['k']\n[[derived.check]]\nnot_null = ['k']", "declared twice"),
    ] {
        let mark = "{ name = \"t\", class = \"plain\" }]\n\n[[derived]]";
        let with = format!(
            "{{ name = \"t\", class = \"plain\" }}]\n[[derived.check]]\n{rule}\n[[derived]]"
        );
        assert!(DECLARATION.contains(mark));
        let error = load(&DECLARATION.replace(mark, &with), D1, D2, &[]).await.unwrap_err();
        assert!(error.contains(reason), "{rule}: {error}");
        assert!(error.contains("pipeline.toml"), "{rule}: {error}");
    }
}

//! Ways of asking for a column.

/// What a way may give to somebody who sees the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// It names the column: rows for whoever sees it, an error for whoever does not.
    ColumnOrError,
    /// It names the column, and may fail for everybody; who does not see it gets no rows.
    NothingOrError,
    /// It does not name the column: an answer for everybody, with what they see.
    Answer,
    /// It does not name the column, and may fail for everybody.
    Either,
}

use Gives::{Answer, ColumnOrError, Either, NothingOrError};

/// `{t}` is the table, `{z}` its zone, `{c}` the column, `{C}` the same in capitals, `{x}` the same
/// misspelt, `{p}` a column of the table that everybody sees who sees the table.
pub const WAYS: [(Gives, &str); 91] = [
    // By its name.
    (ColumnOrError, "SELECT {c} FROM {t}"),
    (ColumnOrError, "SELECT {C} FROM {t}"),
    (ColumnOrError, "SELECT \"{c}\" FROM {t}"),
    (ColumnOrError, "SELECT {t}.{c} FROM {t}"),
    (ColumnOrError, "SELECT {z}.{t}.{c} FROM {z}.{t}"),
    (ColumnOrError, "SELECT stedi.{z}.{t}.{c} FROM stedi.{z}.{t}"),
    (ColumnOrError, "SELECT {c} AS innocent FROM {t}"),
    (ColumnOrError, "SELECT a.innocent FROM (SELECT {c} AS innocent FROM {t}) AS a"),
    (ColumnOrError, "SELECT a.b FROM {t} AS a({aliases})"),
    (ColumnOrError, "WITH a AS (SELECT {c} FROM {t}) SELECT * FROM a"),
    (ColumnOrError, "WITH a(b) AS (SELECT {c} FROM {t}) SELECT b FROM a"),
    (NothingOrError, "WITH {t} AS (SELECT {c} FROM {t}) SELECT * FROM {t}"),
    (ColumnOrError, "SELECT * FROM (SELECT {c} FROM {t}) AS a"),
    (ColumnOrError, "SELECT (SELECT max({c}) FROM {t})"),
    (ColumnOrError, "SELECT (SELECT max(b.{c}) FROM {t} b WHERE b.{p} = a.{p}) FROM {t} a"),
    (ColumnOrError, "SELECT 1 FROM {t} a WHERE EXISTS (SELECT 1 FROM {t} b WHERE b.{c} = a.{c})"),
    (ColumnOrError, "SELECT 1 FROM {t} WHERE {c} IN (SELECT {c} FROM {t})"),
    (ColumnOrError, "SELECT a.{p} FROM {t} a JOIN {t} b ON a.{c} = b.{c}"),
    (ColumnOrError, "SELECT 1 FROM {t} a JOIN {t} b USING ({c})"),
    (ColumnOrError, "SELECT {c} FROM {t} a JOIN {t} b USING ({c})"),
    (NothingOrError, "SELECT {c} FROM {t} a NATURAL JOIN {t} b"),
    (NothingOrError, "SELECT b.v FROM {t} a, LATERAL (SELECT a.{c} AS v) AS b"),
    (ColumnOrError, "SELECT {p} FROM {t} UNION ALL SELECT length({c}) FROM {t}"),
    (NothingOrError, "SELECT {p} FROM {t} UNION SELECT {c} FROM {t}"),
    (NothingOrError, "SELECT {c} FROM {t} EXCEPT SELECT 'x'"),
    (ColumnOrError, "(SELECT {c} FROM {t}) ORDER BY 1"),
    (ColumnOrError, "SELECT DISTINCT {c} FROM {t}"),
    (ColumnOrError, "SELECT DISTINCT ON ({c}) {p} FROM {t}"),
    // Where it is not selected.
    (ColumnOrError, "SELECT {p} FROM {t} ORDER BY {c}"),
    (ColumnOrError, "SELECT {p} FROM {t} ORDER BY length({c}) DESC LIMIT 1"),
    (ColumnOrError, "SELECT count(*) FROM {t} GROUP BY {c}"),
    (ColumnOrError, "SELECT count(*) FROM {t} GROUP BY ROLLUP ({c}, {p})"),
    (ColumnOrError, "SELECT {p} FROM {t} GROUP BY {p} HAVING max({c}) > 'a'"),
    (ColumnOrError, "SELECT count(*) FROM {t} WHERE {c} IS NOT NULL"),
    (ColumnOrError, "SELECT count(*) FROM {t} WHERE {c} LIKE '%anar%'"),
    (ColumnOrError, "SELECT count(*) FROM {t} WHERE {c} LIKE '%anar%' OR true"),
    (ColumnOrError, "SELECT count(*) FILTER (WHERE {c} ~ 'anar') FROM {t}"),
    (NothingOrError, "SELECT {p}, {c} AS innocent FROM {t} WHERE innocent LIKE '%anar%'"),
    (ColumnOrError, "SELECT CASE WHEN {c} > 'b' THEN 1 ELSE 0 END FROM {t}"),
    (ColumnOrError, "SELECT coalesce({c}, 'x'), nullif({c}, 'x') FROM {t}"),
    (NothingOrError, "SELECT 1 / CASE WHEN {c} LIKE '%anar%' THEN 0 ELSE 1 END FROM {t}"),
    (ColumnOrError, "SELECT {c} = 'x', {c} || 'x', {c} IS DISTINCT FROM 'x' FROM {t}"),
    // By functions.
    (ColumnOrError, "SELECT min({c}), max({c}) FROM {t}"),
    (ColumnOrError, "SELECT count({c}), count(DISTINCT {c}), approx_distinct({c}) FROM {t}"),
    (ColumnOrError, "SELECT array_agg({c}) FROM {t}"),
    (ColumnOrError, "SELECT string_agg({c}, ',') FROM {t}"),
    (ColumnOrError, "SELECT first_value({c}), last_value({c}) FROM {t}"),
    (ColumnOrError, "SELECT first_value({c}) OVER (ORDER BY {p}) FROM {t}"),
    (ColumnOrError, "SELECT rank() OVER (PARTITION BY {c} ORDER BY {c}) FROM {t}"),
    (ColumnOrError, "SELECT lag({p}) OVER w FROM {t} WINDOW w AS (ORDER BY {c})"),
    (ColumnOrError, "SELECT md5({c}), length({c}), substr({c}, 1, 9), reverse({c}) FROM {t}"),
    (ColumnOrError, "SELECT encode({c}::bytea, 'hex'), encode({c}::bytea, 'base64') FROM {t}"),
    (ColumnOrError, "SELECT concat({c}, 'x'), upper({c}), split_part({c}, '@', 1) FROM {t}"),
    (ColumnOrError, "SELECT struct({c}) FROM {t}"),
    (ColumnOrError, "SELECT named_struct('a', {c}) FROM {t}"),
    (ColumnOrError, "SELECT [{c}, 'x'] FROM {t}"),
    (NothingOrError, "SELECT unnest([{c}]) FROM {t}"),
    (ColumnOrError, "SELECT arrow_typeof({c}) FROM {t}"),
    (NothingOrError, "SELECT ({t}).{c} FROM {t}"),
    (NothingOrError, "SELECT {t}['{c}'] FROM {t}"),
    (NothingOrError, "SELECT get_field({t}, '{c}') FROM {t}"),
    // By what an error says.
    (NothingOrError, "SELECT CAST({c} AS BIGINT) FROM {t}"),
    (NothingOrError, "SELECT CAST({c} AS TIMESTAMP) FROM {t}"),
    (NothingOrError, "SELECT 1 FROM {t} WHERE {c} = 5"),
    (NothingOrError, "SELECT sum({c}) FROM {t}"),
    (NothingOrError, "SELECT {c}, count(*) FROM {t}"),
    (NothingOrError, "SELECT {x} FROM {t}"),
    (NothingOrError, "SELECT {t}.{x} FROM {t}"),
    (NothingOrError, "SELECT {x} FROM {t} a JOIN {t} b ON a.{p} = b.{p}"),
    (NothingOrError, "SELECT * EXCEPT ({c}) FROM {t} WHERE {x} = 1"),
    // Another moment, another schema.
    (ColumnOrError, "SELECT {c} FROM {t} VERSION AS OF 1"),
    (ColumnOrError, "SELECT b.{c} FROM {t} a JOIN {t} VERSION AS OF 1 b ON a.{p} = b.{p}"),
    (NothingOrError, "SELECT {c} FROM {t} VERSION AS OF 0"),
    (NothingOrError, "SELECT {c} FROM lake.{t}"),
    (NothingOrError, "SELECT {c} FROM \"{t} VERSION AS OF 1\""),
    // What the plan says.
    (ColumnOrError, "EXPLAIN SELECT {c} FROM {t} WHERE {c} > 'a'"),
    (ColumnOrError, "EXPLAIN VERBOSE SELECT {c} FROM {t}"),
    (ColumnOrError, "EXPLAIN ANALYZE SELECT {c} FROM {t} WHERE {c} > 'a'"),
    (Answer, "EXPLAIN VERBOSE SELECT * FROM {t} WHERE {p} IS NOT NULL ORDER BY {p}"),
    (Answer, "EXPLAIN ANALYZE VERBOSE SELECT * FROM {t} WHERE {p} IS NOT NULL ORDER BY {p}"),
    (Answer, "EXPLAIN FORMAT TREE SELECT max({p}) FROM {t}"),
    // Without its name.
    (Answer, "SELECT * FROM {t}"),
    (Answer, "SELECT a.* FROM {t} a"),
    (Answer, "SELECT * FROM {t} VERSION AS OF 1"),
    (Either, "SELECT * FROM {t} VERSION AS OF 0"),
    (Answer, "WITH a AS (SELECT * FROM {t}) SELECT * FROM a UNION ALL SELECT * FROM a"),
    (Answer, "SELECT * FROM {t} a JOIN {t} b USING ({p})"),
    (Either, "SELECT * FROM {t} a NATURAL JOIN {t} b"),
    (Either, "SELECT a, {t} FROM {t} a"),
    (Either, "SELECT struct(a.*), to_json(a), row_to_json(a) FROM {t} a"),
    (Either, "SELECT * EXCEPT ({p}) FROM {t}"),
];

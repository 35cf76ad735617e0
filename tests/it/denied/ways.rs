//! Ways of asking for somebody's rows.

/// Statements over a table `{t}`; `{a}` is the pseudonym of whoever is looked for. Each gives one
/// answer with their rows, and another one without.
pub const WAYS: [&str; 29] = [
    "SELECT * FROM {t}",
    "SELECT subject_id, serialnumber FROM {t}",
    "SELECT count(*) FROM {t}",
    "SELECT count(*) FROM {t} WHERE subject_id = '{a}'",
    "SELECT count(*) FILTER (WHERE subject_id = '{a}') FROM {t}",
    "SELECT subject_id FROM {t} WHERE subject_id IN ('{a}', 'x')",
    "SELECT subject_id FROM {t} WHERE subject_id LIKE substr('{a}', 1, 20) || '%'",
    "SELECT subject_id FROM {t} WHERE subject_id BETWEEN '{a}' AND '{a}'",
    "SELECT array_agg(subject_id ORDER BY subject_id) FROM {t}",
    "SELECT string_agg(subject_id, ',' ORDER BY subject_id) FROM {t}",
    "SELECT count(DISTINCT subject_id), count(subject_id) FROM {t}",
    "SELECT subject_id, count(*) FROM {t} GROUP BY subject_id HAVING count(*) > 0",
    "SELECT DISTINCT subject_id, serialnumber FROM {t}",
    "SELECT count(*) FROM (SELECT subject_id FROM {t} LIMIT 5)",
    "SELECT subject_id, row_number() OVER (PARTITION BY subject_id ORDER BY serialnumber) FROM {t}",
    "SELECT rank() OVER (ORDER BY subject_id) FROM {t}",
    "SELECT subject_id FROM {t} ORDER BY subject_id = '{a}' DESC, subject_id LIMIT 1",
    "SELECT subject_id FROM {t} ORDER BY subject_id = '{a}', subject_id OFFSET 1",
    "WITH c AS (SELECT * FROM {t}) SELECT x.subject_id FROM c AS x JOIN c AS y ON x.subject_id = y.subject_id",
    "SELECT subject_id FROM {t} UNION ALL SELECT serialnumber FROM {t}",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM {t} WHERE subject_id = '{a}')",
    "SELECT (SELECT max(subject_id) FROM {t} WHERE subject_id = '{a}')",
    "SELECT email FROM customer_landing WHERE subject_id IN (SELECT subject_id FROM {t})",
    "SELECT l.email FROM customer_landing AS l LEFT ANTI JOIN {t} AS d ON d.subject_id = l.subject_id",
    "SELECT l.email, (SELECT count(*) FROM {t} AS d WHERE d.subject_id = l.subject_id) FROM customer_landing AS l",
    "SELECT l.email FROM customer_landing AS l FULL JOIN {t} AS d ON d.subject_id = l.subject_id AND l.subject_id = '{a}'",
    // What fails on their rows, in the list of columns, as a condition, and in a join.
    "SELECT 1 / CASE WHEN subject_id = '{a}' THEN 0 ELSE 1 END FROM {t}",
    "SELECT count(*) FROM {t} WHERE 1 / CASE WHEN subject_id = '{a}' THEN 0 ELSE 1 END = 1",
    "SELECT count(*) FROM {t} WHERE CAST(CASE WHEN subject_id = '{a}' THEN 'x' ELSE '1' END AS BIGINT) = 1",
];

/// Those that are asked of older versions too.
pub const OF_VERSIONS: [usize; 5] = [0, 2, 3, 22, 27];

SELECT a.k, count(*) AS triples
FROM numbers a, numbers b, numbers c
WHERE a.n + b.n <> c.n + 1
GROUP BY a.k

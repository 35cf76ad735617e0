-- Customers whose current record has a research consent that they did not revoke.
-- The current record is the latest by its own date; ties go to the one that arrived last. A record
-- that repeats the date of a consent which was revoked does not bring it back.
WITH ranked AS (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY subject_id
      ORDER BY coalesce(lastupdatedate, registrationdate) DESC, load_sequence DESC, load_position DESC
    ) AS age
  FROM customer_landing
),
revoked AS (
  SELECT subject_id, max(revokedat) AS revokedat
  FROM customer_revocation
  GROUP BY subject_id
)
SELECT
  customer.subject_id,
  customer.customername,
  customer.email,
  customer.phone,
  customer.birthday,
  customer.serialnumber,
  customer.registrationdate,
  customer.lastupdatedate,
  customer.sharewithresearchasofdate,
  customer.sharewithpublicasofdate,
  customer.sharewithfriendsasofdate
FROM ranked AS customer
LEFT JOIN revoked ON revoked.subject_id = customer.subject_id
WHERE customer.age = 1 AND customer.sharewithresearchasofdate > coalesce(revoked.revokedat, 0)

-- Customers whose current record has a research consent.
-- The current record is the latest by its own date; ties go to the one that arrived last.
WITH ranked AS (
  SELECT
    *,
    row_number() OVER (
      PARTITION BY subject_id
      ORDER BY coalesce(lastupdatedate, registrationdate) DESC, load_sequence DESC, load_position DESC
    ) AS age
  FROM customer_landing
)
SELECT
  subject_id,
  customername,
  email,
  phone,
  birthday,
  serialnumber,
  registrationdate,
  lastupdatedate,
  sharewithresearchasofdate,
  sharewithpublicasofdate,
  sharewithfriendsasofdate
FROM ranked
WHERE age = 1 AND sharewithresearchasofdate IS NOT NULL

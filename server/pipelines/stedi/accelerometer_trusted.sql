-- Readings of consenting customers.
-- A reading that names its customer is that customer's; one that names a device too counts
-- only if that customer claims the device; one that names only a device belongs to the
-- device's one claimant, and to nobody where several claim it.
WITH claims AS (
  SELECT DISTINCT subject_id, serialnumber
  FROM customer_landing
  WHERE serialnumber IS NOT NULL
),
sole_claims AS (
  SELECT serialnumber, min(subject_id) AS subject_id
  FROM claims
  GROUP BY serialnumber
  HAVING count(*) = 1
)
SELECT DISTINCT
  customer.subject_id,
  reading.timestamp,
  coalesce(reading.serialnumber, customer.serialnumber) AS serialnumber,
  reading.x,
  reading.y,
  reading.z
FROM accelerometer_landing AS reading
LEFT JOIN claims AS claim
  ON claim.subject_id = reading.subject_id AND claim.serialnumber = reading.serialnumber
LEFT JOIN sole_claims AS sole
  ON sole.serialnumber = reading.serialnumber
INNER JOIN customer_trusted AS customer
  ON customer.subject_id = coalesce(reading.subject_id, sole.subject_id)
WHERE
  (reading.subject_id IS NULL OR reading.serialnumber IS NULL OR claim.subject_id IS NOT NULL)
  AND ($readings = 'all' OR reading.timestamp >= customer.sharewithresearchasofdate)

-- Readings of devices with a claimant in customer_curated, every claimant of which consents.
-- A row of a device that several customers claim names none of them.
WITH claims AS (
  SELECT DISTINCT subject_id, serialnumber
  FROM customer_landing
  WHERE serialnumber IS NOT NULL
),
devices AS (
  SELECT
    claim.serialnumber,
    CASE WHEN count(*) = 1 THEN min(claim.subject_id) END AS subject_id,
    max(consenting.sharewithresearchasofdate) AS consent_since
  FROM claims AS claim
  LEFT JOIN customer_trusted AS consenting ON consenting.subject_id = claim.subject_id
  LEFT JOIN customer_curated AS curated ON curated.subject_id = claim.subject_id
  GROUP BY claim.serialnumber
  HAVING count(consenting.subject_id) = count(*) AND count(curated.subject_id) > 0
)
SELECT DISTINCT
  device.subject_id,
  reading.sensorreadingtime,
  reading.serialnumber,
  reading.distancefromobject
FROM step_trainer_landing AS reading
INNER JOIN devices AS device ON device.serialnumber = reading.serialnumber
WHERE $readings = 'all' OR reading.sensorreadingtime >= device.consent_since

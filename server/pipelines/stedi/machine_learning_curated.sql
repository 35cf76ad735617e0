-- Each trusted step trainer reading with the accelerometer readings of the same customer and
-- moment. The claim is what makes it the same customer: a timestamp alone would pair one
-- person's accelerometer with another's device.
WITH claims AS (
  SELECT DISTINCT subject_id, serialnumber
  FROM customer_landing
  WHERE serialnumber IS NOT NULL
)
SELECT DISTINCT
  movement.subject_id,
  step.sensorreadingtime,
  step.serialnumber,
  step.distancefromobject,
  movement.x,
  movement.y,
  movement.z
FROM step_trainer_trusted AS step
INNER JOIN claims AS claim ON claim.serialnumber = step.serialnumber
INNER JOIN accelerometer_trusted AS movement
  ON movement.subject_id = claim.subject_id AND movement.timestamp = step.sensorreadingtime

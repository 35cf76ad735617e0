-- Consenting customers that have readings.
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
FROM customer_trusted AS customer
LEFT SEMI JOIN accelerometer_trusted AS reading
  ON reading.subject_id = customer.subject_id

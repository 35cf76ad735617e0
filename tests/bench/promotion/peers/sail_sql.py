"""Sail: Spark SQL on Delta, which runs the product's own SELECTs. Server and client are this process."""
from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pysail.spark import SparkConnectServer

import common

options = common.arguments()
server = SparkConnectServer("127.0.0.1", 0)
server.start()
spark = SparkSession.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
spark.sql("SELECT 1").collect()
COLUMNS = {
    "customer_landing": (
        "customerName STRING, email STRING, phone STRING, birthDay STRING, serialNumber STRING,"
        " registrationDate BIGINT, lastUpdateDate BIGINT, shareWithResearchAsOfDate BIGINT,"
        " shareWithPublicAsOfDate BIGINT, shareWithFriendsAsOfDate BIGINT"),
    "accelerometer_landing": (
        "user STRING, serialNumber STRING, timestamp BIGINT, x DOUBLE, y DOUBLE, z DOUBLE"),
    "step_trainer_landing": (
        "sensorReadingTime BIGINT, serialNumber STRING, distanceFromObject DOUBLE"),
}
PERSON = {"customer_landing": "email", "accelerometer_landing": "user"}


def write(table, frame):
    """Writes a table, and gives what is stored to later SELECTs."""
    path = str(options.out / table)
    frame.write.format("delta").mode("overwrite").save(path)
    read(table, path)


def read(table, path):
    spark.read.format("delta").load(path).createOrReplaceTempView(table)


def land():
    inner, outer = common.pads(options)
    for table in common.SOURCES:
        frame = spark.read.schema(COLUMNS[table]).json(str(options.json / common.FOLDERS[table]))
        stored = []
        for name, kind in frame.dtypes:
            value = f.trim(f.col(name)) if kind == "string" else f.col(name)
            value = f.lower(value) if name == PERSON.get(table) else value
            stored.append(value.alias(name.lower()))
        frame = frame.select(
            *stored, f.lit(0).cast("bigint").alias("load_sequence"),
            f.monotonically_increasing_id().alias("load_position"))
        if person := PERSON.get(table):
            inside = f.unhex(f.sha2(f.concat(f.unhex(f.lit(inner)), f.encode(person, "UTF-8")), 256))
            mac = f.sha2(f.concat(f.unhex(f.lit(outer)), inside), 256)
            subjects = frame.select(person).distinct().select(person, f.substring(mac, 1, 32).alias("subject_id"))
            frame = frame.join(subjects, on=person, how="left")
        write(table, frame)


def work():
    if options.step == "whole":
        land()
    else:
        for table in common.SOURCES:
            read(table, str(options.landing / table))
    name, nothing = common.NO_REVOCATIONS
    spark.sql(nothing.format(text="STRING")).createOrReplaceTempView(name)
    for table in common.TABLES:
        write(table, spark.sql(common.select(options, table)))


options.out.mkdir(parents=True)
common.run(work)

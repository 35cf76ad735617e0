"""Polars, with the rules of the SELECTs as expressions, writes Delta through `deltalake`."""
import polars as pl
from deltalake import write_deltalake

import common

options = common.arguments()
key = common.key(options) if options.key else None
TEXT, EPOCH, DOUBLE = pl.String, pl.Int64, pl.Float64
COLUMNS = {
    "customer_landing": {
        "customerName": TEXT, "email": TEXT, "phone": TEXT, "birthDay": TEXT, "serialNumber": TEXT,
        "registrationDate": EPOCH, "lastUpdateDate": EPOCH, "shareWithResearchAsOfDate": EPOCH,
        "shareWithPublicAsOfDate": EPOCH, "shareWithFriendsAsOfDate": EPOCH},
    "accelerometer_landing": {
        "user": TEXT, "serialNumber": TEXT, "timestamp": EPOCH, "x": DOUBLE, "y": DOUBLE, "z": DOUBLE},
    "step_trainer_landing": {
        "sensorReadingTime": EPOCH, "serialNumber": TEXT, "distanceFromObject": DOUBLE},
}
PERSON = {"customer_landing": "email", "accelerometer_landing": "user"}
CUSTOMER = ["subject_id", "customername", "email", "phone", "birthday", "serialnumber",
            "registrationdate", "lastupdatedate", "sharewithresearchasofdate",
            "sharewithpublicasofdate", "sharewithfriendsasofdate"]


def write(table, frame):
    """Writes a table, and gives its rows."""
    write_deltalake(str(options.out / table), frame, mode="overwrite")
    return frame.lazy()


def land(table):
    columns = COLUMNS[table]
    frame = pl.scan_ndjson(options.json / common.FOLDERS[table] / "*.json", schema=columns)
    stored = []
    for name, kind in columns.items():
        value = pl.col(name).str.strip_chars() if kind == TEXT else pl.col(name)
        value = value.str.to_lowercase() if name == PERSON.get(table) else value
        stored.append(value.alias(name.lower()))
    frame = frame.select(stored).with_row_index("load_position").with_columns(
        pl.col("load_position").cast(pl.Int64), load_sequence=pl.lit(0, pl.Int64)).collect()
    if person := PERSON.get(table):
        persons = frame[person].unique().drop_nulls()
        subjects = pl.DataFrame(
            {person: persons, "subject_id": [common.pseudonym(key, value) for value in persons]})
        frame = frame.join(subjects, on=person, how="left")
    return write(table, frame)


def read(table):
    return pl.scan_delta(str(options.landing / table))


def work():
    get = land if options.step == "whole" else read
    customers, readings, steps = (get(table) for table in common.SOURCES)
    claims = customers.filter(pl.col("serialnumber").is_not_null()).select(
        "subject_id", "serialnumber").unique().collect().lazy()
    sole = claims.group_by("serialnumber").agg(
        pl.col("subject_id").min().alias("sole"), pl.len().alias("claimants"),
    ).filter(pl.col("claimants") == 1).drop("claimants")

    moment = pl.coalesce("lastupdatedate", "registrationdate")
    trusted = customers.sort(moment, "load_sequence", "load_position", descending=True).unique(
        "subject_id", keep="first", maintain_order=True,
    ).filter(pl.col("sharewithresearchasofdate").is_not_null()).select(CUSTOMER)
    trusted = write("customer_trusted", trusted.collect())

    movement = readings.join(sole, on="serialnumber", how="left").join(
        claims.with_columns(claimed=pl.lit(True)), on=["subject_id", "serialnumber"], how="left",
    ).filter(
        pl.col("subject_id").is_null() | pl.col("serialnumber").is_null() | pl.col("claimed")
    ).with_columns(subject_id=pl.coalesce("subject_id", "sole")).join(
        trusted.select("subject_id", device="serialnumber"), on="subject_id",
    ).select(
        "subject_id", "timestamp", pl.coalesce("serialnumber", "device").alias("serialnumber"),
        "x", "y", "z").unique()
    movement = write("accelerometer_trusted", movement.collect())

    curated = trusted.join(movement, on="subject_id", how="semi")
    curated = write("customer_curated", curated.collect())

    def marked(frame, name):
        return frame.select("subject_id", pl.lit(1).alias(name))

    devices = claims.join(marked(trusted, "consents"), on="subject_id", how="left").join(
        marked(curated, "curated"), on="subject_id", how="left",
    ).group_by("serialnumber").agg(
        pl.len().alias("claimants"), pl.col("subject_id").min(), pl.col("consents").count(),
        pl.col("curated").count(),
    ).filter((pl.col("consents") == pl.col("claimants")) & (pl.col("curated") > 0)).select(
        "serialnumber", pl.when(pl.col("claimants") == 1).then("subject_id").alias("subject_id"))
    stepped = steps.join(devices, on="serialnumber").select(
        "subject_id", "sensorreadingtime", "serialnumber", "distancefromobject").unique()
    stepped = write("step_trainer_trusted", stepped.collect())

    learned = stepped.drop("subject_id").join(claims, on="serialnumber").join(
        movement.drop("serialnumber"), left_on=["subject_id", "sensorreadingtime"],
        right_on=["subject_id", "timestamp"],
    ).select("subject_id", "sensorreadingtime", "serialnumber", "distancefromobject", "x", "y", "z").unique()
    write("machine_learning_curated", learned.collect())


options.out.mkdir(parents=True)
common.run(work)

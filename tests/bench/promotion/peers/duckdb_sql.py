"""DuckDB, which runs the product's own SELECTs, and writes Delta through `deltalake`, or Parquet."""
import duckdb
from deltalake import write_deltalake

import common

options = common.arguments()
connection = duckdb.connect()
connection.execute("SET preserve_insertion_order = false")
COLUMNS = {
    "customer_landing": {
        "customerName": "VARCHAR", "email": "VARCHAR", "phone": "VARCHAR", "birthDay": "VARCHAR",
        "serialNumber": "VARCHAR", "registrationDate": "BIGINT", "lastUpdateDate": "BIGINT",
        "shareWithResearchAsOfDate": "BIGINT", "shareWithPublicAsOfDate": "BIGINT",
        "shareWithFriendsAsOfDate": "BIGINT"},
    "accelerometer_landing": {
        "user": "VARCHAR", "serialNumber": "VARCHAR", "timestamp": "BIGINT", "x": "DOUBLE",
        "y": "DOUBLE", "z": "DOUBLE"},
    "step_trainer_landing": {
        "sensorReadingTime": "BIGINT", "serialNumber": "VARCHAR", "distanceFromObject": "DOUBLE"},
}
PERSON = {"customer_landing": "email", "accelerometer_landing": "user"}


def write(table, query):
    """Writes a table, and leaves it to later SELECTs."""
    folder = options.out / table
    if options.form == "parquet":
        connection.execute(f"CREATE TEMP TABLE {table} AS {query}")
        connection.execute(f"COPY {table} TO '{folder}.parquet' (FORMAT parquet)")
        return
    connection.execute(f"CREATE TEMP TABLE {table} AS {query}")
    write_deltalake(str(folder), connection.table(table).to_arrow_reader(), mode="overwrite")


def land():
    inner, outer = common.pads(options)
    for table in common.SOURCES:
        columns = COLUMNS[table]
        fields = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        records = (f"read_json('{options.json / common.FOLDERS[table]}/*.json',"
                   f" format = 'newline_delimited', columns = {{{fields}}})")
        stored = []
        for name, kind in columns.items():
            value = f'trim("{name}")' if kind == "VARCHAR" else f'"{name}"'
            value = f"lower({value})" if name == PERSON.get(table) else value
            stored.append(f'{value} AS "{name.lower()}"')
        query = f"SELECT {', '.join(stored)}, 0 AS load_sequence, row_number() OVER () AS load_position FROM {records}"
        if person := PERSON.get(table):
            mac = (f"sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || encode(person))))")
            query = (
                f"WITH records AS MATERIALIZED ({query}),"
                f' persons AS (SELECT DISTINCT "{person}" AS person FROM records),'
                f" subjects AS (SELECT person, substr({mac}, 1, 32) AS subject_id FROM persons)"
                f' SELECT records.*, subject_id FROM records LEFT JOIN subjects ON person = "{person}"')
        write(table, query)


def work():
    if options.step == "whole":
        land()
    else:
        for table in common.SOURCES:
            files = common.delta_files(options.landing / table)
            connection.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM read_parquet({files})")
    name, nothing = common.NO_REVOCATIONS
    connection.execute(f"CREATE TEMP VIEW {name} AS {nothing.format(text='VARCHAR')}")
    for table in common.TABLES:
        write(table, common.select(options, table).replace("LEFT SEMI JOIN", "SEMI JOIN"))


options.out.mkdir(parents=True)
common.run(work)

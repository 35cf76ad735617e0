"""Makes N times the data: as many files, each with the records of N times as many customers.

multiply.py FROM TO N: reads FROM/{customer,accelerometer,step_trainer}, JSON Lines as published.
"""
import json
import pathlib
import sys

source, target, times = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
NAMES = ("email", "user", "serialNumber")
for folder in ("customer", "accelerometer", "step_trainer"):
    (target / folder).mkdir(parents=True, exist_ok=True)
    for file in sorted((source / folder).iterdir()):
        records = [json.loads(line) for line in file.open() if line.strip()]
        with (target / folder / file.name).open("w") as out:
            for copy in range(times):
                for record in records:
                    copied = {
                        name: f"{copy}.{value}" if name in NAMES and copy else value
                        for name, value in record.items()
                    }
                    out.write(json.dumps(copied, separators=(",", ":")) + "\n")

"""Checks an OpenAPI document by the specification, and its examples by their schemas.

usage: check_openapi.py FILE
"""

import json
import sys

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)

assert document["openapi"].startswith("3.1."), document["openapi"]
OpenAPIV31SpecValidator(document).validate()

whole = Resource.from_contents(document, default_specification=DRAFT202012)
registry = Registry().with_resource("urn:document", whole)
checked = 0


def resolved(schema):
    """The same schema with references into the document."""
    if isinstance(schema, dict):
        return {
            key: "urn:document" + value if key == "$ref" else resolved(value)
            for key, value in schema.items()
        }
    return [resolved(item) for item in schema] if isinstance(schema, list) else schema


def check(schema, example, where):
    global checked
    errors = list(Draft202012Validator(resolved(schema), registry=registry).iter_errors(example))
    assert not errors, f"{where}: {errors[0].message}"
    checked += 1


def walk(node, where):
    """Checks `example` and `examples` wherever they stand beside or inside a schema."""
    if isinstance(node, list):
        for at, item in enumerate(node):
            walk(item, f"{where}/{at}")
    if not isinstance(node, dict):
        return
    schema = node.get("schema")
    if schema is not None:
        if "example" in node:
            check(schema, node["example"], where)
        for name, example in node.get("examples", {}).items():
            check(schema, example["value"], f"{where}/{name}")
    elif "example" in node and ("type" in node or "oneOf" in node or "$ref" in node):
        check({key: value for key, value in node.items() if key != "example"}, node["example"], where)
    for key, value in node.items():
        if key not in ("example", "examples"):
            walk(value, f"{where}/{key}")


walk(document, "")
print(f"{len(document['paths'])} paths, {checked} examples")

"""Judge messages by a tracking plan with a validator that is none of ours: python3-jsonschema, draft 07.

stdin: a line of JSON {"rules": [...]}, then a line a message {"type": ..., "event": ..., ...}.
stdout: a line each: for the plan "ok" or what is wrong with a schema; for a message "ok", "no rule", or
"refused" and the path of what is wrong with it.
"""
import datetime
import json
import sys

import jsonschema

formats = jsonschema.FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_date_time(value):
    return not isinstance(value, str) or datetime.datetime.fromisoformat(value).tzinfo is not None


def judge(rules, message):
    key = message.get("event") if message["type"] == "track" else None
    rule = rules.get((message["type"].upper(), key))
    if rule is None:
        return "no rule"
    errors = list(rule.iter_errors(message))
    if not errors:
        return "ok"
    return "refused " + "; ".join(sorted(".".join(map(str, e.absolute_path)) + ": " + e.validator for e in errors))


def main():
    rules = {}
    try:
        for rule in json.loads(sys.stdin.readline())["rules"]:
            schema = rule["jsonSchema"]
            if schema["$schema"] != "http://json-schema.org/draft-07/schema#":
                raise ValueError("not draft 07: " + schema["$schema"])
            if (rule["type"], rule["key"]) in rules or type(rule["version"]) is not int or rule["version"] < 1:
                raise ValueError("twice, or without a version: %s %s" % (rule["type"], rule["key"]))
            jsonschema.Draft7Validator.check_schema(schema)
            rules[rule["type"], rule["key"]] = jsonschema.Draft7Validator(schema, format_checker=formats)
        print("ok")
    except Exception as error:
        print("broken: %s" % str(error).replace("\n", " "))
    for line in sys.stdin:
        print(judge(rules, json.loads(line)))


main()

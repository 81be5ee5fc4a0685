"""Prints the arguments that it was given."""

import json
import sys

print(json.dumps(sys.argv[1:]))  # noqa: T201

"""Builds labs, grades submissions, reports."""

import sys

# jsonschema, which nbformat imports, would compile a grammar of IRIs with it: a second of
# processor time in each process, for a format that no notebook's schema has.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

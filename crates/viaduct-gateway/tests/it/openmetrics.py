"""Reads metrics from the standard input with the reference parser and prints their families."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.type, family.name, len(family.samples))

"""`python -m scripts.retained [true]`: a template of the archive and the tracker and nothing else, as JSON.

With it CloudFormation takes those of a stack that was deleted into a new one, as docs/disaster-recovery.md says. `true`
is for a stack with CustomerKey=true, whose key is one of them. Properties are those of template.yaml, so that the
deployment after it finds nothing to change in them. The secret is left out: signing in anew takes a minute.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"


def retained(template: dict[str, Any], *, customer_key: bool) -> dict[str, Any]:
    """The part of the template that holds what was archived."""
    wanted = ["ArchiveBucket", "AccessLogBucket", "SyncTracker"] + ["EncryptionKey"] * customer_key
    kept = {name: template["Resources"][name] for name in wanted}
    names = ("AWSTemplateFormatVersion", "Description", "Parameters", "Conditions")
    return {name: template[name] for name in names} | {"Resources": _decided(kept, customer_key)}


def _decided(part: Any, customer_key: bool) -> Any:
    """Without what depends on the key: CloudFormation allows no mention of a resource that the template has not."""
    if isinstance(part, list):
        return [_decided(one, customer_key) for one in part]
    if not isinstance(part, dict):
        return part
    match part.get("Fn::If"):
        case ["HasCustomerKey", with_key, without]:
            return _decided(with_key if customer_key else without, customer_key)
    return {name: _decided(one, customer_key) for name, one in part.items()}


if __name__ == "__main__":
    found = retained(yaml_parse(TEMPLATE.read_text(encoding="utf-8")), customer_key=sys.argv[1:] == ["true"])
    json.dump(found, sys.stdout, indent=1)

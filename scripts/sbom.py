"""What the functions are made of, as a CycloneDX document: docs/sbom.json from requirements-lambda.txt.

The hashes stand with the pins. The same pins always give the same bytes: there is no date, no serial number, no
address of a registry, and no path.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "sbom.json"

#: The runtime of the functions, whatever Python this runs on.
_RUNTIME = {"python_version": "3.13", "python_full_version": "3.13.0", "sys_platform": "linux", "extra": ""}

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def render() -> str:
    """The document for the pins as they are now; licences and dependencies are those that the packages state."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    root = Component(
        name=project["name"],
        version=project["version"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
        licenses=[LicenseFactory().make_from_string(project["license"])],
    )
    pins = _PIN.findall((ROOT / "requirements-lambda.txt").read_text())
    components = {canonicalize_name(pin[0]): _component(*pin) for pin in pins}
    bom = Bom(components=components.values())
    bom.metadata.component = root
    for name, component in components.items():
        needed = set(_required(distribution(name)))
        bom.register_dependency(component, [other for key, other in components.items() if key in needed])
    bom.register_dependency(root, components.values())
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["serialNumber"], document["metadata"]["timestamp"]
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _component(name: str, version: str) -> Component:
    installed = distribution(name)
    if installed.version != version:
        raise SystemExit(f"{name} {version} is pinned, {installed.version} is installed: run `make setup`.")
    told = installed.metadata
    licences = [told[field] for field in ("License-Expression", "License") if field in told]
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}=={version}",
        purl=PackageURL("pypi", name=canonicalize_name(name), version=version),
        licenses=[LicenseFactory().make_from_string(licence) for licence in licences[:1]],
    )


def _required(installed: Distribution) -> Iterator[str]:
    for text in installed.requires or []:
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate(_RUNTIME):
            yield canonicalize_name(wanted.name)


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")

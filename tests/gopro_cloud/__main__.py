"""`python -m tests.gopro_cloud`: prints its address and how to sign in as a line of JSON, and serves until ended."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from tests.gopro_cloud.library import from_folder, many_small, sample_library
from tests.gopro_cloud.media import CloudMedium
from tests.gopro_cloud.quirks import Quirks
from tests.gopro_cloud.server import GoProCloud


def library(description: str) -> list[CloudMedium]:
    """sample, small:COUNT:BYTES or folder:PATH; several are joined with commas."""
    media: list[CloudMedium] = []
    for part in description.split(","):
        kind, *values = part.split(":")
        match kind:
            case "sample":
                media += sample_library(float(values[0]) if values else 1.0)
            case "small":
                media += many_small(int(values[0]), int(values[1]))
            case "folder":
                media += from_folder(Path(values[0]))
            case _:
                raise SystemExit(f"no such library: {part}")
    return media


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.gopro_cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--library", default="sample", help=library.__doc__)
    parser.add_argument("--token-lifetime-requests", type=int)
    options = parser.parse_args()
    quirks = Quirks(token_lifetime_requests=options.token_lifetime_requests)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with GoProCloud(library(options.library), quirks, port=options.port) as cloud:
        told = {"url": cloud.url, "pasted": cloud.pasted(), "renewing": cloud.renewing()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            sys.exit(0)


if __name__ == "__main__":
    main()

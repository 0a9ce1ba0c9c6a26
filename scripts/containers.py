"""`make containers`: the functions in Lambda-like containers, with the runtime's own client and real error names.

One whole workflow run on the emulated AWS whose functions run in containers, then `sam local invoke` of each function
with its sample event. It needs Docker, openssl and the image `public.ecr.aws/lambda/python:3.13` (x86_64).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.demo import compare, step
from tests.emulator import Emulator
from tests.gopro_cloud import GoProCloud, expected_originals, sample_library
from tests.stack import REGION, ROOT, Stack, build, sam

IMAGE = "public.ecr.aws/lambda/python:3.13"
TRUSTING_IMAGE = "cloud-sync-local"
CA_IN_CONTAINER = "/opt/emulated-cloud.pem"

#: The medium of the sample events.
SAMPLE = "62NzWRrpPXm7o"

#: Each function with its event, in an order in which the sample events make sense, and what it answers then; but for
#: that of the webhook, which posts to a chat over TLS alone.
INVOCATIONS = (
    ("AuthenticateFunction", "authenticate", "authenticated"),
    ("MarkFailedFunction", "mark_failed", "marked_failed"),
    ("PlanFunction", "plan", "planned"),
    ("TransferFunction", "transfer", "transferred"),
    ("SummarizeFunction", "summarize", "complete"),
    ("VerifyFunction", "verify", "sound"),
    ("CheckCredentialsFunction", "check_credentials", "good"),
)

console = Console(emoji=False, highlight=False, width=None if sys.stdout.isatty() else 140)


def run(*command: str) -> str:
    """What a command prints; it must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def host_address() -> str:
    """This machine's address as containers see it."""
    hosts = run("docker", "run", "--rm", "--add-host", "here:host-gateway", "--entrypoint", "cat", IMAGE, "/etc/hosts")
    return next(line.split()[0] for line in hosts.splitlines() if line.split()[1:] == ["here"])


def certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """A certificate for the emulated cloud and its key: outside loopback the product speaks https alone."""
    cert, key = folder / "cloud.pem", folder / "cloud.key"
    usage = "keyUsage=critical,digitalSignature,keyCertSign"
    subject = ("-subj", f"/CN={address}", "-addext", f"subjectAltName=IP:{address}", "-addext", usage)
    new = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert))
    run("openssl", "req", "-x509", *new, *subject)
    return cert, key


def trust(cert: Path) -> None:
    """Make an image like Lambda's that trusts the certificate, in place of one that an earlier run has left."""
    for image in run("docker", "images", "--quiet", "--filter", f"reference={TRUSTING_IMAGE}").split():
        run("docker", "rmi", "--force", image)
    container = run("docker", "create", IMAGE, "x")
    try:
        run("docker", "cp", str(cert), f"{container}:{CA_IN_CONTAINER}")
        run("docker", "commit", "-c", f"ENV REQUESTS_CA_BUNDLE={CA_IN_CONTAINER}", container, TRUSTING_IMAGE)
    finally:
        run("docker", "rm", container)


def invoke(function: str, event: Path, variables: Path) -> Any:
    """What a function answers to an event under `sam local invoke`."""
    printed = sam(
        *("local", "invoke", function, "--event", str(event), "--env-vars", str(variables)),
        *(
            "--parameter-overrides",
            "Architecture=x86_64",
            "--skip-pull-image",
            "--invoke-image",
            f"{TRUSTING_IMAGE}:latest",
        ),
        environment={"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION},
    )
    return json.loads(printed.strip().splitlines()[-1])


def variables_of(stack: Stack) -> dict[str, str]:
    """The variables that a local function needs to work on the deployed stack's resources."""
    client = stack.emulator.client("lambda")
    found: dict[str, str] = {}
    for _, event, _ in INVOCATIONS:
        told = client.get_function_configuration(FunctionName=f"{stack.name}-{event.replace('_', '-')}")
        found |= told["Environment"]["Variables"]
    return found


def whole_run(stack: Stack, cloud: GoProCloud) -> bool:
    """One run of the workflow; whether all arrived and nothing else."""
    started = time.monotonic()
    ended = stack.run({}, timeout=600)
    wanted = {key: [vars(one) for one in originals] for key, originals in expected_originals(cloud.media).items()}
    archived, missing = compare(stack, wanted)
    good = ended.output.get("status") == "SUCCEEDED" and not missing and all(one.wanted for one in archived)
    console.print(
        f"{'✓' if good else '✗'} workflow with every function in a container: "
        f"{ended.status} {ended.error} {ended.cause}, "
        f"{len(archived)} originals, {len(missing)} missing, {time.monotonic() - started:.0f} s"
    )
    return good


def every_function(stack: Stack, folder: Path) -> bool:
    """Invoke each function with its event; whether each answers as it should."""
    variables = folder / "variables.json"
    variables.write_text(json.dumps({"Parameters": variables_of(stack)}))
    table = Table("function", "event", "answer", "as promised")
    good = True
    for function, event, promised in INVOCATIONS:
        answer = invoke(function, ROOT / "events" / f"{event}.json", variables)
        holds = isinstance(answer, dict) and answer.get("outcome") == promised
        good &= holds
        table.add_row(function, f"events/{event}.json", json.dumps(answer)[:160], "yes" if holds else "NO")
    console.print(table)
    return good


def main() -> int:
    """Do it; 0 if all is as it should be."""
    address = host_address()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cert, key = certificate(folder, address)
        trust(cert)
        flags = f"-v {cert}:{CA_IN_CONTAINER}:ro -e REQUESTS_CA_BUNDLE={CA_IN_CONTAINER}"
        emulator = Emulator(LAMBDA_EXECUTOR="docker", LAMBDA_DOCKER_FLAGS=flags)
        cloud = GoProCloud(sample_library(), host="0.0.0.0", public_host=address, tls=(cert, key))  # noqa: S104
        with emulator, cloud:
            stack = Stack(emulator, "cloud-sync-containers")
            with step("sam build"):
                build()
            with step("sam deploy"):
                endpoint = f"http://{address}:{emulator.port}"
                stack.deploy(GoProApiUrl=cloud.url, AwsEndpointUrl=endpoint, MaxConcurrency="2")
            stack.put_secret(cloud.pasted())
            good = whole_run(stack, cloud)
            stack.empty()
            cloud.media = [medium for medium in cloud.media if medium.media_id == SAMPLE]
            good &= every_function(stack, folder)
    return 0 if good else 1


if __name__ == "__main__":
    os.environ.update(AWS_EC2_METADATA_DISABLED="true")
    sys.exit(main())

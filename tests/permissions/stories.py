"""What each function does of all that its role allows; a story fails if any of it is not so.

They run through Lambda, with the credentials of the function's own role and IAM enforced.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from botocore.exceptions import ClientError

from core.archive.s3 import S3Archive
from core.archive.s3_inventory import S3Inventory
from core.credentials.secretsmanager import SecretsManagerCredentials
from core.errors import CloudSyncError
from core.model import Medium, Record, Status, utc_now
from core.notify.milestones import Ledger
from core.providers import registry
from core.providers.base import Provider, ProviderSettings
from core.sync.outcomes import Unfinished
from core.sync.request import Run
from core.sync.transfer import Transfer, medium_lease
from core.tracker.dynamodb import DynamoTracker
from core.transfer import Engine, Watch
from core.verify import Repair, Report, Verification, Verifier
from tests.chat import Chat
from tests.cloud_sync import wanted
from tests.gopro_cloud import GoProCloud
from tests.gopro_cloud.library import many_small, video, with_strip
from tests.gopro_cloud.quirks import Fault
from tests.permissions.grants import Grant, Roles
from tests.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024
MEDIA_ID = "62NzWRrpPXm7o"
RUN = "sample"


class Broken(Exception):
    """A story did not come to its end."""


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)


@dataclass(frozen=True)
class World:
    """A stack whose IAM is enforced, with an emulated GoPro Cloud that it reads and a chat that it posts into."""

    stack: Stack
    cloud: GoProCloud
    chat: Chat
    roles: Roles

    def call(self, module: str) -> Any:
        """What a function answers to its sample event; `Broken` if it raises."""
        told = (ROOT / "events" / f"{module}.json").read_text()
        client, name = self.stack.emulator.client("lambda"), f"{self.stack.name}-{module.replace('_', '-')}"
        answer = client.invoke(FunctionName=name, Payload=told)
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise Broken(payload["errorMessage"])
        return payload

    def holds(self, length: int) -> None:
        """Let the library hold the medium of the sample events, and nothing else."""
        self.cloud.media = [with_strip(video(MEDIA_ID, "GX010327.MP4", "2026-01-01T10:00:00Z", length))]

    @property
    def tracker(self) -> DynamoTracker:
        """The tracker as its owner sees it."""
        return DynamoTracker(self.stack.emulator.client("dynamodb"), self.stack.outputs["SyncTrackerTableName"])

    def archive(self, **credentials: str) -> S3Archive:
        """The archive as its owner sees it, or somebody else."""
        return S3Archive(self.stack.emulator.client("s3", **credentials), self.stack.outputs["ArchiveBucketName"])

    def provider(self) -> Provider:
        """The cloud with the stack's credentials."""
        secrets, secret = self.stack.emulator.client("secretsmanager"), self.stack.outputs["CredentialsSecretArn"]
        credentials = SecretsManagerCredentials(secrets, secret)
        return registry.create("gopro", ProviderSettings(credentials, leases=self.tracker, base_url=self.cloud.url))

    def credentials(self) -> dict[str, str]:
        """What the secret holds."""
        secret = self.stack.outputs["CredentialsSecretArn"]
        told = self.stack.emulator.client("secretsmanager").get_secret_value(SecretId=secret)
        found: dict[str, str] = json.loads(told["SecretString"])
        return found

    def renewing(self) -> None:
        """Store credentials that have to be renewed before they can be used."""
        self.stack.put_secret(self.cloud.renewing())

    def owes_the_first_success(self) -> None:
        """Let a first success be due that could not be told yet."""
        require(self.tracker.replace("ledger/gopro", Ledger("due").to_text(), seen=""), "there is a ledger already")

    def told_the_first_success(self, denials: int) -> None:
        """Whether it was told; `denials` are those in the logs before."""
        subjects = [one["Subject"] for one in self.stack.messages()]
        denied = self.denials() > denials
        require(any("the first backup is done" in one for one in subjects), f"not told{': AccessDenied' * denied}")

    def denials(self) -> int:
        """How often somebody was denied to send a message, as the logs say."""
        return self.stack.logs().count("not authorized to perform: sns:Publish")

    def was_renewed(self) -> None:
        require("gp_access_token" in self.credentials(), "the renewed credentials were not stored")


@dataclass(frozen=True)
class Story:
    """What a role is for: `play` raises `Broken` where any of `actions` is missing.

    An action is named with its resource where another story shows it for another one.
    """

    role: str
    actions: tuple[str, ...]
    play: Callable[[World, Grant | None], None]

    def __str__(self) -> str:
        return (self.play.__doc__ or "").rstrip(".")


STORIES: list[Story] = []

_Play = Callable[[World, Grant | None], None]


def story(role: str, *actions: str) -> Callable[[_Play], _Play]:
    """Add a story; it is told of the permission that is missing, if it has to care itself."""

    def add(play: _Play) -> _Play:
        STORIES.append(Story(role, actions, play))
        return play

    return add


def stories_of(grant: Grant) -> Iterator[Story]:
    """Those that claim to need a permission."""
    names = {grant.action, f"{grant.action} {grant.resource}"}
    return (one for one in STORIES if one.role == grant.role and names & {*one.actions})


@story(
    "AuthenticateRole",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:DeleteItem",
)
def signing_in(world: World, _: Grant | None) -> None:
    """The sign-in is renewed and stored, under a lease."""
    world.renewing()
    require(world.call("authenticate")["outcome"] == "authenticated", "not signed in")
    world.was_renewed()


@story(
    "PlanRole",
    "secretsmanager:GetSecretValue",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:DeleteItem",
    "dynamodb:BatchGetItem",
    "dynamodb:Query SyncTracker/index/unfinished-index",
    "s3:PutObject",
)
def planning(world: World, _: Grant | None) -> None:
    """A medium is planned, and another one that was not finished has left the library."""
    world.holds(1000)
    world.tracker.save(Record("gopro", "no-longer-there", Status.PENDING, "earlier", utc_now()))
    answer = world.call("plan")
    require(answer["outcome"] == "planned", "not planned")
    require(world.stack.keys("runs/") == [answer["plan"]["manifest_key"]], "no manifest")
    statuses = {MEDIA_ID: "PENDING", "no-longer-there": "SOURCE_GONE"}
    require(world.stack.statuses() == statuses, "not recorded")


@story("PlanRole", "dynamodb:Query SyncTracker", "s3:AbortMultipartUpload ArchiveBucket/*-videos/*")
def parting(world: World, _: Grant | None) -> None:
    """A medium has left the library while it was under way, and nothing of it is left behind."""
    begin_a_transfer(world)
    world.cloud.media = many_small(1, 1000)
    require(world.call("plan")["outcome"] == "planned", "not planned")
    require(world.stack.statuses()[MEDIA_ID] == "SOURCE_GONE", "not recorded")
    require(not world.stack.open_uploads(), "an upload is left open")


@story("PlanRole", "secretsmanager:PutSecretValue")
def staying_signed_in(world: World, _: Grant | None) -> None:
    """The sign-in is renewed during the listing."""
    world.holds(1000)
    world.renewing()
    require(world.call("plan")["outcome"] == "planned", "not planned")
    world.was_renewed()


@story("PlanRole", "sns:Publish")
def telling_with_nothing_new(world: World, _: Grant | None) -> None:
    """A run that finds nothing new tells what is due."""
    denials = world.denials()
    world.owes_the_first_success()
    require(world.call("plan")["outcome"] == "nothing_new", "something is new")
    world.told_the_first_success(denials)


@story("PlanRole", "s3:AbortMultipartUpload ArchiveBucket/runs/*")
def giving_up_a_manifest(world: World, missing: Grant | None) -> None:
    """A large manifest breaks off on its way, and nothing of it is left behind."""
    archive = world.archive(**world.roles.copy("PlanRole", without=missing))
    numbers = count(1)

    def lose_the_second_part(**_: object) -> None:
        if next(numbers) == 2:
            raise OSError("the connection broke")

    archive._client.meta.events.register("before-call.s3.UploadPart", lose_the_second_part)
    with NamedTemporaryFile(suffix=".jsonl") as manifest:
        manifest.write(bytes(9 * MIB))
        manifest.flush()
        try:
            archive.put_document(f"runs/{RUN}/manifest.jsonl", Path(manifest.name))
        except OSError:
            require(not world.stack.open_uploads(), "an upload is left open")
        else:
            raise AssertionError("it should have broken off")


@story(
    "TransferRole",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "dynamodb:BatchGetItem",
    "dynamodb:PutItem",
    "dynamodb:DeleteItem",
    "s3:PutObject",
)
def archiving(world: World, _: Grant | None) -> None:
    """A medium is archived and described, and its sign-in renewed on the way."""
    world.holds(70_000)
    world.renewing()
    require(world.call("transfer")["outcome"] == "transferred", "not transferred")
    require(world.stack.archived() == wanted(world.cloud.media), "not archived")
    require(world.stack.keys("catalog/") == [f"catalog/gopro/{MEDIA_ID}.json"], "not described")
    require(world.stack.statuses() == {MEDIA_ID: "COMPLETED"}, "not recorded")
    require(bool(world.stack.keys("thumbnails/")), world.stack.logs())
    world.was_renewed()


@story("TransferRole", "dynamodb:GetItem", "s3:GetObject", "s3:PutObjectTagging", "s3:ListMultipartUploadParts")
def going_on(world: World, _: Grant | None) -> None:
    """A large medium goes on where an earlier invocation left it."""
    begin_a_transfer(world)
    served = world.cloud.counts.bytes_served.total()
    require(world.call("transfer")["outcome"] == "transferred", "not transferred")
    again = world.cloud.counts.bytes_served.total() - served
    require(again < 12 * MIB, f"it began anew and brought {again:,} bytes")
    require(world.stack.archived() == wanted(world.cloud.media), "not archived")


def begin_a_transfer(world: World) -> None:
    """Bring one part of a large medium, then run out of time, as its owner and in this process."""
    world.holds(17 * MIB)
    world.cloud.quirks.faults[MEDIA_ID] = Fault("slow", times=-1, bytes_per_second=20 * MIB)
    arrived = 0

    def advance(number: int) -> None:
        nonlocal arrived
        arrived += number

    engine = Engine(world.archive(), world.tracker, memory=8 * MIB)
    transfer = Transfer(world.provider(), world.archive(), world.tracker, engine, RUN)
    medium = Medium.from_json(json.loads((ROOT / "events" / "transfer.json").read_text())["video"])
    outcome = transfer(medium, Watch(advance=advance, remaining=lambda: 60.0 if arrived <= 9 * MIB else 1.0))
    engine.close()
    world.cloud.quirks.faults.clear()
    assert isinstance(outcome, Unfinished), outcome


@story("TransferRole", "dynamodb:Query")
def losing_an_original(world: World, _: Grant | None) -> None:
    """A large medium is deleted at its source while it is under way, and nothing of it is left behind."""
    begin_a_transfer(world)
    world.cloud.quirks.faults[MEDIA_ID] = Fault("gone", times=-1)
    require(world.call("transfer")["outcome"] == "source_gone", "it has not gone")
    require(not world.stack.open_uploads(), "an upload is left open")


@story("TransferRole", "s3:AbortMultipartUpload")
def giving_up_an_original(world: World, _: Grant | None) -> None:
    """A stream that cannot be gone on with breaks off, and nothing of it is left behind."""
    world.holds(17 * MIB)
    world.cloud.quirks.no_ranges = True
    world.cloud.quirks.faults[MEDIA_ID] = Fault("cut", times=-1, after=9 * MIB)
    try:
        world.call("transfer")
    except Broken:
        require(not world.stack.open_uploads(), "an upload is left open")
    else:
        raise AssertionError("it should have broken off")


@story("MarkFailedRole", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem")
def marking(world: World, _: Grant | None) -> None:
    """A medium is recorded as failed and given free."""
    lease = medium_lease("gopro", MEDIA_ID)
    require(world.tracker.acquire(lease, RUN, 300), "somebody has the medium")
    require(world.call("mark_failed")["outcome"] == "marked_failed", "not marked")
    require(world.stack.statuses() == {MEDIA_ID: "FAILED"}, "not recorded")
    require(not world.tracker.held(lease), "not given free")


@story(
    "SummarizeRole",
    "dynamodb:GetItem",
    "dynamodb:BatchGetItem",
    "dynamodb:PutItem",
    "dynamodb:DeleteItem",
    "s3:ListBucket",
    "s3:GetObject",
    "s3:PutObject",
)
def summing_up(world: World, _: Grant | None) -> None:
    """A medium has vanished, which is recorded and reported; one that came is shown with its thumbnail."""
    world.holds(1000)
    world.cloud.media += many_small(1, 1000)
    world.call("plan")
    world.call("transfer")
    answer = world.call("summarize")
    require(answer["outcome"] == "partial_failure", "not noticed")
    require(len(world.stack.keys(f"runs/{RUN}/")) > 1, "no report")
    require(world.stack.statuses() == {MEDIA_ID: "COMPLETED", "small000000": "FAILED"}, "not recorded")
    summary = answer["summary"]
    require(summary["page"], summary.get("page_trouble"))
    require("data:image/jpeg" in b"".join(world.stack.read(summary["page"])).decode(), "no thumbnail")


@story("SummarizeRole", "sns:Publish")
def telling_with_the_summary(world: World, _: Grant | None) -> None:
    """A run that brought something tells what is due."""
    denials = world.denials()
    world.holds(1000)
    world.call("plan")
    world.owes_the_first_success()
    world.call("summarize")
    world.told_the_first_success(denials)


@story("WebhookRole", "secretsmanager:GetSecretValue")
def posting(world: World, _: Grant | None) -> None:
    """A message is posted into the chat whose address the secret holds."""
    world.chat.texts(0)
    require(world.call("webhook")["outcome"] == "posted", "not posted")
    require("credentials are rejected" in world.chat.texts()[0], "nothing arrived")


@story(
    "VerifyRole",
    "dynamodb:Query",
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetObject",
    "s3:PutObject",
    "s3:AbortMultipartUpload",
)
def verifying(world: World, missing: Grant | None) -> None:
    """A spoiled catalog entry, a lost record and an upload of two days ago are found, and mended."""
    world.holds(70_000)
    require(world.call("transfer")["outcome"] == "transferred", "not transferred")
    owner, bucket = world.stack.emulator.client("s3"), world.stack.outputs["ArchiveBucketName"]
    owner.create_multipart_upload(Bucket=bucket, Key="gopro-videos/2026/01/other/GX.MP4")
    entry = f"catalog/gopro/{MEDIA_ID}.json"
    owner.put_object(Bucket=bucket, Key=entry, Body=b"spoiled")
    require(mended(world, missing) == {Repair.REBUILT, Repair.ENDED}, "not mended")
    require(not world.stack.open_uploads(), "an upload is left open")
    key = {"provider": {"S": "gopro"}, "media_id": {"S": MEDIA_ID}}
    world.stack.emulator.client("dynamodb").delete_item(TableName=world.stack.outputs["SyncTrackerTableName"], Key=key)
    require(mended(world, missing) == {Repair.TRACKED}, "not recorded")
    require(world.stack.statuses() == {MEDIA_ID: "COMPLETED"}, "not recorded")


@story(
    "CheckCredentialsRole",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:DeleteItem",
    "sns:Publish",
)
def checking_credentials(world: World, _: Grant | None) -> None:
    """The sign-in is renewed, the life of a token noted, and a dead one told."""
    world.renewing()
    require(world.call("check_credentials")["outcome"] == "good", "not signed in")
    world.was_renewed()
    world.stack.put_secret(world.cloud.pasted())
    world.cloud.tokens.clear()
    require(world.call("check_credentials")["outcome"] == "dead", "a dead token is taken for a good one")
    require([one["Subject"] for one in world.stack.messages()] != [], "nobody was told")


def mended(world: World, missing: Grant | None) -> set[str]:
    """What a verification in two days mends with the role of its function."""
    signs, outputs = world.roles.copy("VerifyRole", without=missing), world.stack.outputs
    archive = world.archive(**signs)
    inventory = S3Inventory(world.stack.emulator.client("s3", **signs), outputs["ArchiveBucketName"], archive)
    tracker = DynamoTracker(world.stack.emulator.client("dynamodb", **signs), outputs["SyncTrackerTableName"])
    verifier = Verifier(tracker, archive, inventory, clock=lambda: utc_now() + timedelta(days=2))
    request, run = Verification("gopro", repair=True), Run(RUN, utc_now())
    try:
        report = verifier.stretch(request, run, Report("gopro"), lambda: math.inf)
    except (CloudSyncError, ClientError) as error:
        raise Broken(str(error)) from error
    found, repaired = report.found, set(report.repaired)
    require("not_checked" not in found, f"the store refuses to tell: {found}")
    return {Repair(one) for one in repaired}

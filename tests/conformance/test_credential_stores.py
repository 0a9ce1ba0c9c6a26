"""One suite for every store of credentials, and what only the file has to guard."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from core.credentials.base import Credentials, CredentialStore
from core.credentials.file import FileCredentials
from core.credentials.secretsmanager import SecretsManagerCredentials
from core.errors import CloudSyncError, CredentialsRejected, InvalidInput, TransientError
from tests.emulator import REGION, ROOT, Emulator, free_port

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

#: In every secret value of these tests, and nowhere else.
SECRET = "s3cr3t"

PASTED = Credentials(
    gp_access_token=f"{SECRET}-access-1", gp_user_id=f"{SECRET}-user", last_updated="2026-03-01T02:00:00Z"
)
RENEWED = replace(PASTED, gp_access_token=f"{SECRET}-access-2", last_updated="2026-03-02T02:00:00Z")
RENEWING = Credentials(
    user_agent=f"{SECRET}-browser",
    cookies=f"gp_access_token={SECRET}; a=b",
    refresh_token=f"{SECRET}-refresh",
    client_id=f"{SECRET}-client",
    client_secret=f"{SECRET}-client-secret",
)

RENEWED_ITSELF = replace(RENEWING, refresh_token=f"{SECRET}-refresh-2")

#: As the template writes it.
PLACEHOLDER = '{"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME", "last_updated": "1970-01-01T00:00:00Z"}'
REMEDY = r"gp_access_token and gp_user_id.*`cloud-sync auth set`"


class Place(Protocol):
    """A store, and its document as a person may write it without the product."""

    @property
    def store(self) -> CredentialStore: ...

    def write(self, document: str) -> None:
        """Put `document` there by hand."""

    def elsewhere(self) -> CredentialStore:
        """The same store in another process."""


@dataclass(frozen=True)
class File:
    store: FileCredentials
    path: Path

    def write(self, document: str) -> None:
        time.sleep(0.02)  # file systems tell times apart by some milliseconds
        self.path.write_text(document)
        self.path.chmod(0o600)

    def elsewhere(self) -> FileCredentials:
        return FileCredentials(self.path)

    @property
    def previous_path(self) -> Path:
        return self.path.with_name("credentials.json.previous")


@dataclass(frozen=True)
class Secret:
    store: SecretsManagerCredentials
    client: SecretsManagerClient
    name: str

    def write(self, document: str) -> None:
        self.client.put_secret_value(SecretId=self.name, SecretString=document)

    def elsewhere(self) -> SecretsManagerCredentials:
        return SecretsManagerCredentials(self.client, self.name)


@pytest.fixture
def file(tmp_path: Path) -> File:
    path = tmp_path / "settings" / "credentials.json"
    path.parent.mkdir()
    return File(FileCredentials(path), path)


@pytest.fixture
def secret(emulator: Emulator) -> Secret:
    """A secret as the template makes it, with its placeholder."""
    client: SecretsManagerClient = emulator.client("secretsmanager")
    name = f"credentials-{uuid4().hex[:8]}"
    client.create_secret(Name=name, SecretString=PLACEHOLDER)
    return Secret(SecretsManagerCredentials(client, name), client, name)


@pytest.fixture(params=["file", "secret"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(place: Place) -> CredentialStore:
    return place.store


def printed(error: BaseException) -> str:
    """All that a log could show of an error."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize("credentials", [PASTED, RENEWING], ids=["pasted", "renewing"])
def test_what_was_saved_is_in_force(store: CredentialStore, credentials: Credentials) -> None:
    saved = store.save(credentials)
    assert saved == credentials.with_version(saved.version)
    assert store.current() == saved
    assert store.current(fresh=True) == saved


def test_before_anything_is_saved_it_says_how_to_sign_in(store: CredentialStore) -> None:
    with pytest.raises(CredentialsRejected, match=REMEDY):
        store.current()


def test_a_store_that_never_held_anything_has_nothing_previous(store: CredentialStore) -> None:
    assert store.previous() is None


def test_the_first_that_is_saved_has_none_before_it(store: CredentialStore) -> None:
    store.save(PASTED)
    assert store.previous() is None


def test_those_before_are_kept_as_previous(store: CredentialStore) -> None:
    first = store.save(RENEWING)
    second = store.save(RENEWED_ITSELF)
    assert (store.current(), store.previous()) == (second, first)
    third = store.save(RENEWING)
    assert (store.current(), store.previous()) == (third, second)


def test_each_saving_has_a_version_of_its_own(store: CredentialStore) -> None:
    versions = [store.save(one).version for one in (PASTED, PASTED, RENEWED, PASTED)]
    assert all(versions)
    assert len(set(versions)) == len(versions)


def test_another_process_finds_the_same_credentials_under_the_same_version(place: Place) -> None:
    saved = place.store.save(PASTED)
    assert place.elsewhere().current() == saved


def test_credentials_written_by_hand_are_in_force_under_a_version_that_changes_with_them(place: Place) -> None:
    place.store.save(PASTED)
    found = []
    for token in ("one", "two"):
        place.write(json.dumps({"gp_access_token": f"{SECRET}-{token}", "gp_user_id": "u", "a_note": "mine"}))
        found.append(place.store.current(fresh=True))
    assert [one.gp_access_token for one in found] == [f"{SECRET}-one", f"{SECRET}-two"]
    assert found[0].version
    assert found[0].version != found[1].version


def test_white_space_around_what_was_pasted_does_no_harm(place: Place) -> None:
    place.write(json.dumps({"gp_access_token": f"  {SECRET}\n", "gp_user_id": "\tu "}))
    found = place.store.current()
    assert (found.gp_access_token, found.gp_user_id) == (SECRET, "u")


@pytest.mark.parametrize(
    "document",
    [
        PLACEHOLDER,
        '{"cookies": "REPLACE_ME"}',
        "{}",
        f'{{"gp_user_id": "{SECRET}"}}',
        '{"gp_access_token": "", "cookies": " "}',
        f'{{"refresh_token": "{SECRET}"}}',
    ],
    ids=["the template's", "placeholder of cookies", "empty", "only a user", "empty values", "refresh without client"],
)
def test_a_document_that_signs_nobody_in_is_rejected_with_what_to_do(place: Place, document: str) -> None:
    place.write(document)
    with pytest.raises(CredentialsRejected, match=REMEDY) as caught:
        place.store.current()
    assert SECRET not in printed(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        f'{{"gp_access_token": "{SECRET}"',
        f"gp_access_token={SECRET}",
        f'"{SECRET}"',
        f'["{SECRET}"]',
        "null",
        f'{{"gp_access_token": ["{SECRET}"]}}',
        f'{{"gp_access_token": null, "cookies": "{SECRET}"}}',
        f'{{"gp_access_token": "{SECRET}\\u0000"}}',
        f'{{"gp_access_token": "{SECRET}\\r\\nX: y"}}',
        f'{{"gp_access_token": "{SECRET}ü"}}',
    ],
    ids=["cut off", "no JSON", "text", "list", "null", "no text", "null value", "control", "new header", "not ASCII"],
)
def test_a_malformed_document_is_told_without_quoting_it(place: Place, document: str) -> None:
    place.write(document)
    with pytest.raises(InvalidInput, match=r"auth set|Paste it again") as caught:
        place.store.current()
    assert SECRET not in printed(caught.value)


@pytest.mark.parametrize("before", [PLACEHOLDER, f"{{{SECRET}"], ids=["the placeholder", "malformed"])
def test_what_signed_nobody_in_is_no_previous(place: Place, before: str) -> None:
    place.write(before)
    place.store.save(PASTED)
    assert place.store.previous() is None


def test_no_secret_is_in_the_text_of_credentials(store: CredentialStore) -> None:
    everything = Credentials(**{one.name: f"{SECRET}-{one.name}" for one in fields(Credentials)})
    shown = replace(everything, last_updated="2026-03-01T02:00:00Z", version="v1")
    assert SECRET not in f"{shown} {shown!r} {[shown]} {store.save(shown)}"


# ------------------------------------------------------------------------------------------------------ the file


@pytest.fixture
def careless_user() -> Iterator[None]:
    """Everybody may read and write what this user makes, unless its maker says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("careless_user")
def test_only_their_owner_can_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "credentials.json"
    store = FileCredentials(path)
    store.save(RENEWING)
    store.save(RENEWED_ITSELF)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert modes == {"credentials.json": 0o600, "credentials.json.previous": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_can_reach_is_refused_with_what_to_do(file: File, mode: int) -> None:
    file.store.save(PASTED)
    file.path.chmod(mode)
    with pytest.raises(InvalidInput, match=f"chmod 600 {file.path}") as caught:
        file.store.current()
    assert SECRET not in printed(caught.value)
    file.path.chmod(0o600)
    assert file.store.current().gp_access_token == PASTED.gp_access_token


@pytest.mark.parametrize(
    ("before", "after"),
    [(PASTED, RENEWED), (RENEWING, PASTED), (PASTED, RENEWING)],
    ids=["pasted twice", "pasted after renewing", "renewing after pasted"],
)
def test_nothing_is_left_of_what_could_renew_nothing(file: File, before: Credentials, after: Credentials) -> None:
    for one in (RENEWING, RENEWED_ITSELF, before, after):
        file.store.save(one)
    assert file.store.previous() is None
    assert [one.name for one in file.path.parent.iterdir()] == ["credentials.json"]
    assert file.store.current() == after.with_version(file.store.current().version)


def test_a_previous_file_that_others_can_reach_is_refused(file: File) -> None:
    file.store.save(RENEWING)
    file.store.save(RENEWED_ITSELF)
    file.previous_path.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        file.store.previous()


def test_bytes_that_are_no_text_are_malformed(file: File) -> None:
    file.write("")
    file.path.write_bytes(b'{"gp_access_token": "\xff' + SECRET.encode())
    with pytest.raises(InvalidInput, match="auth set") as caught:
        file.store.current()
    assert SECRET not in printed(caught.value)


def test_a_token_replaced_by_hand_in_a_saved_file_has_another_version(file: File) -> None:
    saved = file.store.save(PASTED)
    file.write(file.path.read_text().replace(PASTED.gp_access_token, RENEWED.gp_access_token))
    found = file.store.current()
    assert found.gp_access_token == RENEWED.gp_access_token
    assert found.version != saved.version


KILLED = """
import os, signal, sys
from pathlib import Path
from core.credentials.base import Credentials
from core.credentials.file import FileCredentials

store, left = FileCredentials(Path(sys.argv[1])), int(sys.argv[3])

def die_at_last(*arguments, real=getattr(os, sys.argv[2])):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

setattr(os, sys.argv[2], die_at_last)
store.save(Credentials(gp_access_token="never", refresh_token="never", client_id="mine"))
"""


@pytest.mark.parametrize("call", [1, 2], ids=["while those in force are kept", "while the new ones are written"])
@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_saving_that_is_killed_leaves_those_in_force_readable(file: File, function: str, call: int) -> None:
    first, second = file.store.save(RENEWING), file.store.save(RENEWED_ITSELF)
    arguments = [sys.executable, "-c", KILLED, str(file.path), function, str(call)]
    killed = subprocess.run(arguments, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert file.store.current() == second
    assert file.store.previous() in (first, second)
    assert {stat.S_IMODE(one.stat().st_mode) for one in file.path.parent.iterdir()} == {0o600}


def test_a_saving_that_the_disk_refuses_leaves_those_in_force_and_no_copy_of_the_new_ones(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = file.store.save(PASTED)

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space") as caught:
            file.store.save(RENEWED)
    assert SECRET not in printed(caught.value)
    assert file.store.current() == saved
    assert [one.name for one in file.path.parent.iterdir()] == ["credentials.json"]


# ---------------------------------------------------------------------------------------------------- the secret


def test_a_secret_that_is_not_there_signs_nobody_in(emulator: Emulator) -> None:
    store = SecretsManagerCredentials(emulator.client("secretsmanager"), "no-such-secret")
    with pytest.raises(CredentialsRejected, match=REMEDY):
        store.current()
    assert store.previous() is None
    with pytest.raises(CloudSyncError, match="secret's name") as caught:
        store.save(PASTED)
    assert not isinstance(caught.value, TransientError)
    assert SECRET not in printed(caught.value)


def test_a_secret_stored_as_bytes_is_malformed(secret: Secret) -> None:
    secret.client.put_secret_value(SecretId=secret.name, SecretBinary=json.dumps(PASTED.to_json()).encode())
    with pytest.raises(InvalidInput, match="auth set"):
        secret.store.current()


def test_a_secret_may_be_read_through_a_cache_that_knows_when_not_to_be_used(secret: Secret) -> None:
    saved = secret.store.save(PASTED)
    asked: list[tuple[str, bool]] = []

    def read(stage: str, fresh: bool) -> tuple[str, str]:
        asked.append((stage, fresh))
        return json.dumps(PASTED.to_json()), saved.version

    store = SecretsManagerCredentials(secret.client, secret.name, read=read)
    assert store.current() == store.current(fresh=True) == store.previous() == saved
    assert asked == [("AWSCURRENT", False), ("AWSCURRENT", True), ("AWSPREVIOUS", True)]


def test_a_secrets_manager_that_cannot_be_reached_is_tried_again() -> None:
    settings = Config(retries={"total_max_attempts": 1}, connect_timeout=2)
    client: SecretsManagerClient = boto3.client(
        "secretsmanager", endpoint_url=f"http://127.0.0.1:{free_port()}", region_name=REGION, config=settings
    )
    store = SecretsManagerCredentials(client, "unreachable")
    for attempt in (store.current, store.previous, lambda: store.save(PASTED)):
        with pytest.raises(TransientError, match="tried again") as caught:
            attempt()
        assert SECRET not in printed(caught.value)

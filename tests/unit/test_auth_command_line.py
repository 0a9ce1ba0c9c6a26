"""`cloud-sync auth` as a user runs it: credentials from a pipe, from a terminal, and by signing in."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.model import parse_time
from tests.cloud_sync import wanted
from tests.emulator import REGION, Emulator
from tests.gopro_cloud import GoProCloud, many_small
from tests.gopro_cloud.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME
from tests.unit.test_command_line import CommandLine, Terminal

TOKEN = "eyJhbGciOiJSU0EtT0FFUCJ9.a-token.that.was.pasted"


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(many_small(3, 20_000)) as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, cloud: GoProCloud) -> CommandLine:
    """The command line of somebody who has not signed in yet."""
    made = CommandLine(tmp_path, cloud)
    made.secrets.add(TOKEN)
    return made


def stored(path: Path) -> dict[str, Any]:
    """The document in a credentials file."""
    document = json.loads(path.read_text())
    assert isinstance(document, dict)
    return document


def mode(path: Path) -> int:
    """Who may do what with a path."""
    return stat.S_IMODE(path.stat().st_mode)


# ------------------------------------------------------------------------------ pasted credentials


def test_credentials_from_a_pipe_are_stored_where_only_their_owner_can_read_them(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    del cli.environment["CLOUD_SYNC_CREDENTIALS"]
    path = cli.home / ".cloud-sync" / "credentials.json"
    ended = cli.run("auth", "set", typed=json.dumps(cloud.pasted()), umask=0)
    assert (ended.code, ended.out) == (0, "")
    assert ended.told == f"Stored in {path}."
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["credentials.json"]
    document = stored(path)
    assert document.items() >= {"gp_access_token": next(iter(cloud.tokens)), "gp_user_id": cloud.user_id}.items()
    assert parse_time(document["last_updated"]) is not None
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cloud.media)


def test_new_credentials_take_the_place_of_the_old_ones(cli: CommandLine, cloud: GoProCloud) -> None:
    cli.run("auth", "set", typed=json.dumps({"gp_access_token": TOKEN, "gp_user_id": "u"}))
    assert cli.plan().code == 3
    assert cli.run("auth", "set", typed=json.dumps(cloud.pasted()), umask=0).code == 0
    assert cli.plan().code == 0
    assert mode(cli.credentials) == mode(cli.credentials.with_name("credentials.json.previous")) == 0o600


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("", 2, "Standard input must hold the credentials as JSON"),
        (f'{{"gp_access_token": "{TOKEN}"', 2, "Standard input must hold the credentials as JSON"),
        (f'["{TOKEN}"]', 2, "must hold one JSON object"),
        (f'{{"gp_access_token": ["{TOKEN}"]}}', 2, "gp_access_token must be text"),
        (f'{{"gp_access_token": "{TOKEN}\\nX-Header: 1"}}', 2, "characters that no HTTP header can carry"),
        ('{"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME"}', 3, "the placeholder is still there"),
        ('{"gp_user_id": "u"}', 3, "hold neither gp_access_token nor cookies nor refresh_token"),
    ],
    ids=["nothing", "broken", "a list", "a list within", "two lines", "the placeholder", "no token"],
)
def test_what_are_no_credentials_is_refused_and_what_was_there_stays(
    cli: CommandLine, cloud: GoProCloud, typed: str, code: int, said: str
) -> None:
    cli.backup.sign_in(cloud.pasted())
    before = cli.credentials.read_bytes()
    ended = cli.run("auth", "set", typed=typed)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.told
    assert cli.credentials.read_bytes() == before
    assert not cli.credentials.with_name("credentials.json.previous").exists()


def test_a_terminal_asks_for_the_values_and_does_not_show_the_token(cli: CommandLine) -> None:
    terminal = cli.on_terminal("auth", "set")
    terminal.answer("gp_access_token", TOKEN)
    terminal.answer("gp_user_id", "user-7f3e")
    assert cli.end_terminal(terminal) == 0
    assert "user-7f3e" in terminal.words
    assert f"Stored in {cli.credentials}." in terminal.words
    document = stored(cli.credentials)
    assert (document["gp_access_token"], document["gp_user_id"]) == (TOKEN, "user-7f3e")
    assert mode(cli.credentials) == 0o600


def test_ctrl_c_at_a_question_is_exit_code_130_and_stores_nothing(cli: CommandLine) -> None:
    terminal = cli.on_terminal("auth", "set")
    interrupt(terminal, "gp_access_token")
    assert cli.end_terminal(terminal) == 130
    assert not cli.credentials.exists()


def interrupt(terminal: Terminal, question: str) -> None:
    """Press Ctrl-C at a question, as a person does who has read it: by then the answer is being waited for."""
    terminal.wait_for(f"{question}: ")
    time.sleep(0.2)
    terminal.type("\x03")


# ------------------------------------------------------------------------------ Secrets Manager


@pytest.fixture
def aws(cli: CommandLine, emulator: Emulator) -> Any:
    """Secrets Manager of the emulated AWS, which the command line is configured for too."""
    cli.environment |= {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return emulator.client("secretsmanager")


def test_credentials_can_be_stored_in_the_stack_s_secret(cli: CommandLine, cloud: GoProCloud, aws: Any) -> None:
    placeholder = json.dumps({"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME"})
    secret = aws.create_secret(Name="auth-command-line", SecretString=placeholder)["ARN"]
    pasted = cloud.pasted()
    ended = cli.run("auth", "set", "--secret-id", secret, typed=json.dumps(pasted))
    assert (ended.code, ended.out) == (0, "")
    document = json.loads(aws.get_secret_value(SecretId=secret)["SecretString"])
    assert document.items() >= pasted.items()
    assert parse_time(document["last_updated"]) is not None
    assert not cli.credentials.exists()


@pytest.mark.parametrize("name", [":secret:.json", "credentials [old].json"])
def test_the_place_of_the_credentials_is_told_as_it_is(cli: CommandLine, cloud: GoProCloud, name: str) -> None:
    ended = cli.run("auth", "set", "--credentials", name, typed=json.dumps(cloud.pasted()))
    assert (cli.home / name).is_file()
    assert ended.told == f"Stored in {name}."


def test_a_secret_that_is_not_there_is_told(cli: CommandLine, cloud: GoProCloud, aws: Any) -> None:
    ended = cli.run("auth", "set", "--secret-id", "no-such-secret", typed=json.dumps(cloud.pasted()))
    assert (ended.code, ended.out) == (4, "")
    assert "ResourceNotFoundException" in ended.told
    assert "Look at the secret's name" in ended.told


def test_an_aws_configuration_that_lacks_something_is_told_and_is_no_crash(cli: CommandLine, cloud: GoProCloud) -> None:
    cli.environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}
    ended = cli.run("auth", "set", "--secret-id", "a-secret", typed=json.dumps(cloud.pasted()))
    assert "Traceback" not in ended.err
    assert ended.code in (2, 4)
    assert "region" in ended.told


# ------------------------------------------------------------------------------ signing in with a password


def sign_in(cli: CommandLine, password: str) -> tuple[int, str]:
    """Sign in on a terminal; the exit code, and what was shown."""
    terminal = cli.on_terminal("auth", "login", "--api-url", cli.cloud.url)
    terminal.answer("Client id", CLIENT_ID)
    terminal.answer("Client secret", CLIENT_SECRET)
    terminal.answer("E-mail", USERNAME)
    terminal.answer("Password", password)
    return cli.end_terminal(terminal), terminal.words


def test_a_sign_in_keeps_nothing_but_the_refresh_token_and_renews_itself_from_then_on(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    code, shown = sign_in(cli, PASSWORD)
    assert code == 0, shown
    assert USERNAME in shown
    assert f"the refresh token is stored in {cli.credentials}." in shown
    document = stored(cli.credentials)
    assert document.keys() == {"refresh_token", "client_id", "client_secret", "last_updated", "saved"}
    assert document["refresh_token"] in cloud.refresh_tokens
    written = "".join(path.read_text() for path in cli.home.rglob("*.json*"))
    assert PASSWORD not in written
    assert USERNAME not in written
    assert mode(cli.credentials) == 0o600

    assert cloud.counts.refreshes == 0
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cloud.media)
    assert cloud.counts.refreshes == 1
    renewed = stored(cli.credentials)
    assert renewed["refresh_token"] in cloud.refresh_tokens
    assert renewed["refresh_token"] != document["refresh_token"]
    assert mode(cli.credentials) == 0o600

    cloud.tokens.clear()
    assert cli.sync().code == 0
    assert cloud.counts.refreshes == 2


def test_a_wrong_password_is_exit_code_3_with_what_to_do_and_stores_nothing(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    wrong = "battery staple"
    cli.secrets.add(wrong)
    code, shown = sign_in(cli, wrong)
    assert code == 3
    for expected in ("Check e-mail, password and client", "two-factor", "`cloud-sync auth set`"):
        assert expected in shown
    assert cloud.counts.requests["token"] == 1
    assert not cli.credentials.exists()

"""`cloud-sync auth` as a user runs it: credentials from a pipe, a terminal, a stack's secret, and by signing in."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.model import parse_time
from tests.cloud_sync import wanted
from tests.emulator import REGION, Emulator
from tests.gopro_cloud import GoProCloud, many_small
from tests.gopro_cloud.server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME
from tests.unit.test_command_line import IMPATIENT, CommandLine, Terminal

TOKEN = "eyJhbGciOiJSU0EtT0FFUCJ9.a-token.that.was.pasted"
GOOD = "Signed in: account user-7f3e, 4 media, 60,000 bytes."


@pytest.fixture
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud(many_small(3, 20_000)) as running:
        yield running


@pytest.fixture
def cli(tmp_path: Path, cloud: GoProCloud) -> CommandLine:
    """The command line of somebody who has not signed in yet."""
    made = CommandLine(tmp_path, cloud)
    made.secrets.add(TOKEN)
    made.environment["CLOUD_SYNC_API_URL"] = cloud.url
    return made


def stored(path: Path) -> dict[str, Any]:
    """The document in a credentials file."""
    document = json.loads(path.read_text())
    assert isinstance(document, dict)
    return document


def mode(path: Path) -> int:
    """Who may do what with a path."""
    return stat.S_IMODE(path.stat().st_mode)


def curl(cloud: GoProCloud, token: str) -> str:
    """A request as a browser copies it, with more cookies than a line of a terminal holds."""
    cookies = f"_many={'x' * 9000}; gp_access_token={token}; gp_user_id={cloud.user_id}"
    parts = (f"curl '{cloud.url}/media/user'", "-H 'user-agent: Mozilla/5.0 (X11)'", f"-b '{cookies}'", "--compressed")
    return " \\\n  ".join(parts)


# ------------------------------------------------------------------------------ pasted credentials


def test_credentials_from_a_pipe_are_tried_and_stored_where_only_their_owner_can_read_them(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    del cli.environment["CLOUD_SYNC_CREDENTIALS"]
    path = cli.home / ".cloud-sync" / "credentials.json"
    ended = cli.run("auth", "set", typed=json.dumps(cloud.pasted()), umask=0)
    assert (ended.code, ended.out) == (0, "")
    assert ended.told == f"{GOOD} Stored in {path}."
    assert cloud.counts.requests["user"] == 1
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert [one.name for one in path.parent.iterdir()] == ["credentials.json"]
    document = stored(path)
    assert document.items() >= {"gp_access_token": next(iter(cloud.tokens)), "gp_user_id": cloud.user_id}.items()
    assert parse_time(document["last_updated"]) is not None
    assert cli.sync().code == 0
    assert cli.backup.archived() == wanted(cloud.media)


def test_a_copied_request_is_enough(cli: CommandLine, cloud: GoProCloud) -> None:
    token = cloud.issue_token()
    ended = cli.run("auth", "set", typed=curl(cloud, token))
    assert (ended.code, ended.told) == (0, f"{GOOD} Stored in {cli.credentials}.")
    document = stored(cli.credentials)
    assert document.keys() == {"gp_access_token", "gp_user_id", "user_agent", "last_updated", "saved"}
    assert (document["gp_access_token"], document["user_agent"]) == (token, "Mozilla/5.0 (X11)")


def test_new_credentials_take_the_place_of_the_old_ones_of_which_nothing_is_left(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    old = cloud.pasted()
    assert cli.run("auth", "set", typed=json.dumps(old)).code == 0
    cloud.tokens.clear()
    assert cli.plan().code == 3
    assert cli.run("auth", "set", typed=json.dumps(cloud.pasted()), umask=0).code == 0
    assert cli.plan().code == 0
    files = [path for path in cli.home.rglob("*") if path.is_file()]
    assert cli.credentials in files
    assert not [path for path in files if old["gp_access_token"].encode() in path.read_bytes()]


def test_the_same_token_again_is_not_stored_anew_so_that_its_age_stays_known(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    document = json.dumps(cloud.pasted())
    assert cli.run("auth", "set", typed=document).code == 0
    before = cli.credentials.read_bytes()
    ended = cli.run("auth", "set", typed=document)
    assert (ended.code, ended.told) == (0, f"{GOOD} Nothing to store, it is already in {cli.credentials}.")
    assert cli.credentials.read_bytes() == before


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("", 2, "Nothing was pasted"),
        (f'{{"gp_access_token": "{TOKEN}"', 2, "must be the whole document"),
        (f'["{TOKEN}"]', 2, "must hold one JSON object"),
        (f'{{"gp_access_token": ["{TOKEN}"]}}', 2, "gp_access_token must be text"),
        (f'{{"gp_access_token": "{TOKEN}\\nX-Header: 1"}}', 2, "characters that no HTTP header can carry"),
        ('{"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME"}', 3, "the placeholder is still there"),
        ('{"gp_user_id": "u"}', 3, "hold neither gp_access_token nor cookies nor refresh_token"),
        ('{"foo": 1}', 3, "hold neither gp_access_token nor cookies nor refresh_token"),
        (f'{{"gp_access_token": "{TOKEN}", "gp_user_id": "user-7f3e"}}', 3, "Nothing was stored. These credentials"),
        (f"curl 'https://api.gopro.com' -H 'Cookie: gp_access_token={TOKEN}'", 3, "Nothing was stored."),
    ],
    ids=[
        *("nothing", "broken", "a list", "a list within", "two lines", "the placeholder", "no token", "something else"),
        *("a dead token", "a dead token in a request"),
    ],
)
def test_what_are_no_good_credentials_is_refused_and_what_was_there_stays(
    cli: CommandLine, cloud: GoProCloud, typed: str, code: int, said: str
) -> None:
    cli.backup.sign_in(cloud.pasted())
    before = cli.credentials.read_bytes()
    ended = cli.run("auth", "set", typed=typed)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.told
    assert cli.credentials.read_bytes() == before
    assert [one.name for one in cli.home.glob("credentials*")] == ["credentials.json"]


def test_without_an_answer_of_the_provider_nothing_is_stored(cli: CommandLine, cloud: GoProCloud) -> None:
    cloud.quirks.throttle, cloud.quirks.throttle_status, cloud.quirks.retry_after = 1000, 503, "0"
    ended = cli.run("auth", "set", typed=json.dumps(cloud.pasted()), program=IMPATIENT)
    assert (ended.code, ended.out) == (4, "")
    assert "could not be had (503)" in ended.told
    assert not cli.credentials.exists()


def test_credentials_that_renew_themselves_are_stored_as_they_are_after_the_trial(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    first = cloud.renewing()
    ended = cli.run("auth", "set", typed=json.dumps(first))
    assert (ended.code, cloud.counts.refreshes) == (0, 1)
    document = stored(cli.credentials)
    assert document["gp_access_token"] in cloud.tokens
    assert document["refresh_token"] in cloud.refresh_tokens
    assert cli.sync().code == 0
    assert cloud.counts.refreshes == 1


# ------------------------------------------------------------------------------ on a terminal


PASTE = "Paste it here and press Enter (nothing is shown): "


@pytest.mark.parametrize("around", [("", "\n"), ("\x1b[200~", "\x1b[201~")], ids=["plain", "bracketed"])
def test_a_terminal_takes_a_copied_request_of_any_length_and_shows_nothing_of_it(
    cli: CommandLine, cloud: GoProCloud, around: tuple[str, str]
) -> None:
    token = cloud.issue_token()
    terminal = cli.on_terminal("auth", "set")
    terminal.wait_for(PASTE)
    text = curl(cloud, token)
    terminal.type(f"{around[0]}{text}{around[1]}")
    assert cli.end_terminal(terminal) == 0
    assert f"{GOOD} Stored in {cli.credentials}." in terminal.words
    assert "xxxx" not in terminal.shown
    assert "compressed" not in terminal.shown
    assert stored(cli.credentials)["gp_access_token"] == token


def test_a_terminal_asks_for_the_user_id_of_a_token_alone(cli: CommandLine, cloud: GoProCloud) -> None:
    token = cloud.issue_token()
    terminal = cli.on_terminal("auth", "set")
    terminal.wait_for(PASTE)
    terminal.type(f"{token}\n")
    terminal.answer("gp_user_id", cloud.user_id)
    assert cli.end_terminal(terminal) == 0
    document = stored(cli.credentials)
    assert (document["gp_access_token"], document["gp_user_id"]) == (token, cloud.user_id)
    assert mode(cli.credentials) == 0o600


@pytest.mark.parametrize("keys", ["\x03", "half of a paste\x03"], ids=["at once", "in the middle"])
def test_ctrl_c_at_the_question_is_exit_code_130_and_stores_nothing(cli: CommandLine, keys: str) -> None:
    terminal = cli.on_terminal("auth", "set")
    terminal.wait_for(PASTE)
    time.sleep(0.2)
    terminal.type(keys)
    assert cli.end_terminal(terminal) == 130
    assert "half" not in terminal.shown
    assert not cli.credentials.exists()


def interrupt(terminal: Terminal, question: str) -> None:
    """Press Ctrl-C at a question, as a person does who has read it: by then the answer is being waited for."""
    terminal.wait_for(f"{question}: ")
    time.sleep(0.2)
    terminal.type("\x03")


def test_ctrl_c_at_a_later_question_stores_nothing_either(cli: CommandLine, cloud: GoProCloud) -> None:
    terminal = cli.on_terminal("auth", "set")
    terminal.wait_for(PASTE)
    terminal.type(f"{cloud.issue_token()}\n")
    interrupt(terminal, "gp_user_id")
    assert cli.end_terminal(terminal) == 130
    assert not cli.credentials.exists()


# ------------------------------------------------------------------------------ for scripts


def test_a_check_tells_good_credentials_from_dead_ones_and_from_a_cloud_that_is_away(
    cli: CommandLine, cloud: GoProCloud
) -> None:
    ended = cli.run("auth", "--check")
    assert (ended.code, ended.out) == (3, "")
    assert "There are no credentials" in ended.told

    cli.backup.sign_in(cloud.pasted())
    before = cli.credentials.read_bytes()
    good = cli.run("auth", "--check")
    assert (good.code, good.out) == (0, "")
    assert good.told == f"The credentials in {cli.credentials} are good: account user-7f3e, 4 media, 60,000 bytes."

    cloud.quirks.throttle, cloud.quirks.throttle_status, cloud.quirks.retry_after = 1000, 503, "0"
    assert cli.run("auth", "--check", program=IMPATIENT).code == 4

    cloud.quirks.throttle = 0
    cloud.tokens.clear()
    dead = cli.run("auth", "--check")
    assert dead.code == 3
    assert "are refused" in dead.told
    assert "cloud-sync auth set" in dead.told
    assert cli.credentials.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("--check", "--from-browser", "firefox"),
        ("--then-sync",),
        ("--check", "--then-sync"),
        ("--stack", "some", "set"),
        ("--credentials", "elsewhere.json", "set"),
        ("--from-browser", "lynx"),
        ("--from-browser", "firefox", "--then-sync"),
    ],
    ids=" ".join,
)
def test_options_that_contradict_each_other_are_refused(
    cli: CommandLine, cloud: GoProCloud, arguments: tuple[str, ...]
) -> None:
    ended = cli.run("auth", *arguments, typed=json.dumps(cloud.pasted()))
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert cloud.counts.requests.total() == 0
    assert not list(cli.home.glob("*.json"))


# ------------------------------------------------------------------------------ a stack's secret

#: A stack that tells what the product's tells; its machine fails as a run does whose credentials are rejected.
STACK = {
    "Parameters": {"GoProApiUrl": {"Type": "String"}},
    "Resources": {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": '{"gp_access_token": "REPLACE_ME", "gp_user_id": "REPLACE_ME"}'},
        },
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [
                    {"AttributeName": "provider", "AttributeType": "S"},
                    {"AttributeName": "media_id", "AttributeType": "S"},
                ],
                "KeySchema": [
                    {"AttributeName": "provider", "KeyType": "HASH"},
                    {"AttributeName": "media_id", "KeyType": "RANGE"},
                ],
            },
        },
        "Machine": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": "arn:aws:iam::000000000000:role/none",
                "DefinitionString": json.dumps(
                    {
                        "StartAt": "Choose",
                        "States": {
                            "Choose": {
                                "Type": "Choice",
                                "Choices": [
                                    {"Variable": "$.fail", "IsPresent": True, "Next": "Fail"},
                                    {"Variable": "$.wait", "IsPresent": True, "Next": "Wait"},
                                ],
                                "Default": "Succeed",
                            },
                            "Fail": {"Type": "Fail", "ErrorPath": "$.fail", "Cause": "as it was asked"},
                            "Wait": {"Type": "Wait", "Seconds": 600, "Next": "Succeed"},
                            "Succeed": {"Type": "Succeed"},
                        },
                    }
                ),
            },
        },
    },
    "Outputs": {
        "ArchiveBucketName": {"Value": "none"},
        "SyncTrackerTableName": {"Value": {"Ref": "Table"}},
        "CredentialsSecretArn": {"Value": {"Ref": "Secret"}},
        "StateMachineArn": {"Value": {"Ref": "Machine"}},
    },
}


@dataclass(frozen=True)
class Deployed:
    """A stack for the credentials' sake."""

    name: str
    secret: str
    machine: str
    emulator: Emulator

    def document(self) -> dict[str, Any]:
        text = self.emulator.client("secretsmanager").get_secret_value(SecretId=self.secret)["SecretString"]
        found: dict[str, Any] = json.loads(text)
        return found

    def versions(self) -> int:
        client = self.emulator.client("secretsmanager")
        return len(client.list_secret_version_ids(SecretId=self.secret, IncludeDeprecated=True)["Versions"])

    def start(self, **request: Any) -> None:
        """Start an execution and wait until it has ended, unless it is to wait."""
        client = self.emulator.client("stepfunctions")
        arn = client.start_execution(stateMachineArn=self.machine, input=json.dumps(request))["executionArn"]
        deadline = time.monotonic() + 30
        while "wait" not in request and client.describe_execution(executionArn=arn)["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def inputs(self) -> list[dict[str, Any]]:
        """What every execution was given, the newest first."""
        client = self.emulator.client("stepfunctions")
        arns = [one["executionArn"] for one in client.list_executions(stateMachineArn=self.machine)["executions"]]
        return [json.loads(client.describe_execution(executionArn=arn)["input"]) for arn in arns]


@pytest.fixture
def stack(cli: CommandLine, emulator: Emulator, cloud: GoProCloud) -> Deployed:
    """A stack that asks the emulated cloud, in the emulated AWS that the command line is configured for too."""
    cli.environment |= {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    del cli.environment["CLOUD_SYNC_API_URL"]  # the stack tells it
    client, name = emulator.client("cloudformation"), f"auth-{uuid4().hex[:8]}"
    client.create_stack(
        StackName=name,
        TemplateBody=json.dumps(STACK),
        Parameters=[{"ParameterKey": "GoProApiUrl", "ParameterValue": cloud.url}],
    )
    client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    outputs = client.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    told = {one["OutputKey"]: one["OutputValue"] for one in outputs}
    return Deployed(name, told["CredentialsSecretArn"], told["StateMachineArn"], emulator)


def test_credentials_are_stored_in_the_stack_s_secret_after_the_stack_s_own_api_was_asked(
    cli: CommandLine, cloud: GoProCloud, stack: Deployed
) -> None:
    placeholder = cli.run("auth", "--check", "--stack", stack.name)
    assert placeholder.code == 3
    assert "the placeholder is still there" in placeholder.told

    pasted = cloud.pasted()
    ended = cli.run("auth", "set", "--stack", stack.name, typed=json.dumps(pasted))
    assert (ended.code, ended.out, ended.told) == (0, "", f"{GOOD} Stored in the secret of {stack.name}.")
    document = stack.document()
    assert document.items() >= pasted.items()
    assert parse_time(document["last_updated"]) is not None
    assert not cli.credentials.exists()
    checked = cli.run("auth", "--check", "--stack", stack.name)
    assert (checked.code, checked.told[:22]) == (0, "The credentials in the")

    versions = stack.versions()
    assert cli.run("auth", "set", "--stack", stack.name, typed=json.dumps(pasted)).code == 0
    assert cli.run("auth", "set", "--stack", stack.name, typed=TOKEN).code == 3
    assert (stack.document(), stack.versions()) == (document, versions)


def test_the_run_that_waits_for_credentials_is_started_with_its_own_input(
    cli: CommandLine, cloud: GoProCloud, stack: Deployed
) -> None:
    stack.start(fail="CredentialsRejected", max_items=3)
    set_and_sync = ("auth", "set", "--stack", stack.name, "--then-sync")
    refused = cli.run(*set_and_sync, typed=TOKEN)
    assert (refused.code, len(stack.inputs())) == (3, 1)

    ended = cli.run(*set_and_sync, typed=json.dumps(cloud.pasted()))
    assert ended.code == 0, ended.told
    assert "Started the run " in ended.told
    assert stack.inputs() == [{"fail": "CredentialsRejected", "max_items": 3}] * 2


@pytest.mark.parametrize(
    ("last", "said", "starts"),
    [
        (None, "Started the run ", True),
        ({}, "ended as SUCCEEDED", False),
        ({"fail": "TooManyFailures"}, "ended as FAILED", False),
        ({"wait": True}, "is under way; none was started", False),
    ],
    ids=["never ran", "ended well", "failed for another reason", "runs"],
)
def test_a_timer_that_brings_credentials_again_and_again_starts_no_run_in_vain(
    cli: CommandLine, cloud: GoProCloud, stack: Deployed, last: dict[str, Any] | None, said: str, starts: bool
) -> None:
    if last is not None:
        stack.start(**last)
    before = len(stack.inputs())
    ended = cli.run("auth", "set", "--stack", stack.name, "--then-sync", typed=json.dumps(cloud.pasted()))
    assert ended.code == 0, ended.told
    assert said in ended.told
    assert len(stack.inputs()) == before + starts


@pytest.mark.parametrize("name", [":secret:.json", "credentials [old].json"])
def test_the_place_of_the_credentials_is_told_as_it_is(cli: CommandLine, cloud: GoProCloud, name: str) -> None:
    ended = cli.run("auth", "set", "--credentials", name, typed=json.dumps(cloud.pasted()))
    assert (cli.home / name).is_file()
    assert ended.told == f"{GOOD} Stored in {name}."


@pytest.mark.usefixtures("stack")
def test_a_stack_that_is_not_there_is_told(cli: CommandLine, cloud: GoProCloud) -> None:
    ended = cli.run("auth", "set", "--stack", "no-such-stack", typed=json.dumps(cloud.pasted()))
    assert (ended.code, ended.out) == (2, "")
    assert "There is no stack no-such-stack" in ended.told


def test_an_aws_configuration_that_lacks_something_is_told_and_is_no_crash(cli: CommandLine, cloud: GoProCloud) -> None:
    cli.environment |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}
    ended = cli.run("auth", "set", "--stack", "a-stack", typed=json.dumps(cloud.pasted()))
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

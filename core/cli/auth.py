"""`cloud-sync auth`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from core.cli.options import DEFAULT_CREDENTIALS, ApiUrl, CredentialsFile, SecretOfStack, ThenSync
from core.cli.paste import read_pasted
from core.cli.places import CredentialsPlace, credentials_place, no_tracker
from core.cli.terminal import answering, say
from core.credentials.browser import Browser, read_browser
from core.credentials.paste import read_paste
from core.errors import InvalidInput
from core.model import Account, Json, counted, printable, utc_now
from core.providers import registry
from core.providers.base import ProviderSettings

auth = typer.Typer(no_args_is_help=True)


@auth.callback(invoke_without_command=True)
def auth_main(
    context: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Ask the provider whether what is stored is good.")] = False,
    from_browser: Annotated[
        Browser | None, typer.Option("--from-browser", help="Store the cookies of a browser that is signed in.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="The browser's profile, name or folder, if not the one used last.")
    ] = None,
    stack: SecretOfStack = None,
    then_sync: ThenSync = False,
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    api_url: ApiUrl = None,
) -> None:
    """Store the credentials that a sync signs in with: `login` once where it works, else `set` or --from-browser.

    Exit codes: 0 the credentials are good, 2 wrong usage or nothing to read, 3 they are rejected, 4 it could not be
    found out, 130 interrupted.
    """
    if context.invoked_subcommand is not None:
        sources = [context.get_parameter_source(name) for name in context.params]
        if any(source and source.name == "COMMANDLINE" for source in sources):
            raise typer.BadParameter(f"Put the options behind the command: auth {context.invoked_subcommand} …")
        return
    if check and (then_sync or profile is not None):
        raise typer.BadParameter("--then-sync and --profile go with --from-browser.")
    if check == (from_browser is not None):
        raise typer.BadParameter("Give one of --check and --from-browser, or a command: login, set.")
    with answering("gopro"), credentials_place(credentials, stack, api_url) as place:
        if from_browser:
            _sign_in(place, read_browser(from_browser, profile))
            _start_waiting_run(place, then_sync)
        else:
            settings = ProviderSettings(place.store, place.leases, place.api_url)
            account = registry.create("gopro", settings).authenticate()
            say(f"The credentials in {place.name} are good: {_size_of(account)}.")


@auth.command("login")
def auth_login(
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    stack: SecretOfStack = None,
    api_url: ApiUrl = None,
) -> None:
    """Sign in once with a password, asked for and never stored; the refresh token that is kept renews itself.

    It needs a client id and secret of your own and does not work for accounts with two-factor authentication.
    """
    from core.providers.gopro.oauth import sign_in_with_password

    with answering("gopro"), credentials_place(credentials, stack, api_url) as place:
        client_id = typer.prompt("Client id")
        client_secret = typer.prompt("Client secret", hide_input=True, default="", show_default=False)
        username = typer.prompt("E-mail")
        password = typer.prompt("Password", hide_input=True)
        place.store.save(sign_in_with_password(place.api_url, client_id, client_secret, username, password))
        say(f"Signed in; the refresh token is stored in {place.name}.")


@auth.command("set")
def auth_set(
    credentials: CredentialsFile = DEFAULT_CREDENTIALS,
    stack: SecretOfStack = None,
    then_sync: ThenSync = False,
    api_url: ApiUrl = None,
) -> None:
    """Try what a browser gives, and store it if it is good; it is pasted on a terminal or read from standard input.

    In Chrome and Firefox alike: sign in at gopro.com and open the media library. Press F12, tab Network, type
    api.gopro.com into the filter and load the page again. Right-click one of the requests: Copy (Chrome) or Copy Value
    (Firefox), then Copy as cURL, for whichever shell.

    A Cookie header does too, or the values of the cookies gp_access_token and gp_user_id (Chrome: tab Application,
    Firefox: tab Storage), or the JSON document that is stored. Exit codes as of auth.
    """
    with answering("gopro"), credentials_place(credentials, stack, api_url) as place:
        _sign_in(place, _ask_for_paste() if sys.stdin.isatty() else read_paste(sys.stdin.read()))
        _start_waiting_run(place, then_sync)


def _ask_for_paste() -> dict[str, Json]:
    say(
        "At gopro.com, signed in: F12, Network, filter api.gopro.com, right-click a request, Copy as cURL. More ways: "
        "cloud-sync auth set --help"
    )
    document = read_paste(read_pasted("Paste it here and press Enter (nothing is shown): "))
    if document.keys() <= {"gp_access_token", "user_agent"}:
        document["gp_user_id"] = typer.prompt("gp_user_id", default="", show_default=False, err=True)
    return document


def _sign_in(place: CredentialsPlace, document: dict[str, Json]) -> None:
    from core.sync.sign_in import sign_in

    with no_tracker() as alone:
        signed_in = sign_in(
            document, place.store, utc_now(), provider_name="gopro", base_url=place.api_url, leases=alone
        )
    kept = "Stored in" if signed_in.is_new else "Nothing to store, it is already in"
    say(f"Signed in: {_size_of(signed_in.account)}. {kept} {place.name}.")


def _size_of(account: Account) -> str:
    told = [f"account {printable(account.user_id)}" if account.user_id else ""]
    told += [counted(account.media_count, "medium", "media") if account.media_count is not None else ""]
    told += [counted(account.total_length, "byte") if account.total_length is not None else ""]
    return ", ".join(filter(None, told))


def _start_waiting_run(place: CredentialsPlace, wanted: bool) -> None:
    if not wanted:
        return
    if not place.state_machine:
        raise InvalidInput("--then-sync starts a run of a deployed stack: name it with --stack.")
    import boto3

    from core.stacks import start_waiting_run

    say(start_waiting_run(boto3.client("stepfunctions"), place.state_machine))

"""Credentials in AWS Secrets Manager, which keeps the version before the current one by itself (AWSPREVIOUS)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from core.credentials.base import HOW_TO_RENEW, Credentials
from core.errors import CloudSyncError, CredentialsRejected, InvalidInput, TransientError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from core.model import Json

CURRENT = "AWSCURRENT"
PREVIOUS = "AWSPREVIOUS"

_PASSING = frozenset({"InternalServiceError", "ThrottlingException", "ServiceUnavailable"})

#: Reads a stage of the secret; True asks past any cache. Gives the text and the version id.
ReadSecret = Callable[[str, bool], tuple[str, str]]


class SecretsManagerCredentials:
    """The JSON document in the secret `secret_id`. `read` may stand in for the plain call, for example with a cache."""

    def __init__(self, client: SecretsManagerClient, secret_id: str, *, read: ReadSecret | None = None) -> None:
        self._client = client
        self._secret_id = secret_id
        self._read = read or (lambda stage, _: read_secret(client, secret_id, stage))

    def current(self, *, fresh: bool = False) -> Credentials:
        """The credentials in force. `CredentialsRejected` if there are none, `InvalidInput` if they are malformed."""
        found = self._version(CURRENT, fresh)
        if found is None:
            raise CredentialsRejected(f"The secret holds no credentials. {HOW_TO_RENEW}")
        return found

    def previous(self) -> Credentials | None:
        """The credentials before those in force."""
        try:
            return self._version(PREVIOUS, fresh=True)
        except (CredentialsRejected, InvalidInput):
            return None  # the template's placeholder

    def save(self, credentials: Credentials) -> Credentials:
        """Store new credentials; Secrets Manager keeps those in force as previous."""
        try:
            answer = self._client.put_secret_value(
                SecretId=self._secret_id, SecretString=json.dumps(credentials.to_json())
            )
        except (ClientError, BotoCoreError) as error:
            raise _told_by_aws(error) from None
        return credentials.with_version(answer["VersionId"])

    def _version(self, stage: str, fresh: bool) -> Credentials | None:
        try:
            text, version = self._read(stage, fresh)
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and _code(error) == "ResourceNotFoundException":
                return None
            raise _told_by_aws(error) from None
        return Credentials.from_json(_parse(text), version)


def read_secret(client: SecretsManagerClient, secret_id: str, stage: str) -> tuple[str, str]:
    """The text and the version id of a stage of a secret."""
    answer = client.get_secret_value(SecretId=secret_id, VersionStage=stage)
    return answer.get("SecretString", ""), answer["VersionId"]


def _parse(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        # `from None`: the decoder's error holds the document.
        raise InvalidInput("The secret is not JSON. Store the credentials again with `cloud-sync auth set`.") from None


def _told_by_aws(error: ClientError | BotoCoreError) -> CloudSyncError:
    code = _code(error) if isinstance(error, ClientError) else type(error).__name__
    if isinstance(error, NoCredentialsError):
        return CloudSyncError(
            "Secrets Manager could not be asked: this shell has no AWS credentials. Sign in to AWS first."
        )
    if not isinstance(error, ClientError) or code in _PASSING:
        return TransientError(f"Secrets Manager could not be asked ({code}). It may work when tried again.")
    return CloudSyncError(f"Secrets Manager refuses ({code}). Look at the secret's name and at the role's policy.")


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))

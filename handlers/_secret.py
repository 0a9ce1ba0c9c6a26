"""The secret, read and cached by Powertools Parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import BaseProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from core.credentials.secretsmanager import read_secret

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

#: Seconds for which a version read once is taken as current unless a fresh one is asked for.
MAX_AGE = 60


class SecretReader(BaseProvider):
    """Reads the stages of one secret together with their version ids, which Powertools' own provider leaves out."""

    def __init__(self, client: SecretsManagerClient, secret_id: str) -> None:
        super().__init__(client=client)  # type: ignore[no-untyped-call]
        self._client = client
        self._secret_id = secret_id

    def __call__(self, stage: str, fresh: bool) -> tuple[str, str]:
        """Text and version id of a stage; its errors are the client's own."""
        try:
            found: Any = self.get(stage, max_age=MAX_AGE, force_fetch=fresh)
        except GetParameterError as error:
            raise error.__context__ or error from None
        return found["text"], found["version"]

    def _get(self, name: str, **_: object) -> dict[str, str]:
        text, version = read_secret(self._client, self._secret_id, name)
        return {"text": text, "version": version}

    def _get_multiple(self, path: str, **_: object) -> dict[str, str]:
        raise TypeError("A secret has stages, but no path below it to list.")

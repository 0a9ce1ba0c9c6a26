"""The step that checks the credentials before anything else is done."""

from __future__ import annotations

from core.credentials.base import HOW_TO_RENEW
from core.errors import ApiShapeChanged, CredentialsRejected, InvalidInput
from core.model import Account
from core.providers.base import Provider
from core.sync.outcomes import Failure


def authenticate(provider: Provider) -> Account:
    """Check the credentials against the provider; raises what `explain` knows how to tell a person."""
    return provider.authenticate()


def explain(error: ApiShapeChanged | CredentialsRejected | InvalidInput, provider_title: str) -> Failure:
    """Why a run cannot go on, as a value: which of the known causes, and what to do about it."""
    match error:
        case CredentialsRejected():
            cause = str(error).removesuffix(HOW_TO_RENEW).strip()
            return Failure("credentials_rejected", "CredentialsRejected", cause, HOW_TO_RENEW)
        case ApiShapeChanged():
            remedy = (
                f"Nothing was lost. Look for an update of Cloud Sync: {provider_title} has changed its unofficial API."
            )
            return Failure("api_changed", "ApiShapeChanged", str(error), remedy)
        case InvalidInput():
            return Failure("invalid_request", "InvalidInput", str(error), "Correct it and start the run again.")

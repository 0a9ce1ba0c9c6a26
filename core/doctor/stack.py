"""The parts of a deployed stack, each looked at by itself: one that cannot be asked says so, and the others go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from core.credentials.base import HOW_TO_RENEW, CredentialStore
from core.doctor.check import Check, Level
from core.errors import CloudSyncError
from core.executions import RUNNING, Execution, Executions
from core.model import counted, utc_now
from core.providers.base import Provider
from core.stacks import Deployed
from core.sync.check_credentials import look
from core.tracker.base import Checkpoints

if TYPE_CHECKING:
    import boto3

#: Hours without a success after which a nightly sync has missed one.
STALE_HOURS = 36

#: Hours for which credentials should still do: from the evening's check to the nightly sync.
HOURS_AHEAD = 8

_RECOVERY = "See docs/recovery.md."
_DEPLOY = "Deploy the stack again: sam deploy."


@dataclass(frozen=True, slots=True)
class SignIn:
    """What signs the stack in: the provider as its functions have it, the secret, and what was noted of its tokens."""

    provider: Provider
    store: CredentialStore
    kept: Checkpoints


class StackDoctor:
    """Looks at a stack through the clients of `session`; it changes nothing but credentials that renew themselves."""

    def __init__(
        self, session: boto3.Session, stack: Deployed, sign_in: SignIn, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._session = session
        self._stack = stack
        self._sign_in = sign_in
        self._clock = clock

    def examine(self) -> Iterator[Check]:
        """Every part in turn."""
        looks: dict[str, Callable[[str], Check]] = {
            "stack": self._state,
            "account limit": self._limit,
            "credentials": self._credentials,
            "schedule of the sync": lambda part: self._schedule(part, "ScheduleName", "StateMachineArn"),
            "schedule of the verification": lambda part: self._schedule(
                part, "VerifyScheduleName", "VerifyStateMachineArn"
            ),
            "missed starts": self._dead_letters,
            "last sync": self._last_sync,
            "last success": self._last_success,
            "last verification": self._last_verification,
            "alerts": self._alerts,
            "archive": self._archive,
            "tracker": self._tracker,
        }
        if self._stack.parameters.get("CustomerKey") == "true":
            looks["key"] = self._key
        for part, do in looks.items():
            yield _told(part, do)

    def _state(self, part: str) -> Check:
        status = self._stack.status
        if status.endswith("_IN_PROGRESS"):
            return Check(part, Level.WARNING, f"{status}: it is being changed now", "Look again when that has ended.")
        if status.endswith("_FAILED") or status == "ROLLBACK_COMPLETE":
            return Check(
                part, Level.PROBLEM, status, "See what failed in the stack's events, then docs/DEPLOYMENT.md, Rollback."
            )
        if status == "UPDATE_ROLLBACK_COMPLETE":
            return Check(
                part, Level.WARNING, "the last update failed and was taken back", "Mend its cause and deploy again."
            )
        return Check(part, Level.OK, status)

    def _limit(self, part: str) -> Check:
        limit = self._session.client("lambda").get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
        wanted = int(self._stack.parameters["MaxConcurrency"])
        saw = f"{limit:,} functions may run at once in this account and region, MaxConcurrency is {wanted}"
        if wanted <= limit // 2:
            return Check(part, Level.OK, saw)
        more = "ask for more: Service Quotas, AWS Lambda, Concurrent executions"
        remedy = f"Deploy with MaxConcurrency={max(1, limit // 2)}, or {more}."
        return Check(part, Level.PROBLEM if wanted >= limit else Level.WARNING, saw, remedy)

    def _credentials(self, part: str) -> Check:
        known = self._sign_in
        try:
            checked, _ = look(known.provider, known.store, known.kept, self._clock(), hours_ahead=HOURS_AHEAD)
        except self._session.client("dynamodb").exceptions.ResourceNotFoundException:
            return Check(part, Level.NOT_CHECKED, "could not be checked without the tracker's table", _RECOVERY)
        age = f", stored {checked.age_hours:g} hours ago" if checked.age_hours is not None else ""
        lives = (
            "they renew themselves"
            if checked.can_renew
            else f"a token lives for about {checked.expected_hours:g} hours"
        )
        renew = f"cloud-sync auth set --stack {self._stack.name}, or hands-free: docs/CREDENTIALS.md."
        match checked.state:
            case "good":
                return Check(part, Level.OK, f"accepted{age}; {lives}")
            case "dying":
                return Check(part, Level.WARNING, f"accepted, but they will not last{age}; {lives}", renew)
            case "dead":
                return Check(part, Level.PROBLEM, checked.cause.replace(HOW_TO_RENEW, "").strip(), renew)
            case _:
                return Check(part, Level.NOT_CHECKED, checked.cause, "Try again later.")

    def _schedule(self, part: str, name: str, machine: str) -> Check:
        found = self._session.client("scheduler").get_schedule(Name=self._stack.outputs[name])
        when = f"{found['ScheduleExpression']} {found.get('ScheduleExpressionTimezone', 'UTC')}"
        if found["Target"]["Arn"] != self._stack.outputs[machine]:
            return Check(part, Level.PROBLEM, f"{when}, but it starts something else", _DEPLOY)
        if found["State"] == "ENABLED":
            return Check(part, Level.OK, f"enabled, {when}")
        if self._stack.parameters.get("ScheduleState") == "DISABLED":
            return Check(
                part,
                Level.WARNING,
                f"disabled, as deployed; {when}",
                "Deploy with ScheduleState=ENABLED to have it start.",
            )
        return Check(part, Level.PROBLEM, f"disabled by hand; {when}", "Enable it in EventBridge Scheduler.")

    def _dead_letters(self, part: str) -> Check:
        schedule = self._session.client("scheduler").get_schedule(Name=self._stack.outputs["ScheduleName"])
        queue = schedule["Target"]["DeadLetterConfig"]["Arn"].rpartition(":")[2]
        sqs = self._session.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        missed = int(told["Attributes"]["ApproximateNumberOfMessages"])
        if not missed:
            return Check(part, Level.OK, "every start that was due has happened")
        return Check(
            part,
            Level.PROBLEM,
            f"{counted(missed, 'start')} did not happen; why stands in the queue {queue}",
            f"Read and purge it, then: cloud-sync run --stack {self._stack.name}",
        )

    def _last_sync(self, part: str) -> Check:
        last = self._runs("StateMachineArn").newest()
        start = f"cloud-sync run --stack {self._stack.name}"
        if last is None:
            return Check(part, Level.WARNING, "there has never been one", f"Start the first: {start}")
        told = self._when(last)
        if last.status == RUNNING:
            return Check(part, Level.OK, told)
        if last.status == "ABORTED":
            return Check(
                part, Level.WARNING, told, f"Go on: cloud-sync run redrive --stack {self._stack.name}, or {start}"
            )
        if last.status != "SUCCEEDED":
            return Check(part, Level.PROBLEM, f"{told}: {last.error} {last.cause}".strip(), f"Mend it, then: {start}")
        counts = f"{told}: {last.output.get('completed')} media completed, {last.output.get('failed')} failed"
        if last.output.get("status") != "PARTIAL_FAILURE":
            return Check(part, Level.OK, counts)
        return Check(
            part,
            Level.WARNING,
            counts,
            f"The next run tries them again. Why they failed: cloud-sync status --stack {self._stack.name}",
        )

    def _last_success(self, part: str) -> Check:
        last = self._runs("StateMachineArn").newest("SUCCEEDED")
        if last is None or last.ended_at is None:
            return Check(part, Level.WARNING, "there has never been one", "See the last sync.")
        hours = (self._clock() - last.ended_at) / timedelta(hours=1)
        saw = f"{hours:,.0f} hours ago"
        if hours <= STALE_HOURS:
            return Check(part, Level.OK, saw)
        return Check(
            part, Level.PROBLEM, f"{saw}, more than {STALE_HOURS}", "See credentials, schedule and last sync here."
        )

    def _last_verification(self, part: str) -> Check:
        last = self._runs("VerifyStateMachineArn").newest()
        if last is None:
            return Check(part, Level.OK, "there has not been one yet; the schedule starts it")
        told = self._when(last)
        if last.status == RUNNING:
            return Check(part, Level.OK, told)
        if last.status != "SUCCEEDED":
            return Check(part, Level.PROBLEM, f"{told}: {last.error} {last.cause}".strip(), _RECOVERY)
        if last.output.get("status") == "SOUND":
            return Check(part, Level.OK, f"{told}: sound")
        found = json.dumps(last.output.get("found"))
        return Check(
            part, Level.WARNING, f"{told}: {found}", f"cloud-sync verify --stack {self._stack.name}. {_RECOVERY}"
        )

    def _alerts(self, part: str) -> Check:
        topic = self._stack.outputs["AlertTopicArn"]
        told = self._session.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
        confirmed, pending = int(told["SubscriptionsConfirmed"]), int(told["SubscriptionsPending"])
        saw = f"{counted(confirmed, 'subscription')} confirmed, {pending} not yet"
        if pending:
            return Check(part, Level.PROBLEM, saw, "Follow the link in the mail that AWS sent, or have it sent again.")
        if not confirmed:
            return Check(part, Level.PROBLEM, "nobody would be told", "Deploy with AlertEmail=you@example.com.")
        return Check(part, Level.OK, saw)

    def _archive(self, part: str) -> Check:
        s3, bucket = self._session.client("s3"), self._stack.outputs["ArchiveBucketName"]
        versions = s3.get_bucket_versioning(Bucket=bucket).get("Status")
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        wrong = ["it keeps no versions"] * (versions != "Enabled") + ["it may be made public"] * (
            not all(blocked.values())
        )
        if wrong:
            return Check(part, Level.PROBLEM, f"{bucket}: {', '.join(wrong)}", "Undo that: it was deployed otherwise.")
        return Check(part, Level.OK, f"{bucket}: keeps versions, never public")

    def _tracker(self, part: str) -> Check:
        dynamodb, table = self._session.client("dynamodb"), self._stack.outputs["SyncTrackerTableName"]
        try:
            status = dynamodb.describe_table(TableName=table)["Table"]["TableStatus"]
        except dynamodb.exceptions.ResourceNotFoundException:
            return Check(part, Level.PROBLEM, f"{table} is not there", _RECOVERY)
        backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        point = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        saw = f"{table}: {status}, point-in-time recovery {(point or 'unknown').lower()}"
        if status not in ("ACTIVE", "UPDATING"):
            return Check(part, Level.PROBLEM, saw, _RECOVERY)
        if point != "ENABLED":
            return Check(part, Level.WARNING, saw, "Turn it on: a table that was made by hand has none.")
        return Check(part, Level.OK, saw)

    def _key(self, part: str) -> Check:
        kms, alias = self._session.client("kms"), f"alias/{self._stack.name}"
        told = kms.describe_key(KeyId=alias)["KeyMetadata"]
        if told["KeyState"] != "Enabled":
            return Check(
                part,
                Level.PROBLEM,
                f"{told['KeyId']} is {told['KeyState']}: nothing can be read or written",
                "Cancel its deletion and enable it, now: without it the archive is lost.",
            )
        policy = json.loads(kms.get_key_policy(KeyId=told["KeyId"], PolicyName="default")["Policy"])
        allowed = json.dumps([one["Principal"] for one in policy["Statement"] if one["Effect"] == "Allow"])
        wanted = {
            ":root": "the account",
            "logs.": "the logs",
            "scheduler.": "the scheduler",
            "cloudwatch.": "the alarms",
        }
        missing = [who for principal, who in wanted.items() if principal not in allowed]
        if missing:
            return Check(part, Level.PROBLEM, f"its policy no longer allows {', '.join(missing)}", _DEPLOY)
        if not kms.get_key_rotation_status(KeyId=told["KeyId"])["KeyRotationEnabled"]:
            return Check(part, Level.WARNING, "it does not rotate", _DEPLOY)
        return Check(part, Level.OK, f"{told['KeyId']}: enabled, rotates")

    def _runs(self, machine: str) -> Executions:
        return Executions(self._session.client("stepfunctions"), self._stack.outputs[machine])

    def _when(self, run: Execution) -> str:
        if run.ended_at is None:
            return f"{run.name} has run since {run.started_at:%Y-%m-%d %H:%M %Z}"
        return f"{run.name} {run.status} {run.ended_at:%Y-%m-%d %H:%M %Z}"


def _told(part: str, do: Callable[[str], Check]) -> Check:
    """A check, or why there is none."""
    try:
        return do(part)
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        if "NotFound" in code or code.startswith("NoSuch") or code.endswith(("DoesNotExist", "NonExistentQueue")):
            return Check(part, Level.PROBLEM, f"it is not there ({error.operation_name}: {code})", _DEPLOY)
        what = f"{error.operation_name}: {code}"
    except BotoCoreError as error:
        what = type(error).__name__
    except CloudSyncError as error:
        what = str(error)
    except KeyError as error:
        what = f"the stack tells no {error}; is it of an older version?"
    return Check(part, Level.NOT_CHECKED, f"could not be checked ({what})", "Look at what these credentials may do.")

"""The tracker in a DynamoDB table: hash key `provider`, range key `media_id`.

`unfinished` is set (to the provider) only on records that are not final, so that the index `unfinished-index` holds
nothing else. Leases and checkpoints are items of their own, with the hash keys `lease` and `checkpoint` and, unless
they are kept for good, an `expires_at` for the table's TTL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from core.errors import TransientError
from core.model import Record, Status, format_time, utc_now
from core.tracker.kept import read_record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

UNFINISHED_INDEX = "unfinished-index"

#: Most keys of one BatchGetItem (Amazon DynamoDB, service quotas).
_BATCH = 100

#: Records added in one transaction: fewer than the 100 allowed, so that large ones stay below its 4 MB.
_ADDED_AT_ONCE = 50
_WRITERS = 8
_LEASE = "lease"
_CHECKPOINT = "checkpoint"
_CHECKPOINT_SECONDS = 14 * 24 * 3600
_TEXTS = ("run_id", "filename", "reason", "error_type", "error")
_NUMBERS = ("originals", "length", "moved", "items")

_IS_NEW = "attribute_not_exists(media_id)"

_Item = dict[str, Any]


class DynamoTracker:
    """Records and leases in a table."""

    def __init__(
        self,
        client: DynamoDBClient,
        table_name: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table_name
        self._clock = clock
        self._sleep = sleep

    def get(self, provider: str, media_ids: Sequence[str]) -> dict[str, Record]:
        """The records of those media that have one, by media id."""
        found: dict[str, Record] = {}
        distinct = list(dict.fromkeys(media_ids))
        for start in range(0, len(distinct), _BATCH):
            keys = [_key(provider, media_id) for media_id in distinct[start : start + _BATCH]]
            found |= {record.media_id: record for record in map(_record, self._batch_get(keys))}
        return found

    def _batch_get(self, keys: list[_Item]) -> Iterator[_Item]:
        pause = 0.05
        while keys:
            answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            yield from answer["Responses"].get(self._table, [])
            left_over = answer.get("UnprocessedKeys", {})
            keys = [dict(key) for key in left_over[self._table]["Keys"]] if self._table in left_over else []
            if keys:
                if pause > 10:
                    raise TransientError("DynamoDB keeps leaving keys unprocessed. It is tried again.")
                self._sleep(pause)
                pause *= 2

    def add(self, records: Iterable[Record]) -> None:
        """Write the records of media that have none yet, in transactions: no batch write is conditional."""
        pending = iter(records)
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="tracker") as pool:
            in_flight: set[Future[None]] = set()
            while batch := list(islice(pending, _ADDED_AT_ONCE)):
                in_flight.add(pool.submit(self._add_all, batch))
                if len(in_flight) > _WRITERS:
                    done, in_flight = wait(in_flight, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            for future in in_flight:
                future.result()

    def _add_all(self, records: Sequence[Record]) -> None:
        puts: list[TransactWriteItemTypeDef] = [
            {"Put": {"TableName": self._table, "Item": _item(record), "ConditionExpression": _IS_NEW}}
            for record in records
        ]
        try:
            self._client.transact_write_items(TransactItems=puts)
        except ClientError as error:
            # One that is there already, or a throttled or oversized item, undoes all: then each goes alone.
            if error.response["Error"]["Code"] not in ("TransactionCanceledException", "ValidationException"):
                raise
            for record in records:
                self._add_one(record)

    def _add_one(self, record: Record) -> bool:
        return self._put(_item(record), _IS_NEW, {}, {})

    def save(self, record: Record) -> bool:
        """Write a record unless that would replace a COMPLETED one by anything else."""
        if record.status is Status.COMPLETED:
            self._client.put_item(TableName=self._table, Item=_item(record))
            return True
        condition = "attribute_not_exists(media_id) OR #status <> :completed"
        return self._put(_item(record), condition, {"#status": "status"}, {":completed": {"S": Status.COMPLETED.value}})

    def _put(self, item: _Item, condition: str, names: dict[str, str], values: _Item) -> bool:
        extra: _Item = {}
        if names:
            extra["ExpressionAttributeNames"] = names
        if values:
            extra["ExpressionAttributeValues"] = values
        return _holds(
            lambda: self._client.put_item(TableName=self._table, Item=item, ConditionExpression=condition, **extra)
        )

    def reopen(self, record: Record, seen: Record) -> bool:
        """Write a record in place of `seen`; a record never changes without its status or its time."""
        item = _item(seen)
        return self._put(
            _item(record),
            "#status = :status AND updated_at = :updated_at",
            {"#status": "status"},
            {":status": item["status"], ":updated_at": item["updated_at"]},
        )

    def unfinished(self, provider: str) -> Iterator[Record]:
        """The records whose status is not final; the index may lag behind by a moment."""
        items = self._query("unfinished = :provider", {":provider": provider}, IndexName=UNFINISHED_INDEX)
        return map(_record, items)

    def records(self, provider: str) -> Iterator[Record]:
        """Every record of a provider."""
        return map(_record, self._query("provider = :provider", {":provider": provider}, ConsistentRead=True))

    def _query(self, condition: str, values: Mapping[str, str], **more: Any) -> Iterator[_Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues={name: {"S": text} for name, text in values.items()},
            **more,
        )
        for page in pages:
            yield from page["Items"]

    def recall(self, name: str) -> str:
        """What was kept under `name`."""
        item = self._read(_CHECKPOINT, name)
        return _text(item, "text") if item else ""

    def keep(self, name: str, text: str) -> None:
        """Keep `text` under `name`, for longer than the bucket keeps an upload that nobody completes."""
        expires = ceil(self._clock().timestamp() + _CHECKPOINT_SECONDS)
        item = _key(_CHECKPOINT, name) | {"text": {"S": text}, "expires_at": {"N": str(expires)}}
        self._client.put_item(TableName=self._table, Item=item)

    def names(self, prefix: str) -> Iterator[str]:
        """The names that begin with `prefix`."""
        condition = "provider = :kind AND begins_with(media_id, :prefix)"
        items = self._query(condition, {":kind": _CHECKPOINT, ":prefix": prefix}, ConsistentRead=True)
        return (_text(item, "media_id") for item in items)

    def drop(self, name: str) -> None:
        """Forget what was kept under `name`."""
        self._client.delete_item(TableName=self._table, Key=_key(_CHECKPOINT, name))

    def replace(self, name: str, text: str, seen: str) -> bool:
        """Keep `text` for good in place of `seen`; what is kept so never expires."""
        item = _key(_CHECKPOINT, name) | {"text": {"S": text}}
        if not seen:
            return self._put(item, _IS_NEW, {}, {})
        return self._put(item, "#text = :seen", {"#text": "text"}, {":seen": {"S": seen}})

    def _read(self, kind: str, name: str) -> _Item | None:
        told = self._client.get_item(TableName=self._table, Key=_key(kind, name), ConsistentRead=True)
        return told.get("Item")

    def acquire(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease."""
        now = self._clock().timestamp()
        item = _key(_LEASE, name) | {
            "owner": {"S": owner},
            "until": {"N": f"{now + seconds:.3f}"},
            "expires_at": {"N": str(ceil(now + seconds))},
        }
        return self._put(
            item,
            "attribute_not_exists(media_id) OR #owner = :owner OR #until <= :now",
            {"#owner": "owner", "#until": "until"},
            {":owner": {"S": owner}, ":now": {"N": f"{now:.3f}"}},
        )

    def release(self, name: str, owner: str) -> None:
        """Give a lease back."""
        _holds(
            lambda: self._client.delete_item(
                TableName=self._table,
                Key=_key(_LEASE, name),
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": {"S": owner}},
            )
        )

    def held(self, name: str) -> bool:
        """Whether anybody has the lease now."""
        item = self._read(_LEASE, name)
        return item is not None and float(item["until"]["N"]) > self._clock().timestamp()


def _holds(write: Callable[[], object]) -> bool:
    """Do a conditional write; False if its condition does not hold."""
    try:
        write()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _key(provider: str, media_id: str) -> _Item:
    return {"provider": {"S": provider}, "media_id": {"S": media_id}}


def _item(record: Record) -> _Item:
    item = _key(record.provider, record.media_id) | {
        "status": {"S": record.status.value},
        "updated_at": {"S": format_time(record.updated_at) or ""},
    }
    item |= {name: {"S": text} for name in _TEXTS if (text := str(getattr(record, name))[:1000])}
    item |= {name: {"N": str(number)} for name in _NUMBERS if (number := getattr(record, name))}
    if not record.status.is_final:
        item["unfinished"] = {"S": record.provider}
    if record.medium:
        item["medium"] = {"S": record.medium.to_text()}
    return item


def _record(item: _Item) -> Record:
    return read_record({name: value for name, typed in item.items() for value in typed.values()})


def _text(item: _Item, name: str) -> str:
    return str(item[name]["S"]) if name in item else ""

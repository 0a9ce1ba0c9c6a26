"""The emulated AWS, counting what it is asked: `python counting_ministack.py`, with the emulator's own interpreter.

Each call of DynamoDB is asked for the capacity that it consumed, as the real one bills it; a condition that does not
hold consumes a write, and a read that finds nothing a read. The emulator keeps no history of the children of a map, so
the states that they enter are counted here. `GET /_load/counts` tells the counts.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from typing import Any

import ministack.app as emulator
from ministack.services import stepfunctions

PATH = "/_load/counts"
_WRITES = frozenset({"PutItem", "DeleteItem", "UpdateItem", "BatchWriteItem", "TransactWriteItems"})
_READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan"})

calls: Counter[str] = Counter()
units: Counter[str] = Counter()
_inner = emulator.app
_run_child = stepfunctions._run_sub_machine
_lock = threading.Lock()


class _Entered(dict[str, Any]):
    """The states of a child, which the emulator asks for once each time that one is entered."""

    def get(self, name: str, default: Any = None) -> Any:
        with _lock:
            units["transition"] += 1
        return super().get(name, default)


def run_child(states: dict[str, Any], *rest: Any) -> Any:
    """Run a child, counting the states that it enters."""
    return _run_child(_Entered(states), *rest)


async def counting(scope: Any, receive: Any, send: Any) -> None:
    """Count a request and pass it on."""
    if scope["type"] != "http":
        await _inner(scope, receive, send)
    elif scope["path"] == PATH:
        await _tell(send)
    else:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        prefix, _, operation = headers.get(b"x-amz-target", "").rpartition(".")
        if prefix.startswith("DynamoDB_") and operation in _WRITES | _READS:
            await _count_dynamodb(operation, scope, receive, send)
        else:
            calls[f"{_service(headers)} {operation or scope['method']}"] += 1
            await _inner(scope, receive, send)


def _service(headers: dict[bytes, str]) -> str:
    found = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", headers.get(b"authorization", ""))
    return found[1] if found else "other"


async def _count_dynamodb(operation: str, scope: Any, receive: Any, send: Any) -> None:
    calls[f"dynamodb {operation}"] += 1
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    asked = json.loads(body)
    body = json.dumps(asked | {"ReturnConsumedCapacity": "TOTAL"}).encode()
    headers = [pair for pair in scope["headers"] if pair[0].lower() != b"content-length"]
    scope = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
    waiting = [{"type": "http.request", "body": body, "more_body": False}]
    answer: list[bytes] = []

    async def hand_on() -> Any:
        return waiting.pop() if waiting else await receive()

    async def listen(message: Any) -> None:
        answer.append(message.get("body", b""))
        await send(message)

    await _inner(scope, hand_on, listen)
    told = json.loads(b"".join(answer) or b"{}").get("ConsumedCapacity") or {"CapacityUnits": 1.0}
    consumed = told if isinstance(told, list) else [told]
    total = sum(one["CapacityUnits"] for one in consumed)
    # The real one bills a read of what is not there; the emulator does not.
    keys = sum(len(one["Keys"]) for one in asked["RequestItems"].values()) if operation == "BatchGetItem" else 0
    units["write" if operation in _WRITES else "read"] += max(total, keys)


async def _tell(send: Any) -> None:
    body = json.dumps({"calls": calls, "units": units}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    emulator.app = counting
    stepfunctions._run_sub_machine = run_child
    emulator.main()

"""A message into a chat: what is posted, when it is posted again, and that its address is never told."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from core.errors import CloudSyncError, InvalidInput, TransientError
from core.notify.chat import LONGEST_TEXT, post, text_of
from tests.chat import SECRET, Chat
from tests.scripted import Scripted, raw


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as running:
        yield running


def test_a_text_is_posted_as_slack_and_as_discord_read_it_and_mentions_nobody(chat: Chat) -> None:
    post(chat.url, "hello")
    assert chat.posted == [{"text": "hello", "content": "hello", "allowed_mentions": {"parse": []}}]
    assert chat.headers[0]["Content-Type"] == "application/json"


def test_a_chat_that_is_overloaded_is_asked_again(chat: Chat) -> None:
    pauses: list[float] = []
    chat.statuses = [429, 503]
    post(chat.url, "hello", sleep=pauses.append)
    assert (chat.texts(), len(pauses)) == (["hello"], 2)


@pytest.mark.parametrize("status", [400, 403, 404, 301, 307])
def test_a_chat_that_refuses_is_asked_once_and_its_address_is_not_told(chat: Chat, status: int) -> None:
    chat.statuses = [status]
    with pytest.raises(InvalidInput, match=str(status)) as raised:
        post(chat.url, "hello")
    assert SECRET not in str(raised.value)
    assert chat.posted == []


def test_a_chat_that_is_not_there_is_a_fault_that_does_not_tell_its_address() -> None:
    with Chat() as gone:
        url = gone.url
    with pytest.raises(TransientError) as raised:
        post(url, "hello", sleep=lambda _: None)
    assert SECRET not in str(raised.value)


def test_no_log_quotes_the_address_of_a_chat_that_answers_malformed_headers(caplog: pytest.LogCaptureFixture) -> None:
    with Scripted() as chat:
        url = chat.answer(f"/services/{SECRET}", raw("200 OK", "Content-Length: 2", "no colon", "X: y", body=b"ok"))
        with caplog.at_level(logging.DEBUG):
            post(url, "hello")
    assert len(chat.requests) == 1
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "address",
    [f"http://hooks.example/{SECRET}", f"ftp://127.0.0.1/{SECRET}", f"https://a@b/{SECRET}", SECRET, "", "{}"],
)
def test_only_https_and_loopback_are_addresses_of_a_chat(address: str) -> None:
    with pytest.raises(CloudSyncError) as raised:
        post(address, "hello")
    assert SECRET not in str(raised.value)
    assert "the webhook" in str(raised.value)


def test_a_notification_is_told_as_its_text() -> None:
    assert text_of("Subject", json.dumps({"message": "one\ntwo"})) == "Subject\none\ntwo"


def test_an_alarm_is_told_by_its_description_and_reason() -> None:
    alarm = {"AlarmName": "x", "AlarmDescription": "Look here.", "NewStateReason": "Threshold crossed."}
    assert text_of("ALARM: x", json.dumps(alarm)) == "ALARM: x\nLook here.\nThreshold crossed."
    assert text_of("ALARM: x", json.dumps(alarm | {"AlarmDescription": None})) == "ALARM: x\nThreshold crossed."


@pytest.mark.parametrize("message", ["words", "[1]", '"words"', '{"other": 1}'])
def test_what_is_neither_is_told_as_it_is(message: str) -> None:
    assert text_of("", message) == message


def test_no_name_calls_everybody_or_hides_a_link() -> None:
    text = text_of("", "<!channel> @everyone <https://evil.example|GX01.MP4>")
    assert not set("<>@") & set(text)


def test_a_long_text_is_cut_to_what_every_chat_takes() -> None:
    text = text_of("Subject", "x" * 50_000)
    assert len(text) == LONGEST_TEXT
    assert text.endswith("(shortened)")

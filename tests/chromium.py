"""Pages as a person sees them: headless Chromium, spoken to over its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.browsers import CHROMIUM

_SWITCHES = ("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run")

_LOOK = """(async () => {
  const images = [...document.images];
  for (const one of images) one.loading = 'eager';
  await Promise.all(images.map(one => one.decode().catch(() => null)));
  const wide = [...document.querySelectorAll('body *')].filter(
    one => one.getBoundingClientRect().right > innerWidth + 0.5 && !one.closest('.frame, svg'));
  return {
    width: innerWidth,
    scrollWidth: document.documentElement.scrollWidth,
    tooWide: wide.map(one => one.outerHTML.slice(0, 200)),
    smallest: Math.min(...[...document.querySelectorAll('main *')].filter(one => one.textContent.trim())
      .map(one => parseFloat(getComputedStyle(one).fontSize))),
    images: images.length,
    broken: images.filter(one => !one.naturalWidth).map(one => one.src),
    scripts: document.scripts.length,
    ground: getComputedStyle(document.body).backgroundColor,
  };
})()"""


class Browser:
    """A running Chromium with one page; `troubles` is what it has logged."""

    def __init__(self, to: int, back: int) -> None:
        self._to = to
        self._back = back
        self._pending = b""
        self._numbers = count(1)
        self._session = ""
        self.troubles: list[str] = []
        self.asked_for: list[str] = []
        (target,) = (one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        attached = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self._call(f"{domain}.enable")

    def look(self, page: Path, width: int, *, dark: bool = False, shot: Path | None = None) -> dict[str, Any]:
        """Open a page in a window of `width` and tell what is seen; keep a picture of all of it as `shot`."""
        self.troubles.clear()
        self.asked_for.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self._call("Page.navigate", url=page.as_uri())
        self._wait("Page.loadEventFired")
        told = self._call("Runtime.evaluate", expression=_LOOK, awaitPromise=True, returnByValue=True)
        if shot:
            picture = self._call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
            shot.write_bytes(base64.b64decode(picture["data"]))
        seen: dict[str, Any] = told["result"]["value"]
        return seen

    def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _wait(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            more = os.read(self._back, 1 << 20)
            assert more, "the browser has gone"
            self._pending += more
        line, _, self._pending = self._pending.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        told = message.get("params", {})
        match message.get("method"):
            case "Log.entryAdded":
                self.troubles.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.troubles.append(json.dumps(told))
            case "Network.requestWillBeSent":
                self.asked_for.append(told["request"]["url"])
        return message


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium; whoever calls skips where there is none."""
    assert CHROMIUM
    to, back = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [CHROMIUM, *_SWITCHES, f"--user-data-dir={profile}", "about:blank"]
        # Chromium reads its commands from descriptor 3 and writes to 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{to[0]} 4>&{back[1]}', "bash", *arguments]
        process = subprocess.Popen(
            shell, pass_fds=(to[0], back[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=profile
        )
        os.close(to[0])
        os.close(back[1])
        try:
            yield Browser(to[1], back[0])
        finally:
            os.close(to[1])
            os.close(back[0])
            process.terminate()
            process.wait(10)

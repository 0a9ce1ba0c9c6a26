"""Real browsers, headless, that visit an emulated gopro.com and keep its cookies in profiles of their own."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: Every name is this machine, no page is asked for unasked, and a page may come without TLS.
_PREFERENCES = """
user_pref("network.dns.forceResolve", "127.0.0.1");
user_pref("network.proxy.type", 0);
user_pref("network.stricttransportsecurity.preloadlist", false);
user_pref("dom.security.https_first", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
"""


@contextmanager
def website(cookies: Mapping[str, str], tls: tuple[Path, Path] | None = None) -> Iterator[int]:
    """A site that signs everybody in with these cookies, for its whole domain; its port."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in cookies.items():
                secure = "; Secure; HttpOnly" if tls else ""
                self.send_header("Set-Cookie", f"{name}={value}; Domain=gopro.com; Path=/; Max-Age=86400{secure}")
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<p>signed in</p>")

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that nobody trusts, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    new = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=gopro.com")
    command = ["openssl", "req", *new, "-out", str(cert), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def visit_with_firefox(home: Path, folder: Path, cookies: Mapping[str, str]) -> None:
    """Sign in with Firefox, whose profile is `folder`."""
    assert FIREFOX
    folder.mkdir(parents=True)
    (folder / "user.js").write_text(_PREFERENCES)
    with website(cookies) as port:
        page = f"http://gopro.com:{port}/"
        _run(home, FIREFOX, "--headless", "--profile", str(folder), "--screenshot", str(home / "seen.png"), page)


@contextmanager
def running_firefox(home: Path, folder: Path, cookies: Mapping[str, str]) -> Iterator[None]:
    """Firefox, signed in and left open."""
    assert FIREFOX
    folder.mkdir(parents=True)
    (folder / "user.js").write_text(_PREFERENCES)
    with website(cookies) as port:
        command = [FIREFOX, "--headless", "--profile", str(folder), f"http://gopro.com:{port}/"]
        running = subprocess.Popen(
            command, env=_environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield
            assert running.poll() is None, "it has ended by itself"
        finally:
            running.terminate()
            running.wait(30)


def visit_with_chromium(home: Path, folder: Path, cookies: Mapping[str, str]) -> None:
    """Sign in with Chromium, whose user data are in `folder`."""
    assert CHROMIUM
    harmless = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server")
    here = ("--host-resolver-rules=MAP * 127.0.0.1", "--ignore-certificate-errors", f"--user-data-dir={folder}")
    # It asks gopro.com over TLS alone: the name is in its list of those that demand it.
    with website(cookies, certificate(home)) as port:
        page = f"https://gopro.com:{port}/"
        _run(home, CHROMIUM, *harmless, *here, "--timeout=4000", "--dump-dom", page)


def _run(home: Path, *command: str) -> None:
    done = subprocess.run(
        command, env=_environment(home), cwd=home, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def _environment(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

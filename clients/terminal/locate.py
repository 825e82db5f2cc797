"""How both programs find their profile directory and their server."""
import argparse
import hashlib
import json
import os
import pathlib
import ssl
import urllib.parse

from client import Client
from store import Store
from wire import Link, is_loopback

DEFAULT_SERVER = "http://127.0.0.1:8080"


def add_options(parser: argparse.ArgumentParser, nested: bool = False) -> None:
    """Before the verb and after it: there an option that is not given must not hide the other."""
    default = argparse.SUPPRESS if nested else None
    parser.add_argument("--profile", metavar="DIR", default=default, help="the profile directory [HONGYAN_PROFILE]")
    parser.add_argument("--server", metavar="URL", default=default, help="the server [the profile's, HONGYAN_SERVER, "
                        "the one of ./data, " + DEFAULT_SERVER + "]")
    parser.add_argument("--fingerprint", metavar="HEX", default=default,
                        help="pin the server's own certificate: SHA-256, kept in the profile")


def profile_directory(given: str | None) -> pathlib.Path:
    if given or os.environ.get("HONGYAN_PROFILE"):
        return pathlib.Path(given or os.environ["HONGYAN_PROFILE"]).expanduser()
    return pathlib.Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "hongyan"


def local_server() -> tuple[str, str]:
    """(URL, fingerprint) of the server whose data directory is at hand, or ("", "")."""
    places = [os.environ.get("HONGYAN_DATA"), "data", os.path.join(os.environ.get("HY_ROOT", "."), "data")]
    for data in (pathlib.Path(place) for place in places if place):
        try:
            url = str(json.loads((data / "server.json").read_text())["web"])
            parts = urllib.parse.urlsplit(url)
            if parts.hostname in ("0.0.0.0", "::"):
                url = f"{parts.scheme}://127.0.0.1:{parts.port}"
        except (OSError, ValueError, KeyError, TypeError):
            continue
        pin = ""
        try:
            if parts.scheme == "https":
                pem = (data / "tls-certificate.pem").read_text()
                pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        except (OSError, ValueError):
            pass
        return url, pin
    return "", ""


def open_client(arguments: argparse.Namespace, patience: float) -> Client:
    store = Store(profile_directory(arguments.profile))
    with store.locked():
        known, pin = store.profile.get("server", ""), store.profile.get("fingerprint", "")
    url = arguments.server or known or os.environ.get("HONGYAN_SERVER", "")
    if not url:
        url, pin = local_server()
    elif Link(url).url != known:
        pin = ""  # It was another server's.
    link = Link(url or DEFAULT_SERVER, arguments.fingerprint or pin)
    return Client(store, link, patience)


def in_clear(link: Link) -> bool:
    return not link.tls and not is_loopback(link.host)

"""Every service as a process of its own, for tests: settings on free ports, a deployment that is ended whatever happens,
and waiting as clients do."""
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools/verbs"))
import ports  # noqa: E402
from processes import ENDPOINTS, SERVICES, Deployment  # noqa: E402
from web_client import Refused, Unreached  # noqa: E402

LIMIT_S = 60  # For what must come about, however slow the machine is.


class Web:
    """What the web client wants to know of a server."""

    def __init__(self, port):
        self.port = port


def settings(without=(), more=()):
    """(the text, the web port). Of `without`, who has workers is left out: the deployment says where they are. Passwords are
    cheap, nobody is limited, and `more` are further lines, at the end."""
    plain = [name for name in ENDPOINTS if name not in without]
    *places, web, link, sealed, server = ports.free(len(plain) + 4)
    # Keys and no table: the deployment writes keys of its own before them.
    lines = [f'services.{name} = "127.0.0.1:{port}"' for name, port in zip(plain, places)]
    lines += ["[web]", f"port = {web}", "[long_link]", f"port = {link}", f"sealed_port = {sealed}", "[server_api]", f"port = {server}",
              "[password]", "memory_mib = 8", "passes = 1", "[limits]", "anonymous_per_second = 1000", "anonymous_burst = 1000",
              "requests_per_second = 10000", "requests_burst = 10000", *more]
    return "\n".join(lines) + "\n", web


@contextlib.contextmanager
def deployed(name, more=(), with_workers=(), ended_before=(), **options):
    """(deployment, its web gate) with all services started. In the end they stop, and each must do so in an orderly way but
    for those that the test itself has `ended_before`. After a failure the ends of their logs are printed, the data kept."""
    data = pathlib.Path(tempfile.mkdtemp(prefix=f"hongyan-{name}-"))
    text, port = settings(with_workers, more)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HONGYAN_")}
    deployment = Deployment(data, text, environment=environment, with_workers=with_workers, **options)
    try:
        deployment.start_all()
        yield deployment, Web(port)
        ended = deployment.stop_all()
        assert ended == {name: 0 for name in SERVICES if name not in ended_before}, ended
    except BaseException:
        for log in sorted((data / "logs").iterdir()):
            print(f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-8:], sep="\n")
        raise
    finally:
        for process in deployment.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
    shutil.rmtree(data)


def until(condition, what, limit_s=LIMIT_S):
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, what() if callable(what) else what
        time.sleep(0.05)


def patiently(work):
    """Until it is answered, as clients do."""
    limit = time.monotonic() + LIMIT_S
    while True:
        try:
            return work()
        except Unreached:
            assert time.monotonic() < limit, "never answered"
        except Refused as refused:
            assert refused.error_class in (1, 2) and time.monotonic() < limit, refused
        time.sleep(0.05)

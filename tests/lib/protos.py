"""The client contract for tests in Python: compiles the protos into a folder of their own.

python3-protobuf belongs to the system's Python; where another one comes first in PATH, the script starts again there."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"

try:
    import google.protobuf  # noqa: F401
except ImportError:
    if sys.executable == SYSTEM_PYTHON or not os.path.exists(SYSTEM_PYTHON):
        raise
    os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])


def compile_protos():
    """Makes `api.client.*_pb2` importable; the folder lives as long as the returned object."""
    folder = tempfile.TemporaryDirectory(prefix="hongyan-protos-")
    protos = ["src/rpc/options.proto", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "src/api/client").glob("*.proto")))]
    subprocess.run(["protoc", "-I", "src", f"--python_out={folder.name}", *protos], cwd=ROOT, check=True)
    sys.path.insert(0, folder.name)
    return folder

"""Installs the Dapr SDKs of the examples, once for all of them: into .venv and node_modules beside this file."""

import fcntl
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
VENV = HERE / ".venv"
MODULES = HERE / "node_modules"


def install_python():
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    pip = [VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)


def install_node():
    if not shutil.which("npm"):
        sys.exit("npm is missing: install Node.js 20 or newer")
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=HERE, check=True)


def ensure(folder, pins, install):
    """Installs into `folder` unless what `pins` lists is there already."""
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == pins.read_text():
        print(f"{folder.name} is up to date", flush=True)
        return
    print(f"installing {pins.name} into {folder.name}", flush=True)
    install()
    stamp.write_text(pins.read_text())


with open(__file__) as lock:
    # Several examples may be started at once.
    fcntl.flock(lock, fcntl.LOCK_EX)
    ensure(VENV, HERE / "requirements.txt", install_python)
    ensure(MODULES, HERE / "package-lock.json", install_node)

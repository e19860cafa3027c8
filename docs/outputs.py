"""``make docs``: run the commands that the README shows and put what they print below them.

A ``console`` block is a transcript: lines that begin with ``$ `` are run in order, in one shell session and one folder,
and what follows each is replaced by what it printed. What differs from run to run (ports, times, folders, the ids of
requests and resource shares) is written as one fixed value. ``--check`` changes nothing and fails if the README would
change.

What can go wrong: a command that hangs. Each has a time limit, and the local cloud of a transcript ends with it.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN_PORT = "8700"

STEADY: tuple[tuple[str, str], ...] = (
    (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", "2026-11-21T12:00:00Z"),
    (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})? UTC", "2026-11-21 12:00:00 UTC"),  # a full minute has no seconds
    (r"sure after 2026-11-21T12:00:00Z", "sure after 2026-11-21T12:15:00Z"),
    (r"after \d{2}:\d{2} UTC", "after 12:15 UTC"),
    (r"\brs-[0-9a-z]{12}\b", "rs-7gm2xk04cq1d"),
    (r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", "0DDA2C9E-5B1C-5B4B-9E0A-1B0F2A6C3D4E"),
)


def steady(text: str) -> str:
    """What a command printed, with one value for all that differs from run to run, and no blanks at the ends."""
    for pattern, fixed in STEADY:
        text = re.sub(pattern, fixed, text)
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


class Session:
    """One shell session: its environment and folder last from command to command."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.folder = folder
        (folder / "policy.yaml").write_text(policy)
        (folder / "localcloud").symlink_to(ROOT / "localcloud")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ORGSHARE_", "ALIBABA_CLOUD_"))}
        proxies = {"http_proxy", "https_proxy", "all_proxy"}
        self.environment = {k: v for k, v in clean.items() if k.lower() not in proxies}
        self.environment["PATH"] = f"{Path(sys.executable).parent}:{self.environment['PATH']}"
        self.server: subprocess.Popen[str] | None = None
        self.port = ""

    def run(self, command: str) -> str:
        """Run a command; what it printed on both streams."""
        if command.endswith(" &"):
            return self._serve(command[:-2])
        if command.startswith("export "):
            for setting in command.removeprefix("export ").split():
                name, _, value = setting.partition("=")
                self.environment[name] = value.replace(SHOWN_PORT, self.port)
            return ""
        done = subprocess.run(
            ["bash", "-c", command.replace(SHOWN_PORT, self.port)],
            cwd=self.folder, env=self.environment, text=True, check=False, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return self._steady(done.stdout)

    def _serve(self, command: str) -> str:
        arguments = re.sub(r" --port \d+", "", command).split()
        self.server = subprocess.Popen(
            arguments, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE
        )
        assert self.server.stdout is not None
        url = self.server.stdout.readline()
        self.port = url.strip().rpartition(":")[2]
        return self._steady(url)

    def _steady(self, text: str) -> str:
        return steady(text.replace(self.port, SHOWN_PORT).replace(str(self.folder), "/srv/golden-images"))

    def end(self) -> None:
        """End the local cloud that this session started."""
        if self.server is not None:
            self.server.terminate()
            self.server.wait()


def produced(text: str) -> str:
    """The text with every transcript run anew."""
    policy = re.search(r"^```yaml\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert policy is not None
    folder = Path(tempfile.mkdtemp(prefix="orgshare-docs-"))
    session = Session(folder, policy[1])
    try:
        return BLOCK.sub(_transcript(session), text)
    finally:
        session.end()
        shutil.rmtree(folder)


def _transcript(session: Session) -> Callable[[re.Match[str]], str]:
    def run(block: re.Match[str]) -> str:
        commands = [line[2:] for line in block[1].splitlines() if line.startswith("$ ")]
        printed = "".join(f"$ {command}\n{session.run(command)}" for command in commands)
        return f"```console\n{printed}```"

    return run


def main(arguments: list[str]) -> int:
    """Produce the outputs, or check them."""
    before = README.read_text()
    after = produced(before)
    if arguments == ["--check"]:
        if after != before:
            print("README.md shows outputs that the program does not print any more: run make docs", file=sys.stderr)
            changes = difflib.unified_diff(
                before.splitlines(), after.splitlines(), "shown", "printed", n=0, lineterm=""
            )
            print(*changes, sep="\n", file=sys.stderr)
        return int(after != before)
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

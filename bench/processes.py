"""Each size is measured in a process of its own, so that its peak memory is that of what is measured alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def measured(module: str, *arguments: str) -> dict[str, float]:
    """What a module prints when it is run with these arguments."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def peak_mib() -> float:
    """The most memory that this process had; ``ru_maxrss`` would also count the process that started it."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1024

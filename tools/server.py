"""Starts an Alluvia server for a script, waits until it accepts, and stops it again."""

import re
import signal
import subprocess
import threading
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent
READY = re.compile(r"alluvia is ready on (?P<host>.+):(?P<port>\d+)")
START_SECONDS = 60
STOP_SECONDS = 30


class Server:
    """A server process on a free loopback port, for use in a `with` block.

    It runs in the repository's root, because the paths in our SQL files are relative to it.
    """

    def __init__(self, binary: Path, data_dir: Path, *options: str) -> None:
        self.command = [str(binary), "serve", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0", *options]
        self.host, self.port = "127.0.0.1", 0

    def __enter__(self) -> "Server":
        self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(START_SECONDS, self.process.kill)
        watchdog.start()
        ready = next((found for line in self.process.stdout if (found := READY.search(line))), None)
        watchdog.cancel()
        if ready is None:
            raise SystemExit(f"the server did not start (exit status {self.process.wait()}): {' '.join(self.command)}")
        self.host, self.port = ready["host"], int(ready["port"])
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit(f"the server did not stop within {STOP_SECONDS} s of SIGTERM") from error
        if status != 0 and error is None:
            raise SystemExit(f"the server ended with status {status}")

    def dsn(self) -> str:
        """Connection string for psycopg and psql."""
        return f"host={self.host} port={self.port} user=alluvia dbname=alluvia"

    def peak_memory_mb(self) -> float | None:
        """Largest resident size so far in MiB; None where /proc is missing."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except FileNotFoundError:
            return None
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

"""A temporary PostgreSQL cluster on the loopback, for comparisons; it is gone when the block ends."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

BINARIES = Path("/usr/lib/postgresql")
ACCOUNTS = ("postgres", "nobody")


def installation() -> Path | None:
    """The folder of initdb and pg_ctl: version 15 where several are installed, else the one on the path, else any."""
    if (BINARIES / "15" / "bin" / "initdb").exists():
        return BINARIES / "15" / "bin"
    found = shutil.which("initdb") or next(BINARIES.glob("*/bin/initdb"), None)
    return Path(found).parent if found else None


class Postgres:
    """A cluster with default settings and trust authentication, owned by an account other than root."""

    def __init__(self, binaries: Path) -> None:
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="alluvia-peer-"))
        self.account = self.other_account() if os.geteuid() == 0 else None

    @staticmethod
    def other_account() -> pwd.struct_passwd:
        """PostgreSQL refuses to run as root, so root lends it another account."""
        for name in ACCOUNTS:
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise SystemExit(f"PostgreSQL does not run as root, and none of the accounts {', '.join(ACCOUNTS)} exists")

    def command(self, program: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's own programs quietly."""
        identity = {}
        if self.account:
            identity = {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}
        words = [self.binaries / program, *arguments]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **identity)

    def __enter__(self) -> "Postgres":
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        cluster = str(self.folder / "cluster")
        self.command("initdb", "--pgdata", cluster, "--username", "alluvia", "--auth", "trust", "--encoding", "UTF8")
        options = f"-k {self.folder} -c listen_addresses=127.0.0.1 -p {self.free_port()}"
        self.command("pg_ctl", "start", "-w", "-D", cluster, "-o", options, "-l", str(self.folder / "log"))
        return self

    def free_port(self) -> int:
        """A port for the loopback listener."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        return self.port

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.command("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.folder / "cluster"))
        shutil.rmtree(self.folder)

    def dsn(self) -> str:
        """Connection string over the loopback, as our own server is reached."""
        return f"host=127.0.0.1 port={self.port} user=alluvia dbname=postgres"

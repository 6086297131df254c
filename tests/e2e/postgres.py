"""A throw-away PostgreSQL for the run: started by `initdb`, gone at the end.

PostgreSQL refuses root, so as root it runs as `postgres`; /root is not readable to that user, so
everything lies under /tmp.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def find_bin() -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").is_file():
            return folder
    found = shutil.which("initdb")
    assert found, "no PostgreSQL: run `cargo xtask setup`"
    return Path(found).parent


class Postgres:
    """A cluster that listens on a Unix socket and on nothing else."""

    def __init__(self):
        self.bin = find_bin()
        self.dir = Path(tempfile.mkdtemp(prefix="viaduct-pg-", dir="/tmp"))
        self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        if self.user:
            shutil.chown(self.dir, "postgres", "postgres")
        self.count = 0
        self.run("initdb", "-D", self.dir / "data", "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8")
        self.start()

    def run(self, program: str, *args) -> str:
        done = subprocess.run(
            [*self.user, str(self.bin / program), *map(str, args)],
            capture_output=True, text=True, cwd="/tmp", timeout=60,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self.dir} -c fsync=off"
        subprocess.run(
            [*self.user, str(self.bin / "pg_ctl"), "-D", str(self.dir / "data"), "-o", options, "-w",
             "-l", str(self.dir / "log"), "start"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/tmp", timeout=60,
        )

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.dir / "data", "-m", "immediate", "-w", "stop")

    def database(self) -> str:
        """The address of a fresh, empty database."""
        self.count += 1
        name = f"viaduct{self.count}"
        self.sql("postgres", f"CREATE DATABASE {name}")
        return f"postgres://postgres@/{name}?host={self.dir}"

    def sql(self, database: str, text: str) -> str:
        return self.run("psql", "-h", self.dir, "-U", "postgres", "-d", database, "-qAt", "-c", text)

    def close(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

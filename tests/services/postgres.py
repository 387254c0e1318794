"""A real PostgreSQL server in a folder of its own, reached on loopback only."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.pipeline.servers import free_port
from tests.services.processes import HOST

USER = "owner"
PASSWORD = "only0for0this0test"
SERVER_USERS = ("postgres", "nobody")
"""Whose rights the server gets when root starts it, which it refuses to run as."""

SETTINGS = ("fsync=off", "max_connections=100", f"listen_addresses={HOST}")


def binaries() -> Path | None:
    """Folder of PostgreSQL's programs, the newest version's; None when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def _version(program: Path) -> int:
    name = program.parents[1].name
    return int(name) if name.isdigit() else 0


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A server's programs, folder and port; it may be stopped and started again."""

    programs: Path
    folder: Path
    port: int

    def uri(self, database: str, driver: str, owner: str = USER) -> str:
        """Address of a database for SQLAlchemy with the ``driver``."""
        return f"postgresql+{driver}://{owner}:{PASSWORD}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Start, and return when it answers."""
        options = " ".join(f"-c {one}" for one in SETTINGS)
        options += f" -p {self.port} -k {self.folder}"
        self._control("-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``fast`` ends the connections, ``immediate`` is a crash."""
        self._control("-m", mode, "-w", "stop")

    def _control(self, *arguments: str) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def query(self, database: str, statement: str) -> list[str]:
        """Rows of a query, asked past every library; columns are parted by ``|``."""
        bare = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        return self.run("psql", *bare, "-d", database, "-c", statement).splitlines()

    def environment(self) -> dict[str, str]:
        """What PostgreSQL's own programs need to find this server."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        place = {"PGHOST": HOST, "PGPORT": str(self.port)}
        return place | {"PGUSER": USER, "PGPASSWORD": PASSWORD, "PATH": path}

    def run(self, program: str, *arguments: str) -> str:
        """Output of one of PostgreSQL's programs."""
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            env=os.environ | self.environment(),
            stdin=subprocess.DEVNULL,
            # no pipe: the server would inherit it from pg_ctl and keep it open
            stdout=(out := (self.folder / "output").open("w+")),
            stderr=subprocess.STDOUT,
            **_rights(),
        )
        with out:
            out.seek(0)
            text = out.read()
        assert done.returncode == 0, f"{program} {arguments}: {text}"
        return text


def _rights() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    name = next(name for name in SERVER_USERS if name in known)
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}


@contextmanager
def running_postgres(programs: Path) -> Iterator[Postgres]:
    """A fresh server with nothing in it but what PostgreSQL makes; removed in the end."""
    # not below pytest's folder, which only its owner may enter
    folder = Path(mkdtemp(prefix="pg-", dir="/tmp"))
    if rights := _rights():
        shutil.chown(folder, rights["user"], rights["group"])
    server = Postgres(programs=programs, folder=folder, port=free_port())
    try:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        data = ("-D", str(folder / "data"), "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync")
        server.run("initdb", *data, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}")
        server.start()
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop("immediate")
    finally:
        shutil.rmtree(folder)

"""What a cluster stands on, started for real on loopback and stopped again: an S3 store, Postgres, Redis."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from urllib.error import URLError
from urllib.request import urlopen

KEY, SECRET, BUCKET = "liq", "liq-secret", "liq"
# SeaweedFS listens 10,000 above each of its ports, too, on some after half a minute only: all lie below 32,768, from
# where on Linux gives any connection a port.
LOWEST_PORT, HIGHEST_PORT = 11_000, 22_000
START_SECONDS = 150.0


class NotStarted(Exception):
    """A service did not come up; says what it wrote last."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, nor 10,000 above."""
    found: list[int] = []
    dice = Random(os.getpid() * 1_000_003 + time.monotonic_ns())
    while len(found) < count:
        port = dice.randrange(LOWEST_PORT, HIGHEST_PORT)
        with suppress(OSError), socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            found.append(port)
    return found


@dataclass
class Service:
    """A process that can be killed and started again.

    Args:
        name: for people, and of its log.
        command: what is run.
        folder: where it runs, and where its log lies.
        is_up: whether it answers.
        options: of `subprocess.Popen`.
        patience_seconds: to end in good order.
    """

    name: str
    command: Sequence[str | Path]
    folder: Path
    is_up: Callable[[], bool]
    options: dict[str, object] = field(default_factory=dict)
    patience_seconds: float = 15.0
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where what it writes goes."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [str(part) for part in self.command], cwd=self.folder, stdout=out, stderr=out,
                start_new_session=True, **self.options,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self.is_up():
            if self.process.poll() is not None or time.monotonic() > deadline:
                last = self.log.read_text(errors="replace")[-1500:]
                raise NotStarted(f"{self.name} did not come up (exit code {self.process.poll()}): {last}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as a power cut would: the process and what it started."""
        self._signal(signal.SIGKILL)
        if self.process:
            self.process.wait()

    def pause(self) -> None:
        """Let it hang: connections stay open, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in good order; by force where it does not."""
        if self.process is None:
            return
        for number in (signal.SIGCONT, signal.SIGTERM):
            self._signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(self.patience_seconds)
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Run a service meanwhile."""
    try:
        service.start()
        yield service
    finally:
        service.stop()


def object_store(folder: Path) -> tuple[Service, dict[str, str]]:
    """Return SeaweedFS, and the variables with which `liq` finds the bucket in it (to be made by `make_bucket`)."""
    folder.mkdir(parents=True, exist_ok=True)
    s3, master, volume, filer = free_ports(4)
    identity = {"name": "liq", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    command = [
        Path(sys.executable).with_name("weed"), "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}",
        f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", "-master.volumeSizeLimitMB=256",
        "-volume.max=100", "-master.telemetry=false", "-s3", f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.config={folder / 's3.json'}",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{s3}"
    variables = {
        "LIQ_STORAGE": f"s3://{BUCKET}/map",
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    return Service("weed", command, folder, lambda: _answers(f"{address}/status"), patience_seconds=1), variables


def make_bucket(variables: dict[str, str]) -> None:
    """Make the bucket that the variables name. SeaweedFS makes one with the first object in it."""
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        BUCKET, endpoint=variables["AWS_ENDPOINT_URL"], access_key_id=KEY, secret_access_key=SECRET,
        region="us-east-1", client_options={"allow_http": True},
    )  # fmt: skip
    obstore.put(store, "made", b"")


def postgres(folder: Path) -> tuple[Service, str]:
    """Return Debian's Postgres on a new database, and its port; no password: it listens on loopback alone."""
    folder.mkdir(parents=True, exist_ok=True)
    options: dict[str, object] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        shutil.chown(folder, "postgres", "postgres")
        options = {"user": "postgres", "group": "postgres", "extra_groups": []}
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    data, (port,) = folder / "data", free_ports(1)
    subprocess.run(
        [tools / "initdb", "-D", data, "-U", "liq", "--auth=trust", "--encoding=UTF8", "--no-locale"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **options,
    )  # fmt: skip
    command = [
        tools / "postgres", "-D", data, "-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1",
        "-c", "max_connections=200",
    ]  # fmt: skip
    ready = [tools / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    service = Service("postgres", command, folder, lambda: subprocess.run(ready, check=False).returncode == 0, options)
    return service, str(port)


def redis(folder: Path) -> tuple[Service, str]:
    """Return Debian's Redis without a file: killed, it loses its queue; and its address."""
    folder.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return Service("redis", command, folder, lambda: _listens(port)), f"redis://127.0.0.1:{port}/0"


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False

"""Libraries for S3, beside each other: what importing, small files and conditional writes cost with each.

python -m benchmarks.object_storage http://127.0.0.1:18333 BUCKET KEY SECRET obstore boto3 s3fs pyarrow
Those named are to be installed; the bucket is there. The table in docs/decisions/storage.md is its output.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

FILES, SIZE, THREADS = 240, 60_000, 8  # what a run of one symbol leaves
WRITERS, TURNS = 8, 25


class Refused(Exception):
    """The condition of a write did not hold."""


class Library(Protocol):
    def put(self, key: str, data: bytes) -> None: ...

    def get(self, key: str) -> tuple[bytes, str]: ...

    def swap(self, key: str, data: bytes, tag: str) -> None: ...


class Obstore:
    def __init__(self, url: str, bucket: str, key: str, secret: str) -> None:
        import obstore

        self.api = obstore
        self.store = obstore.store.S3Store(
            bucket, endpoint=url, access_key_id=key, secret_access_key=secret, region="us-east-1",
            client_options={"allow_http": True},
        )  # fmt: skip

    def put(self, key: str, data: bytes) -> None:
        self.api.put(self.store, key, data)

    def get(self, key: str) -> tuple[bytes, str]:
        found = self.api.get(self.store, key)
        return bytes(found.bytes()), found.meta["e_tag"]

    def swap(self, key: str, data: bytes, tag: str) -> None:
        try:
            self.api.put(self.store, key, data, mode={"e_tag": tag})
        except self.api.exceptions.PreconditionError as error:
            raise Refused from error


class Boto3:
    def __init__(self, url: str, bucket: str, key: str, secret: str) -> None:
        import boto3
        from botocore.exceptions import ClientError

        self.bucket, self.error = bucket, ClientError
        self.client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
        )

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key: str) -> tuple[bytes, str]:
        found = self.client.get_object(Bucket=self.bucket, Key=key)
        return found["Body"].read(), found["ETag"]

    def swap(self, key: str, data: bytes, tag: str) -> None:
        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=data, IfMatch=tag)
        except self.error as error:
            raise Refused from error


class S3fs:
    def __init__(self, url: str, bucket: str, key: str, secret: str) -> None:
        import s3fs

        self.bucket = bucket
        self.files = s3fs.S3FileSystem(
            key=key, secret=secret, endpoint_url=url, client_kwargs={"region_name": "us-east-1"}
        )

    def put(self, key: str, data: bytes) -> None:
        self.files.pipe_file(f"{self.bucket}/{key}", data)

    def get(self, key: str) -> tuple[bytes, str]:
        self.files.invalidate_cache()
        tag = self.files.info(f"{self.bucket}/{key}")["ETag"]  # a request of its own
        return self.files.cat_file(f"{self.bucket}/{key}"), tag

    def swap(self, key: str, data: bytes, tag: str) -> None:
        try:
            self.files.call_s3("put_object", Bucket=self.bucket, Key=key, Body=data, IfMatch=tag)
        except OSError as error:
            raise Refused from error


class Pyarrow:
    def __init__(self, url: str, bucket: str, key: str, secret: str) -> None:
        from pyarrow.fs import S3FileSystem

        self.bucket = bucket
        scheme, _, host = url.partition("://")
        self.files = S3FileSystem(
            access_key=key, secret_key=secret, endpoint_override=host, scheme=scheme, region="us-east-1"
        )

    def put(self, key: str, data: bytes) -> None:
        with self.files.open_output_stream(f"{self.bucket}/{key}") as file:
            file.write(data)

    def get(self, key: str) -> tuple[bytes, str]:
        with self.files.open_input_stream(f"{self.bucket}/{key}") as file:
            return file.read(), ""

    def swap(self, key: str, data: bytes, tag: str) -> None:
        raise NotImplementedError


LIBRARIES: dict[str, Any] = {"obstore": Obstore, "boto3": Boto3, "s3fs": S3fs, "pyarrow": Pyarrow}


def measured(name: str, url: str, bucket: str, key: str, secret: str) -> list[str]:
    """Return a row of the table: import, put and get in seconds and CPU seconds, memory, what concurrent swaps lost."""
    begun = time.process_time()
    library: Library = LIBRARIES[name](url, bucket, key, secret)
    row = [name, f"{time.process_time() - begun:.2f}"]
    data = bytes(range(256)) * (SIZE // 256)
    with ThreadPoolExecutor(THREADS) as pool:
        for work in (lambda at: library.put(f"bench/{at}", data), lambda at: library.get(f"bench/{at}")):
            wall, cpu = time.perf_counter(), time.process_time()
            list(pool.map(work, range(FILES)))
            row.append(f"{time.perf_counter() - wall:.2f} / {time.process_time() - cpu:.2f}")
    row.append(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}")
    try:
        row.append(_lost(library))
    except NotImplementedError:
        row.append("has none")
    return row


def _lost(library: Library) -> str:
    """Return how many increments of one counter are lost when several writers swap it at once; 0 is right."""
    library.put("bench/counter", b"0")

    def count(_: int) -> int:
        done = 0
        for _ in range(TURNS):
            value, tag = library.get("bench/counter")
            try:
                library.swap("bench/counter", str(int(value) + 1).encode(), tag)
                done += 1
            except Refused:
                pass
        return done

    with ThreadPoolExecutor(WRITERS) as pool:
        written = sum(pool.map(count, range(WRITERS)))
    return f"{written - int(library.get('bench/counter')[0])} of {written}"


def main(arguments: list[str]) -> None:
    place, names = arguments[:4], arguments[4:]
    if len(names) == 1:
        print("| " + " | ".join(measured(names[0], *place)) + " |")
        return
    print("| library | import, CPU s | 240 puts, s / CPU s | 240 gets, s / CPU s | peak MB | lost updates |")
    print("|---|---|---|---|---|---|")
    for name in names:
        subprocess.run([sys.executable, "-m", "benchmarks.object_storage", *place, name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])

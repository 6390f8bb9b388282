from __future__ import annotations

import threading
import time

import pytest

from liq_pipeline.errors import ObjectsRefused, ObjectsUnreachable
from liq_pipeline.system.objects import Changed, Objects, _said
from liq_pipeline_tests.cluster.bucket import Bucket

pytestmark = pytest.mark.whole_run


def test_what_was_written_is_read_listed_and_deleted(bucket: Bucket) -> None:
    objects = bucket.objects()
    tag = objects.put("a/one", b"1")

    assert objects.get("a/one") == (b"1", tag)
    assert objects.get("a/two") is None
    assert {key: (one.size, one.tag) for key, one in objects.list("a/").items()} == {"a/one": (1, tag)}

    objects.delete(["a/one", "a/never"])
    assert objects.list("a/") == {}


def test_a_conditional_write_fails_where_somebody_else_wrote_meanwhile(bucket: Bucket) -> None:
    objects = bucket.objects()
    first = objects.swap("pointer", b"1", None)
    second = objects.swap("pointer", b"2", first)

    for tag in (None, first):
        with pytest.raises(Changed):
            objects.swap("pointer", b"3", tag)
    assert objects.get("pointer") == (b"2", second)


def test_a_write_that_arrived_though_its_answer_was_lost_counts_as_done(bucket: Bucket) -> None:
    objects = bucket.objects()
    first = objects.swap("pointer", b"1", None)
    second = objects.swap("pointer", b"2", first)

    assert objects.swap("pointer", b"2", first) == second


def test_of_many_who_write_at_once_each_number_is_written_by_one(bucket: Bucket) -> None:
    objects, won = bucket.objects(), []
    objects.swap("counter", b"0 start", None)

    def count(who: int) -> None:
        for _ in range(10):
            found = objects.get("counter")
            assert found
            number = int(found[0].split()[0])
            try:
                objects.swap("counter", b"%d by %d" % (number + 1, who), found[1])
                won.append(number + 1)
            except Changed:
                pass

    threads = [threading.Thread(target=count, args=(who,)) for who in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == list(range(1, len(won) + 1))


def test_a_store_that_is_away_is_asked_again_until_it_answers_and_it_is_said(
    bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    objects = bucket.objects()
    objects.put("a", b"1")
    bucket.server.kill()
    again = threading.Timer(2.5, bucket.server.start)
    again.start()
    try:
        assert objects.get("a") is not None
    finally:
        again.join()

    assert "trying again" in caplog.text
    assert "answers again" in caplog.text


def test_a_store_that_stays_away_is_named_with_what_to_do(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    begun = time.monotonic()

    with pytest.raises(ObjectsUnreachable, match="AWS_ENDPOINT_URL"):
        Objects(bucket.address, patience_seconds=1).get("a")
    assert time.monotonic() - begun < 10


def test_a_wrong_key_is_not_tried_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with pytest.raises(ObjectsRefused, match=r"no permission to read a: The operation lacked .* 403 Forbidden"):
        Objects(bucket.address, patience_seconds=60).get("a")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("one\n  two\n\nDebug source:\nGeneric {", "one two"),
        ("x" * 301, "x" * 300),
        ("", "RuntimeError"),
        ("\n\nDebug source:\nGeneric {", "RuntimeError"),
    ],
    ids=["pages below it", "very long", "nothing", "nothing but pages below it"],
)
def test_of_an_error_of_the_library_its_own_words_are_said_or_else_its_name(message: str, said: str) -> None:
    assert _said(RuntimeError(message)) == said


def test_a_missing_bucket_is_named(bucket: Bucket) -> None:
    with pytest.raises(ObjectsRefused, match="no such bucket"):
        Objects("s3://nobody-made-this/x", patience_seconds=60).get("a")

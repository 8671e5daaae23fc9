"""What the emulator keeps on the disk."""

from contextlib import closing
from pathlib import Path

from djambda_cli.local.emulator_store import Store


def test_values_are_kept_in_their_order(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store:
        assert store.is_new
        for key in ("b", "a", "c"):
            store.put("event", key, {"key": key})
        store.put("event", "b", {"key": "new"})
        store.put("message", "a", 1)
        store.delete("event", "a")

    with closing(Store(tmp_path / "store")) as store:
        assert not store.is_new
        assert list(store.load("event").items()) == [("b", {"key": "new"}), ("c", {"key": "c"})]
        assert store.load("message") == {"a": 1}


def test_synchronize_adds_and_deletes(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store:
        store.synchronize("message", lambda: {"old": 1, "both": 2})

    with closing(Store(tmp_path / "store")) as store:
        store.synchronize("message", lambda: {"both": 3, "new": 4})
        assert store.load("message") == {"both": 2, "new": 4}
        store.synchronize("message", dict)
        assert store.load("message") == {}


def test_values_of_a_type_that_json_lacks(tmp_path: Path) -> None:
    def encode(value: bytes) -> object:
        return {"text": value.decode()}

    def decode(value: dict[str, str]) -> object:
        return value["text"].encode() if "text" in value else value

    with closing(Store(tmp_path / "store", default=encode, object_hook=decode)) as store:
        store.put("message", "a", {"body": b"abc"})

        assert store.load("message") == {"a": {"body": b"abc"}}

"""Tables in files of their own format: what comes back, and what is refused."""

import errno
import json
import pickle
import struct
import time
import zlib
from pathlib import Path

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import ReadError, ValidationError
from funnel.tables import _files, table

FUNNEL = fn.Funnel(["Qualify", "Propose"])
HISTORY = fn.History.from_columns(
    funnel=FUNNEL,
    id=["Ä-1", "Ä-1", "交易", "b\ud800"],  # names of one to three bytes a character, and half a one
    stage=["Qualify", "Won", "Propose", "Qualify"],
    at=["2026-01-05", "2026-01-20", "2026-02-10", "2026-02-01"],
    amount=[100.0, np.nan, 120.0, 80.0],
    owner=["Ann", "", "Bo", "Ann"],
    known={"amount": "final"},
    observed_until="2026-03-01",
    timezone="Europe/Berlin",
    findings=fn.tables.Findings.empty().add("amount", "amount-negative", "blank", [3], ["-5"]),
)


def touched(path, kind=fn.History):
    """Open a table and read every field."""
    found = kind.open(path)
    for field in attrs.fields(kind):
        value = getattr(found, field.name)
        if field.name == "columns":
            dict(value)
    assert found.ids is not None
    return found


@pytest.fixture
def path(tmp_path):
    """A saved history."""
    HISTORY.save(tmp_path / "deals.funnel")
    return tmp_path / "deals.funnel"


def described(content):
    """Return the description in a file, and its length."""
    length, _, _ = struct.unpack("<QI8s", content[-20:])
    return json.loads(content[-20 - length : -20].decode(errors="surrogatepass")), length


def rewritten(path, **changes):
    """Change the description of a file as somebody would who knows the format."""
    content = path.read_bytes()
    whole, length = described(content)
    text = json.dumps({**whole, **changes}).encode()
    end = struct.pack("<QI8s", len(text), zlib.crc32(text), content[:8])
    path.write_bytes(content[: -20 - length] + text + end)


def test_a_history_comes_back(path):
    """All of it, with findings, zone and what is known of the columns."""
    found = fn.History.open(path)
    assert found.identical_to(HISTORY)
    assert found.schema == HISTORY.schema
    assert found.ids.tolist() == HISTORY.ids.tolist() == ["b\ud800", "Ä-1", "交易"]
    assert list(found.findings) == list(HISTORY.findings)
    assert repr(found) == repr(HISTORY)
    assert found.snapshot("2026-02-01").identical_to(HISTORY.snapshot("2026-02-01"))


def test_a_pipeline_comes_back(tmp_path):
    """Also what one export cannot tell."""
    pipeline = HISTORY.snapshot()
    pipeline.save(tmp_path / "now")
    found = fn.Pipeline.open(tmp_path / "now")
    assert found.identical_to(pipeline)
    assert found.select(found.stage == 0).ids.tolist() == ["b\ud800"]


def test_nothing_is_read_before_it_is_asked_for(path):
    """Opening reads no array, and names become texts last."""
    found = fn.History.open(path)
    assert {"at", "deal", "_ids", "columns", "findings"}.isdisjoint(vars(found))
    assert found.at.tolist() == HISTORY.at.tolist()
    assert "at" in vars(found)
    assert "amount" in found.columns
    assert len(found.columns) == 4
    found.snapshot()
    assert "ids" not in vars(found)
    with pytest.raises(AttributeError, match="no attribute 'amounts'"):
        _ = found.amounts


def test_arrays_cannot_be_changed(path):
    """What is mapped is read-only, and stays so through pickle."""
    found = touched(path)
    for array in (found.at, found.ids, found.columns["amount"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    again = pickle.loads(pickle.dumps(found))
    assert again.identical_to(HISTORY)
    assert not again.at.flags.writeable
    assert not again.ids.flags.writeable


def test_a_part_travels_without_the_rest():
    """The names of a chunk are packed alone, whether or not they were read."""
    history = fn.datasets.simulate(2_000, rng=1).history
    part = history.select(np.arange(history.n_deals) < 5)
    assert len(pickle.dumps(part)) < len(pickle.dumps(history)) / 50
    assert pickle.loads(pickle.dumps(part)).ids.tolist() == history.ids[:5].tolist()


def test_every_changed_byte_is_found(path, monkeypatch):
    """No byte of the file can be flipped without an error that names the file."""
    monkeypatch.setattr(_files, "BLOCK", 64)
    HISTORY.save(path)
    content = path.read_bytes()
    assert touched(path).identical_to(HISTORY)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        monkeypatch.setattr(_files, "_mapped", lambda *_, changed=changed: bytes(changed))
        with pytest.raises(ReadError, match=r"deals\.funnel"):
            touched(path)


def test_every_shorter_file_is_found(path, monkeypatch):
    """A file that was cut off anywhere is refused when it is opened."""
    content = path.read_bytes()
    for length in range(1, len(content)):
        monkeypatch.setattr(_files, "_mapped", lambda *_, length=length: content[:length])
        with pytest.raises(ReadError, match=r"deals\.funnel"):
            fn.History.open(path)


def test_damage_is_found_where_it_is_read(path):
    """Arrays in other blocks can still be used; the damaged one says which it is, every time."""
    content = bytearray(path.read_bytes())
    content[64] ^= 1  # the first array: the bytes of the names
    path.write_bytes(content)
    found = fn.History.open(path)
    for _ in range(2):
        with pytest.raises(ReadError, match=r"changed after it was saved \('_ids/text' differs\)"):
            _ = found.ids


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"deal,stage\nA,Won\n", "is no table that save"),
        (b"\x89FUNNEL\n", "head is not complete"),
        (b"\x89FUNNEL\n" + struct.pack("<I", 2) + bytes(52), "has format 2, and this version"),
        (b"\x89FUNNEL\n" + struct.pack("<I", 1) + bytes(51) + b"x", "head differs"),
        (b"\x89FUNNEL\n" + struct.pack("<I", 1) + bytes(60), "end is missing"),
    ],
)
def test_other_files_are_refused(tmp_path, content, says):
    """What is no saved table, or one of a later version, is named for what it is."""
    (tmp_path / "deals").write_bytes(content)
    with pytest.raises(ReadError, match=says):
        fn.History.open(tmp_path / "deals")


def test_another_table_is_refused(path):
    """The class that opens a file says what it shall hold."""
    with pytest.raises(ReadError, match=r"holds a History, not a Pipeline. Open it with History"):
        fn.Pipeline.open(path)


def test_no_file_is_refused(tmp_path):
    """Neither a missing file nor a folder is an error of Python's own."""
    with pytest.raises(ReadError, match="cannot be opened: No such file"):
        fn.History.open(tmp_path / "nothing")
    with pytest.raises(ReadError, match="cannot be opened: Is a directory"):
        fn.History.open(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"arrays": {}},
        {"arrays": {"at": ["<i4", 64, 1 << 40]}},
        {"arrays": {"at": ["|O", 64, 1]}},
        {"arrays": {"at": ["<i4", -8, 1]}},
        {"arrays": [1]},
        {"sums": [1]},
        {"sums": []},
        {"values": {}},
        {"values": {"schema": {"columns": []}}},
        {"values": 3},
    ],
    ids=str,
)
def test_a_forged_description_reads_no_foreign_memory(path, changes):
    """A description that fits its checksum is still not believed."""
    rewritten(path, **changes)
    with pytest.raises(ReadError, match="was cut off or changed"):
        _ = fn.History.open(path).at


def test_what_later_versions_add_is_left_alone(path):
    """The rule for one format: new names may be added, and are not asked for."""
    whole, _ = described(path.read_bytes())
    values = {**whole["values"], "colour": "blue"}
    rewritten(path, values=values, arrays={**whole["arrays"], "more": ["<i4", 64, 1]}, new=1)
    assert touched(path).identical_to(HISTORY)
    assert not hasattr(fn.History.open(path), "colour")


def test_a_file_is_replaced_as_a_whole(path):
    """Who has the old file open keeps it, also where a table is saved to its own file."""
    old = fn.History.open(path)
    HISTORY.until("2026-01-31").save(path)
    assert old.identical_to(HISTORY)
    fresh = fn.History.open(path)
    fresh.save(path)
    assert fn.History.open(path).n_deals == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["deals.funnel"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(path, monkeypatch):
    """A full disk is an error that names the file; nothing of the attempt is left."""
    before = path.read_bytes()

    def full(file, parts):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files, "_write_blocks", full)
    with pytest.raises(ValidationError, match=r"can be written \(No space left on device\).*deals"):
        HISTORY.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["deals.funnel"]
    with pytest.raises(ValidationError, match="No such file or directory"):
        HISTORY.save(path.parent / "nowhere" / "deals")


def test_a_file_is_as_private_as_any_other(tmp_path):
    """The file has the permissions that this user's files have."""
    HISTORY.save(tmp_path / "deals")
    (tmp_path / "other").touch()
    assert (tmp_path / "deals").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_opening_takes_no_longer_for_a_large_table(tmp_path):
    """A file of 60 MB is opened in the time of a small one; half a second is far more than it."""
    rows = 1_000_000
    history = fn.History.from_columns(
        funnel=FUNNEL, id=["A"], stage=[0], at=["2026-01-01"], amount=[1.0]
    )
    large = attrs.evolve(
        history,
        created=np.zeros(rows, dtype=np.int32),
        at=np.zeros(10 * rows, dtype=np.int32),
        columns={"amount": np.zeros(2 * rows)},
    )
    large.save(tmp_path / "large")
    begin = time.perf_counter()
    found = fn.History.open(tmp_path / "large")
    assert time.perf_counter() - begin < 0.5
    (file,) = found._read.args
    assert isinstance(file, _files.Stored)
    assert not file._right.any()  # no block was read


def test_the_tests_know_all_fields():
    """The format is told by the fields of both classes: a new field needs a look at it."""
    assert Path(table.__file__).name == "table.py"
    assert [field.name for field in attrs.fields(fn.History)] == [
        *("schema", "_ids", "created", "first_entered", "deal", "at", "stage", "columns"),
        *("observed_from", "observed_until", "timezone", "findings"),
    ]

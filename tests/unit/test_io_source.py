"""Files and frames: what is opened, what is refused, and in which words."""

from __future__ import annotations

import csv
import decimal
import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import funnel as fn
from funnel.errors import MissingDependencyError, ReadError, UnknownColumnError, ValidationError
from funnel.io import _arrow, _csv
from funnel.io._source import open_source

FUNNEL = fn.Funnel(["Qualify", "Propose"])
ROWS = "deal,stage,day,amount\nA,Qualify,2026-01-05,100\nA,Won,2026-02-10,120\n"


def read(source, **options):
    """Read a change log with the columns of `ROWS`."""
    columns = {"id": "deal", "stage": "stage", "at": "day", "amount": "amount"}
    return fn.io.read_history(source, **{"funnel": FUNNEL, **columns, **options})


def write(folder, content, name="changes.csv"):
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(folder, content, name="changes.csv", **options):
    """Return the message with which a file is refused; it is one line."""
    with pytest.raises(ReadError) as caught:
        read(write(folder, content, name), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert name in message or options
    return message


# --- what can be read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        ROWS,
        "\ufeff" + ROWS,
        ROWS.replace(",", ";"),
        ROWS.replace(",", "\t"),
        ROWS.replace(",", "|"),
        ROWS.replace("\n", "\r\n"),
        ROWS.replace("\n", "\n\n"),
        ROWS.removesuffix("\n"),
        ROWS.replace("deal,", '"deal",').replace("A,", '"A",'),
        gzip.compress(ROWS.encode()),
    ],
    ids=[
        "plain",
        "bom",
        "semicolon",
        "tab",
        "bar",
        "crlf",
        "blank lines",
        "no end",
        "quoted",
        "gz",
    ],
)
def test_the_same_table_in_other_clothes(tmp_path, content):
    """Delimiter, line ends, byte order mark, quotation marks and compression change nothing."""
    expected = read(write(tmp_path, ROWS, "plain.csv"))
    history = read(write(tmp_path, content))
    assert expected.identical_to(history)
    assert not history.findings


def test_a_path_may_be_a_text(tmp_path):
    """A path is a str or anything with `__fspath__`."""
    path = write(tmp_path, ROWS)
    assert read(path).identical_to(read(str(path)))


def test_values_may_hold_line_ends_and_delimiters(tmp_path):
    """Within quotation marks, everything is part of the value."""
    content = 'deal,stage,day,amount\n"A\n1",Qualify,2026-01-05,"1,000"\n'
    history = read(write(tmp_path, content))
    assert ["A\n1"] == history.ids.tolist()
    assert [1000.0] == history.columns["amount"].tolist()


@pytest.mark.parametrize("block", [16, 64, 100])
def test_wrapped_lines_are_noticed_across_blocks(tmp_path, monkeypatch, block):
    """Where a line ends within quotation marks is found wherever a block of the file ends."""
    lines = [f'{i},"{"x" * (i % 7)}{chr(10) if i % 40 == 39 else ""}"\n' for i in range(80)]
    plain = [line for line in lines if line.count("\n") == 1]
    for content, wrapped in ((lines, True), (plain, False)):
        path = write(tmp_path, "a,b\n" + "".join(content))
        with monkeypatch.context() as patch:
            patch.setattr(_csv, "BLOCK", block)
            assert wrapped is _csv.looked_through(path, "'x'", None).wrapped
        table, _ = open_source(path, encoding=None, delimiter=None).load((0, 1), ())
        assert len(content) == table.num_rows


def test_a_block_that_ends_within_quotation_marks_is_not_read_as_another_row(tmp_path, monkeypatch):
    """Cut at the line end inside of row 1, both halves look like rows of three values."""
    monkeypatch.setattr(_csv, "SMALL", 40)
    content = 'a,b,c\n"0","a\n,\né,","交"\n"1",",\né,"" é,","x"\n"2","é,é\na"",\n","交"\n'
    table, _ = open_source(write(tmp_path, content), encoding=None, delimiter=",").load(
        (0, 1, 2), ()
    )
    rows = list(csv.reader(io.StringIO(content, newline="")))[1:]
    assert rows == [list(row.values()) for row in table.to_pylist()]


def test_a_quotation_mark_may_span_blocks_without_any(tmp_path, monkeypatch):
    """An open quotation mark is carried through blocks that hold none."""
    path = write(tmp_path, 'a,b\n1,"' + "x" * 40 + "\n" + "y" * 40 + '"\n')
    monkeypatch.setattr(_csv, "BLOCK", 64)
    assert _csv.looked_through(path, "'x'", None).wrapped


def test_parquet_by_content(tmp_path):
    """A Parquet file is known by its first bytes, whatever it is called."""
    table = pa.table({name: ["A"] for name in ("deal",)} | {"stage": ["Qualify"]})
    table = table.append_column("day", pa.array([20458], pa.date32()))  # 2026-01-05
    table = table.append_column("amount", pa.array([100.0]))
    for name in ("changes.parquet", "changes.data"):
        pq.write_table(table, tmp_path / name)
        history = read(tmp_path / name)
        assert ("2026-01-05", 100.0) == (
            str(history.to_columns()["at"][0]),
            float(history.columns["amount"][0]),
        )


def test_gb18030_is_found_and_said(tmp_path):
    """Chinese text that is not UTF-8 is read as GB18030, and the finding says so."""
    content = "商机,阶段,日期,金额\n甲,意向,2026-01-05,100\n".encode("gb18030")
    funnel = fn.Funnel.template("small-project")
    columns = {"id": "商机", "stage": "阶段", "at": "日期", "amount": "金额"}
    path = write(tmp_path, content)
    history = fn.io.read_history(path, funnel=funnel, **columns)
    assert ["甲"] == history.ids.tolist()
    (finding,) = history.findings
    assert (-1, "not-utf-8", "read as gb18030") == (finding.row, finding.rule, finding.action)
    named = fn.io.read_history(path, funnel=funnel, encoding="gb18030", **columns)
    assert not named.findings
    assert named.identical_to(history)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig"])
def test_other_encodings_by_name(tmp_path, encoding):
    """Any encoding of Python can be named."""
    path = write(tmp_path, ROWS.replace("A,", "Größe,").encode(encoding))
    assert ["Größe"] == read(path, encoding=encoding).ids.tolist()


def test_a_named_delimiter_counts(tmp_path):
    """A header that holds another delimiter more often is no trap where one is named."""
    content = "deal;stage;day;amount, net, of, tax, in, EUR\nA;Qualify;2026-01-05;100\n"
    columns = {"amount": "amount, net, of, tax, in, EUR", "delimiter": ";"}
    assert [100.0] == read(write(tmp_path, content), **columns).columns["amount"].tolist()


# --- frames --------------------------------------------------------------------------------------

COLUMNS = {
    "deal": ["A", "A", "B"],
    "stage": ["Qualify", "Won", "Propose"],
    "day": ["2026-01-05", "2026-02-10", "2026-02-01"],
    "amount": [100.0, 120.0, None],
}


def frames():
    """Return the same table in every library."""
    import duckdb
    import pandas as pd
    import polars as pl

    table = pa.table(COLUMNS)
    return {
        "pandas": pd.DataFrame(COLUMNS),
        "polars": pl.DataFrame(COLUMNS),
        "lazy polars": pl.LazyFrame(COLUMNS),
        "pyarrow": table,
        "dictionaries": pa.table({**COLUMNS, "stage": table["stage"].dictionary_encode()}),
        "string view": table.set_column(1, "stage", table["stage"].cast(pa.string_view())),
        "duckdb": duckdb.from_arrow(table),
    }


@pytest.mark.parametrize("library", list(frames()))
def test_every_frame_gives_the_same_history(tmp_path, library):
    """The library of a dataframe leaves no trace, and neither does a file."""
    path = write(tmp_path, "")
    pa.csv.write_csv(pa.table(COLUMNS), path)
    assert read(path).identical_to(read(frames()[library]))


def test_typed_columns_are_taken_as_they_are():
    """Dates, time stamps, decimals, whole numbers and booleans need no parsing."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "deal": [17.0, 18.0],  # whole numbers that were ids once
            "stage": pd.Categorical(["Qualify", "Qualify"]),
            "day": pd.to_datetime(["2026-01-05 23:30:00", "2026-01-06 00:30:00"]),
            "amount": [100, 200],
            "score": [decimal.Decimal("1.5"), decimal.Decimal("2.5")],
            "fresh": [True, False],
            "next": pd.to_datetime(["2026-03-01", None]),
        }
    )
    history = read(frame, attributes=("score", "fresh", "next"))
    assert ["17", "18"] == history.ids.tolist()
    kinds = {name: history.schema.column(name).kind for name in ("score", "fresh", "next")}
    assert {"score": "number", "fresh": "category", "next": "date"} == kinds
    assert ["2026-03-01", "NaT"] == [str(day) for day in history.to_columns()["next"]]
    assert ["true", "false"] == history.to_columns()["fresh"].tolist()


def test_numbers_that_are_no_whole_ids():
    """Ids with decimals are written as they are."""
    table = pa.table({**COLUMNS, "deal": [1.5, 1.5, 2.0]})
    assert ["1.5", "2"] == read(table).ids.tolist()


def test_what_is_no_source():
    """A list is neither a path nor a dataframe."""
    with pytest.raises(ReadError, match=r"path or a dataframe, got \[1, 2\] of type list"):
        read([1, 2])


def test_frames_with_doubled_columns():
    """Pandas allows two columns of one name; there is no telling which is meant."""
    import pandas as pd

    with pytest.raises(ReadError, match=r"must name every column once.*'a'"):
        read(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_frames_with_mixed_types():
    """A column of texts and numbers is refused by its name."""
    import pandas as pd

    frame = pd.DataFrame({**COLUMNS, "stage": ["Qualify", 3, "Won"]})
    with pytest.raises(ReadError, match=r"one type each: .*stage"):
        read(frame)


def test_columns_that_hold_something_else():
    """Lists and lengths of time are neither texts, numbers nor dates."""
    for values in (pa.array([["x"]] * 3), pa.array([1, 2, 3], pa.duration("s"))):
        with pytest.raises(ReadError, match="column 'stage' must hold texts, numbers or dates"):
            read(pa.table({**COLUMNS, "stage": values}))


def test_frames_without_rows():
    """An empty frame is refused like an empty file."""
    with pytest.raises(ReadError, match="Table has a header and no rows"):
        read(pa.table(COLUMNS).slice(0, 0))


def test_importing_the_reader_loads_no_reader():
    """`funnel.io` costs nothing before a file is read."""
    script = (
        "import funnel.io, sys; print(*sorted({'narwhals', 'pandas', 'pyarrow'} & {*sys.modules}))"
    )
    root = Path(fn.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True, cwd=root
    )
    assert "" == done.stdout.strip()


# --- what is missing on the machine --------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "extra"), [("pyarrow", "arrow"), ("narwhals", "frames")], ids=["arrow", "frames"]
)
def test_missing_packages_say_how_to_install_them(monkeypatch, package, extra):
    """Without an optional package the error names the extra."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError) as caught:
        open_source(COLUMNS, encoding=None, delimiter=None)
    assert (package, extra) == (caught.value.package, caught.value.extra)


def test_big_strings_change_their_type(monkeypatch):
    """One array of strings ends at 2 GiB; larger columns get longer offsets."""
    column = pa.chunked_array([["ab"], ["cd"]])
    assert pa.string() == _arrow.plain(column, "x").type
    monkeypatch.setattr(_arrow, "LONGEST", 4)
    assert pa.large_string() == _arrow.plain(column, "x").type
    assert ["ab", "cd"] == _arrow.plain(column, "x").to_pylist()


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", " \n\n\t\n"], ids=["no bytes", "blank"])
def test_empty_file(tmp_path, content):
    """A file without anything in it is empty."""
    assert refused(tmp_path, content).startswith("'changes.csv' is empty.")


@pytest.mark.parametrize("content", [ROWS.splitlines()[0], ROWS.splitlines()[0] + "\n"])
def test_header_only(tmp_path, content):
    """A header makes no table."""
    assert "'changes.csv' has a header and no rows." == refused(tmp_path, content)


def test_header_and_blank_lines(tmp_path, monkeypatch):
    """Blank lines are no rows, also where the file is longer than what was looked at."""
    monkeypatch.setattr(_csv, "BLOCK", 32)
    assert "'changes.csv' has a header and no rows." == refused(
        tmp_path, "deal,stage,day,amount\n\n"
    )


def test_missing_column(tmp_path):
    """A column that is not there is named, with the one that comes close."""
    path = write(tmp_path, ROWS)
    with pytest.raises(UnknownColumnError, match=r"column 'amuont' .* Did you mean 'amount'\?"):
        read(path, amount="amuont")


def test_mixed_up_header(tmp_path):
    """A header in another case or with outer blanks is taken, and reported."""
    history = read(write(tmp_path, ROWS.replace("deal,stage", "Deal , STAGE")))
    found = [(f.column, f.rule, f.value, f.action) for f in history.findings]
    expected = [
        ("id", "header-spelling", "Deal", "taken for 'deal'"),
        ("stage", "header-spelling", "STAGE", "taken for 'stage'"),
    ]
    assert expected == found


def test_two_headers_that_would_fit(tmp_path):
    """Where two headers differ by case only, neither is taken for a third."""
    path = write(tmp_path, ROWS.replace("deal,", "Deal,").replace("amount", "DEAL"))
    with pytest.raises(UnknownColumnError, match="Did you mean 'Deal'"):
        read(path, amount=None)


def test_duplicate_column(tmp_path):
    """A name that is there twice is an error, used or not; blank names are none."""
    message = refused(tmp_path, "deal,x,x,stage,day,amount\n1,2,3,4,5,6\n")
    assert "'changes.csv' must name every column once; 'x' is there more than once." in message
    message = refused(tmp_path, "x,y,x,y\n1,2,3,4\n")
    assert "'x', 'y' are there more than once." in message
    blank = ROWS.replace("amount\n", "amount,,\n").replace("0\n", "0,,\n")
    assert 1 == read(write(tmp_path, blank)).n_deals


def test_ragged_rows(tmp_path):
    """A row with too many or too few values is shown with its number."""
    message = refused(tmp_path, ROWS + "B,Qualify\n")
    assert "must have 4 values in every row like its header; row 2 has 2 ('B,Qualify')" in message


def test_a_quotation_mark_that_is_never_closed(tmp_path, monkeypatch):
    """The rest of the file becomes one value: refused before it fills the memory."""
    monkeypatch.setattr(_csv, "BLOCK", 1 << 12)
    content = ROWS + 'B,"Qualify,2026-01-05,1\n' + "C,Qualify,2026-01-05,1\n" * 2_000
    assert "a quotation mark may never be closed" in refused(tmp_path, content)


def test_binary_rubbish(tmp_path):
    """Bytes that are no text are refused."""
    content = np.random.default_rng(7).bytes(50_000)
    assert "it is no text" in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "an Excel workbook; save the sheet as CSV"),
        (b"SQLite format 3\x00", "an SQLite database"),
        (b"%PDF-1.7", "a PDF document"),
        (ROWS.encode("utf-16"), "UTF-16; pass encoding='utf-16'"),
    ],
    ids=["zip", "sqlite", "pdf", "utf-16"],
)
def test_files_that_are_something_else(tmp_path, content, words):
    """Known kinds of files are called by their name."""
    assert words in refused(tmp_path, content)


def test_nul_bytes(tmp_path):
    """A NUL in a text file means that it was not exported as text."""
    assert "holds NUL bytes" in refused(tmp_path, ROWS.replace("Won", "W\0n"))


def test_nul_in_a_frame():
    """The same holds for values of a dataframe."""
    with pytest.raises(ReadError, match="column 'deal' holds NUL characters"):
        read(pa.table({**COLUMNS, "deal": ["A\0", "A", "B"]}))


@pytest.mark.parametrize("content", ["Müller,Größe\n", "a\xff\xff\n"], ids=["western", "odd"])
def test_wrong_encoding(tmp_path, content):
    """What is neither UTF-8 nor looks like GB18030 must be named, not guessed."""
    message = refused(tmp_path, ROWS.encode() + content.encode("latin-1"))
    assert "neither in UTF-8 nor, by the look of it, in GB18030" in message
    assert "encoding=" in message


def test_a_wrong_encoding_by_name(tmp_path):
    """Text that is not in the encoding that was named is refused, with its name."""
    assert "not text in the encoding euc_kr" in refused(
        tmp_path, ROWS.replace("A,", "\x80\xfd,").encode("latin-1"), encoding="euc_kr"
    )
    assert "encoding must be one that Python knows" in refused(tmp_path, ROWS, encoding="klingon")
    assert "encoding must be one that Python knows" in refused(tmp_path, ROWS, encoding="hex")


def test_text_cut_off_within_a_character(tmp_path):
    """A file that ends in the middle of a letter is not taken for another encoding."""
    content = ROWS.encode() + "B,é".encode()[:-1]
    assert "gb18030" not in refused(tmp_path, content).lower()


def test_encoding_across_blocks(tmp_path, monkeypatch):
    """A letter of two bytes may lie across two blocks; half of one may not."""
    monkeypatch.setattr(_csv, "BLOCK", 32)
    before = b"a,b\n" + b"x" * 20 + b"\n" + b"y" * 6  # 31 bytes: the next letter lies across
    whole = before + "é".encode() + b"\n"
    assert "utf8" == _csv.looked_through(write(tmp_path, whole), "'x'", None).encoding
    broken = before + "é".encode()[:1] + b"\n" + b"y" * 20 + b"\n"
    with pytest.raises(ReadError, match="neither in UTF-8"):
        _csv.looked_through(write(tmp_path, broken), "'x'", None)


def test_truncated_gzip(tmp_path):
    """A gzip file that was not copied to its end is refused."""
    content = gzip.compress(
        (ROWS + "".join(f"B{i},Qualify,2026-01-05,1\n" for i in range(999))).encode()
    )
    assert "damaged or cut-off gzip" in refused(tmp_path, content[: len(content) // 2], "x.csv.gz")


@pytest.mark.parametrize("content", [ROWS.encode(), b"PAR1 and nothing else"])
def test_parquet_that_is_none(tmp_path, content):
    """A file that is called or begins like Parquet must be it."""
    assert "is no readable Parquet file" in refused(tmp_path, content, "changes.parquet")


def test_parquet_with_damaged_data(tmp_path):
    """Damage behind a sound footer is found when the columns are read."""
    path = tmp_path / "changes.parquet"
    pq.write_table(pa.table({**COLUMNS, "amount": np.arange(3.0)}), path, compression="gzip")
    content = bytearray(path.read_bytes())
    content[40:200] = b"\xff" * 160
    assert "is no readable Parquet file" in refused(tmp_path, bytes(content), "changes.parquet")


def test_directory(tmp_path):
    """A folder is not a file."""
    with pytest.raises(ReadError, match="is a directory, not a file"):
        read(tmp_path)


def test_missing_file(tmp_path):
    """A file that is not there is named with one that is; so is a folder."""
    write(tmp_path, ROWS)
    with pytest.raises(ReadError, match=r"no file 'change.csv'.* Did you mean 'changes.csv'"):
        read(tmp_path / "change.csv")
    with pytest.raises(ReadError, match="there is no folder"):
        read(tmp_path / "nowhere" / "changes.csv")
    (tmp_path / "bare").mkdir()
    with pytest.raises(ReadError, match=r"no file 'x.csv' in '[^']*bare'\.$"):
        read(tmp_path / "bare" / "x.csv")


def test_no_permission(tmp_path):
    """A file that this user may not read is refused by the operating system, in our words."""
    path = write(tmp_path, ROWS)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file (root)")
    with pytest.raises(ReadError, match="may not be read by this user"):
        read(path)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "may not be read by this user"),
        (OSError(5, "Input/output error"), "cannot be read: .*Input/output error"),
    ],
    ids=["permission", "broken disk"],
)
def test_errors_of_the_operating_system(tmp_path, monkeypatch, error, words):
    """What the operating system refuses is said in one sentence, also to root."""
    path = write(tmp_path, ROWS)

    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr("pathlib.Path.open", fail)
    with pytest.raises(ReadError, match=words):
        read(path)


def test_one_endless_line(tmp_path):
    """A line of more than 4 MiB is refused before anything is parsed."""
    content = ROWS + "B,Qualify,2026-01-05," + "9" * (_csv.BLOCK + 1)
    assert "has a line of more than 4 MiB" in refused(tmp_path, content)


@pytest.mark.deep
def test_one_line_of_200_megabytes(tmp_path):
    """200 MB in one line are refused in a few megabytes of memory."""
    import tracemalloc

    path = tmp_path / "changes.csv"
    with path.open("wb") as stream:
        stream.write(ROWS.encode())
        for _ in range(200):
            stream.write(b"9" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(ReadError, match="has a line of more than 4 MiB"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize("odd", ["2026-02-10", "10 Feb 2026", " 2026-02-10 ", "", "NA", "soon"])
def test_dates_read_by_the_parser_are_those_of_texts(tmp_path, odd):
    """Clean ISO dates are left to the parser; one odd date, and all are read as texts."""
    content = f'deal,stage,day,close\nA,Qualify,2026-01-05,{odd}\nA,Won,"2026-02-10",2026-03-01\n'
    options = {"id": "deal", "stage": "stage", "at": "day", "expected_close": "close"}
    path = write(tmp_path, content)
    found = fn.io.read_history(path, funnel=FUNNEL, **options)
    texts = pa.csv.read_csv(
        path,
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(("deal", "stage", "day", "close"), pa.string())
        ),
    )
    same = fn.io.read_history(texts, funnel=FUNNEL, **options)
    assert found.identical_to(same)
    assert list(found.findings) == list(same.findings)
    assert bool(found.findings.groups) == (odd == "soon")


def test_texts_of_parquet_in_which_few_occur_are_read_as_codes(tmp_path):
    """Both kinds of columns are the same history as from a table in memory."""
    rows = 1_000
    table = pa.table(
        {
            "deal": [f"D{row:05}" for row in range(rows)],
            "stage": ["Qualify", "Propose"] * (rows // 2),
            "day": ["2026-01-05"] * rows,
            "amount": np.arange(rows) / 7.0,
        }
    )
    path = tmp_path / "changes.parquet"
    pq.write_table(table, path)
    loaded, _ = open_source(path, encoding=None, delimiter=None).load((0, 1), ())
    assert [pa.types.is_dictionary(kind) for kind in loaded.schema.types] == [False, True]
    assert read(path).identical_to(read(table))


def test_headers_that_cannot_be_read(tmp_path):
    """A delimiter is one character, and a name in a header is not endless."""
    assert "delimiter must be one character" in refused(tmp_path, ROWS, delimiter="::")
    assert "no readable header line" in refused(tmp_path, "a" * 200_000 + ROWS)


def test_other_faults_of_the_parser_are_one_sentence(tmp_path, monkeypatch):
    """Whatever else pyarrow says is passed on without its traceback."""

    def fail(*_args, **_options):
        message = "CSV conversion error: something\nnew"
        raise pa.ArrowInvalid(message)

    monkeypatch.setattr(_csv, "_parse", fail)
    assert "cannot be read as CSV: CSV conversion error: something" in refused(tmp_path, ROWS)


def test_columns_must_be_named():
    """Without a preset, the reader says which column it needs."""
    with pytest.raises(ValidationError, match="at= must name a column for read_history"):
        read(pa.table(COLUMNS), at=None)

"""The command line: what it prints, where, and with which exit code.

A handful of tests start a real process. The others call `main` with the same arguments, which also
leaves through `SystemExit`, for a process costs most of a second.
"""

from __future__ import annotations

import csv
import doctest
import gzip
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from rich.cells import cell_len

import funnel as fn
from funnel.cli import _check, _forecast, main
from funnel.errors import SmallSampleWarning
from funnel.models import registry

ROOT = Path(__file__).parents[2]
LADDER = fn.Funnel(["Qualify", "Propose"])
LOG = """deal,stage,changed_at,amount,owner
A,Qualify,2026-01-05,100,Ann
A,Propose,2026-01-20,120,Ann
A,Won,2026-02-10,120,Ann
B,Qualify,2026-02-01,80,Bo
C,Qualify,2026-02-03,50,Ann
C,Lost,2026-02-20,50,Ann
"""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error:")]

    @property
    def notes(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("note:")]


@pytest.fixture
def run(capsys):
    """Run a command in this process."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Done(left.value.code or 0, *capsys.readouterr())

    return call


def process(*arguments, **settings):
    """Run a command in a process of its own, and return it with its output as bytes."""
    command = [sys.executable, "-m", "funnel", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, cwd=ROOT, **settings)


@pytest.fixture
def log(tmp_path):
    """Write a small change log, with its ladder beside it."""
    path = tmp_path / "log.csv"
    path.write_text(LOG, encoding="utf-8")
    typed = LADDER.with_probabilities({"Qualify": 0.2, "Propose": 0.5})
    (tmp_path / "funnel.json").write_text(typed.to_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Write a simulated log of 300 deals, large enough to learn from."""
    path = tmp_path_factory.mktemp("simulated") / "history.csv"
    with pytest.raises(SystemExit):
        main(["simulate", "--deals", "300", "--seed", "1", "--output", str(path)])
    return path


def asked(log, *more):
    """Return the arguments of a forecast that learns nothing: what the small log is enough for."""
    return ("forecast", log, "--funnel", log.with_name("funnel.json"), "--model", "textbook", *more)


def rows_of(text):
    """Parse CSV text."""
    return list(csv.DictReader(io.StringIO(text)))


def small(tmp_path, content, name="deals.csv"):
    """Write a file."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- a real process ------------------------------------------------------------------------------


def test_the_commands_of_make_demo(tmp_path):
    """`make demo` simulates into a new folder, and forecasts four quarters from what it wrote."""
    folder = tmp_path / "new" / "demo"
    first = process("simulate", "--output", folder / "history.csv")
    assert (0, b"") == (first.returncode, first.stderr)
    second = process(
        *("forecast", folder / "history.csv", "--funnel", folder / "funnel.json"),
        *("--periods", "4q", "--output", folder, "--model", "semi-markov"),  # the default is slow
    )
    assert 0 == second.returncode
    # The simulation ends on 2026-06-30 by default, so the next quarter is the third.
    assert b"Forecast by 'semi-markov', as of 2026-06-30, EUR" in second.stdout
    shown = second.stdout.decode()
    assert all(f"\n{label} " in shown for label in ("2026-Q3", "2026-Q4", "2027-Q1", "2027-Q2"))
    written = json.loads((folder / "forecast.json").read_text(encoding="utf-8"))
    table = rows_of((folder / "forecast.csv").read_text(encoding="utf-8"))
    assert [row["expected"] for row in written["rows"]] == [float(row["expected"]) for row in table]
    assert {"history.csv", "funnel.json", "forecast.csv", "forecast.json"} == {
        path.name for path in folder.iterdir()
    }


def test_wrong_data_give_one_line_and_exit_code_1(tmp_path):
    """An empty file is refused in a sentence, without a traceback."""
    done = process("check", small(tmp_path, ""))
    assert (1, b"") == (done.returncode, done.stdout)
    assert done.stderr.startswith(b"error: 'deals.csv' is empty.")
    assert 1 == len(done.stderr.splitlines())


def test_wrong_usage_gives_exit_code_2():
    """A command that does not exist is an error of usage."""
    done = process("forcast")
    assert (2, b"") == (done.returncode, done.stdout)
    assert b"Traceback" not in done.stderr


def test_output_is_utf8_whatever_the_locale(tmp_path):
    """Chinese labels come out in UTF-8 where the locale knows ASCII only."""
    path = small(tmp_path, "deal,stage,changed_at\nA,意向,2026-01-05\n")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = process("check", path, env={**os.environ, **plain})
    assert 0 == done.returncode
    assert '"意向"' in done.stderr.decode("utf-8")


def test_a_reader_that_leaves_early_is_no_error():
    """`funnel models | head -0` ends quietly."""
    command = [sys.executable, "-m", "funnel", "models"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as open_:
        open_.stdout.close()
        said = open_.stderr.read()
    assert (0, b"") == (open_.returncode, said)


# --- forecast ------------------------------------------------------------------------------------


def test_forecast_prints_the_table_of_the_library(run, log):
    """The table is that of the library for the same file; B is expected nowhere, and is noted."""
    history = fn.io.read_history(
        log,
        funnel=fn.Funnel.from_json(log.with_name("funnel.json").read_text(encoding="utf-8")),
        id="deal",
        stage="stage",
        at="changed_at",
        amount="amount",
        attributes=["owner"],
    )
    outlook = fn.forecast(history, fn.Horizon.quarters("2026-02-21", 4), "textbook")
    done = run(*asked(log))
    assert (0, str(outlook) + "\n") == (done.code, done.out)
    assert done.err == (
        "note: columns taken by their headers: id 'deal', stage 'stage', at 'changed_at', "
        "amount 'amount', owner 'owner'\n"
    )


def test_json_and_csv_say_the_same(run, log):
    """Both forms hold the table of the library, with dates as ISO texts."""
    as_json = run(*asked(log, "--json", "--target", "100"))
    as_csv = run(*asked(log, "--csv", "--target", "100"))
    stored = json.loads(as_json.out)
    assert ("funnel.Forecast/1", 100.0) == (stored["schema"], stored["target"])
    table = rows_of(as_csv.out)
    assert [list(map(str, row.values())) for row in stored["rows"]] == [
        list(row.values()) for row in table
    ]
    assert {"2026-01-01"} == {row["start"] for row in table if row["period"] == "2026-Q1"}
    # JSON has a place for the notes of the forecast, CSV has none.
    assert [f"note: {note}" for note in stored["notes"]] == as_csv.notes[1:]
    assert as_json.notes == as_csv.notes[:1]
    assert stored["notes"]


def test_output_writes_both_forms(run, log, tmp_path):
    """The files hold what --json and --csv print; the folder is made."""
    folder = tmp_path / "a" / "b"
    done = run(*asked(log, "--output", folder))
    assert done.notes[-1] == f"note: wrote {folder / 'forecast.csv'} and {folder / 'forecast.json'}"
    for form in ("csv", "json"):
        written = (folder / f"forecast.{form}").read_text(encoding="utf-8")
        assert run(*asked(log, f"--{form}")).out == written


def test_output_does_not_overwrite_the_input(run, log):
    """A forecast never replaces the file that it was made from."""
    path = log.rename(log.with_name("forecast.csv"))
    done = run(*asked(path, "--output", path.parent))
    assert 2 == done.code
    assert path.read_text(encoding="utf-8") == LOG


def test_output_that_is_no_folder_is_refused(run, log):
    """A file cannot hold files; the system says so, in one line."""
    done = run(*asked(log, "--output", log))
    assert (1, 1) == (done.code, len(done.errors))
    assert f"{log}" in done.errors[0]


@pytest.mark.parametrize("groups", [("--by", "owner,stage"), ("--by", "owner", "--by", " stage ")])
def test_groups(run, log, groups):
    """Groups are named with commas or one by one; the keys are sorted, and the total is last."""
    rows = json.loads(run(*asked(log, "--json", "--periods", "1q", *groups)).out)["rows"]
    assert [("Ann", "Lost"), ("Ann", "Won"), ("Bo", "Qualify"), ("all", "all")] == [
        (row["owner"], row["stage"]) for row in rows
    ]


def test_a_group_may_be_any_column(run, log):
    """A column that --by names is read without being asked for, a blank in its header included."""
    log.write_text(LOG.replace("owner", "sales region"), encoding="utf-8")
    done = run(*asked(log, "--by", "sales region", "--csv"))
    assert ["Ann", "Bo", "all"] == sorted({row["sales region"] for row in rows_of(done.out)})


def test_as_of_shows_the_past(run, log):
    """At the end of 2026-02-05 A was not yet won, and the first period begins the day after."""
    stored = json.loads(run(*asked(log, "--as-of", "2026-02-05", "--periods", "30d", "--json")).out)
    assert ("2026-02-05", ["2026-02-06", "2026-03-08"]) == (
        stored["as_of"],
        stored["horizon"]["edges"],
    )
    assert 0.0 == stored["rows"][0]["booked"]


def test_start_moves_the_periods(run, log):
    """With --start in January, the quarter that contains it holds what was booked: 120 for A."""
    done = run(*asked(log, "--start", "2026-01-01", "--periods", "1q", "--json"))
    assert 120.0 == json.loads(done.out)["rows"][0]["booked"]


def test_the_default_model_learns(run, simulated):
    """Without --model the default of the library is fitted on the file."""
    ladder = simulated.with_name("funnel.json")
    early = ("--as-of", "2023-12-31")  # the shorter the history, the faster
    done = run("forecast", simulated, "--funnel", ladder, "--periods", "1q", "--json", *early)
    assert 0 == done.code
    assert fn.forecasting.api.DEFAULT == json.loads(done.out)["model"]


def test_findings_are_counted_on_stderr(run, log):
    """A negative amount is one finding; the table itself is printed."""
    log.write_text(LOG.replace("80,Bo", "-80,Bo"), encoding="utf-8")
    done = run(*asked(log))
    assert 0 == done.code
    assert any("left out or doubtful: 1; `funnel check`" in line for line in done.notes)


def test_chinese_tables_align(run, log):
    """A Chinese name takes two columns of a terminal a character (widths: rich's table)."""
    log.write_text(LOG.replace("Bo", "王小明"), encoding="utf-8")
    lines = run(*asked(log, "--by", "owner", "--periods", "1q")).out.splitlines()
    rows = [line for line in lines if "2026-Q1" in line]
    assert 3 == len(rows)
    assert 1 == len({cell_len(row[: row.index("2026-Q1")]) for row in rows})
    assert 1 == len({cell_len(row) for row in rows})


# --- the ladder ----------------------------------------------------------------------------------


def test_a_drafted_ladder_is_said_and_can_be_corrected(run, log, tmp_path):
    """The ladder that a note prints is a file for --funnel that gives the same result."""
    first = run("check", log)
    line = next(line for line in first.notes if "no --funnel was given" in line)
    drafted = line[line.index("{") : line.rindex("}") + 1]
    assert fn.Funnel(["Qualify", "Propose"]) == fn.Funnel.from_json(drafted)
    second = run("check", log, "--funnel", small(tmp_path, drafted, "ladder.json"))
    assert first.out == second.out
    assert not any("no --funnel" in line for line in second.notes)


def test_several_names_of_a_win_are_kept_in_the_draft(run, tmp_path):
    """The second name of a win is an alias, and stays one in the printed ladder."""
    text = LOG + "D,Qualify,2026-02-04,1,Ann\nD,Closed Won,2026-02-21,1,Ann\n"
    line = next(line for line in run("check", small(tmp_path, text)).notes if "--funnel" in line)
    funnel = fn.Funnel.from_json(line[line.index("{") : line.rindex("}") + 1])
    assert funnel.code("Won") == funnel.code("Closed Won")


def test_a_template_in_a_language(run, tmp_path):
    """Stages in Chinese are found in a template, whatever language its labels are in."""
    path = small(tmp_path, "deal,stage,changed_at,amount\nA,意向,2026-01-05,100\n")
    for language in ((), ("--language", "zh"), ("--language", "en")):
        assert 0 == run("check", path, "--funnel", "project", *language).code


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"schema": "funnel.Funnel/1"}', "stages"),
        (b"[" * 100_000, "JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"stages: Qualify", "JSON"),
    ],
)
def test_a_broken_ladder_is_refused(run, log, tmp_path, content, told):
    """What is no ladder is refused with the name of its file."""
    done = run("check", log, "--funnel", small(tmp_path, content, "ladder.json"))
    assert (1, 1) == (done.code, len(done.errors))
    assert "ladder.json" in done.errors[0]
    assert told in done.errors[0]


def test_a_ladder_that_is_not_there(run, log):
    """A missing JSON file is a matter of data, as a missing FILE is."""
    done = run("check", log, "--funnel", "nowhere.json")
    assert (1, ["error: nowhere.json: No such file or directory"]) == (done.code, done.errors)


# --- layouts, presets and columns ----------------------------------------------------------------


def test_a_table_of_deals(run, tmp_path):
    """One row a deal; in an earlier snapshot the owner is blank unless it is called constant."""
    text = (
        "deal,stage,created,closed,amount,owner\n"
        "A,Won,2026-01-05,2026-02-10,120,Ann\nB,Qualify,2026-02-01,,80,Bo\n"
        "C,Lost,2026-02-03,2026-03-01,0,Ann\n"
    )
    path = small(tmp_path, text)
    (tmp_path / "funnel.json").write_text(
        LADDER.with_probabilities({"Qualify": 0.5}).to_json(), encoding="utf-8"
    )
    question = asked(path, "--layout", "deals", "--by", "owner", "--as-of", "2026-02-15", "--json")
    blank = run(*question, "--constant", "amount")
    known = run(*question, "--constant", "amount", "--constant", "owner")
    # On 15 February A is won (its owner is known since), B and C are open.
    assert ["", "Ann", "all"] == sorted({row["owner"] for row in json.loads(blank.out)["rows"]})
    assert ["Ann", "Bo", "all"] == sorted({row["owner"] for row in json.loads(known.out)["rows"]})


def test_a_final_column_is_blank_in_the_past(run, log):
    """On 15 February, B and C are open: their amounts are not known when they are final."""
    question = asked(log, "--as-of", "2026-02-15", "--json")
    dated, final = run(*question), run(*question, "--final", "amount")
    assert not any("no amount" in note for note in json.loads(dated.out)["notes"])
    assert any(note.startswith("2 deals have no amount") for note in json.loads(final.out)["notes"])


def test_changed_fields(run, tmp_path):
    """Old and new values of one field a row; fields have our names, or are mapped."""
    text = (
        "deal,field,old value,new value,changed at\n"
        "A,created,,2026-01-05,2026-01-05\nA,Phase,,Qualify,2026-01-05\n"
        "A,amount,,100,2026-01-05\nA,Phase,Qualify,Won,2026-02-10\n"
        "B,Phase,,Qualify,2026-01-07\nB,area,,North,2026-01-07\n"
    )
    path = small(tmp_path, text)
    done = run("check", path, "--layout", "fields", "--fields", "Phase=stage")
    assert 0 == done.code
    assert "2 deals" in done.out
    assert "area (1 rows)" in done.out
    (tmp_path / "funnel.json").write_text(LADDER.to_json(), encoding="utf-8")
    grouped = run(
        *("check", path, "--layout", "fields", "--fields", "Phase=stage", "--fields", "area")
    )
    assert "no findings" in grouped.out


def test_groups_of_changed_fields(run, tmp_path):
    """A field that --by names is read from the changes."""
    text = (
        "deal,field,old,new,changed_at\nB,stage,,Qualify,2026-01-07\nB,area,,North,2026-01-07\n"
        "B,amount,,80,2026-01-07\nB,expected_close,,2026-03-01,2026-01-07\n"
    )
    (tmp_path / "funnel.json").write_text(
        LADDER.with_probabilities({"Qualify": 0.5}).to_json(), encoding="utf-8"
    )
    done = run(*asked(small(tmp_path, text), "--layout", "fields", "--by", "area", "--json"))
    assert ["North", "all"] == list(dict.fromkeys(r["area"] for r in json.loads(done.out)["rows"]))


SALESFORCE = """OpportunityId,StageName,CreatedDate,Amount,CloseDate,ForecastCategory
006A,Qualify,2026-01-05T09:00:00Z,100,2026-03-01,Pipeline
006B,Propose,2026-01-06T23:30:00Z,200,2026-04-01,BestCase
"""


def test_a_preset_brings_the_columns(run, log):
    """OpportunityHistory of Salesforce needs no names of columns, also not of its groups."""
    log.write_text(SALESFORCE, encoding="utf-8")
    done = run(*asked(log, "--preset", "salesforce", "--by", "category", "--csv"))
    assert ["all", "best case", "pipeline"] == sorted({r["category"] for r in rows_of(done.out)})
    assert not any("headers" in line for line in done.notes)
    # 23:30 UTC on 6 January is the 7th in Berlin.
    berlin = run("check", log, "--preset", "salesforce", "--timezone", "Europe/Berlin")
    assert berlin.out.startswith("History(2 deals, 2 rows, 2026-01-05 to 2026-01-07, 2 open")


def test_columns_are_named(run, tmp_path):
    """Each name goes to the reader; the file has none of the usual headers."""
    text = LOG.replace("deal,stage,changed_at,amount,owner", "a,b,c,d,e")
    done = run(
        *("check", small(tmp_path, text), "--id", "a", "--stage", "b", "--at", "c"),
        *("--amount", "d", "--attribute", "rep=e", "--attribute", "e"),
    )
    assert (0, "History(3 deals, 6 rows, 2026-01-05 to 2026-02-20, 1 open, 1 won, 1 lost)") == (
        done.code,
        done.out.splitlines()[0],
    )
    assert 1 == len(done.notes)  # the drafted ladder; no column was found by its header


def test_how_values_are_written(run, tmp_path):
    """Delimiter, decimal comma, encoding, order of day and month, and zones are options."""
    text = "商机;阶段;变更日期;金额\nA;意向;03/04/2026 23:30;1.234,56\n"
    path = small(tmp_path, text.encode("gb18030"))
    done = run(
        *("check", path, "--delimiter", ";", "--decimal", ",", "--encoding", "gb18030"),
        *("--day-first", "--source-timezone", "UTC", "--timezone", "Asia/Shanghai"),
        *("--currency-code", "CNY", "--observed-from", "2026-04-01"),
        *("--observed-until", "2026-04-30", "--strict"),
    )
    # 23:30 UTC on 3 April is 4 April in Shanghai; the window is as stated.
    assert "2026-04-01 to 2026-04-30" in done.out
    early = run("check", path, "--day-first", "--decimal", ",")
    assert "2026-04-03 to 2026-04-03" in early.out


def test_gzip_and_parquet(run, tmp_path):
    """A file is read by what it holds."""
    packed = small(tmp_path, gzip.compress(LOG.encode()), "log.csv.gz")
    assert "3 deals" in run("check", packed).out
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = rows_of(LOG)
    path = tmp_path / "log.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path)
    assert "3 deals" in run("check", path).out


# --- check ---------------------------------------------------------------------------------------

ODD = """deal,stage,changed_at,amount
A,Qualify,2026-01-05,-1
A,Won,2215-01-20,inf
B,Qualify,2026-01-06,nan
C,,2026-01-07,5
,Qualify,2026-01-07,5
"""


def test_check_lists_findings(run, tmp_path):
    """Negative and infinite amounts, a date in 2215, rows without deal or stage: all are told."""
    path = small(tmp_path, ODD)
    done = run("check", path)
    assert 0 == done.code
    rules = ("amount-negative", "amount-infinite", "at-implausible", "id-missing", "stage-missing")
    assert [rule for rule in rules if rule not in done.out] == []
    found = json.loads(run("check", path, "--json").out)
    assert {"row", "column", "rule", "value", "action"} == set(found[0])
    assert set(rules) <= {finding["rule"] for finding in found}


def test_check_of_a_clean_file(run, log):
    """No findings are said in words, and are an empty list in JSON."""
    assert run("check", log).out.endswith("\nno findings\n")
    assert [] == json.loads(run("check", log, "--json").out)
    assert 0 == run("check", log, "--strict").code


def test_strict(run, tmp_path):
    """With --strict a check lists all findings and fails, and a forecast fails on the first."""
    path = small(tmp_path, ODD)
    checked, asked_for = run("check", path, "--strict"), run("forecast", path, "--strict")
    assert "amount-negative" in checked.out
    assert (1, 1) == (checked.code, len(checked.errors))
    assert (1, 1, "") == (asked_for.code, len(asked_for.errors), asked_for.out)


# --- wrong data ----------------------------------------------------------------------------------

BAD = {
    "empty": (b"", "is empty"),
    "blank": (b"\n \n", "is empty"),
    "header only": (b"deal,stage,changed_at\n", "no rows"),
    "missing column": (b"deal,changed_at\nA,2026-01-05\n", "--stage"),
    "duplicate column": (b"deal,stage,stage,changed_at\nA,x,y,2026-01-05\n", "more than once"),
    "deals as changes": (b"deal,stage,created,closed\nA,Won,2026-01-05,\n", "--layout deals"),
    "two candidates": (b"id,deal,stage,at\n1,A,x,2026-01-05\n", "--id"),
    "no date": (b"deal,stage,changed_at\nA,Qualify,soon\n", "dates"),
    "ambiguous date": (b"deal,stage,changed_at\nA,Qualify,03/04/2026\n", "day_first"),
    "ragged": (b"deal,stage,changed_at\nA,Qualify\n", "values in every row"),
    "binary": (bytes(range(256)) * 64, "NUL"),
    "workbook": (b"PK\x03\x04" + bytes(100), "Excel"),
    "endless line": (b"deal,stage,changed_at," + b"x" * 5_000_000, "line"),
    "other encoding": (
        "deal,stage,changed_at\nÄ,Qualify,2026-01-05\n".encode("cp1252"),
        "encoding",
    ),
    "no row left": (b"deal,stage,changed_at\n,Qualify,2026-01-05\n", "left out"),
    "no open stage": (b"deal,stage,changed_at\nA,Won,2026-01-05\n", "open stage"),
    "damaged gzip": (gzip.compress(LOG.encode())[:-9], "gzip"),
    "no parquet": (b"PAR1" + bytes(20), "Parquet"),
}


@pytest.mark.parametrize("command", ["check", "forecast"])
@pytest.mark.parametrize("case", BAD)
def test_bad_files(run, tmp_path, case, command):
    """Each bad file gives one sentence, exit code 1, and nothing on stdout."""
    content, told = BAD[case]
    done = run(command, small(tmp_path, content))
    assert (1, "", 1) == (done.code, done.out, len(done.errors))
    assert told in done.errors[0]
    assert done.err.splitlines()[-1] == done.errors[0]
    assert "Traceback" not in done.err


def test_a_folder_and_a_missing_file(run, tmp_path):
    """A folder is no file, and for a missing file the closest names are proposed."""
    assert "is a directory" in run("check", tmp_path).errors[0]
    small(tmp_path, LOG, "deals.csv")
    missing = run("check", tmp_path / "deels.csv")
    assert (1, 1) == (missing.code, len(missing.errors))
    assert "Did you mean 'deals.csv'?" in missing.errors[0]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(run, log):
    """A file that may not be read is refused in words."""
    log.chmod(0)
    done = run("check", log)
    assert (1, 1) == (done.code, len(done.errors))
    assert "may not be read" in done.errors[0]


@pytest.mark.parametrize(
    ("change", "more", "told"),
    [
        (("Propose", "Proposel"), (), "'Proposel'"),
        (("changed_at", "changed_at"), ("--by", "regoin"), "'regoin'"),
        (("changed_at", "changed_at"), ("--amount", "amuont"), "Did you mean 'amount'?"),
        (("changed_at", "changed_at"), ("--as-of", "2027-01-01"), "observed until 2026-02-20"),
        (("changed_at", "changed_at"), ("--as-of", "2025-01-01"), "observed_from"),
        (("changed_at", "changed_at"), ("--constant", "amount"), "constant"),
        (("changed_at", "changed_at"), ("--model", "win-rate"), "needed"),
    ],
)
def test_data_that_do_not_fit_the_question(run, log, change, more, told):
    """What is asked of the file and is not in it is a matter of the data: exit code 1."""
    log.write_text(LOG.replace(*change), encoding="utf-8")
    done = run(*asked(log, *more))
    assert (1, "", 1) == (done.code, done.out, len(done.errors))
    assert told in done.errors[0]


def test_two_currencies_are_not_added_up(run, log):
    """They are readable, and a forecast of their sum is refused."""
    rows = LOG.splitlines()
    codes = ["currency", "EUR", "EUR", "EUR", "USD", "EUR", "EUR"]
    text = "\n".join(f"{row},{code}" for row, code in zip(rows, codes, strict=True))
    log.write_text(text, encoding="utf-8")
    assert 0 == run("check", log).code
    done = run(*asked(log, "--start", "2026-01-01"))
    assert (1, "", 1) == (done.code, done.out, len(done.errors))
    assert "'EUR', 'USD'" in done.errors[0]


def test_a_deal_that_is_there_twice(run, tmp_path):
    """In a table of deals an id is there once."""
    text = "id,stage,created,closed\nA,Won,2026-01-05,2026-02-01\nA,Qualify,2026-01-06,\n"
    done = run("check", small(tmp_path, text), "--layout", "deals")
    assert (1, 1) == (done.code, len(done.errors))
    assert "once" in done.errors[0]


def test_contradictory_dates_are_findings(run, tmp_path):
    """A deal that closed before it was created is told, not dropped."""
    text = "id,stage,created,closed\nA,Won,2026-03-05,2026-02-01\nB,Qualify,2026-01-06,\n"
    found = json.loads(run("check", small(tmp_path, text), "--layout", "deals", "--json").out)
    assert "created-after-closed_on" in {finding["rule"] for finding in found}


# --- wrong usage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "win-rat"), "win-rate"),
        (("--periods", "4x"), "4q"),
        (("--as-of", "30.6.2026"), "--as-of"),
        (("--start", "2026-06"), "--start"),
        (("--target", "nan"), "finite"),
        (("--target", "much"), "--target"),
        (("--json", "--csv"), "--csv"),
        (("--funnel", "projekt"), "project"),
        (("--funnel", "project", "--language", "fr"), "--language"),
        (("--language", "zh"), "template"),
        (("--layout", "rows"), "--layout"),
        (("--layout", "deals", "--at", "changed_at"), "--at"),
        (("--closed", "changed_at"), "--closed"),
        (("--field", "stage"), "--field"),
        (("--preset", "salesfroce"), "salesforce"),
        (("--preset", "hubspot"), "fields or deals"),
        (("--attribute", "=owner"), "--attribute"),
        (("--attribute", "owner="), "--attribute"),
        (("--attribute", "a=owner", "--attribute", "a=stage"), "twice"),
        (("--constant", "owner", "--final", "owner"), "both"),
        (("--timezone", "Mars/Olympus"), "--timezone"),
        (("--encoding", "utf-9"), "--encoding"),
        (("--delimiter", "::"), "--delimiter"),
        (("--decimal", "x"), "--decimal"),
        (("--observed-until", "today"), "--observed-until"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_wrong_usage(run, log, arguments, told):
    """What is wrong whatever the file holds is an error of usage: exit code 2, with the option."""
    done = run("forecast", log, *arguments)
    assert (2, "") == (done.code, done.out)
    # A box is drawn around the message, which may break the line anywhere.
    plain = "".join(done.err.replace("│", "").replace("\n", "").split())
    assert told.replace(" ", "") in plain
    assert "Traceback" not in done.err


def test_a_ladder_of_ones_own_has_no_language(run, log):
    """--language chooses the labels of a template, and nothing else."""
    done = run(*asked(log, "--language", "zh"))
    assert 2 == done.code


@pytest.mark.parametrize("command", [(), ("forecast",), ("simulate",)])
def test_arguments_that_are_missing(run, command):
    """Without them the command says how it is used."""
    done = run(*command)
    assert 2 == done.code
    assert "Usage: funnel" in done.out + done.err


# --- models --------------------------------------------------------------------------------------


def test_models_are_listed(run):
    """Each with the package that provides it, and the first line of its docstring."""
    done = run("models")
    found = json.loads(run("models", "--json").out)
    assert list(registry.names()) == [model["model"] for model in found]
    assert {"model": "textbook", "package": "salesfunnel"}.items() <= found[0].items()
    assert all(model["summary"] in done.out for model in found)
    assert found[0]["summary"].startswith("Weighted pipeline")


def test_a_broken_plugin_is_listed_as_broken(run, monkeypatch):
    """One that cannot be imported does not hide the others."""
    point = EntryPoint("broken.model", "no_such_module:Model", registry.GROUP)
    monkeypatch.setattr(registry, "_plugins", lambda: {"broken.model": point})
    done = run("models", "--json")
    assert 0 == done.code
    last = json.loads(done.out)[-1]
    assert "broken.model" == last["model"]
    assert last["summary"].startswith("broken: ")
    assert "no_such_module" in last["summary"]


# --- simulate ------------------------------------------------------------------------------------


def test_a_simulation_is_what_the_library_simulates(run, tmp_path):
    """The file read back has the rows of the simulation, and one seed gives one file."""
    path = tmp_path / "a.csv"
    arguments = ("--deals", 50, "--seed", 7, "--start", "2025-01-01", "--end", "2025-12-31")
    done = run("simulate", *arguments, "--output", path)
    expected = fn.datasets.simulate(50, rng=7, start="2025-01-01", end="2025-12-31")
    assert f"{expected.history!r}\nwrote {path} and {tmp_path / 'funnel.json'}\n" == done.out
    history = fn.io.read_history(
        path,
        funnel=fn.Funnel.from_json((tmp_path / "funnel.json").read_text(encoding="utf-8")),
        id="deal",
        at="changed_at",
        stage="stage",
        amount="amount",
        currency="currency",
        created="created",
        expected_close="expected_close",
        stage_entered="stage_entered",
        attributes=["category", "owner", "region", "source"],
        observed_from="2025-01-01",
        observed_until="2025-12-31",
    )
    assert len(history.findings) == 0
    assert history.identical_to(expected.history)
    first = path.read_bytes()
    run("simulate", *arguments, "--output", path)
    assert first == path.read_bytes()


def test_a_ladder_that_somebody_typed_is_not_overwritten(run, tmp_path):
    """funnel.json is replaced only by itself, and the log is not written without it."""
    ladder = small(tmp_path, LADDER.to_json(), "funnel.json")
    done = run("simulate", "--deals", 10, "--output", tmp_path / "a.csv")
    assert (1, 1) == (done.code, len(done.errors))
    assert LADDER.to_json() == ladder.read_text(encoding="utf-8")
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--deals", "0"),
        ("--seed", "-1"),
        ("--start", "yesterday"),
        ("--start", "2026-01-01", "--end", "2025-01-01"),
    ],
)
def test_a_simulation_that_cannot_be(run, tmp_path, arguments):
    """Its parameters are options only, so that all that is wrong is usage."""
    assert 2 == run("simulate", *arguments, "--output", tmp_path / "a.csv").code
    assert 2 == run("simulate", "--output", tmp_path / "a.parquet").code


# --- the documentation ---------------------------------------------------------------------------


def test_the_commands_in_the_documentation_print_what_it_shows(run, tmp_path, monkeypatch):
    """Every block with a prompt in the how-to is run on the files that it shows."""
    page = (ROOT / "docs" / "howto" / "command-line.md").read_text(encoding="utf-8")
    for language, name in (("text", "changes.csv"), ("json", "funnel.json")):
        content = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)[1]
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```console\n\$ funnel (.*?)```", page, re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        command, _, shown = block.partition("\n")
        done = run(*shlex.split(command))
        fits = doctest.OutputChecker().check_output(shown, done.out, doctest.ELLIPSIS)
        assert fits, f"funnel {command}\n{done.out}{done.err}"


# --- what can happen around a command ------------------------------------------------------------


def test_warnings_are_sentences(run, log, monkeypatch):
    """A warning of the library is one line on stderr, and does not stop the command."""

    def warned(*arguments, **keywords):
        warnings.warn("only three deals", SmallSampleWarning, stacklevel=2)
        return fn.forecast(*arguments, **keywords)

    monkeypatch.setattr(_forecast, "forecast_history", warned)
    done = run(*asked(log))
    assert 0 == done.code
    assert "warning: only three deals" in done.err.splitlines()


INTERRUPTIONS = {
    "Ctrl-C": (KeyboardInterrupt(), 130, ""),
    "memory": (MemoryError("9 TiB"), 1, "error: there is not enough memory for this. 9 TiB\n"),
    "system": (OSError(28, "No space left on device"), 1, "error: No space left on device\n"),
    "library": (OSError("disk on fire"), 1, "error: disk on fire\n"),
    "lines": (fn.errors.ReadError("two\nlines"), 1, "error: two lines\n"),
}


@pytest.mark.parametrize("case", INTERRUPTIONS)
def test_what_interrupts_a_command(run, log, monkeypatch, case):
    """Each has its exit code and at most one line; none is a traceback."""
    error, code, said = INTERRUPTIONS[case]

    def broken(*_):
        raise error

    monkeypatch.setattr(_check, "read", broken)
    assert Done(code, "", said) == run("check", log)


def test_without_a_place_to_write(monkeypatch):
    """`funnel models >&-` has no stdout at all, and is done all the same."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as left:
        main(["models"])
    assert 0 == left.value.code


def test_a_pipe_that_is_closed(monkeypatch):
    """Writing to nobody is no error, and Python's own flush at the end goes nowhere."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit) as left:
            main(["models"])
        stream.write("nobody reads this")
    assert 0 == left.value.code


def test_simulating_without_pyarrow(run, tmp_path, monkeypatch):
    """The missing package is named, with the command that installs it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run("simulate", "--deals", 10, "--output", tmp_path / "a.csv")
    assert (2, 1) == (done.code, len(done.errors))
    assert "salesfunnel[arrow]" in done.errors[0]


def test_the_extra_is_needed(capsys, monkeypatch):
    """Without typer there is one sentence that says what to install."""
    monkeypatch.delitem(sys.modules, "funnel.cli._app")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as left:
        main([])
    assert 2 == left.value.code
    assert capsys.readouterr().err == (
        "error: typer is needed for this and is not installed. "
        "Install it with: pip install 'salesfunnel[cli]'\n"
    )


def test_it_can_be_stopped_while_it_loads(monkeypatch):
    """Ctrl-C in the first half second is as quiet as later."""

    class Stopped:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "funnel.cli._app", Stopped())
    with pytest.raises(SystemExit) as left:
        main([])
    assert 130 == left.value.code


def test_a_broken_installation_is_not_hidden(monkeypatch):
    """A module of ours that is missing is no missing extra."""
    monkeypatch.setitem(sys.modules, "funnel.cli._app", None)
    with pytest.raises(ModuleNotFoundError, match=r"funnel\.cli\._app"):
        main([])


def test_the_module_is_the_command(capsys, monkeypatch):
    """`python -m funnel --version` prints the version."""
    monkeypatch.setattr(sys, "argv", ["funnel", "--version"])
    with pytest.raises(SystemExit) as left:
        runpy.run_module("funnel", run_name="__main__")
    assert 0 == left.value.code
    assert f"funnel {fn.__version__}\n" == capsys.readouterr().out


def test_no_colours_outside_of_a_terminal(run, log):
    """Neither tables nor help nor errors hold control codes where they are piped."""
    for done in (run("--help"), run(*asked(log)), run("nonsense")):
        assert "\x1b" not in done.out + done.err
    assert np.all([code in run("--help").out for code in ("forecast", "check", "simulate")])

"""The history files of the published figures: what is missing is named, and only the right bytes are accepted."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.errors import DataFileError
from tools.results import data
from tools.results.data import FILES, build

AAVE = "aave_v3_daily.csv"


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    """A folder with a clone of the Aave repository, in which two snapshots were committed."""
    clone = tmp_path / "clones" / "aave-v3-data"
    clone.mkdir(parents=True)
    git = ["git", "-C", str(clone), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    for day in ("2025-08-02", "2026-03-01"):
        (clone / "aave_v3_data.json").write_text(json.dumps(_snapshot(day)))
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", day], check=True)
    return clone.parent


def _snapshot(day: str) -> dict[str, Any]:
    reserve = {
        "current_liquidity_rate": 0.03, "current_variable_borrow_rate": 0.05, "liquidity_index": 1.1,
        "variable_borrow_index": 1.2, "reserve_factor": 0.25, "supply_cap": 0, "borrow_cap": 9,
        "asset_address": "0x1", "last_update_timestamp": 5,
    }  # fmt: skip
    reserves = [{**reserve, "symbol": symbol} for symbol in ("USDT", "DAI", "SHIB")]
    networks = {"ethereum": reserves, "base": reserves[:1], "zksync": reserves}
    return {"metadata": {"last_updated": f"{day}T01:02:03.4+00:00"}, "networks": networks}


LINES = """\
snapshot_utc,network,symbol,supply_apr,variable_borrow_apr,liquidity_index,variable_borrow_index,reserve_factor,\
supply_cap,borrow_cap,asset,last_update_ts
2025-08-02 01:02:03,base,USDT,0.03,0.05,1.1,1.2,0.25,0,9,0x1,5
2025-08-02 01:02:03,ethereum,DAI,0.03,0.05,1.1,1.2,0.25,0,9,0x1,5
2025-08-02 01:02:03,ethereum,USDT,0.03,0.05,1.1,1.2,0.25,0,9,0x1,5
"""


def test_build__a_clone__gives_the_file_of_the_digest(
    clones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, AAVE, replace(FILES[AAVE], sha256=sha256(LINES.encode()).hexdigest()))
    build(tmp_path / "out", clones)
    assert [file.name for file in (tmp_path / "out").iterdir()] == [AAVE]
    assert (tmp_path / "out" / AAVE).read_text() == LINES


def test_build__another_history__refused_and_not_written(clones: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"gives another aave_v3_daily\.csv: clone it anew"):
        build(tmp_path, clones)
    assert not (tmp_path / AAVE).exists()


def test_build__no_clone_of_git__said(tmp_path: Path) -> None:
    (tmp_path / "defi-data-scraping").mkdir()
    with pytest.raises(DataFileError, match=r"git fails in .*defi-data-scraping"):
        build(tmp_path, tmp_path)


def test_data__missing_other_and_present__said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = [name for name, file in FILES.items() if file.published]
    (tmp_path / AAVE).write_text("edited")
    done = CliRunner().invoke(data.data, [str(tmp_path)])
    assert done.exit_code == 1
    assert f"other digest  {AAVE}" in done.output
    assert done.output.count("git clone https://github.com/") == len(published) == 3
    for name in published:
        (tmp_path / name).write_text("right")
        monkeypatch.setitem(FILES, name, replace(FILES[name], sha256=sha256(b"right").hexdigest()))
    done = CliRunner().invoke(data.data, [str(tmp_path), "--json"])
    assert done.exit_code == 0
    assert {name: entry["state"] for name, entry in json.loads(done.output).items()} == dict.fromkeys(
        published, "present"
    )
    assert CliRunner().invoke(data.data, [str(tmp_path), "--all"]).exit_code == 1

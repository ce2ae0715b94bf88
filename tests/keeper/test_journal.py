"""The journal: one intent in flight, one keeper at a time, nothing half written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from keeper.errors import JournalBusyError, JournalError, JournalHeldError
from keeper.journal import Intent, Journal, State, metadata, open_journal, read_journal

VAULT = "0x" + "11" * 20


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'journal.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql_url"], ids=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    opened = open_journal(url, 1, VAULT)
    yield opened
    opened.close()


def plan(journal: Journal, nonce: int = 0) -> Intent:
    cycle = journal.begin_cycle(live=True)
    return journal.plan(
        cycle, sender=VAULT, nonce=nonce, epoch=0, deadline=10, gas=1, call_data=b"\x01", reason="because"
    )


def test_intent__goes_through_its_states(journal: Journal) -> None:
    intent = plan(journal)
    assert intent.state is State.PLANNED
    intent = journal.record_signed(intent, "0xaa", b"\x02", 2**200, 1)
    assert (intent.state, intent.attempts[0].raw, intent.attempts[0].max_fee) == (State.SIGNED, b"\x02", 2**200)
    intent = journal.record_sent(intent, "0xaa")
    assert intent.state is State.SENT
    intent = journal.record_signed(intent, "0xbb", b"\x03", 2**201, 2)
    assert (intent.state, len(intent.attempts)) == (State.SENT, 2)
    intent = journal.settle(intent, State.MINED, "applied", transaction_hash="0xbb", gas_price=7)
    assert (intent.state, intent.gas_price) == (State.MINED, 7)
    assert journal.latest_intent() == intent
    assert journal.attempts_at(VAULT, 0) == intent.attempts[::-1]
    assert journal.attempts_at(VAULT, 1) == ()


def test_intent__a_second_one_while_one_is_open__is_refused_by_the_database(journal: Journal) -> None:
    first = plan(journal)
    with pytest.raises(JournalError, match=r"(?i)unique constraint"):
        plan(journal, nonce=1)
    journal.settle(first, State.EXPIRED, "over")
    second = plan(journal, nonce=1)
    with pytest.raises(JournalError, match=r"(?i)unique constraint"):
        journal.settle(first, State.SENT, "reopened")
    assert journal.latest_intent() == second


def test_intent__survives_closing(journal: Journal, url: str) -> None:
    intent = journal.record_signed(plan(journal), "0xaa", b"\x02", 1, 1)
    journal.close()
    again = open_journal(url, 1, VAULT)
    assert again.latest_intent() == intent
    again.close()


def test_lock__one_keeper_at_a_time(journal: Journal, url: str) -> None:
    with pytest.raises(JournalError, match=r"Another keeper (\(process \d+\) )?holds"):
        open_journal(url, 1, VAULT)
    looking = read_journal(url, 1, VAULT)  # looking is allowed
    assert looking is not None
    assert looking.count_intents() == {}
    looking.close()
    journal.close()
    open_journal(url, 1, VAULT).close()


@pytest.mark.parametrize(("chain", "vault"), [(2, VAULT), (1, "0x" + "22" * 20)])
def test_bind__another_vault_or_chain__is_refused(sqlite: str, chain: int, vault: str) -> None:
    open_journal(sqlite, 1, VAULT).close()
    with pytest.raises(JournalError, match="belongs to vault"):
        open_journal(sqlite, chain, vault)
    open_journal(sqlite, 1, VAULT).close()  # and the refusal freed the lock


# --- PostgreSQL: many vaults, and fences -------------------------------------------------------------------------


def test_postgresql__many_vaults_in_one_database__know_nothing_of_one_another(postgresql_url: str) -> None:
    assert read_journal(postgresql_url, 1, VAULT) is None
    with ExitStack() as opened:
        journals = []
        for chain, vault in ((1, VAULT), (2, VAULT), (1, "0x" + "22" * 20)):
            journals.append(open_journal(postgresql_url, chain, vault))
            opened.callback(journals[-1].close)
            plan(journals[-1], nonce=len(journals))
        assert [journal.latest_intent().nonce for journal in journals] == [1, 2, 3]  # type: ignore[union-attr]
        with pytest.raises(JournalHeldError):
            open_journal(postgresql_url, 2, VAULT)


def test_postgresql__journal_of_before__stays_where_it_is(postgresql_url: str) -> None:
    engine = sa.create_engine(postgresql_url)
    old = Journal(engine, None)
    metadata.create_all(engine)
    old.bind(1, VAULT)
    intent = plan(old)
    old.close()
    again = open_journal(postgresql_url, 1, VAULT)
    assert again.latest_intent() == intent
    again.close()
    other = open_journal(postgresql_url, 1, "0x" + "22" * 20)
    assert other.latest_intent() is None
    other.close()


def kill_sessions_with_locks(url: str) -> None:
    """End the sessions that hold a keeper's lock, as a fail-over or an administrator does."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        ended = connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        ).all()
    engine.dispose()
    assert ended


def test_lock__whose_session_died__is_taken_anew(postgresql_url: str) -> None:
    first = open_journal(postgresql_url, 1, VAULT)
    kill_sessions_with_locks(postgresql_url)
    first.begin_cycle(live=True)
    with pytest.raises(JournalHeldError):
        open_journal(postgresql_url, 1, VAULT)
    first.close()


def test_lock__whose_session_died_and_another_has_it__the_first_can_write_nothing(postgresql_url: str) -> None:
    first = open_journal(postgresql_url, 1, VAULT)
    intent = plan(first)
    kill_sessions_with_locks(postgresql_url)
    second = open_journal(postgresql_url, 1, VAULT)
    with pytest.raises(JournalHeldError, match="taken the journal over"):
        first.record_signed(intent, "0xaa", b"\x02", 1, 1)
    with pytest.raises(JournalHeldError, match="Another keeper holds"):
        first.begin_cycle(live=True)
    second.record_signed(intent, "0xbb", b"\x02", 1, 1)
    second.close()
    with pytest.raises(JournalHeldError, match="taken the journal over"):
        first.begin_cycle(live=True)  # the lock is free, but what it remembers is old
    first.close()


def test_lock_file_deleted__the_first_keeper_can_write_nothing(sqlite: str) -> None:
    first = open_journal(sqlite, 1, VAULT)
    Path(sqlite.removeprefix("sqlite:///") + ".lock").unlink()
    second = open_journal(sqlite, 1, VAULT)
    with pytest.raises(JournalHeldError, match="taken the journal over"):
        plan(first)
    plan(second)
    second.close()
    first.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("sqlite:///:memory:", "in memory"),
        ("sqlite://", "in memory"),
        ("sqlite:////proc/none/journal", "cannot be written"),
        ("mysql+none://u:secret@h/d", "cannot be opened"),
        ("postgresql+none://u:secret@h/d", "cannot be opened"),
    ],
)
def test_open__bad_url__is_one_message_without_the_password(wrong: str, message: str) -> None:
    with pytest.raises(JournalError, match=message) as caught:
        open_journal(wrong, 1, VAULT)
    assert "secret" not in str(caught.value)


def test_open__a_file_that_is_no_database__is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_text("not a database, " * 100)
    with pytest.raises(JournalError, match="not a database"):
        open_journal(f"sqlite:///{path}", 1, VAULT)


def test_storage_fails__is_a_journal_error(sqlite: str) -> None:
    journal = open_journal(sqlite, 1, VAULT)
    journal._engine.dispose()
    Path(sqlite.removeprefix("sqlite:///")).write_text("broken " * 1000)
    with pytest.raises(JournalError, match="Nothing is sent without it"):
        journal.begin_cycle(live=True)
    journal.close()


def test_settings__write_ahead_full_sync_and_foreign_keys(sqlite: str) -> None:
    journal = open_journal(sqlite, 1, VAULT)
    with journal._engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    journal.close()


def test_open__no_server__is_one_message_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(JournalBusyError, match="Nothing is sent without it") as caught:
        open_journal(f"postgresql://u:secret@/d?host={tmp_path}", 1, VAULT)
    assert "secret" not in str(caught.value)


def test_rate_memory__last_one_counts(journal: Journal) -> None:
    for state in ("one", "two"):
        journal.note(journal.begin_cycle(live=False), outcome="no-trade", reason="-", memory=("0xdd", state))
    assert journal.memory("0xdd") == "two"
    assert journal.memory("0xee") is None


def test_read__no_file_yet__is_none(tmp_path: Path) -> None:
    assert read_journal(f"sqlite:///{tmp_path / 'none.sqlite'}", 1, VAULT) is None
    assert list(tmp_path.iterdir()) == []

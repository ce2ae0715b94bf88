"""The keeper's durable memory, in SQL (SQLite by default, PostgreSQL by URL).

What is written before what is the safety of the whole: an intent with its pinned nonce before anything is signed, the
signed bytes before they are sent. After a crash at any point the next cycle finds here what may be under way::

    planned -> signed -> sent -> mined | reverted | expired | superseded
                                   ^ reopened to `sent` when a reorg takes its block away

`in_flight` is 1 while an intent is open and NULL afterwards; being unique, it allows one open intent at most. One
keeper at a time holds a journal: a lock that the operating system (or the database) frees when the process dies.
"""

from keeper.journal.journal import Journal
from keeper.journal.opening import open_journal, read_journal
from keeper.journal.schema import Attempt, Intent, Kind, State, metadata

__all__ = ["Attempt", "Intent", "Journal", "Kind", "State", "metadata", "open_journal", "read_journal"]

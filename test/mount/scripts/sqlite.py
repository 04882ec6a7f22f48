"""Transactions of two connections on one database with a rollback journal. Usage: FILE"""

import sqlite3
import sys

path = sys.argv[1]
ROWS = 40
ROUNDS = 15
total = 0

writer = sqlite3.connect(path, isolation_level=None, timeout=30)
assert writer.execute("pragma journal_mode=delete").fetchone() == ("delete",)
writer.execute("pragma synchronous=full")
writer.execute("create table t (round integer, value text)")
for turn in range(ROUNDS):
    writer.execute("begin")
    writer.executemany("insert into t values (?, ?)", [(turn, "x" * (number * 37)) for number in range(ROWS)])
    # Every third is taken back: the journal must bring the old pages.
    writer.execute("rollback" if turn % 3 == 2 else "commit")
    total += 0 if turn % 3 == 2 else ROWS
    reader = sqlite3.connect(path, timeout=30)
    assert reader.execute("select count(*) from t").fetchone() == (total,)
    reader.close()
writer.execute("update t set value = 'y' || value where round = 3")
writer.execute("delete from t where round = 4")
writer.execute("vacuum")
assert writer.execute("pragma integrity_check").fetchone() == ("ok",)
writer.close()

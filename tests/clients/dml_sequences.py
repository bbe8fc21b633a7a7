"""Random statements that change rows, on a Delta table here and on a plain one in DuckDB: after each of them the same
rows and the same count, after each sequence the same rows through Python's deltalake.

    python dml_sequences.py HOST PORT FOLDER [--sequences N] [--first SEED]

FOLDER is a place for tables that the server and this program can both reach. The sequence of a seed never changes
except with this program; a failure prints it.
"""

import argparse
import datetime
import decimal
import random
import sys
from collections import Counter
from pathlib import Path

import deltalake
import duckdb
import psycopg
import pyarrow as pa

# No column is called as a table of the statements is.
TYPES = {
    "v": "BIGINT",
    "c": "TEXT",
    "d": "DOUBLE PRECISION",
    "m": "NUMERIC(12, 2)",
    "f": "BOOLEAN",
    "e": "DATE",
    "z": "TIMESTAMP",
}
DUCKDB_TYPES = {"TEXT": "VARCHAR", "DOUBLE PRECISION": "DOUBLE"}
SECOND_TIME = "21000"
BAD_REPLACEMENT = "23514"


class Generator:
    """The statements of one seed: text for us, and what DuckDB does for the same effect."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        extra = self.random.sample(sorted(TYPES), self.random.randint(2, 4))
        self.columns = {"k": "INT", "i": "INT", **{name: TYPES[name] for name in extra}}
        self.partitions = self.random.choice([[], [], ["k"], [extra[0]], ["k", extra[0]]])
        self.changes = self.random.random() < 0.4
        self.batch = 0

    def literal(self, name: str) -> str:
        pick = self.random
        if pick.random() < 0.15:
            return "NULL"
        kind = self.columns[name]
        if name in ("k", "i"):
            return str(pick.randint(0, 8))
        if kind == "BIGINT":
            return str(pick.choice([0, 1, -5, 10**12, pick.randint(-99, 99)]))
        if kind == "TEXT":
            return pick.choice(["'a'", "'b'", "'Bé'", "'a b/c=d'", "'''q'", "'%2F'"])
        if kind == "DOUBLE PRECISION":
            return f"CAST({pick.choice(['0.5', '-1.25', '1e100', '3'])} AS DOUBLE PRECISION)"
        if kind == "BOOLEAN":
            return pick.choice(["TRUE", "FALSE"])
        if kind == "DATE":
            return f"DATE '2024-0{pick.randint(1, 9)}-1{pick.randint(0, 9)}'"
        if kind == "TIMESTAMP":
            return f"TIMESTAMP '2024-01-0{pick.randint(1, 9)} 10:00:00.{pick.randint(0, 999999):06d}'"
        return f"CAST({pick.randint(-999, 999)}.{pick.randint(0, 99):02d} AS NUMERIC(12, 2))"

    def value(self, name: str, qualifier: str, others: list[str]) -> str:
        """A value for a column, from the rows at hand or not."""
        choice = self.random.random()
        if choice < 0.35:
            return self.literal(name)
        if choice < 0.55 and self.columns[name] in ("INT", "BIGINT"):
            return f"{qualifier}{name} + {self.random.randint(1, 3)}"
        if choice < 0.65 and self.columns[name] == "TEXT":
            return f"{qualifier}{name} || 'x'"
        if choice < 0.75 and self.columns[name] in ("INT", "BIGINT"):
            return f"CASE WHEN {qualifier}i > 3 THEN {qualifier}{name} ELSE {self.random.randint(0, 5)} END"
        return f"{self.random.choice(others)}{name}"

    def condition(self, qualifier: str) -> str:
        name = self.random.choice(list(self.columns))
        column = f"{qualifier}{name}"
        ways = [
            lambda: f"{column} = {self.literal(name)}",
            lambda: f"{column} <> {self.literal(name)}",
            lambda: f"{column} IS NULL",
            lambda: f"{column} IS NOT NULL AND {qualifier}i < {self.random.randint(1, 8)}",
            lambda: f"{qualifier}k BETWEEN {self.random.randint(0, 3)} AND {self.random.randint(3, 8)}",
            lambda: f"{qualifier}k IN ({self.literal('k')}, {self.literal('k')})",
            lambda: f"NOT ({column} < {self.literal(name)})",
        ]
        text = self.random.choice(ways)()
        if self.random.random() < 0.2:
            text = f"({text}) {self.random.choice(['AND', 'OR'])} {qualifier}i <> {self.literal('i')}"
        return f"({text})"

    def subquery_condition(self, qualifier: str) -> str:
        """A condition on the second table."""
        return self.random.choice(
            [
                f"{qualifier}k IN (SELECT k FROM u WHERE {self.condition('u.')})",
                f"{qualifier}i NOT IN (SELECT i FROM u WHERE i IS NOT NULL AND k > {self.random.randint(0, 8)})",
                f"EXISTS (SELECT 1 FROM u WHERE u.k = {qualifier}k AND {self.condition('u.')})",
                f"NOT EXISTS (SELECT 1 FROM u WHERE u.k = {qualifier}k)",
                f"{qualifier}i > (SELECT min(i) FROM u)",
                f"{qualifier}i = (SELECT max(i) FROM u WHERE u.k = {qualifier}k)",
            ]
        )

    def rows(self, count: int) -> str:
        row = lambda: "(" + ", ".join(self.literal(name) for name in self.columns) + ")"
        return "VALUES " + ", ".join(row() for _ in range(count))

    def query(self) -> str:
        """Rows of the table's shape from the two tables."""
        choice = self.random.random()
        if choice < 0.4:
            return self.rows(self.random.randint(1, 6))
        table = self.random.choice(["t", "u"])
        items = ", ".join(self.value(name, "", [""]) + f" AS {name}" for name in self.columns)
        return f"SELECT {items} FROM {table} WHERE {self.condition('')}"

    def assignments(self, qualifier: str, others: list[str]) -> str:
        names = self.random.sample(list(self.columns), self.random.randint(1, 3))
        return ", ".join(f"{name} = {self.value(name, qualifier, others)}" for name in names)

    def insert(self) -> dict:
        if self.random.random() < 0.3:
            names = self.random.sample(list(self.columns), self.random.randint(1, len(self.columns)))
            values = ", ".join(self.literal(name) for name in names)
            return plain(f"INSERT INTO t ({', '.join(names)}) VALUES ({values})")
        return plain(f"INSERT INTO t {self.query()}")

    def update(self) -> dict:
        choice = self.random.random()
        if choice < 0.25:
            distinct = "(SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY i, {}) AS n FROM u) q WHERE n = 1)"
            source = distinct.format(", ".join(name for name in self.columns if name not in ("k", "i")))
            text = f"UPDATE t SET {self.assignments('t.', ['t.', 's.'])} FROM {source} AS s WHERE t.k = s.k"
            return plain(text + (f" AND {self.condition('t.')}" if self.random.random() < 0.5 else ""))
        condition = self.subquery_condition("t.") if choice < 0.5 else self.condition("t.")
        return plain(f"UPDATE t SET {self.assignments('t.', ['t.'])} WHERE {condition}")

    def delete(self) -> dict:
        choice = self.random.random()
        if choice < 0.1:
            return plain("DELETE FROM t WHERE FALSE")
        if choice < 0.25:
            return plain(f"DELETE FROM t USING u WHERE t.k = u.k AND {self.condition('u.')}")
        condition = self.subquery_condition("t.") if choice < 0.6 else self.condition("t.")
        return plain(f"DELETE FROM t WHERE {condition}")

    def truncate(self) -> dict:
        return {"sql": "TRUNCATE t", "peer": ["DELETE FROM t"], "counted": False}

    def overwrite(self) -> dict:
        query = self.query()
        peer = [f"CREATE OR REPLACE TEMP TABLE fresh AS FROM ({query}) q", "DELETE FROM t", "INSERT INTO t FROM fresh"]
        return {"sql": f"INSERT OVERWRITE t {query}", "peer": peer, "counted": True}

    def replace(self) -> dict:
        condition, query = self.condition("t."), self.query()
        names = ", ".join(self.columns)
        peer = [
            f"CREATE OR REPLACE TEMP TABLE fresh AS SELECT * FROM ({query}) AS t({names})",
            f"DELETE FROM t WHERE {condition}",
            "INSERT INTO t FROM fresh",
        ]
        bad = f"SELECT count(*) FROM fresh AS t WHERE ({condition}) IS NOT TRUE"
        sql = f"INSERT INTO t REPLACE WHERE {condition} {query}"
        return {"sql": sql, "peer": peer, "counted": True, "refused": (BAD_REPLACEMENT, bad)}

    def merge(self) -> dict:
        names = list(self.columns)
        source = self.random.choice(
            [
                "u",
                f"(SELECT * FROM u WHERE {self.condition('u.')})",
                f"(SELECT * FROM ({self.rows(self.random.randint(1, 5))}) AS w({', '.join(names)}))",
                "(SELECT * FROM t WHERE i < 4)",
            ]
        )
        unique = self.random.random() < 0.6
        if unique:
            order = ", ".join(names)
            source = f"(SELECT {order} FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY {order}) AS n FROM {source} AS x) AS y WHERE n = 1)"
        on = self.random.choice(["t.k = s.k", "t.k = s.k", "t.k = s.k AND t.i = s.i", "t.k = s.k AND s.i > 2"])
        clauses, acting = [], []
        for _ in range(self.random.randint(0, 3)):
            condition = self.condition(self.random.choice(["t.", "s."]))
            action = self.random.choice(["update", "update", "delete", "nothing"])
            text = {"delete": "DELETE", "nothing": "DO NOTHING"}.get(action)
            text = text or f"UPDATE SET {self.assignments('t.', ['t.', 's.'])}"
            clauses.append(f"WHEN MATCHED AND {condition} THEN {text}")
            acting.append(f"WHEN {condition} THEN {'FALSE' if action == 'nothing' else 'TRUE'}")
        if self.random.random() < 0.6:
            clauses.append("WHEN MATCHED THEN UPDATE SET " + self.assignments("t.", ["s."]))
            acting.append("WHEN TRUE THEN TRUE")
        for _ in range(self.random.randint(0, 1)):
            condition = self.condition("s.")
            values = ", ".join(self.value(name, "s.", ["s."]) for name in names)
            text = self.random.choice(["DO NOTHING", f"INSERT ({', '.join(names)}) VALUES ({values})"])
            clauses.append(f"WHEN NOT MATCHED AND {condition} THEN {text}")
        if self.random.random() < 0.6 or not clauses:
            part = self.random.sample(names, self.random.randint(1, len(names)))
            values = ", ".join(f"s.{name}" for name in part)
            clauses.append(f"WHEN NOT MATCHED THEN INSERT ({', '.join(part)}) VALUES ({values})")
        if self.random.random() < 0.35:
            action = self.random.choice(["DELETE", "UPDATE SET " + self.assignments("t.", ["t."]), "DO NOTHING"])
            clauses.append(f"WHEN NOT MATCHED BY SOURCE AND {self.condition('t.')} THEN {action}")
        sql = f"MERGE INTO t USING {source} AS s ON {on} " + " ".join(clauses)
        acts = f"CASE {' '.join(acting)} ELSE FALSE END" if acting else "FALSE"
        twice = f"SELECT count(*) FROM (SELECT t.rowid FROM t JOIN {source} AS s ON {on} WHERE {acts} GROUP BY 1 HAVING count(*) > 1)"
        found = {"sql": sql, "peer": [sql], "counted": True}
        return found if unique else {**found, "refused": (SECOND_TIME, twice), "first": 0}

    def statement(self) -> dict:
        kinds = [self.insert, self.update, self.delete, self.truncate, self.overwrite, self.replace, self.merge]
        return self.random.choices(kinds, [5, 4, 3, 0.3, 0.7, 1.2, 6])[0]()


def plain(sql: str) -> dict:
    return {"sql": sql, "peer": [sql], "counted": True}


class Sequence:
    """One seed, run on both sides."""

    def __init__(self, seed: int, ours: psycopg.Connection, folder: Path) -> None:
        self.seed, self.ours, self.log = seed, ours, []
        self.generator = Generator(seed)
        self.peer = duckdb.connect()
        self.location = folder / f"sequence_{seed}"

    def run(self) -> int:
        self.create()
        pick, statements = self.generator.random, 0
        for _ in range(pick.randint(4, 9)):
            if pick.random() < 0.2:
                statements += self.block()
            else:
                statements += 1
                self.step(self.generator.statement())
        self.compare_files()
        self.ours.execute("DROP TABLE t")
        self.ours.execute("DROP TABLE u")
        return statements

    def create(self) -> None:
        columns = self.generator.columns
        own = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        peer = ", ".join(f"{name} {DUCKDB_TYPES.get(kind, kind)}" for name, kind in columns.items())
        parts = f" PARTITIONED BY ({', '.join(self.generator.partitions)})" if self.generator.partitions else ""
        changes = " TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')" if self.generator.changes else ""
        self.ours.execute("DROP TABLE IF EXISTS t")
        self.ours.execute("DROP TABLE IF EXISTS u")
        self.execute(f"CREATE TABLE t ({own}){parts} LOCATION '{self.location}'{changes}")
        self.execute(f"CREATE TABLE u ({own})")
        self.peer.execute(f"CREATE TABLE t ({peer})")
        self.peer.execute(f"CREATE TABLE u ({peer})")
        for table, inserts in (("u", 1), ("t", 2)):
            for _ in range(inserts):
                rows = self.generator.rows(self.generator.random.randint(3, 8))
                self.execute(f"INSERT INTO {table} {rows}")
                self.peer.execute(f"INSERT INTO {table} {rows}")

    def block(self) -> int:
        """Several statements that stay, or go, together."""
        stays, count = self.generator.random.random() < 0.7, self.generator.random.randint(1, 3)
        self.execute("BEGIN")
        self.peer.execute("BEGIN")
        for _ in range(count):
            if not self.step(self.generator.statement(), in_block=True):
                stays = False
                break
        self.execute("COMMIT" if stays else "ROLLBACK")
        self.peer.execute("COMMIT" if stays else "ROLLBACK")
        self.compare()
        return count

    def step(self, statement: dict, in_block: bool = False) -> bool:
        """Runs one statement on both sides; false when it was to be refused, and was."""
        refusal = self.refusal(statement)
        try:
            count = self.execute(statement["sql"]).rowcount
        except psycopg.Error as error:
            if refusal is None or error.sqlstate != refusal:
                self.fail(f"{error.sqlstate}: {error}")
            if not in_block:
                self.compare()
            return False
        if refusal is not None:
            self.fail(f"no error {refusal}")
        result = None
        for sql in statement["peer"]:
            result = self.peer.execute(sql).fetchall()
        expected = result[0][0] if result else 0
        if statement["counted"] and count != expected:
            self.fail(f"{count} rows, not {expected}")
        self.compare()
        return True

    def refusal(self, statement: dict) -> str | None:
        """The code by which a statement must be refused, if it must."""
        if "refused" not in statement:
            return None
        code, query = statement["refused"]
        for sql in statement["peer"][: statement.get("first", 1)]:
            self.peer.execute(sql)
        return code if self.peer.execute(query).fetchone()[0] else None

    def execute(self, sql: str) -> psycopg.Cursor:
        self.log.append(sql)
        return self.ours.execute(sql)

    def compare(self) -> None:
        self.same("rows", self.ours.execute("SELECT * FROM t").fetchall(), self.expected())

    def compare_files(self) -> None:
        table = deltalake.DeltaTable(str(self.location))
        # Its reader by way of pyarrow can't read negative numbers with a fraction that a table is partitioned by.
        read = deltalake.QueryBuilder().register("t", table).execute(f"SELECT {', '.join(self.generator.columns)} FROM t")
        rows = duckdb.from_arrow(pa.table(read.read_all())).fetchall()
        self.same("files", rows, self.expected())

    def expected(self) -> list[tuple]:
        return self.peer.execute("SELECT * FROM t").fetchall()

    def same(self, what: str, found: list[tuple], expected: list[tuple]) -> None:
        found, expected = (Counter(tuple(map(shown, row)) for row in rows) for rows in (found, expected))
        if found != expected:
            self.fail(f"{what} differ\n  too many: {found - expected}\n  missing: {expected - found}")

    def fail(self, message: str) -> None:
        script = "\n".join(f"  {sql};" for sql in self.log)
        raise SystemExit(f"seed {self.seed}\n{script}\n{message}")


def shown(value: object) -> object:
    """A value as both sides have it."""
    if isinstance(value, decimal.Decimal):
        return f"{value:.2f}"
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None)
    return value


def main() -> None:
    """Exits with the sequence at the first difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("host")
    parser.add_argument("port")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--first", type=int, default=1)
    arguments = parser.parse_args()
    dsn = f"host={arguments.host} port={arguments.port} user=alluvia dbname=alluvia"
    statements = 0
    # The tables change their columns from sequence to sequence, which a statement that stays prepared can't follow.
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as ours:
        for seed in range(arguments.first, arguments.first + arguments.sequences):
            statements += Sequence(seed, ours, arguments.folder).run()
            if sys.stdout.isatty() or seed % 50 == 0:
                print(f"seed {seed}: {statements} statements so far", flush=True)
    print(f"{arguments.sequences} sequences of {statements} statements, all as in DuckDB {duckdb.__version__}")


if __name__ == "__main__":
    main()

"""Asks a PostgreSQL server for what COPY writes; README.md says how to run it."""

import pathlib
import random
import sys

import psycopg

random.seed(20261121)
HERE = pathlib.Path(__file__).parent
COLUMNS = {
    "id": "int", "b": "boolean", "i2": "smallint", "i8": "bigint", "f4": "real", "f8": "double precision",
    "n": "numeric(20,4)", "t": "text", "y": "bytea", "d": "date", "ts": "timestamp", "tz": "timestamptz",
    "ai": "int[]", "at": "text[]", "af": "double precision[]",
}
# name: options of COPY TO
FORMATS = {
    "text": "FORMAT text",
    "text_bar": "FORMAT text, DELIMITER '|', NULL 'nil', HEADER",
    "csv": "FORMAT csv",
    "csv_header": "FORMAT csv, HEADER, DELIMITER ';', NULL 'x', FORCE_QUOTE (t, i2)",
    "csv_quote": "FORMAT csv, QUOTE '''', ESCAPE '\\', FORCE_QUOTE *",
    "binary": "FORMAT binary",
}
PIECES = ["", "a", "NULL", "\\N", "\\.", "x", "nil", ",", ";", "|", "\t", "\n", "\r", "\r\n", "\\", '"', "'", "\b\f\v",
          "naïve", "語", "\U0001f30a", " ", "\x01", "{}", "1", "t"]


def text():
    return "".join(random.choice(PIECES) for _ in range(random.randint(0, 5)))


def moment(zone):
    year, month, day = random.randint(1, 9999), random.randint(1, 12), random.randint(1, 28)
    micros = random.choice(["", "", ".5", ".123456", ".000001"])
    return f"{year:04}-{month:02}-{day:02} {random.randint(0, 23):02}:{random.randint(0, 59):02}:59{micros}" + zone


def some(make):
    return [random.choice([None, make(), make()]) for _ in range(random.randint(0, 4))]


def row(number):
    values = [
        random.random() < 0.5,
        random.choice([0, 1, -1, 32767, -32768, random.randint(-99, 99)]),
        random.choice([0, 2**63 - 1, -(2**63), random.getrandbits(60)]),
        random.choice([0.0, -0.0, 1.5, 1e20, float("nan"), float("inf"), random.gauss(0, 1e3)]),
        random.choice([0.1, -2.5e-300, 1e22, float("nan"), float("-inf"), random.gauss(0, 1)]),
        random.choice(["0", "-0.5", "1234567890123456.7891", "9999999999999999.9999", f"{random.gauss(0, 1e6):.4f}"]),
        text(),
        random.randbytes(random.randint(0, 12)),
        f"{random.randint(1, 9999):04}-{random.randint(1, 12):02}-{random.randint(1, 28):02}",
        moment(""),
        moment("+00"),
        some(lambda: random.randint(-9, 9)),
        some(text),
        some(lambda: random.choice([0.5, 1e100, float("nan"), -1.25])),
    ]
    return [number] + [None if random.random() < 0.1 else value for value in values]


with psycopg.connect(sys.argv[1], autocommit=True) as server:
    server.execute("SET TimeZone = 'UTC'")
    server.execute("CREATE TEMP TABLE t (" + ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items()) + ")")
    places = ", ".join(["%s"] * len(COLUMNS))
    for number in range(150):
        server.execute(f"INSERT INTO t VALUES ({places})", row(number))
    server.execute("CREATE TEMP TABLE one (t text)")
    for value in [*PIECES, None]:
        server.execute("INSERT INTO one VALUES (%s)", [value])
    for table in ("t", "one"):
        for name, options in FORMATS.items():
            if table == "one":
                options = options.replace("(t, i2)", "(t)")
            with server.cursor().copy(f"COPY {table} TO STDOUT WITH ({options})") as rows:
                HERE.joinpath(f"{table}.{name}").write_bytes(b"".join(bytes(piece) for piece in rows))

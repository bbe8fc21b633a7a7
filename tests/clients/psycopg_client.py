"""Runs the cases through psycopg 3: parameters and results in text and in binary, prepared and not.

    python psycopg_client.py HOST PORT
"""

import re
import sys

import psycopg

from cases import cases, check


ROWS = [(1, "x\ty\\", [1.5, None]), (2, None, []), (3, "", None)]
TYPES = ["int4", "text", "float8[]"]


def copies(connection: psycopg.Connection) -> int:
    """Rows go in and come out by COPY, row by row and as blocks; their number."""
    connection.execute("CREATE TABLE psycopg_rows (a INT, b TEXT, c DOUBLE PRECISION[])")
    for number, form in enumerate(("text", "binary"), 1):
        cursor = connection.cursor()
        with cursor.copy(f"COPY psycopg_rows FROM STDIN (FORMAT {form})") as copy:
            copy.set_types(TYPES)
            for row in ROWS:
                copy.write_row(row)
        assert cursor.statusmessage == "COPY 3", cursor.statusmessage
        query = f"COPY (SELECT DISTINCT a, b, c FROM psycopg_rows ORDER BY a) TO STDOUT (FORMAT {form})"
        with cursor.copy(query) as copy:
            copy.set_types(TYPES)
            check(f"psycopg copy rows {form}", query, list(copy.rows()), ROWS)
        with cursor.copy(f"COPY psycopg_rows TO STDOUT (FORMAT {form})") as copy:
            blocks = b"".join(bytes(block) for block in copy)
        with cursor.copy(f"COPY psycopg_rows FROM STDIN (FORMAT {form})") as copy:
            copy.write(blocks)
        assert cursor.statusmessage == ("COPY 3" if number == 1 else "COPY 9"), cursor.statusmessage
    try:
        with connection.cursor().copy("COPY psycopg_rows (a) FROM STDIN") as copy:
            copy.write(b"1\n")
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    count = connection.execute("SELECT count(*) FROM psycopg_rows").fetchone()[0]
    assert count == 18, count
    return count


def main() -> None:
    """Exits with a message at the first difference."""
    host, port = sys.argv[1:]
    dsn = f"host={host} port={port} user=alluvia dbname=alluvia"
    count = 0
    with psycopg.connect(dsn, autocommit=True) as connection:
        for sql, parameters, expected in cases():
            for code, binary in (("t", False), ("b", True), ("t", True), ("b", False)):
                query = re.sub(r"\$(\d+)", rf"%(p\1){code}", sql)
                values = {f"p{number}": value for number, value in enumerate(parameters, 1)}
                for prepare in (False, True):
                    cursor = connection.cursor(binary=binary)
                    rows = cursor.execute(query, values, prepare=prepare).fetchall()
                    check(f"psycopg %{code} binary={binary} prepare={prepare}", sql, rows, expected)
                    count += 1
        count += copies(connection)
    print(f"psycopg {psycopg.__version__}: {count} answers as expected")


if __name__ == "__main__":
    main()

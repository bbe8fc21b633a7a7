"""Runs the cases through psycopg 3: parameters and results in text and in binary, prepared and not.

    python psycopg_client.py HOST PORT
"""

import re
import sys

import psycopg

from cases import cases, check


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
    print(f"psycopg {psycopg.__version__}: {count} answers as expected")


if __name__ == "__main__":
    main()

"""Runs the cases through asyncpg, which speaks the extended protocol in binary only.

    python asyncpg_client.py HOST PORT
"""

import asyncio
import io
import sys

import asyncpg

from cases import cases, check


ROWS = [(1, "x\ty\\", 1.5), (2, None, None), (3, "", float("inf"))]


async def copies(connection: asyncpg.Connection) -> int:
    """Records go in and come out by COPY; their number."""
    await connection.execute("CREATE TABLE asyncpg_rows (a BIGINT, b TEXT, c DOUBLE PRECISION)")
    told = await connection.copy_records_to_table("asyncpg_rows", records=ROWS)
    assert told == "COPY 3", told
    query = "SELECT a, b, c FROM asyncpg_rows ORDER BY a"
    check("asyncpg records", query, [list(row) for row in await connection.fetch(query)], [list(row) for row in ROWS])
    out = io.BytesIO()
    told = await connection.copy_from_query(query, output=out, format="csv", header=True)
    assert (told, out.getvalue()) == ("COPY 3", b'a,b,c\n1,x\ty\\,1.5\n2,,\n3,"",Infinity\n'), (told, out.getvalue())
    out.seek(0)
    told = await connection.copy_to_table("asyncpg_rows", source=out, format="csv", header=True)
    assert told == "COPY 3", told
    out = io.BytesIO()
    told = await connection.copy_from_table("asyncpg_rows", columns=["b"], output=out)
    assert told == "COPY 6", told
    return 6


async def main() -> None:
    """Exits with a message at the first difference."""
    host, port = sys.argv[1:]
    connection = await asyncpg.connect(host=host, port=int(port), user="alluvia", database="alluvia", ssl=False)
    count = 0
    for sql, parameters, expected in cases():
        if "[]" in sql:
            continue  # asyncpg asks pg_type for every type but the simplest, and there is no such table yet
        rows = await connection.fetch(sql, *parameters)
        check("asyncpg fetch", sql, [list(row) for row in rows], expected)
        prepared = await connection.prepare(sql)
        for _ in range(2):
            rows = await prepared.fetch(*parameters)
            check("asyncpg prepared", sql, [list(row) for row in rows], expected)
        async with connection.transaction():
            rows = [list(row) async for row in prepared.cursor(*parameters, prefetch=1)]
            check("asyncpg cursor", sql, rows, expected)
        count += 4
    count += await copies(connection)
    await connection.close()
    print(f"asyncpg {asyncpg.__version__}: {count} answers as expected")


if __name__ == "__main__":
    asyncio.run(main())

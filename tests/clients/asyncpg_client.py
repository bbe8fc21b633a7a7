"""Runs the cases through asyncpg, which speaks the extended protocol in binary only.

    python asyncpg_client.py HOST PORT
"""

import asyncio
import sys

import asyncpg

from cases import cases, check


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
    await connection.close()
    print(f"asyncpg {asyncpg.__version__}: {count} answers as expected")


if __name__ == "__main__":
    asyncio.run(main())

"""Writes the files of this folder: the same three orders in each format. Needs pyarrow and deltalake."""

import json
import pathlib
import shutil

import deltalake
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

folder = pathlib.Path(__file__).parent
orders = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "customer": ["anna", "bo", "cleo"],
        "amount": [10.0, 12.5, 20.0],
    }
)
pyarrow.parquet.write_table(orders, folder / "orders.parquet")
pyarrow.feather.write_feather(orders, folder / "orders.arrow", compression="uncompressed")
pyarrow.csv.write_csv(orders, folder / "orders.csv", pyarrow.csv.WriteOptions(delimiter=";"))
(folder / "orders.jsonl").write_text("".join(json.dumps(row) + "\n" for row in orders.to_pylist()))

shutil.rmtree(folder / "orders_delta", ignore_errors=True)
deltalake.write_deltalake(folder / "orders_delta", orders.slice(0, 2))
deltalake.write_deltalake(folder / "orders_delta", orders.slice(2), mode="append")

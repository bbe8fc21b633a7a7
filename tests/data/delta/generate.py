"""Builds Delta tables action by action, with the features that other writers use; README.md says how to run it."""

import base64
import datetime
import decimal
import json
import pathlib
import shutil
import struct
import uuid
import zlib

import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
STAMP = 1_700_000_000_000
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def delta_type(kind):
    """The name, or nested description, that the log gives an Arrow type."""
    plain = {pa.int8(): "byte", pa.int16(): "short", pa.int32(): "integer", pa.int64(): "long", pa.float32(): "float",
             pa.float64(): "double", pa.string(): "string", pa.binary(): "binary", pa.bool_(): "boolean",
             pa.date32(): "date", pa.timestamp("us", "UTC"): "timestamp", pa.timestamp("us"): "timestamp_ntz"}
    if kind in plain:
        return plain[kind]
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": delta_type(kind.value_type), "containsNull": True}
    if pa.types.is_map(kind):
        return {"type": "map", "keyType": delta_type(kind.key_type), "valueType": delta_type(kind.item_type),
                "valueContainsNull": True}
    return {"type": "struct", "fields": [field(kind.field(at)) for at in range(kind.num_fields)]}


def field(one, metadata=None):
    return {"name": one.name, "type": delta_type(one.type), "nullable": True, "metadata": metadata or {}}


class Table:
    """A folder, and the actions of its next version."""

    def __init__(self, name):
        self.root = HERE / name
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root / "_delta_log").mkdir(parents=True)
        self.version = 0
        self.files = 0

    def protocol(self, reader=1, writer=2, reader_features=None, writer_features=None):
        action = {"minReaderVersion": reader, "minWriterVersion": writer}
        if reader_features is not None:
            action["readerFeatures"] = reader_features
        if writer_features is not None:
            action["writerFeatures"] = writer_features
        return {"protocol": action}

    def features(self, readers, writers):
        return self.protocol(3, 7, readers, [*readers, *writers])

    def metadata(self, fields, partitions=(), **configuration):
        schema = {"type": "struct", "fields": fields}
        return {"metaData": {"id": str(uuid.UUID(int=1)), "format": {"provider": "parquet", "options": {}},
                             "schemaString": json.dumps(schema), "partitionColumns": list(partitions),
                             "configuration": configuration, "createdTime": STAMP}}

    def data(self, rows, folder="", ids=None, statistics=True):
        """Writes a file, and gives its bytes' place and number."""
        self.files += 1
        path = f"{folder}part-{self.files:05}.parquet"
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if ids:
            names = [one.with_metadata({"PARQUET:field_id": str(ids[one.name])}) for one in rows.schema]
            rows = rows.cast(pa.schema(names))
        pq.write_table(rows, target, compression="zstd")
        return path

    def add(self, rows, values=None, folder="", ids=None, **more):
        path = self.data(rows, folder, ids)
        return {"add": {"path": path, "partitionValues": values or {}, "size": (self.root / path).stat().st_size,
                        "modificationTime": STAMP, "dataChange": True,
                        "stats": json.dumps({"numRecords": rows.num_rows}), **more}}

    def remove(self, add, **more):
        return {"remove": {"path": add["add"]["path"], "deletionTimestamp": STAMP, "dataChange": True,
                           "extendedFileMetadata": True, "partitionValues": add["add"]["partitionValues"],
                           "size": add["add"]["size"], **more}}

    def commit(self, *actions, **info):
        entry = {"commitInfo": {"timestamp": STAMP + self.version, "operation": "WRITE", "operationParameters": {},
                                **info}}
        self.log(f"{self.version:020}.json", [entry, *actions])
        self.version += 1

    def log(self, name, actions):
        target = self.root / "_delta_log" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text("".join(json.dumps(action) + "\n" for action in actions))
        return target


def roaring(rows):
    """Row numbers as Delta's 64-bit roaring bitmap: a magic number, then one 32-bit bitmap for each high half."""
    assert max(rows) < 1 << 16
    # The portable format without runs: cookie, containers, key and cardinality, offset, values.
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16) + struct.pack(f"<{len(rows)}H", *sorted(rows))
    return struct.pack("<I", 1681511377) + struct.pack("<Q", 1) + struct.pack("<I", 0) + bitmap


def z85(data):
    data += b"\0" * (-len(data) % 4)
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        text += "".join(Z85[word // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def inline(rows):
    data = roaring(rows)
    return {"storageType": "i", "pathOrInlineDv": z85(data), "sizeInBytes": len(data), "cardinality": len(rows)}


def in_file(table, rows, relative=True, prefix="dv"):
    """A vector in a file of its own: version, size, bitmap, checksum."""
    data = roaring(rows)
    number = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
    folder = table.root / prefix
    folder.mkdir(exist_ok=True)
    path = folder / f"deletion_vector_{number}.bin"
    path.write_bytes(b"\1" + struct.pack(">I", len(data)) + data + struct.pack(">I", zlib.crc32(data)))
    return {"storageType": "u", "pathOrInlineDv": prefix + z85(number.bytes), "offset": 1, "sizeInBytes": len(data),
            "cardinality": len(rows)}


def numbers(start, stop, **more):
    return pa.table({"id": pa.array(range(start, stop), pa.int64()), **more})


ID = field(pa.field("id", pa.int64()))


def deletion_vectors():
    for name, vector in (("dv_inline", lambda table: inline([0, 2, 9])), ("dv_file", lambda table: in_file(table, [0, 2, 9]))):
        table = Table(name)
        features = table.features(["deletionVectors"], [])
        whole, other = table.add(numbers(0, 10)), table.add(numbers(10, 13))
        table.commit(features, table.metadata([ID], **{"delta.enableDeletionVectors": "true"}), whole, other)
        marked = json.loads(json.dumps(whole))
        marked["add"]["deletionVector"] = vector(table)
        table.commit(table.remove(whole), marked)


def column_mapping():
    for mode in ("name", "id"):
        table = Table(f"mapping_{mode}")
        physical = {"id": "col-1a", "Größe, m": "col-2b", "inner": "col-3c", "kind": "col-4d"}
        ids = {"col-1a": 1, "col-2b": 2, "col-3c": 3, "col-4d": 4}
        rows = pa.table({"col-1a": pa.array([1, 2, 3], pa.int64()), "col-2b": pa.array([1.5, None, 2.5]),
                         "col-3c": pa.array([{"col-5e": "x"}, {"col-5e": None}, None],
                                            pa.struct([pa.field("col-5e", pa.string(), metadata={"PARQUET:field_id": "5"})]))})
        def mapped(one):
            name = physical[one.name]
            return field(one, {"delta.columnMapping.id": ids[name], "delta.columnMapping.physicalName": name})
        inner = mapped(pa.field("inner", pa.struct([])))
        inner["type"] = {"type": "struct", "fields": [
            field(pa.field("text", pa.string()), {"delta.columnMapping.id": 5, "delta.columnMapping.physicalName": "col-5e"})]}
        fields = [mapped(pa.field("id", pa.int64())), mapped(pa.field("Größe, m", pa.float64())), inner,
                  mapped(pa.field("kind", pa.string()))]
        table.commit(table.protocol(2, 5),
                     table.metadata(fields, ["kind"], **{"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "5"}),
                     table.add(rows, {"col-4d": "a"}, ids=ids))


def nested():
    table = Table("nested")
    rows = pa.table({
        "id": pa.array([1, 2, 3], pa.int64()),
        "point": pa.array([{"x": 1.5, "label": "a"}, {"x": None, "label": None}, None],
                          pa.struct([("x", pa.float64()), ("label", pa.string())])),
        "tags": pa.array([["a", None], [], None], pa.list_(pa.string())),
        "counts": pa.array([[("k", 1), ("l", None)], [], None], pa.map_(pa.string(), pa.int32())),
        "deep": pa.array([[{"y": [1, 2]}], [{"y": None}, None], None], pa.list_(pa.struct([("y", pa.list_(pa.int32()))]))),
        "price": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-99999999.99")], pa.decimal128(10, 2)),
        "local": pa.array([datetime.datetime(2024, 2, 29, 12, 30), None, datetime.datetime(1969, 12, 31)], pa.timestamp("us")),
        "at": pa.array([datetime.datetime(2024, 2, 29, 12, 30), None, datetime.datetime(1969, 12, 31)], pa.timestamp("us", "UTC")),
        "bytes": pa.array([b"\0\xff", b"", None], pa.binary()),
    })
    table.commit(table.features(["timestampNtz"], []), table.metadata([field(one) for one in rows.schema]), table.add(rows))


def checkpoint_table(actions):
    """Actions as rows of a checkpoint."""
    text = pa.map_(pa.string(), pa.string())
    schema = pa.schema([
        ("protocol", pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32()),
                                ("readerFeatures", pa.list_(pa.string())), ("writerFeatures", pa.list_(pa.string()))])),
        ("metaData", pa.struct([("id", pa.string()), ("name", pa.string()), ("description", pa.string()),
                                ("format", pa.struct([("provider", pa.string()), ("options", text)])),
                                ("schemaString", pa.string()), ("partitionColumns", pa.list_(pa.string())),
                                ("createdTime", pa.int64()), ("configuration", text)])),
        ("txn", pa.struct([("appId", pa.string()), ("version", pa.int64()), ("lastUpdated", pa.int64())])),
        ("add", pa.struct([("path", pa.string()), ("partitionValues", text), ("size", pa.int64()),
                           ("modificationTime", pa.int64()), ("dataChange", pa.bool_()), ("stats", pa.string())])),
        ("remove", pa.struct([("path", pa.string()), ("deletionTimestamp", pa.int64()), ("dataChange", pa.bool_())])),
        ("checkpointMetadata", pa.struct([("version", pa.int64())])),
        ("sidecar", pa.struct([("path", pa.string()), ("sizeInBytes", pa.int64()), ("modificationTime", pa.int64())])),
    ])
    def told(value):
        return list(value.items()) if isinstance(value, dict) else value
    def row(action):
        (kind, body), = action.items()
        body = dict(body)
        for key in ("partitionValues", "configuration"):
            if key in body:
                body[key] = told(body[key])
        if kind == "metaData":
            body["format"] = {**body["format"], "options": []}
        return {one.name: body if one.name == kind else None for one in schema}
    return pa.Table.from_pylist([row(action) for action in actions], schema=schema)


def checkpoints():
    # Classic, in three parts; the commits before it are gone.
    table = Table("checkpoint_parts")
    start = [table.protocol(), table.metadata([ID])]
    adds = [table.add(numbers(at * 2, at * 2 + 2)) for at in range(5)]
    table.commit(*start, adds[0])
    for add in adds[1:4]:
        table.commit(add)
    log = table.root / "_delta_log"
    parts = [start, adds[:2], adds[2:4]]
    for place, part in enumerate(parts, 1):
        pq.write_table(checkpoint_table(part), log / f"{3:020}.checkpoint.{place:010}.{len(parts):010}.parquet")
    (log / "_last_checkpoint").write_text(json.dumps({"version": 3, "size": 6, "parts": 3}))
    for version in range(3):
        (log / f"{version:020}.json").unlink()
    table.commit(adds[4])

    # V2, with two sidecars.
    table = Table("checkpoint_v2")
    start = [table.features(["v2Checkpoint"], []), table.metadata([ID], **{"delta.checkpointPolicy": "v2"})]
    adds = [table.add(numbers(at * 2, at * 2 + 2)) for at in range(5)]
    table.commit(*start, adds[0])
    for add in adds[1:4]:
        table.commit(add)
    log = table.root / "_delta_log"
    (log / "_sidecars").mkdir()
    sidecars = []
    for place, part in enumerate((adds[:2], adds[2:4])):
        path = log / "_sidecars" / f"{uuid.UUID(int=16 + place)}.parquet"
        # A sidecar has the actions of files alone.
        pq.write_table(checkpoint_table(part).select(["add", "remove"]), path)
        sidecars.append({"sidecar": {"path": path.name, "sizeInBytes": path.stat().st_size, "modificationTime": STAMP}})
    top = [{"checkpointMetadata": {"version": 3}}, *start, *sidecars]
    name = f"{3:020}.checkpoint.{uuid.UUID(int=15)}.parquet"
    pq.write_table(checkpoint_table(top), log / name)
    (log / "_last_checkpoint").write_text(json.dumps({"version": 3, "size": len(top)}))
    for version in range(3):
        (log / f"{version:020}.json").unlink()
    table.commit(adds[4])


def compacted():
    table = Table("log_compacted")
    start = [table.protocol(), table.metadata([ID])]
    adds = [table.add(numbers(at * 2, at * 2 + 2)) for at in range(4)]
    table.commit(*start, adds[0])
    table.commit(adds[1])
    table.commit(table.remove(adds[0]), adds[2])
    table.commit(adds[3])
    table.log(f"{1:020}.{2:020}.compacted.json", [adds[1], table.remove(adds[0]), adds[2]])


def partitions():
    table = Table("partitions")
    kinds = [("at", pa.timestamp("us", "UTC")), ("day", pa.date32()), ("name", pa.string()), ("n", pa.decimal128(6, 2))]
    fields = [ID, *(field(pa.field(name, kind)) for name, kind in kinds)]
    values = [
        {"at": "2024-02-29 12:30:00.5", "day": "2024-02-29", "name": "a b/ü%=", "n": "1.50"},
        {"at": "2024-02-29T12:30:00.500000Z", "day": "0001-01-01", "name": "", "n": "-0.01"},
        {"at": None, "day": None, "name": None, "n": None},
    ]
    folders = ["at=x/name=a%20b%2F%C3%BC%2525%3D/", "other/", "none/"]
    adds = []
    for place, (value, folder) in enumerate(zip(values, folders)):
        # What lies in a folder whose name is escaped, is escaped once more in the log.
        add = table.add(numbers(place, place + 1), value, folder)
        add["add"]["path"] = add["add"]["path"].replace("%", "%25")
        adds.append(add)
    table.commit(table.protocol(), table.metadata(fields, [name for name, _ in kinds]), *adds)


def type_widening():
    table = Table("type_widening")
    changes = [{"fromType": "integer", "toType": "long", "tableVersion": 1}]
    widened = field(pa.field("v", pa.int64()), {"delta.typeChanges": changes})
    narrow = field(pa.field("v", pa.int32()))
    features = table.features(["typeWidening"], [])
    on = {"delta.enableTypeWidening": "true"}
    table.commit(features, table.metadata([narrow], **on), table.add(pa.table({"v": pa.array([1, 2], pa.int32())})))
    table.commit(table.metadata([widened], **on), table.add(pa.table({"v": pa.array([2**40], pa.int64())})))


def writer_features():
    """Features that ask nothing of a reader."""
    kinds = {
        "row_tracking": (["rowTracking", "domainMetadata"], {"delta.enableRowTracking": "true"}, [{"domainMetadata": {
            "domain": "delta.rowTracking", "configuration": "{\"rowIdHighWaterMark\":2}", "removed": False}}]),
        "clustering": (["clustering", "domainMetadata"], {}, [{"domainMetadata": {
            "domain": "delta.clustering", "configuration": "{\"clusteringColumns\":[[\"id\"]]}", "removed": False}}]),
        "domain_metadata": (["domainMetadata"], {}, [{"domainMetadata": {
            "domain": "example.owner", "configuration": "{}", "removed": False}}]),
        "in_commit_timestamp": (["inCommitTimestamp"], {"delta.enableInCommitTimestamps": "true"}, []),
        "identity": (["identityColumns"], {}, []),
        "defaults": (["allowColumnDefaults"], {}, []),
        "append_only": (["appendOnly"], {"delta.appendOnly": "true"}, []),
        "unknown_writer": (["somethingNobodyKnows"], {}, []),
    }
    for name, (features, configuration, actions) in kinds.items():
        table = Table(name)
        one = dict(ID, metadata={
            "identity": {"delta.identity.start": 1, "delta.identity.step": 1, "delta.identity.allowExplicitInsert": True},
            "defaults": {"CURRENT_DEFAULT": "7"},
        }.get(name, {}))
        more = {"baseRowId": 0, "defaultRowCommitVersion": 0} if name == "row_tracking" else {}
        info = {"inCommitTimestamp": STAMP} if name == "in_commit_timestamp" else {}
        add = table.add(numbers(0, 3), **more)
        # In-commit timestamps have to be what the entry begins with, as they are here.
        table.commit(table.protocol(1, 7, None, features), table.metadata([one], **configuration), *actions, add, **info)


def refused():
    """Features that a reader has to know."""
    table = Table("unknown_reader")
    table.commit(table.features(["somethingNobodyKnows"], []), table.metadata([ID]), table.add(numbers(0, 3)))
    table = Table("future_protocol")
    table.commit(table.protocol(99, 99), table.metadata([ID]), table.add(numbers(0, 3)))
    table = Table("variant")
    rows = pa.table({"id": pa.array([1], pa.int64()), "v": pa.array(
        [{"metadata": b"\1\0\0", "value": b"\x0c\x2a"}],
        pa.struct([pa.field("metadata", pa.binary(), False), pa.field("value", pa.binary(), False)]))})
    variant = {"name": "v", "type": "variant", "nullable": True, "metadata": {}}
    table.commit(table.features(["variantType"], []), table.metadata([ID, variant]), table.add(rows))


for build in (deletion_vectors, column_mapping, nested, checkpoints, compacted, partitions, type_widening, writer_features,
              refused):
    build()

"""Writes the SQL whose output is postgres.tsv; README.md says how to run it."""

import random
import struct

random.seed(20261120)
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
# name: (OID, send function)
TYPES = {
    "bool": (16, "boolsend"), "bytea": (17, "byteasend"), "int8": (20, "int8send"), "int2": (21, "int2send"),
    "int4": (23, "int4send"), "text": (25, "textsend"), "float4": (700, "float4send"), "float8": (701, "float8send"),
    "date": (1082, "date_send"), "time": (1083, "time_send"), "timestamp": (1114, "timestamp_send"),
    "timestamptz": (1184, "timestamptz_send"), "interval": (1186, "interval_send"), "numeric": (1700, "numeric_send"),
    "_bool": (1000, "array_send"), "_bytea": (1001, "array_send"), "_int2": (1005, "array_send"),
    "_int4": (1007, "array_send"), "_text": (1009, "array_send"), "_int8": (1016, "array_send"),
    "_float4": (1021, "array_send"), "_float8": (1022, "array_send"), "_date": (1182, "array_send"),
    "_time": (1183, "array_send"), "_timestamp": (1115, "array_send"), "_interval": (1187, "array_send"),
    "_numeric": (1231, "array_send"),
}
values = []  # (type, SQL expression)


def add(type_name, *texts):
    for text in texts:
        values.append((type_name, "'%s'::%s" % (str(text).replace("'", "''"), type_name)))


def halfway(bits, powers):
    """Floats next to a short decimal that lies exactly between two floats."""
    while True:
        k = random.randint(*powers)
        odd = 5**k * random.randrange(1, (1 << bits + 1) // 5**k + 1)
        if odd % 2 and 1 << bits <= odd < 1 << bits + 1:
            for mantissa in ((odd - 1) // 2, (odd + 1) // 2):
                if mantissa % 2 == 0:
                    return float(mantissa) * 2.0 ** (k + random.randint(0, 3) + 1)


def finite(pattern, width):
    value = struct.unpack(">" + pattern, random.getrandbits(width).to_bytes(width // 8, "big"))[0]
    return value if value == value and abs(value) != float("inf") else finite(pattern, width)


for name, bits in (("int2", 16), ("int4", 32), ("int8", 64)):
    add(name, 0, 1, -1, 42, -10, 99, 1000, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)))
add("bool", "t", "f")
add("float8", "NaN", "Infinity", "-Infinity", 0.0, -0.0, 1.0, 0.1, -2.5, 1e14, 1e15, 999999999999999.0, 1e-4, 1e-5,
    0.00012345, 1e20, 1e22, 1e23, 1e100, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 123456789012345.6,
    9007199254740993.0, 4503599627370497.5, 2.0**53, 2.0**60, 0.3, 100.0, 1 / 3, 12345678.9)
add("float8", *(repr(finite("d", 64)) for _ in range(120)))
add("float8", *(random.randint(-(10**9), 10**9) / 10 ** random.randint(0, 6) for _ in range(40)))
add("float8", *(repr(halfway(53, (16, 23))) for _ in range(60)))
add("float4", "NaN", "Infinity", "-Infinity", 0.0, -0.0, 1.0, 0.1, 16777216.0, 1e5, 999999.0, 1e6, 1234567.0, 123456.7,
    1e-4, 1e-5, 1e20, 8589934592.0, 8.58993408e9, 3.4028235e38, 1e-45, 1.1754944e-38, 9.8e9, 33554432.0)
add("float4", *(repr(finite("f", 32)) for _ in range(80)))
add("float4", *(repr(halfway(24, (6, 10))) for _ in range(50)))
add("numeric", "0", "0.00", "1", "-1", "10000", "9999.9999", "0.0001", "-0.00001", "12345678901234567890.12345", "1e30",
    "9" * 38, "0." + "0" * 37 + "1", "1234567890" * 6 + ".1234567890", "-5e-20", "100000000", "1000.10", "1" + "0" * 40)
for _ in range(40):
    number = random.choice(["", "-"]) + str(random.getrandbits(random.randint(1, 120)))
    fraction = "".join(random.choice("0123456789") for _ in range(random.randint(1, 12)))
    add("numeric", number + ("." + fraction if random.random() < 0.7 else ""))
add("text", "", "a", "it's", "NULL", "a b", "héllo ☃", "tab\there", "back\\slash")
add("bytea", "\\x", "\\x00", "\\xdeadBEEF", "\\x5c27", "\\x20417e7f80")
add("date", "2000-01-01", "1970-01-01", "1999-12-31", "0001-01-01", "0001-12-31 BC", "0044-03-15 BC", "4713-01-01 BC",
    "9999-12-31", "10000-01-01", "5874897-12-31", "2024-02-29", "1900-02-28", "0100-03-01")
add("time", "00:00:00", "23:59:59.999999", "12:34:56.7", "01:02:03.000001", "10:00:00.1234")
for moment in ("2000-01-01 00:00:00", "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2024-02-29 12:34:56.789",
               "0044-03-15 12:00:00 BC", "4713-01-01 00:00:00 BC", "9999-12-31 23:59:59.999999", "99999-06-01 01:02:03",
               "290000-12-31 23:59:59", "0001-01-01 00:00:00", "1883-11-18 12:00:00", "1945-05-24 01:00:00",
               "2100-07-01 12:00:00", "2456-07-01 12:00:00.5"):
    add("timestamp", moment)
    values.append(("timestamptz", "('%s'::timestamp AT TIME ZONE 'UTC')" % moment))
for _ in range(60):
    values.append(("timestamptz", "to_timestamp(%d)" % random.randint(-62135596800, 8204889600)))
add("interval", "0", "1 year", "-1 year", "1 mon", "1 year 2 mons 3 days 04:05:06.789", "-1 year 2 mons -3 days 04:05:06",
    "1 day -00:00:01", "-1 day", "00:00:00.000001", "-00:00:00.5", "100:00:00", "-123456:59:59.999999", "1 mon -1 day",
    "-1 mon 1 day 1 sec", "1 day 1 sec", "10 years", "1 sec", "-1 sec", "1 min", "1 hour", "-1 mons -1 days -00:00:01",
    "178000000 years")
for _ in range(60):
    micros = random.choice([1, 10**6, 60 * 10**6, 3600 * 10**6]) * random.randint(-5000, 5000)
    parts = ["%d mons" % random.randint(-500, 500), "%d days" % random.randint(-500, 500), "%d microseconds" % micros]
    add("interval", " ".join(part for part in parts if random.random() < 0.6) or "0")
for element, text in (
    ("int4", "{}"), ("int4", "{1,2,3}"), ("int4", "{1,NULL,3}"), ("int4", "{{1,2},{3,4}}"), ("int2", "{1,2}"),
    ("int4", "{{{1},{2}},{{3},{4}}}"), ("int8", "{9223372036854775807}"), ("text", "{}"), ("text", "{{a,b},{c,NULL}}"),
    ("text", '{a,NULL,"NULL","","a b","a\\"b","a\\\\b","{x}","a,b"}'), ("float8", "{1,0.1,NaN,1e+20}"),
    ("float4", "{1.5,2.5}"), ("bool", "{t,f,NULL}"), ("numeric", "{1.50,2.25}"), ("date", '{2024-01-01,"0044-03-15 BC"}'),
    ("time", "{12:00:00}"), ("timestamp", '{"2024-01-01 12:00:00"}'), ("interval", '{"1 day","-1 mons"}'),
    ("bytea", '{"\\\\x00ff",NULL}'),
):
    add("_" + element, text)


def query(type_name, expression, setting):
    oid, send = TYPES[type_name]
    # The value itself, not its cast to text: a boolean's differs.
    text = "replace(v, E'\\t', '<TAB>')" if type_name == "text" else "v"
    json = "replace(to_json(v)::text, E'\\t', '<TAB>')"
    print(f"SELECT {oid}, '{setting}', encode({send}(v), 'hex'), {text}, {json} FROM (SELECT {expression} AS v) AS x;")


def queries(setting, types, share=1.0):
    for type_name, expression in values:
        if type_name in types and random.random() < share:
            query(type_name, expression, setting)


print("SET TimeZone = 'UTC';")
queries("-", TYPES)
for zone in ZONES:
    print(f"SET TimeZone = '{zone}';")
    queries(zone, ["timestamptz"])
print("SET TimeZone = 'UTC';")
for style in ("postgres_verbose", "sql_standard", "iso_8601"):
    print(f"SET IntervalStyle = '{style}';")
    queries(style, ["interval"])
print("SET IntervalStyle = 'postgres';")
for digits in (0, -5, -15):
    print(f"SET extra_float_digits = {digits};")
    queries(digits, ["float4", "float8"], 0.3)
print("SET extra_float_digits = 1; SET bytea_output = 'escape';")
queries("escape", ["bytea"])

"""Writes golden.json: what dbt makes of tricky seed files.

Run it with the Python of an environment that has dbt-core: `python golden.py`. Each case is the text of a file, its delimiter and
the columns that `column_types` names; expected are the columns with the types that dbt's SQL adapters give them and the values,
as text that SQL casts to those types, or an error.
"""

import datetime
import decimal
import json
import pathlib
import tempfile
import warnings

import agate
from dbt_common.clients import agate_helper

CASES = {
    "integers": "a,b\n1,-2\n+3,004\n",
    "integers with zero places": "a\n1.0\n2.00\n",
    "decimals": "a\n1.5\n2\n-.5\n5.\n",
    "exponents": "a,b\n1e3,1e-3\n2E2,5\n",
    "grouped and currency": "a,b,c\n\"1,000\",$5,12%\n\"2,500.5\",€7.25,3.5%\n",
    "double minus": "a\n--5\n",
    "special numbers": "a\nNaN\nInfinity\n1\n",
    "underscores": "a\n1_000\n",
    "28 digits": "a\n1234567890123456789012345678\n0.5\n",
    "more than 28 digits": "a\n123456789012345678901234567.5\n12345678901234567890123456789\n",
    "nulls": "a,b,c\n1,,x\nnull,NULL,null\n 3 , null ,\n",
    "all null": "a,b\n,null\nNull,\n",
    "dates": "a\n2024-05-01\n2024-1-2\n\n",
    "bad date is text": "a\n2024-02-30\n",
    "timestamps": "a\n2024-05-01 12:30:00\n2024-1-2 1:2:3\n",
    "dates and timestamps are text": "a\n2024-05-01\n2024-05-01 12:30:00\n",
    "iso timestamps": "a\n2024-05-01T12:30:00\n2024-05-01T12:30:00.25\n20240501T123000\n",
    "iso zones": "a\n2024-05-01T12:30:00Z\n2024-05-01T12:30:00+02:00\n2024-05-01T12:30:00-0330\n",
    "iso weeks and days": "a\n2024-W18-3T10:00\n2024W183T10\n2024-122T10:00:00\n",
    "timestamps with fractions are text": "a\n2024-05-01 12:30:00.5\n",
    "booleans": "a,b\ntrue,TRUE\nFalse,false\n",
    "yes and no are text": "a,b\nyes,t\nno,f\n",
    "one and zero are integers": "a\n1\n0\n",
    "mixed is text": "a\n1\nx\n2024-01-01\n",
    "spaces in text stay": "a,b\n x ,1\n\" y\", 2\n",
    "leading zeros are numbers": "zip\n01234\n00000\n",
    "quotes": 'a,b\n"x ""y"" z",1\nx"y,2\n"ab"cd,3\n',
    "newline in quotes": 'a,b\n"x\ny",1\n',
    "carriage returns": 'a,b\r\n1,"x\r\ny"\r\n',
    "lone carriage returns": "a,b\r1,2\r",
    "byte order mark": "\ufeffa,b\n1,2\n",
    "no newline at the end": "a,b\n1,2",
    "blank lines are rows": "a,b\n1,x\n\n2,y\n",
    "short rows": "a,b,c\n1,2\n3\n",
    "long row": "a,b\n1,2,3\n",
    "header only": "a,b\n",
    "repeated and missing names": "a,a,,a\n1,2,3,4\n",
    "spaces and case in names": "Order ID, Name \n1,x\n",
    "unicode": "naïve,数\né,1\n",
    "unterminated quote": 'a,b\n"x,1\n',
    "one empty column": "a\n\n\n",
    "quoted empty": 'a,b\n"",1\nx,2\n',
    "quoted null": 'a\n"null"\nx\n',
}
DELIMITED = {"semicolons": ("a;b\n1,5;x\n2;y\n", ";"), "tabs": ("a\tb\n1\tx y\n", "\t"), "pipes": ("a|b\n1|\n", "|")}
FORCED = {
    "column_types are text": ("id,zip\n1,01234\n2,null\n", ["zip"]),
    "unknown column_types": ("id\n1\n", ["nothing"]),
}
TYPES = [
    (agate_helper.Integer, "integer"),
    (agate.data_types.Text, "text"),
    (agate_helper.Number, None),
    (agate.data_types.Boolean, "boolean"),
    (agate.data_types.DateTime, "timestamp without time zone"),
    (agate_helper.ISODateTime, "timestamp without time zone"),
    (agate.data_types.Date, "date"),
]


def type_name(table, index):
    data_type = table.column_types[index]
    name = next(name for kind, name in TYPES if isinstance(data_type, kind))
    if name is None:
        name = "float8" if table.aggregate(agate.MaxPrecision(index)) else "integer"
    return name


def value_text(value, name):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, decimal.Decimal):
        if not value.is_finite():
            return str(value)
        return str(int(value)) if name == "integer" and value == int(value) else format(value, "f")
    if value is None or isinstance(value, (str, datetime.date)):
        return None if value is None else str(value)
    raise TypeError(type(value))


def expected(text, delimiter, forced):
    with tempfile.NamedTemporaryFile("wb", suffix=".csv") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                table = agate_helper.from_csv(file.name, text_columns=forced, delimiter=delimiter)
        except ValueError as error:
            return {"error": str(error)}
    types = [type_name(table, index) for index in range(len(table.columns))]
    rows = [[value_text(value, name) for value, name in zip(row, types)] for row in table.rows]
    return {"columns": [list(pair) for pair in zip(table.column_names, types)], "rows": rows}


cases = [(name, text, ",", []) for name, text in CASES.items()]
cases += [(name, text, delimiter, []) for name, (text, delimiter) in DELIMITED.items()]
cases += [(name, text, ",", forced) for name, (text, forced) in FORCED.items()]
golden = [
    {"name": name, "text": text, "delimiter": delimiter, "forced": forced, **expected(text, delimiter, forced)}
    for name, text, delimiter, forced in cases
]
path = pathlib.Path(__file__).with_name("golden.json")
path.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

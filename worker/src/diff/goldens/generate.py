"""Writes tables.json: random tables, and what dbt prints of their difference.

usage: target/oracle/bin/python worker/src/diff/goldens/generate.py [COUNT [SEED]]
"""

import json
import random
import re
import sys
from pathlib import Path

import daff

ESCAPES = re.compile(r"\x1B\[[0-9;]*m")
TEXTS = ["a", "b", "c", "d", "long text", "1", "2", "10", "", "NULL", "None", " a", "a ", "a b", "ab", "x->y", "-->", 'a "b"', "a,b", "é"]


def main() -> None:
    count, seed = (int(argument) for argument in [*sys.argv[1:], *["120", "1"][len(sys.argv) - 1 :]])
    dice = random.Random(seed)
    cases = [case(dice) for _ in range(count)]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    Path(__file__).with_name("tables.json").write_text(f"[\n{lines}\n]\n")


def case(dice: random.Random) -> dict:
    width = dice.choice([1, 2, 2, 3, 4, 6, 8])
    columns = [f"c{index}" * dice.choice([1, 1, 3]) for index in range(width)]
    texts = dice.sample(TEXTS, dice.randint(2, len(TEXTS)))
    identified = dice.random() < 0.5

    def cell(column: int, row: int):
        if column == 0 and identified:
            return f"{row:02}"
        return None if dice.random() < 0.15 else dice.choice(texts)

    expected = [[cell(column, row) for column in range(width)] for row in range(dice.choice([0, 1, 2, 3, 5, 8, 14]))]
    actual = [list(row) for row in expected]
    for _ in range(dice.choice([0, 1, 1, 2, 4])):
        kind = dice.random()
        if actual and kind < 0.5:
            dice.choice(actual)[dice.randrange(width)] = dice.choice([None, *texts])
        elif actual and kind < 0.7:
            actual.remove(dice.choice(actual))
        else:
            actual.append([cell(column, dice.randrange(20)) for column in range(width)])
    # dbt sorts both sides, nulls last.
    expected, actual = (sorted(rows, key=lambda row: [(cell is None, cell) for cell in row]) for rows in (expected, actual))
    return {"columns": columns, "expected": expected, "actual": actual, "text": printed(columns, expected, actual)}


def printed(columns: list, expected: list, actual: list):
    left, right = (daff.PythonTableView([list(columns), *(list(row) for row in rows)]) for rows in (expected, actual))
    flags = daff.CompareFlags()
    flags.ordered = False
    alignment = daff.Coopy.compareTables(left, right, flags).align()
    difference = daff.TableDiff(alignment, flags)
    table = daff.PythonTableView([])
    difference.hilite(table)
    if not difference.hasDifference():
        return None
    return ESCAPES.sub("", daff.TerminalDiffRender().render(table))


if __name__ == "__main__":
    main()

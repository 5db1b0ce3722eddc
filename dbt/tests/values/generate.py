"""Evaluates every expression with dbt's own Jinja environment and records what it prints.

    python generate.py            writes the golden files anew
    python generate.py --check    fails where a golden file differs from what dbt does

Run it with a Python that has dbt-core installed. Each line of a `*.txt` file beside this one is an expression; its golden file
has a line of JSON for each: {"text": …} or {"error": …}. The names that templates get are jinja2's and dbt's, and `decimal`, which
makes a `Decimal`, since query results hold them.
"""

import json
import sys
import warnings
from decimal import Decimal
from pathlib import Path

from dbt.context.base import BaseContext
from dbt_common.clients.jinja import get_environment

HERE = Path(__file__).parent
NAMES = (
    "tojson fromjson toyaml fromyaml set set_strict zip zip_strict local_md5 diff_of_two_dicts".split()
)


def context():
    names = BaseContext({}).to_dict()
    from dbt.context import base
    import itertools
    # Without dbt's deprecation warning, which needs a running dbt.
    modules = base.get_context_modules()
    modules["itertools"] = {name: getattr(itertools, name) for name in modules["itertools"]}
    return {**{name: names[name] for name in NAMES}, "modules": modules, "decimal": Decimal}


def outcome(expression, names):
    try:
        template = get_environment().from_string("{{ " + expression + " }}", globals=names)
        return {"text": template.render(names)}
    except Exception as error:
        return {"error": str(error)}


def main():
    warnings.simplefilter("ignore")
    names = context()
    stale = []
    for path in sorted(HERE.glob("*.txt")):
        lines = [line for line in path.read_text().splitlines() if line]
        golden = "".join(json.dumps(outcome(line, names)) + "\n" for line in lines)
        target = path.with_suffix(".golden")
        if "--check" not in sys.argv:
            target.write_text(golden)
        elif target.read_text() != golden:
            stale.append(target.name)
    if stale:
        sys.exit(f"differ from dbt: {', '.join(stale)}")


main()

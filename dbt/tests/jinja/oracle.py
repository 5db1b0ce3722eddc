"""Renders every case with dbt's own Jinja environment and records what comes out.

    python oracle.py            writes the golden files anew
    python oracle.py --check    fails where a golden file differs from what dbt does

Run it with a Python that has dbt-core installed. Cases stand in `*.txt` beside this file, separated by lines of `%%`; each
golden file has one line of JSON for each case: {"text": …}, {"value": …} (the repr of a native result) or {"error": …}. The
name of a file says how its cases are rendered:

    native*   natively, as values of YAML files are
    parse*    with the Undefined that dbt uses while parsing
    others    as text with jinja2's default Undefined

Macros of a case can be called by name, as macros of a project can.
"""

import json
import re
import sys
import types
from pathlib import Path

import jinja2.nodes
from dbt.clients.jinja import MacroGenerator
from dbt_common.clients.jinja import extract_toplevel_blocks, get_template, parse, render_template
from dbt_common.exceptions.macros import MacroReturn

HERE = Path(__file__).parent


class Adapter:
    def __init__(self, context):
        self._context = context

    def dispatch(self, macro_name, macro_namespace=None):
        return self._context[f"default__{macro_name}"]


def return_(data=None):
    raise MacroReturn(data)


def boom(message):
    raise ValueError(message)


def context_of(source):
    context = {"return": return_, "execute": True, "boom": boom}
    context["context"] = context
    context["adapter"] = Adapter(context)
    for block in extract_toplevel_blocks(source, {"macro", "test", "materialization"}, collect_raw_data=False):
        nodes = list(parse(block.full_block).find_all(jinja2.nodes.Macro))
        name = nodes[0].name.replace("dbt_macro__", "")
        macro = types.SimpleNamespace(
            name=name, macro_sql=block.full_block, unique_id=f"macro.test.{name}", resource_type="macro"
        )
        context[name] = MacroGenerator(macro, context)
    return context


def root_cause(error):
    """What went wrong, without what dbt and jinja2 say about the place."""
    while not isinstance(error, jinja2.TemplateError):
        inner = getattr(error, "exc", None) or error.__cause__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return re.sub(r" \(@ \d+:\d+\)$", "", str(getattr(error, "message", None) or getattr(error, "msg", error)))


def outcome(source, native, capture_macros):
    try:
        context = context_of(source)
        template = get_template(source, context, None, capture_macros=capture_macros, native=native)
        result = render_template(template, context)
    except BaseException as error:
        return {"error": root_cause(error)}
    return {"value": repr(result)} if native else {"text": result}


def main():
    check = "--check" in sys.argv
    different = 0
    for path in sorted(HERE.glob("*.txt")):
        cases = path.read_text().split("\n%%\n")
        native, capture = path.name.startswith("native"), path.name.startswith("parse")
        lines = [json.dumps(outcome(case, native, capture)) + "\n" for case in cases]
        golden = path.with_suffix(".golden")
        if not check:
            golden.write_text("".join(lines))
            continue
        recorded = golden.read_text().splitlines(keepends=True) if golden.exists() else []
        for number, (case, line) in enumerate(zip(cases, lines)):
            if number >= len(recorded) or recorded[number] != line:
                different += 1
                print(f"{path.name} case {number}: {case!r}\n  dbt: {line}", end="")
        if len(recorded) != len(cases):
            different += 1
            print(f"{path.name}: {len(cases)} cases, {len(recorded)} recorded")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()

"""Runs the steps of one fixture under dbt-core, in this process, and writes what each left behind as JSON.

Called by run.py once for each fixture and warehouse, so that dbt's start-up is paid once and its global state stays apart.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from state import overlay, snapshot


def main() -> None:
    job = json.load(sys.stdin)
    project = Path(job["project"])
    os.chdir(project)
    os.environ.update(job["environment"])
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    from dbt.cli.main import dbtRunner

    outcomes = []
    for number, step in enumerate(job["steps"]):
        overlay(project, number)
        output = io.StringIO()
        os.environ.update(step.get("environment", {}))
        with contextlib.redirect_stdout(output):
            result = dbtRunner().invoke(["--no-use-colors", *step["args"]])
        exit_code = 0 if result.success else (2 if result.exception is not None else 1)
        if job["warehouse"] == "duckdb":
            # dbt-duckdb keeps the file open for the life of the process.
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            DuckDBConnectionManager.close_all_connections()
        outcomes.append(snapshot(project, job["warehouse"], exit_code, output.getvalue(), step))
    json.dump(outcomes, sys.stdout)


if __name__ == "__main__":
    main()

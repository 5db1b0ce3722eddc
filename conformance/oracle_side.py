"""Runs the steps of fixtures under dbt-core, and reads what either side left behind.

Started by run.py once for each of its threads. Each line of the input is a job; each is done in a fork of this process, so that
importing dbt is paid once and its global state stays apart. The answer goes to the file that the job names, then a line is
printed.
"""

import contextlib
import io
import json
import os
import sys
import traceback
from pathlib import Path

import dbt.adapters.duckdb
import dbt.adapters.postgres
from dbt.cli.main import dbtRunner

from state import overlay, snapshot


def main() -> None:
    # Where jobs are reported as done; whatever dbt prints by itself must not look like a report.
    reports = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            answer(job)
            os._exit(0)
        os.waitpid(child, 0)
        print("done", file=reports, flush=True)


def answer(job: dict) -> None:
    os.environ.update(job["environment"])
    try:
        found = outcomes(job) if job["side"] == "dbt" else left_behind(job)
    except BaseException:
        found = {"error": traceback.format_exc()[-2000:]}
    Path(job["answer"]).write_text(json.dumps(found))


def left_behind(job: dict) -> dict:
    # Views on files name them as seen from the project.
    os.chdir(job["project"])
    return {"outcome": snapshot(Path(job["project"]), job["warehouse"], 0, "", job["step"])}


def outcomes(job: dict) -> dict:
    project = Path(job["project"])
    os.chdir(project)
    os.environ["DBT_SEND_ANONYMOUS_USAGE_STATS"] = "false"
    found = []
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
        found.append(snapshot(project, job["warehouse"], exit_code, output.getvalue(), step))
    return {"outcomes": found}


if __name__ == "__main__":
    main()

"""Runs every fixture under dbt-core and under Kontiki and compares what they leave behind.

A fixture is a dbt project in `fixtures/<name>/` without a profile, and `steps.json`: a list of steps, each with
  args         the command line, the same for both
  warehouses   (of the first step) which warehouses the fixture is for; both by default
  exit_code    what both must exit with; 0 by default
  only         (of the first step) "kontiki" where dbt has no answer: templates that never end, features we refuse
  project      (of the first step) a project of the repository to copy instead of the fixture's folder
  raw          arguments of `xtask smartpizza`, which writes raw data before this step
  says         text that Kontiki must print (error cases: its code and the words that help)
  ignore       what is not compared in this step: "relations", "results", "compiled_code", "message", "manifest", "output"
  times        columns whose values are the time of the run: compared is only whether they are null
  survives     relations that Kontiki keeps where dbt-postgres drops them together with a table they read (`cascade`)
Before step N the files of `edits/N/` replace the project's. Steps with `ls` compare the printed lines as a set.

usage: run.py --kontiki PATH [--xtask PATH] [--warehouse duckdb|postgres]... [--postgres DSN] [--work DIR] [--jobs N]
              [--recorded DIR] [FIXTURE]...
Exits with 1 when anything differs, 2 when the harness itself cannot run.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import state

HERE = Path(__file__).resolve().parent
FIXTURES = HERE / "fixtures"
THREAD = threading.local()
# Everything dbt-core says but its manifest does not decide; written for machines of dbt Labs, or different by design.
CONFIG_IGNORED = {"static_analysis", "freshness"}


def main() -> int:
    arguments = parse_arguments()
    names = arguments.fixtures or sorted(path.parent.name for path in FIXTURES.glob("*/steps.json"))
    jobs = [
        (name, warehouse)
        for name in names
        for warehouse in arguments.warehouse
        if warehouse in steps_of(name)[0].get("warehouses", ["duckdb", "postgres"])
    ]
    work = Path(arguments.work or tempfile.mkdtemp(prefix="conformance-"))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        checks = {pool.submit(check, arguments, work, *job): job for job in jobs}
        for done in concurrent.futures.as_completed(checks):
            name, warehouse = checks[done]
            differences = done.result()
            print(f"{'FAIL' if differences else 'ok  '} {name} on {warehouse}", flush=True)
            for difference in differences[:30]:
                print(f"       {difference}")
            if len(differences) > 30:
                print(f"       … and {len(differences) - 30} more")
            failed += bool(differences)
    if not arguments.work:
        shutil.rmtree(work)
    print(f"{len(jobs) - failed} passed, {failed} failed")
    return 1 if failed else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kontiki", required=True, type=Path)
    parser.add_argument("--xtask", type=Path, help="what writes SmartPizza's raw data; beside kontiki by default")
    parser.add_argument("--warehouse", action="append", choices=["duckdb", "postgres"])
    parser.add_argument("--postgres", help="host=… port=… user=…: a server where databases may be created")
    parser.add_argument("--work", help="keep both sides' projects here")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--recorded", type=Path, help="keep dbt's outcomes here, and use them while a fixture stays the same")
    parser.add_argument("fixtures", nargs="*", metavar="FIXTURE")
    arguments = parser.parse_args()
    arguments.kontiki = arguments.kontiki.resolve()
    arguments.xtask = (arguments.xtask or arguments.kontiki.with_name("xtask")).resolve()
    arguments.warehouse = arguments.warehouse or (["duckdb", "postgres"] if arguments.postgres else ["duckdb"])
    if "postgres" in arguments.warehouse and not arguments.postgres:
        parser.error("--warehouse postgres needs --postgres")
    return arguments


def steps_of(name: str) -> list:
    return json.loads((FIXTURES / name / "steps.json").read_text())


def check(arguments, work: Path, name: str, warehouse: str) -> list:
    """All differences between the two sides, as readable lines."""
    try:
        steps = steps_of(name)
        oracle = run_oracle(arguments, work, name, warehouse, steps)
        kontiki = run_kontiki(arguments, work, name, warehouse, steps)
    except Exception as error:
        return [f"the harness failed: {type(error).__name__}: {error}"]
    differences = []
    for number, (step, theirs, ours) in enumerate(zip(steps, oracle, kontiki, strict=True)):
        where = f"step {number} `{' '.join(step['args'])}`"
        differences += [f"{where}: {difference}" for difference in compare_step(step, theirs, ours)]
    return differences


def compare_step(step: dict, theirs: dict, ours: dict) -> list:
    ignored = set(step.get("ignore", []))
    differences = []
    expected = step.get("exit_code", 0)
    for side, outcome in (("dbt", theirs), ("kontiki", ours)):
        if outcome is not None and outcome["exit_code"] != expected:
            tail = outcome["output"].strip()[-600:]
            differences.append(f"{side} exited with {outcome['exit_code']}, not {expected}: {tail}")
    for text in step.get("says", []):
        if text not in ours["output"]:
            differences.append(f"kontiki did not say {text!r}: {ours['output'].strip()[-600:]}")
    if expected == 2 or theirs is None:
        return differences
    if "ls" in step["args"]:
        return differences + compare("listed", listed(theirs["output"]), listed(ours["output"]))
    for result in (theirs["results"], ours["results"]):
        for entry in result.values():
            for key in ignored & {"compiled_code", "message"}:
                entry.pop(key, None)
            if entry.get("compiled_code"):
                # Our built-in macros are not dbt's: their SQL says the same, laid out in other lines.
                entry["compiled_code"] = " ".join(entry["compiled_code"].split())
    for relation in [*theirs["relations"].values(), *ours["relations"].values()]:
        without_times(relation, step.get("times", []))
    for name in step.get("survives", []):
        if name not in ours["relations"]:
            differences.append(f"relations.{name}: kontiki dropped it")
        elif name not in theirs["relations"]:
            del ours["relations"][name]
    for part in ("relations", "results", "manifest", "sources"):
        if part not in ignored:
            differences += compare(part, normal(theirs[part]), normal(ours[part]))
    return differences


def without_times(relation: dict, names: list) -> None:
    places = [place for place, (name, _) in enumerate(relation["columns"]) if name in names]
    for row in relation["rows"] if places else []:
        for place in places:
            row[place] = row[place] if row[place] == "None" else "a time"
    relation["rows"].sort(key=repr)


def listed(output: str) -> list:
    lines = (line for line in output.splitlines() if not re.match(r"\d\d:\d\d:\d\d  ", line))
    found = []
    for line in lines:
        if line.startswith("{"):
            found.append(json.dumps(normal(json.loads(line)), sort_keys=True))
        elif line.strip():
            found.append(line.strip())
    return sorted(found)


def normal(value):
    """Drops what cannot agree: names of the two databases, config keys that Kontiki has no use for."""
    if isinstance(value, dict):
        found = {key: normal(item) for key, item in value.items() if key not in CONFIG_IGNORED}
        # dbt lists a tag again for each pass over the configuration; tags are a set.
        if isinstance(found.get("tags"), list):
            found["tags"] = sorted(set(found["tags"]))
        return found
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, str):
        return value.replace("conformance_kontiki", "conformance").replace("conformance_dbt", "conformance")
    return value


def compare(path: str, theirs, ours) -> list:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        differences = []
        for key in sorted(set(theirs) | set(ours)):
            if key not in ours:
                differences.append(f"{path}.{key}: only dbt has it: {short(theirs[key])}")
            elif key not in theirs:
                differences.append(f"{path}.{key}: only kontiki has it: {short(ours[key])}")
            else:
                differences += compare(f"{path}.{key}", theirs[key], ours[key])
        return differences
    if theirs != ours:
        return [f"{path}: dbt has {short(theirs)}, kontiki has {short(ours)}"]
    return []


def short(value) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 400 else text[:400] + "…"


def run_oracle(arguments, work: Path, name: str, warehouse: str, steps: list) -> list:
    if steps[0].get("only") == "kontiki":
        return [None] * len(steps)
    if arguments.recorded is None:
        return outcomes_of_oracle(arguments, work, name, warehouse, steps)
    record = arguments.recorded / f"{name}-{warehouse}-{digest(FIXTURES / name)}.json"
    if record.exists():
        return json.loads(record.read_text())
    outcomes = outcomes_of_oracle(arguments, work, name, warehouse, steps)
    arguments.recorded.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(outcomes))
    return outcomes


def digest(fixture: Path) -> str:
    """Names all that dbt's outcome depends on: the fixture, how it is run and read, and the versions."""
    hasher = hashlib.sha256()
    folders = [fixture]
    if project := steps_of(fixture.name)[0].get("project"):
        folders += [HERE.parent / project, HERE.parent / "xtask/src"]
    files = [path.resolve() for folder in folders for path in folder.rglob("*") if path.is_file()]
    for path in [HERE / "oracle_side.py", HERE / "state.py", HERE / "requirements.txt", *sorted(files)]:
        hasher.update(str(path.relative_to(HERE.parent)).encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:16]


def outcomes_of_oracle(arguments, work: Path, name: str, warehouse: str, steps: list) -> list:
    project, environment = prepare(arguments, work, name, warehouse, "dbt")
    job = {"side": "dbt", "project": str(project), "warehouse": warehouse, "environment": environment, "steps": steps}
    return ask_oracle(job)["outcomes"]


def run_kontiki(arguments, work: Path, name: str, warehouse: str, steps: list) -> list:
    project, environment = prepare(arguments, work, name, warehouse, "kontiki")
    outcomes = []
    for number, step in enumerate(steps):
        state.overlay(project, number)
        done = subprocess.run(
            [arguments.kontiki, "--no-use-colors", *step["args"]],
            cwd=project, capture_output=True, text=True, timeout=300,
            env={**os.environ, **environment, **step.get("environment", {})},
        )
        job = {"side": "kontiki", "project": str(project), "warehouse": warehouse, "environment": environment, "step": step}
        outcome = ask_oracle(job)["outcome"]
        outcome.update(exit_code=done.returncode, output=done.stdout + done.stderr)
        outcomes.append(outcome)
    return outcomes


def ask_oracle(job: dict) -> dict:
    """Has this thread's oracle do the job."""
    oracle = getattr(THREAD, "oracle", None)
    if oracle is None:
        command = [sys.executable, str(HERE / "oracle_side.py")]
        # Forks end without cleaning up the semaphores they inherit.
        quiet = {**os.environ, "PYTHONWARNINGS": "ignore::UserWarning:multiprocessing.resource_tracker"}
        oracle = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet)
        THREAD.oracle = oracle
    answer = Path(job["project"]).parent / "answer.json"
    answer.unlink(missing_ok=True)
    oracle.stdin.write(json.dumps({**job, "answer": str(answer)}) + "\n")
    oracle.stdin.flush()
    if oracle.stdout.readline() != "done\n":
        oracle.kill()
        raise RuntimeError("the oracle ended before it answered")
    found = json.loads(answer.read_text())
    if "error" in found:
        raise RuntimeError(found["error"])
    return found


def prepare(arguments, work: Path, name: str, warehouse: str, side: str):
    project = work / f"{name}-{warehouse}-{side}" / "project"
    if project.parent.exists():
        shutil.rmtree(project.parent)
    steps = steps_of(name)
    source = HERE.parent / steps[0]["project"] if "project" in steps[0] else FIXTURES / name
    shutil.copytree(source, project, ignore=shutil.ignore_patterns("raw", "target", ".kontiki", "*.duckdb"))
    for number, step in enumerate(steps):
        if "raw" in step:
            out = project / "edits" / str(number) / "raw"
            subprocess.run([arguments.xtask, "smartpizza", "--out", out, *step["raw"]], check=True, stdout=subprocess.DEVNULL)
    profiles = project.parent / "profiles"
    profiles.mkdir()
    environment = {"DBT_PROFILES_DIR": str(profiles)}
    profile = re.search(r"^profile:\s*['\"]?([\w-]+)", (project / "dbt_project.yml").read_text(), re.M)
    profile_name = profile.group(1) if profile else "conformance"
    if warehouse == "duckdb":
        database = project.parent / "conformance.duckdb"
        environment["CONFORMANCE_DUCKDB"] = str(database)
        output = {"type": "duckdb", "path": str(database), "schema": "main", "threads": 2}
    else:
        database = f"conformance_{side}"
        database = f"{database}_{re.sub(r'[^a-z0-9]', '_', name)}"
        create_database(arguments.postgres, database)
        settings = dict(part.split("=", 1) for part in arguments.postgres.split())
        environment["CONFORMANCE_POSTGRES"] = f"{arguments.postgres} dbname={database}"
        output = {
            "type": "postgres", "host": settings["host"], "port": int(settings.get("port", 5432)), "user": settings["user"],
            "password": settings.get("password", "none"), "dbname": database, "schema": "main", "threads": 2,
        }
    (profiles / "profiles.yml").write_text(json.dumps({profile_name: {"target": "dev", "outputs": {"dev": output}}}))
    return project, environment


def create_database(server: str, name: str) -> None:
    import psycopg2

    connection = psycopg2.connect(f"{server} dbname=postgres")
    connection.autocommit = True
    try:
        cursor = connection.cursor()
        cursor.execute(f'drop database if exists "{name}" with (force)')
        cursor.execute(f'create database "{name}"')
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())

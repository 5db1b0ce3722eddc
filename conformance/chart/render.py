"""The chart as Helm renders it."""

import subprocess
from functools import cache
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/kontiki"
#: Of the release and its namespace.
NAME = "kontiki"


def values_files() -> dict[str, list[str]]:
    """Helm's arguments for each way to install, the chart's own values first."""
    files = sorted((CHART / "values").glob("*.yaml"))
    return {"default": [], **{file.stem: ["--values", str(file)] for file in files}}


def helm(program: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([program, *arguments], capture_output=True, text=True)


@cache
def render(program: str, *arguments: str) -> str:
    rendered = helm(program, "template", NAME, str(CHART), "--namespace", NAME, *arguments)
    if rendered.returncode != 0:
        raise SystemExit(f"helm template {' '.join(arguments)}: {rendered.stderr}")
    return rendered.stdout


def environment(container: dict, fields: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """A container's variables besides those given; `fields` are the pod's, by their paths."""
    variables = dict(given)
    for variable in container.get("env", []):
        value = variable.get("value") or fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for name, other in variables.items():
            value = value.replace(f"$({name})", other)
        variables[variable["name"]] = value
    return variables


def objects(text: str) -> list[dict]:
    return [found for found in yaml.safe_load_all(text) if found]

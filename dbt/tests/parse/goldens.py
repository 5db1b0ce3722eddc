"""Writes `golden.json` of every fixture project that has one: what dbt-core makes of it.

    <python of an environment with dbt-core and dbt-duckdb> dbt/tests/parse/goldens.py

Only fields that do not depend on time or machine are kept.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
PROFILE = """
fixture:
  target: dev
  outputs:
    dev: {type: duckdb, path: fixture.duckdb, schema: main}
"""
DROPPED = {"created_at", "root_path", "build_path", "compiled_path"}
BUILT_IN = {"dbt", "dbt_duckdb", "dbt_postgres"}


def kept(resource):
    return {key: value for key, value in resource.items() if key not in DROPPED}


def golden(fixture):
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder) / "project"
        shutil.copytree(fixture, project)
        (project / "profiles.yml").write_text(PROFILE)
        dbt = pathlib.Path(sys.executable).parent / "dbt"
        if (project / "packages.yml").exists():
            subprocess.run([dbt, "deps", "--profiles-dir", ".", "--quiet"], cwd=project, check=True)
        subprocess.run([dbt, "parse", "--profiles-dir", ".", "--quiet"], cwd=project, check=True)
        manifest = json.loads((project / "target" / "manifest.json").read_text())
    sections = ("nodes", "sources", "exposures", "groups", "docs", "macros")
    return {
        section: {
            unique_id: kept(resource)
            for unique_id, resource in sorted(manifest[section].items())
            if resource["package_name"] not in BUILT_IN
        }
        for section in sections
    } | {"disabled": sorted(manifest["disabled"])}


for path in sorted(FIXTURES.glob("*/golden.json")):
    path.write_text(json.dumps(golden(path.parent), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    print(path.parent.name)

"""Writes duckdb.json and postgres.json: what dbt-core's own macros render for the expressions in cases.txt.

Needs `dbt` with dbt-duckdb and dbt-postgres on the PATH; no warehouse is contacted. Run it in this folder.
"""

import json
import pathlib
import re
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
PROFILE = """golden:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: ":memory:", schema: s}
    postgres: {type: postgres, host: localhost, user: u, password: p, port: 5432, dbname: db, schema: s, threads: 1}
"""


def main() -> None:
    cases = [line.split("|", 1) for line in (HERE / "cases.txt").read_text().splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        project = pathlib.Path(folder)
        (project / "models").mkdir()
        (project / "dbt_project.yml").write_text("name: golden\nversion: '1.0'\nprofile: golden\n")
        (project / "profiles.yml").write_text(PROFILE)
        for name, expression in cases:
            code = "{% if execute %}" + expression + "{% endif %}"
            (project / "models" / f"{name}.sql").write_text(code)
        for adapter in ("duckdb", "postgres"):
            arguments = ["--no-populate-cache", "--target", adapter, "--profiles-dir", folder, "--target-path", adapter]
            subprocess.run(["dbt", "--quiet", "compile", *arguments], cwd=folder, check=True)
            compiled = project / adapter / "compiled" / "golden" / "models"
            # Comments of dbt's own templates are no part of what a macro means.
            rendered = {
                name: re.sub(r"(?m)^\s*--.*$", "", (compiled / f"{name}.sql").read_text()).split() for name, _ in cases
            }
            rendered = {name: " ".join(words) for name, words in rendered.items()}
            (HERE / f"{adapter}.json").write_text(json.dumps(rendered, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""What a step left behind: relations with their columns and rows, results, manifest and output. The same for both sides."""

import json
import os
import shutil
from pathlib import Path

# Kontiki's publish log and fence live in a schema of their own, which dbt has no counterpart for.
OWN_SCHEMA = "kontiki"

MANIFEST_FIELDS = {
    "nodes": [
        "name", "resource_type", "package_name", "path", "original_file_path", "fqn", "alias", "schema", "tags", "checksum",
        "description", "columns", "relation_name", "refs", "sources", "depends_on", "raw_code", "test_metadata", "column_name",
        "attached_node", "config", "meta", "patch_path", "access", "version", "latest_version", "group", "unrendered_config",
    ],
    "sources": [
        "name", "source_name", "identifier", "schema", "relation_name", "fqn", "description", "tags", "meta", "loader", "columns",
        "path", "original_file_path", "package_name", "source_description",
    ],
    "exposures": ["name", "type", "label", "maturity", "url", "description", "owner", "depends_on", "fqn", "tags"],
    "unit_tests": [
        "name", "model", "given", "expect", "description", "overrides", "depends_on", "config", "fqn", "path",
        "original_file_path", "package_name", "resource_type", "schema", "versions", "version",
    ],
    "docs": ["name", "package_name", "path", "block_contents"],
    "groups": ["name", "package_name", "owner"],
}


# What dbt adds to a test's macros while it runs the test, and only then: how its materialization is made, not what it needs.
# Kontiki runs tests without these macros.
ADDED_TO_TESTS = {
    f"macro.dbt.{name}" for name in ("get_where_subquery", "get_limit_subquery_sql", "should_store_failures", "statement")
}


def overlay(project: Path, number: int) -> None:
    """Applies `edits/<number>/` of the fixture: files replaced or added before that step; `<file>.deleted` removes one."""
    edits = project / "edits" / str(number)
    if not edits.is_dir():
        return
    for source in sorted(edits.rglob("*")):
        if source.is_dir():
            continue
        target = project / source.relative_to(edits)
        if target.suffix == ".deleted":
            target.with_suffix("").unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def snapshot(project: Path, warehouse: str, exit_code: int, output: str, step: dict) -> dict:
    return {
        "exit_code": exit_code,
        "output": output,
        "relations": relations(warehouse),
        "results": results(project, step),
        "manifest": manifest(project),
        "sources": sources(project),
    }


def results(project: Path, step: dict) -> dict:
    path = project / "target" / "run_results.json"
    if not path.exists() or "ls" in step["args"] or "parse" in step["args"]:
        return {}
    found = {}
    for result in json.loads(path.read_text())["results"]:
        entry = {"status": result["status"], "failures": result["failures"]}
        if result["status"] not in ("error", "skipped"):
            # Kontiki says which batch failed, and why, below dbt's words.
            is_partial = result["status"] == "partial success"
            entry["message"] = result["message"].splitlines()[0] if is_partial else result["message"]
            entry["compiled_code"] = result.get("compiled_code")
            entry["relation_name"] = result.get("relation_name")
        if batches := result.get("batch_results"):
            # After `dbt retry`, those of the run before come last.
            entry["batch_results"] = {key: sorted(batches[key]) for key in ("successful", "failed")}
        found[result["unique_id"]] = entry
    return found


def sources(project: Path) -> dict:
    path = project / "target" / "sources.json"
    if not path.exists():
        return {}
    document = json.loads(path.read_text())
    found = {"schema": document["metadata"]["dbt_schema_version"]}
    for result in document["results"]:
        fields = ("max_loaded_at", "status", "criteria", "adapter_response")
        found[result["unique_id"]] = {field: result[field] for field in fields}
        found[result["unique_id"]]["keys"] = list(result)
    return found


def manifest(project: Path) -> dict:
    path = project / "target" / "manifest.json"
    if not path.exists():
        return {}
    document = json.loads(path.read_text())
    found = {}
    for section, fields in MANIFEST_FIELDS.items():
        entries = document[section]
        if section == "docs":
            entries = {key: value for key, value in entries.items() if not key.startswith("doc.dbt.")}
        found[section] = {key: {field: value.get(field) for field in fields} for key, value in entries.items()}
    for node in found["nodes"].values():
        # dbt adds tags in the order in which it reads them; Kontiki in that of their layers. They are a set.
        node["tags"] = sorted(node["tags"])
        # A ref is listed again each time it is rendered; what counts is which there are.
        node["refs"] = [ref for at, ref in enumerate(node["refs"] or []) if ref not in node["refs"][:at]]
        for hook in ("pre-hook", "post-hook"):
            # The text of before_begin() and its like, with the white space of macros that are not dbt's.
            if isinstance(text := (node["unrendered_config"] or {}).get(hook), str):
                node["unrendered_config"][hook] = text.strip()
        if node["resource_type"] == "test":
            # dbt fills it in when it has run the test with --store-failures; the results have it on both sides.
            del node["relation_name"]
            # Of a test whose macro does not exist dbt says that it depends on null.
            called = [name for name in node["depends_on"]["macros"] if name is not None]
            node["depends_on"]["macros"] = [name for name in called if name not in ADDED_TO_TESTS]
    for section in ("parent_map", "child_map"):
        found[section] = {key: sorted(value) for key, value in document[section].items()}
    found["disabled"] = sorted(document["disabled"])
    found["macros"] = sorted(key for key in document["macros"] if not key.startswith(("macro.dbt.", "macro.dbt_")))
    return found


def validate_artifacts(project: Path) -> None:
    """Raises where dbt-artifacts-parser, which other tools read artifacts with, does not accept what Kontiki wrote."""
    from dbt_artifacts_parser.parser import parse_manifest_v12, parse_run_results_v6

    for name, parse in (("manifest.json", parse_manifest_v12), ("run_results.json", parse_run_results_v6)):
        path = project / "target" / name
        if path.exists():
            parse(json.loads(path.read_text()))


def relations(warehouse: str) -> dict:
    return duckdb_relations() if warehouse == "duckdb" else postgres_relations()


def duckdb_relations() -> dict:
    import duckdb

    path = os.environ["CONFORMANCE_DUCKDB"]
    if not os.path.exists(path):
        return {}
    try:
        connection = duckdb.connect(path, read_only=True)
    except duckdb.ConnectionException:
        # dbt, in this same process, has not closed the connection of an on-run-end hook.
        connection = duckdb.connect(path)
    try:
        names = connection.execute(
            "select table_schema, table_name, table_type from information_schema.tables"
            " where table_catalog = current_database() and table_schema <> ?",
            [OWN_SCHEMA],
        ).fetchall()
        columns = (
            "select column_name, data_type from information_schema.columns"
            " where table_catalog = current_database() and table_schema = ? and table_name = ? order by ordinal_position"
        )
        return {
            f"{schema}.{name}": {
                "type": kind,
                "columns": [list(row) for row in connection.execute(columns, [schema, name]).fetchall()],
                "rows": rows(connection, schema, name),
            }
            for schema, name, kind in names
        }
    finally:
        connection.close()


def postgres_relations() -> dict:
    import psycopg2

    connection = psycopg2.connect(os.environ["CONFORMANCE_POSTGRES"])
    connection.autocommit = True
    try:
        cursor = connection.cursor()
        cursor.execute(
            "select n.nspname, c.relname, c.relkind::text, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where c.relkind in ('r', 'v', 'm', 'p') and n.nspname not in ('pg_catalog', 'information_schema', %s)"
            " and n.nspname not like 'pg_toast%%' and n.nspname not like 'pg_temp%%'",
            [OWN_SCHEMA],
        )
        found = {}
        for schema, name, kind, oid in cursor.fetchall():
            cursor.execute(
                "select attname, format_type(atttypid, atttypmod) from pg_attribute"
                " where attrelid = %s and attnum > 0 and not attisdropped order by attnum",
                [oid],
            )
            columns = [list(row) for row in cursor.fetchall()]
            found[f"{schema}.{name}"] = {"type": kind, "columns": columns, "rows": rows(cursor, schema, name)}
        return found
    finally:
        connection.close()


def rows(cursor, schema: str, name: str) -> list:
    quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))
    try:
        cursor.execute(f"select * from {quoted}")
        fetched = cursor.fetchall()
    except Exception as error:  # A view whose table is gone is a state to compare, too.
        return [f"unreadable: {type(error).__name__}"]
    return sorted([repr(value) for value in row] for row in fetched)

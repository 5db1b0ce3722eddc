"""Receives alerts and lineage as the receivers of others do: webhooks, whose signatures the authors' library checks, mails, and events of
OpenLineage, which its JSON schemas and the classes of its authors' client check.

Writes its ports, and then everything that arrives, as a line of JSON each into the file of its first argument. The second is the secret of
webhooks, the third a folder with OpenLineage's schemas. What is posted to /busy is refused twice before it is taken.
"""

import email
import email.policy
import importlib
import json
import pkgutil
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiosmtpd.controller import Controller
from jsonschema import Draft202012Validator
from openlineage.client import generated
from openlineage.client.generated import base
from referencing import Registry, Resource
from standardwebhooks.webhooks import Webhook

out = open(sys.argv[1], "a", buffering=1)
lock = threading.Lock()
refusals = {"left": 2}


def tell(**line):
    with lock:
        out.write(json.dumps(line) + "\n")


def facet_classes() -> dict:
    """Every class of OpenLineage's client that stands for a schema, by its address."""
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for value in vars(importlib.import_module(f"openlineage.client.generated.{module.name}")).values():
            if isinstance(value, type) and hasattr(value, "_get_schema"):
                found[value._get_schema()] = value
    return found


def schemas(folder: Path) -> Registry:
    """OpenLineage's schemas, by their addresses."""
    read = [json.loads(file.read_text()) for file in sorted(folder.rglob("*.json"))]
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in read)


FACETS = facet_classes()
SCHEMAS = schemas(Path(sys.argv[3]))
VERSIONS = {address.rsplit("/", 1)[1]: address for address in SCHEMAS}


def check_schema(address: str, value: dict) -> None:
    """Raises where a value is not as the schema at an address says, formats of strings included."""
    schema = {"$schema": Draft202012Validator.META_SCHEMA["$id"], "$ref": address}
    Draft202012Validator(schema, registry=SCHEMAS, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def check_schemas(event: dict) -> None:
    """The event by the schema that it names, each facet by its own; where another version of that is at hand, by that."""
    check_schema(event["schemaURL"], event)
    for of in [event["run"], event["job"], *event["inputs"], *event["outputs"]]:
        for facet in {**of["facets"], **of.get("outputFacets", {})}.values():
            file, part = facet["_schemaURL"].rsplit("/", 3)[1].removesuffix("#"), facet["_schemaURL"].partition("#")[2]
            if file in VERSIONS:
                check_schema(f"{VERSIONS[file]}#{part}", facet)
            else:
                assert file in WITHOUT_SCHEMA, file


# Which no package with the schemas has; the classes check them.
WITHOUT_SCHEMA = ["NominalTimeRunFacet.json"]


def check_lineage(event: dict) -> None:
    """Raises where a key is missing, unknown, or has a value that it cannot have."""

    def facets(of: dict, key: str = "facets") -> dict:
        return {name: facet(content) for name, content in of.pop(key, {}).items()}

    def facet(content: dict):
        kind = FACETS[content.pop("_schemaURL")]
        content = dict(content)
        producer = content.pop("_producer")
        assert kind.__name__ in ("ParentRunFacet", "SchemaDatasetFacet") or not any(
            isinstance(value, (dict, list)) for value in content.values()
        )
        return kind(**content, producer=producer)

    def dataset(kind, of: dict):
        special = "outputFacets" if kind is base.OutputDataset else "inputFacets"
        extra = {special: facets(of, special)}
        return kind(facets=facets(of), **extra, **of)

    event = json.loads(json.dumps(event))
    run, job = event.pop("run"), event.pop("job")
    inputs = [dataset(base.InputDataset, of) for of in event.pop("inputs")]
    outputs = [dataset(base.OutputDataset, of) for of in event.pop("outputs")]
    schema = event.pop("schemaURL")
    checked = base.RunEvent(
        run=base.Run(facets=facets(run), **run),
        job=base.Job(facets=facets(job), **job),
        eventType=base.EventType(event.pop("eventType")),
        inputs=inputs,
        outputs=outputs,
        **event,
    )
    assert checked.schemaURL == schema, schema


class Http(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/busy" and refusals["left"] > 0:
            refusals["left"] -= 1
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        if self.path == "/webhook":
            Webhook(sys.argv[2]).verify(body, dict(self.headers))
        if self.path == "/lineage":
            check_schemas(json.loads(body))
            check_lineage(json.loads(body))
        tell(path=self.path, body=json.loads(body), id=self.headers["webhook-id"], team=self.headers["x-team"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Mail:
    async def handle_DATA(self, _server, _session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        headers = {name: str(message[name]) for name in ("subject", "from", "to", "message-id")}
        tell(mail=headers, to=envelope.rcpt_tos, body=message.get_content())
        return "250 OK"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
smtp = Controller(Mail(), hostname="127.0.0.1", port=free_port())
smtp.start()
tell(http=http.server_address[1], smtp=smtp.port)
http.serve_forever()

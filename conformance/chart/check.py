"""Checks the chart without a cluster, for every file of values: Helm's lint, the schemas of Kubernetes and of custom resources, what no
schema sees, Kontiki's own reading of arguments and settings, checkov, and renders that were reviewed. Prints what is wrong.

check.py TOOLS KONTIKI [--write]
"""

import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import kubernetes_validate
import yaml

from render import CHART, NAME, ROOT, environment, helm, objects, render, values_files

TOOLS, KONTIKI = Path(sys.argv[1]), sys.argv[2]
HELM, KUBECTL = str(TOOLS / "bin/helm/helm"), str(TOOLS / "bin/kubectl/kubectl")
WRITE = "--write" in sys.argv
#: The oldest and the newest version of Kubernetes that the chart is for; the oldest stands in Chart.yaml, too.
VERSIONS = ("1.27", "1.37")
#: Whose resources have schemas elsewhere.
CUSTOM = {"cert-manager.io", "keda.sh", "monitoring.coreos.com"}
#: What those who install bring: they stand in files of values.
BROUGHT = {"kontiki-access", "kontiki-profiles", "kontiki-replica-tls", "kontiki-worker-tls", "kontiki-client-tls"}
#: Checks of checkov that do not apply, each with the reason.
SKIPPED = {
    "CKV_K8S_8": "the pod of `helm test` ends by itself",
    "CKV_K8S_9": "the pod of `helm test` serves nothing",
    "CKV_K8S_11": "a limit of CPU throttles where the node is idle; requests are what share it out",
    "CKV_K8S_15": "the tag is a version, and a node that has it need not ask",
    "CKV_K8S_43": "image.digest is there for it; only who builds the image knows it",
}
#: Values that must be refused, and what has to be said.
REFUSED = {
    "server.replicas=2": "value must be one of 1, 3, 5, 7",
    "server.replica=3": "additional properties 'replica' not allowed",
    "server.settings.listen=x": "invalid propertyName 'listen'",
    "tls.mode=none": "tls.allowInsecure=true",
    "tls.mode=none,tls.allowInsecure=true,server.accessPolicy.secretName=kontiki-access": "server.accessPolicy needs TLS",
    "tls.mode=secrets": "tls.secrets.client names none",
    "worker.autoscaling.min=11": "beyond worker.autoscaling.max",
    "worker.autoscaling.kind=cpu,worker.autoscaling.min=0": "min must be at least 1",
    "worker.cacheSize=lots": "does not match pattern",
}
INSTALL = ROOT / "deploy/kubernetes/install.yaml"
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
HOST = re.compile(r"(?:[a-z0-9*$()_A-Z-]+\.)?([a-z0-9-]+)\.%s\.svc:([0-9]+)" % NAME)


class Render:
    """What one file of values makes, and questions about it."""

    def __init__(self, name: str, text: str):
        self.name, self.text, self.objects = name, text, objects(text)
        self.findings: list[str] = []

    def expect(self, is_so: bool, message: str) -> None:
        if not is_so:
            self.findings.append(f"{self.name}: {message}")

    def kind(self, *kinds: str) -> list[dict]:
        return [found for found in self.objects if found["kind"] in kinds]

    def named(self, kind: str) -> dict[str, dict]:
        return {found["metadata"]["name"]: found for found in self.kind(kind)}

    def pods(self) -> list[tuple[dict, dict, dict]]:
        """Of every workload: itself, its pods' metadata and specification."""
        templates = [(found, found["spec"]["template"]) for found in self.kind("StatefulSet", "Deployment")]
        templates += [(found, found) for found in self.kind("Pod")]
        return [(found, template["metadata"], template["spec"]) for found, template in templates]

    def matching(self, selector: dict) -> list[dict]:
        return [spec for _, metadata, spec in self.pods() if is_within(selector, metadata["labels"])]


def is_within(selector: dict, labels: dict) -> bool:
    return all(labels.get(key) == value for key, value in selector.items())


def walk(value, path=()):
    """Every leaf, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, index))
    else:
        yield path, value


def check_schemas(of: Render) -> None:
    custom = []
    for found in of.objects:
        if found["apiVersion"].split("/")[0] in CUSTOM:
            custom.append(found)
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(found, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                of.findings.append(f"{of.name}: {found['kind']} {found['metadata']['name']} at {version}: {error.message}")
    script = Path(__file__).with_name("custom.mjs")
    command = ["node", str(script), str(TOOLS / "node_modules")]
    checked = subprocess.run(command, input=json.dumps(custom), capture_output=True, text=True)
    of.expect(checked.returncode == 0, checked.stderr)
    of.findings += [f"{of.name}: {line}" for line in checked.stdout.splitlines()]


def check_selectors(of: Render) -> None:
    for found, metadata, _ in of.pods():
        if found["kind"] != "Pod":
            selector = found["spec"]["selector"]["matchLabels"]
            of.expect(is_within(selector, metadata["labels"]), f"{found['kind']} does not select its own pods")
    for found in of.kind("PodDisruptionBudget", "PodMonitor"):
        selector = found["spec"]["selector"]["matchLabels"]
        of.expect(len(of.matching(selector)) == 1, f"{found['kind']} {found['metadata']['name']} selects no workload")
    for found in of.kind("NetworkPolicy"):
        name, spec = found["metadata"]["name"], found["spec"]
        of.expect(bool(of.matching(spec["podSelector"]["matchLabels"])), f"NetworkPolicy {name} selects no pods")
        for path, _ in walk(spec):
            if "podSelector" in path[1:]:
                inner = spec
                for step in path[: path.index("podSelector", 1) + 1]:
                    inner = inner[step]
                of.expect(bool(of.matching(inner["matchLabels"])), f"NetworkPolicy {name} lets nobody in or out")
    for found in of.kind("ServiceMonitor"):
        services = [
            service
            for service in of.kind("Service")
            if is_within(found["spec"]["selector"]["matchLabels"], service["metadata"]["labels"])
        ]
        served = [{port["name"] for port in service["spec"]["ports"]} for service in services]
        wanted = {endpoint["port"] for endpoint in found["spec"]["endpoints"]}
        of.expect(len(served) == 1 and wanted <= served[0], "ServiceMonitor selects not exactly one service with its port")
    for found in of.kind("PodMonitor"):
        pods = of.matching(found["spec"]["selector"]["matchLabels"])
        for endpoint in found["spec"]["podMetricsEndpoints"]:
            of.expect(all(endpoint["port"] in ports(pod) for pod in pods), "PodMonitor asks for a port that is not there")


def ports(pod: dict) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for container in pod["containers"] for port in container["ports"]}


def check_services(of: Render) -> None:
    services = of.named("Service")
    for name, service in services.items():
        pods = of.matching(service["spec"]["selector"])
        of.expect(len(pods) == 1, f"Service {name} leads to {len(pods)} workloads")
        for port in service["spec"]["ports"]:
            to = [ports(pod).get(port["targetPort"]) for pod in pods]
            of.expect(to == [port["port"]], f"Service {name}: port {port['name']} leads to {to}")
    for found in of.kind("StatefulSet"):
        headless = services.get(found["spec"]["serviceName"], {"spec": {}})["spec"]
        is_headless = headless.get("clusterIP") == "None" and headless.get("publishNotReadyAddresses") is True
        of.expect(is_headless, "the StatefulSet's service does not tell of pods that are not ready")
    # Every address anywhere, in settings as well, is a service's.
    for host, port in HOST.findall(of.text):
        known = [found["port"] for found in services.get(host, {"spec": {"ports": []}})["spec"]["ports"]]
        of.expect(int(port) in known, f"nobody serves {host}:{port}")


def check_pods(of: Render) -> None:
    configs = set(of.named("ConfigMap"))
    secrets = BROUGHT | {found["spec"]["secretName"] for found in of.kind("Certificate")}
    accounts = set(of.named("ServiceAccount"))
    for found, _, pod in of.pods():
        name = found["metadata"]["name"]
        claims = {claim["metadata"]["name"] for claim in found["spec"].get("volumeClaimTemplates", [])}
        volumes = claims | {volume["name"] for volume in pod["volumes"]}
        mounted = [mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]]
        paths = [mount["mountPath"] for container in pod["containers"] for mount in container["volumeMounts"]]
        of.expect(set(mounted) == volumes, f"{name}: volumes {volumes}, mounts {set(mounted)}")
        of.expect(len(set(paths)) == len(paths), f"{name}: two volumes at one path")
        for volume in pod["volumes"]:
            if "configMap" in volume:
                of.expect(volume["configMap"]["name"] in configs, f"{name}: there is no {volume}")
            if "secret" in volume:
                of.expect(volume["secret"]["secretName"] in secrets, f"{name}: there is no {volume}")
        account = pod.get("serviceAccountName")
        of.expect(account is None or account in accounts, f"{name}: there is no account {account}")
        of.expect(pod["automountServiceAccountToken"] is False, f"{name} has a token")
        of.expect(pod["securityContext"]["runAsNonRoot"] is True, f"{name} runs as root")
        for container in pod["containers"]:
            security = container["securityContext"]
            of.expect(security["readOnlyRootFilesystem"] and security["capabilities"]["drop"] == ["ALL"], f"{name} may too much")
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    port = container[probe]["grpc"]["port"]
                    of.expect(port in ports(pod).values(), f"{name}: {probe} asks port {port}")
                else:
                    of.expect(found["kind"] == "Pod", f"{name} has no {probe}")
    for found in of.kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = found["spec"]["scaleTargetRef"]
        of.expect(target["name"] in of.named(target["kind"]), f"{found['kind']} scales nothing")
        of.expect("replicas" not in of.named(target["kind"])[target["name"]]["spec"], "two decide how many workers there are")
    for path, value in walk([found.get("spec", {}) for found in of.objects]):
        if "resources" in path and ("requests" in path or "limits" in path):
            of.expect(QUANTITY.fullmatch(str(value)) is not None, f"'{value}' is no quantity")


def check_quorum(of: Render) -> None:
    for found in of.kind("StatefulSet"):
        replicas, budgets = found["spec"]["replicas"], of.named("PodDisruptionBudget")
        kept = budgets.get(found["metadata"]["name"], {"spec": {"minAvailable": 1}})["spec"]["minAvailable"]
        of.expect(replicas == 1 or replicas // 2 < kept < replicas, f"{kept} of {replicas} replicas are kept")


def check_certificates(of: Render) -> None:
    """The replicas' certificate has every name under which they are asked."""
    for found in of.kind("Certificate"):
        if "kontiki:replica" in found["spec"].get("uris", []):
            names = found["spec"]["dnsNames"]
            advertised = [f"{set_name}-0.{NAME}-replicas.{NAME}.svc" for set_name in of.named("StatefulSet")]
            for asked in [*advertised, *(f"{service}.{NAME}.svc" for service in of.named("Service"))]:
                is_named = asked in names or "*." + asked.split(".", 1)[1] in names
                of.expect(is_named, f"the certificate does not name {asked}")


def check_program(of: Render) -> None:
    """Arguments, variables and settings, as the program itself reads them."""
    configs = of.named("ConfigMap")
    for found, _, pod in of.pods():
        for container in pod["containers"]:
            config = next(volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "config")
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(configs[config]["data"]["kontiki.toml"])
                file.flush()
                fields = {"metadata.name": f"{found['metadata']['name']}-0"}
                variables = environment(container, fields, {"PATH": os.environ["PATH"]})
                variables["KONTIKI_CONFIG"] = file.name
                what = f"{found['metadata']['name']}: kontiki {' '.join(container['args'])}"
                for arguments in ([*container["args"], "--help"], ["config", "check"]):
                    told = subprocess.run([KONTIKI, *arguments], env=variables, capture_output=True, text=True)
                    of.expect(told.returncode == 0, f"{what}: {told.stdout}{told.stderr}")
                settings = told.stdout
                grace = re.search(r'\[%s\][^\[]*grace = "(\d+)s"' % container["name"], settings)
                if grace:
                    left = pod["terminationGracePeriodSeconds"] - int(grace[1])
                    of.expect(left >= 15, f"{what}: {left} s are left of its grace")


def check_golden(of: Render) -> None:
    """What the chart makes was reviewed: as a whole for its own values, for others how it differs from that."""
    if of.name == "default":
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}
        installed = [found for found in of.objects if "helm.sh/hook" not in found["metadata"].get("annotations", {})]
        text = "# Made from deploy/helm/kontiki by `cargo xtask chart --write`.\n"
        text += yaml.safe_dump_all([namespace, *installed], sort_keys=False, width=120)
        compare(of, INSTALL, text.replace("app.kubernetes.io/managed-by: Helm\n", "app.kubernetes.io/managed-by: kubectl\n"))
        return
    # The dashboard and the rules are files of their own, which others check.
    own = re.compile(r"^# Source: kontiki/templates/monitoring/(?:dashboard|rules)\.yaml\n.*?(?=^---$|\Z)", re.M | re.S)
    sides = [own.sub("", text).splitlines() for text in (render(HELM), of.text)]
    lines = difflib.unified_diff(*sides, "default", of.name, n=1, lineterm="")
    compare(of, Path(__file__).with_name("golden") / f"{of.name}.diff", "".join(f"{line.rstrip()}\n" for line in lines))


def compare(of: Render, file: Path, text: str) -> None:
    if WRITE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    is_same = file.is_file() and file.read_text() == text
    name = file.relative_to(ROOT)
    of.expect(is_same, f"{name} is not what the chart makes: look at the difference after `cargo xtask chart --write`")


def check_kustomization() -> list[str]:
    """What is installed without Helm is the same."""
    told = subprocess.run([KUBECTL, "kustomize", str(INSTALL.parent)], capture_output=True, text=True)
    sides = objects(told.stdout), objects(INSTALL.read_text())
    made, installed = (sorted((found["kind"], found["metadata"]["name"]) for found in side) for side in sides)
    return [] if made == installed else [f"deploy/kubernetes makes {made}, not {installed}: {told.stderr}"]


def check_compose() -> list[str]:
    """The cluster on a laptop: what it mounts is there, who is named is there, and the program reads its arguments and variables."""
    file = ROOT / "deploy/compose/compose.yaml"
    compose = yaml.safe_load(file.read_text())
    findings, services = [], compose["services"]
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_there = (file.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
            findings += [] if is_there else [f"{name}: there is no {source}"]
        findings += [f"{name} waits for {other}" for other in service.get("depends_on", {}) if other not in services]
        findings += [f"{name} is open to others: {port}" for port in service.get("ports", []) if not port.startswith("127.0.0.1:")]
        findings += [] if ":" in service["image"] else [f"{name}: {service['image']} has no version"]
        if not service["image"].startswith("kontiki:"):
            continue
        variables = {"PATH": os.environ["PATH"], **service["environment"]}
        for arguments in ([*service["command"], "--help"], ["config", "check"]):
            told = subprocess.run([KONTIKI, *arguments], env=variables, capture_output=True, text=True)
            findings += [] if told.returncode == 0 else [f"{name}: {told.stdout}{told.stderr}"]
        asked = ",".join(variables.get(key, "") for key in ("KONTIKI_SERVER_PEERS", "KONTIKI_WORKER_SERVERS"))
        known = {f"{other}:4728" for other in services}
        findings += [f"{name} asks {address}" for address in asked.split(",") if address and address not in known]
    scraped = yaml.safe_load((file.parent / "prometheus.yml").read_text())["scrape_configs"][0]["static_configs"][0]["targets"]
    measured = {name for name, service in services.items() if service["image"].startswith("kontiki:")}
    findings += [] if {target.split(":")[0] for target in scraped} == measured else ["Prometheus does not scrape everybody"]
    return [f"compose.yaml: {finding}" for finding in findings]


def check_guide() -> list[str]:
    """Commands of the guide, as far as they go without a cluster."""
    findings, guide = [], (ROOT / "docs/guides/kubernetes.md").read_text()
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", guide, re.M | re.S)
    commands = [shlex.split(line) for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "profiles.yml").write_text("shop: {}\n")
        (Path(folder) / "deploy").symlink_to(ROOT / "deploy")
        for command in commands:
            match command:
                case ["helm", "install", *rest]:
                    command = [HELM, "template", *rest]
                case ["kubectl", "create", *rest]:
                    command = [KUBECTL, "create", *rest, "--dry-run=client", "--output=name"]
                case ["kubectl", "-n", namespace, "create", *rest]:
                    command = [KUBECTL, "-n", namespace, "create", *rest, "--dry-run=client", "--output=name"]
                case ["helm", "test", *_] | ["podman", "build" | "push", *_]:
                    # They want a cluster, and an engine that builds.
                    continue
                case _:
                    findings.append(f"the guide's `{shlex.join(command)}` is checked by nobody")
                    continue
            told = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            findings += [] if told.returncode == 0 else [f"the guide's `{shlex.join(command)}`: {told.stderr}"]
    return findings if len(commands) >= 6 else [f"only {len(commands)} commands were found in the guide"]


def check_checkov(of: Render) -> None:
    checkov = str(Path(sys.executable).with_name("checkov"))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rendered.yaml").write_text(of.text)
        command = [checkov, "-d", folder, "--framework", "kubernetes", "--compact", "--quiet", "-o", "json"]
        command += ["--skip-check", ",".join(SKIPPED)]
        if of.name == "laptop":
            # It says itself that it keeps nobody out.
            command[-1] += ",CKV2_K8S_6"
        told = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    of.expect(told["summary"]["passed"] > 0, "checkov found nothing to check")
    for failed in told["results"]["failed_checks"]:
        of.findings.append(f"{of.name}: {failed['check_id']} {failed['check_name']}: {failed['resource']}")


def check_refusals() -> list[str]:
    findings = []
    for setting, message in REFUSED.items():
        told = helm(HELM, "template", NAME, str(CHART), "--set", setting)
        if told.returncode == 0 or message not in told.stderr:
            findings.append(f"--set {setting}: {told.stderr or 'it is not refused'}")
    return findings


def main() -> None:
    findings = check_refusals()
    for name, arguments in values_files().items():
        linted = helm(HELM, "lint", "--strict", str(CHART), *arguments)
        of = Render(name, render(HELM, *arguments))
        of.expect(linted.returncode == 0, linted.stdout + linted.stderr)
        check_schemas(of)
        # The others take the shape of objects for granted.
        for check in CHECKS if not of.findings else []:
            check(of)
        print(f"{name}: {len(of.objects)} objects, {len(of.findings)} findings")
        findings += of.findings
    findings += check_kustomization() + check_compose() + check_guide()
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    if version != f">={VERSIONS[0]}.0-0":
        findings.append(f"Chart.yaml is for Kubernetes {version}, but {VERSIONS[0]} is checked")
    for finding in findings:
        print(finding, file=sys.stderr)
    sys.exit(1 if findings else 0)


CHECKS = [
    check_selectors,
    check_services,
    check_pods,
    check_quorum,
    check_certificates,
    check_program,
    check_golden,
    check_checkov,
]

if __name__ == "__main__":
    main()

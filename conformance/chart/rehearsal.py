"""Installs the chart without a cluster and lets happen to it what happens to clusters: pods are lost, volumes are lost, a zone is lost, it is
upgraded and scaled, each time while a run is on its way. Each build writes one row of a ledger; in the end each is there, once.

rehearsal.py TOOLS KONTIKI          as root, for network namespaces and mounts
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pods import Network, Pod, run, until
from render import NAME, objects, render

TOOLS, PROGRAM = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
SECRETS = "worker.profiles.secretName=kontiki-profiles,server.accessPolicy.secretName=kontiki-access"
VALUES = ["--set", f"{SECRETS},worker.graceSeconds=30,log.format=text"]
PORT = 5477
#: PostgreSQL wants a user that has a name, and is not root.
POSTGRES_USER = "nobody"

MODELS = {
    "ledger.sql": "{{ config(materialized='incremental', incremental_strategy='append') }}\n"
    "select {{ var('build') }} as build, count(*) as inputs from (\n"
    + "\nunion all\n".join(f"select a from {{{{ ref('step_{row}_3') }}}}" for row in range(4))
    + "\n) as steps",
    **{
        f"step_{row}_{column}.sql": "{{ config(materialized='table') }}\nselect 1 as a, pg_sleep(0.8)::text as b"
        + (f" from {{{{ ref('step_{row}_{column - 1}') }}}}" if column else "")
        for row in range(4)
        for column in range(4)
    },
}


class Warehouse:
    """A PostgreSQL that pods reach."""

    def __init__(self, folder: Path, address: str):
        path = [*os.environ["PATH"].split(":"), *glob.glob("/usr/lib/postgresql/*/bin")]
        find = lambda name: next(found for found in (f"{place}/{name}" for place in path) if os.access(found, os.X_OK))
        self.psql, self.address, data = find("psql"), address, folder / "postgres"
        data.mkdir()
        shutil.chown(data, POSTGRES_USER)
        as_user = {"user": POSTGRES_USER, "cwd": "/", "env": {"PATH": os.environ["PATH"]}}
        initdb = [find("initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, **as_user)
        (data / "pg_hba.conf").write_text("host all all 0.0.0.0/0 trust\n")
        settings = [f"listen_addresses={address}", f"port={PORT}", "unix_socket_directories=", "fsync=off"]
        command = [find("postgres"), "-D", str(data), *(f"--{setting}" for setting in settings)]
        with (folder / "postgres.log").open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **as_user)
        until("PostgreSQL", lambda: subprocess.run([*self.command(), "-c", "select 1"], capture_output=True).returncode == 0)

    def command(self) -> list[str]:
        return [self.psql, "-h", self.address, "-p", str(PORT), "-U", "postgres", "-At"]

    def rows(self, sql: str) -> list[str]:
        return run(*self.command(), "-c", sql).split()


class Certificates:
    """What cert-manager would make of the render's Certificates."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        self.authority = ["-CA", str(folder / "ca.crt"), "-CAkey", str(folder / "ca.key")]
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        run("openssl", "req", "-x509", *new_key, "-subj", "/CN=kontiki-ca", "-keyout", self.authority[3], "-out", self.authority[1])
        self.new_key = new_key

    def issue(self, certificate: dict) -> Path:
        spec = certificate["spec"]
        secret = self.folder / spec["secretName"]
        secret.mkdir(exist_ok=True)
        names = [f"URI:{uri}" for uri in spec["uris"]] + [f"DNS:{name}" for name in spec.get("dnsNames", [])]
        files = ["-keyout", str(secret / "tls.key"), "-out", str(secret / "tls.crt")]
        subject = ["-subj", f"/CN={spec['commonName']}", "-addext", f"subjectAltName={','.join(names)}"]
        run("openssl", "req", "-x509", *self.new_key, *self.authority, *subject, "-addext", "basicConstraints=CA:FALSE", *files)
        shutil.copy(self.folder / "ca.crt", secret / "ca.crt")
        return secret


class Cluster:
    def __init__(self, folder: Path, network: Network):
        self.folder = folder
        self.warehouse = Warehouse(folder, network.gateway)
        self.network = network
        self.certificates = Certificates(folder / "certificates")
        self.program = folder / "program"
        self.program.mkdir()
        for file in [PROGRAM, *PROGRAM.parent.glob("libduckdb.*")]:
            shutil.copy(file, self.program)
        self.project = folder / "project"
        (self.project / "models").mkdir(parents=True)
        # Clients write their artifacts there.
        self.project.chmod(0o777)
        (self.project / "dbt_project.yml").write_text("name: rehearsal\nversion: '1.0.0'\nprofile: rehearsal\n")
        for name, text in MODELS.items():
            (self.project / "models" / name).write_text(text)
        self.servers: dict[int, Pod] = {}
        self.workers: list[Pod] = []
        self.builds = 0
        self.started_workers = 0
        self.render()

    def render(self, *more: str) -> None:
        self.objects = objects(render(str(TOOLS / "bin/helm/helm"), *VALUES, *more))
        find = lambda kind, name: next(o for o in self.objects if (o["kind"], o["metadata"]["name"]) == (kind, name))
        self.stateful, self.deployment = find("StatefulSet", f"{NAME}-server"), find("Deployment", f"{NAME}-worker")
        self.test = find("Pod", f"{NAME}-test")
        self.configs = {o["metadata"]["name"]: o for o in self.objects if o["kind"] == "ConfigMap"}
        issued = [o for o in self.objects if o["kind"] == "Certificate" and "uris" in o["spec"]]
        self.secrets = {o["spec"]["secretName"]: self.certificates.issue(o) for o in issued}
        profiles = self.folder / "profiles"
        profiles.mkdir(exist_ok=True)
        target = f"{{type: postgres, host: {self.network.gateway}, port: {PORT}, user: postgres, password: x, dbname: postgres, schema: public, threads: 4}}"
        (profiles / "profiles.yml").write_text(f"rehearsal:\n  target: prod\n  outputs:\n    prod: {target}\n")
        self.secrets[f"{NAME}-profiles"] = profiles
        access = self.folder / "access"
        access.mkdir(exist_ok=True)
        # No more than builds, and the test of the release, need.
        (access / "access.toml").write_text(f'[[grant]]\nto = ["certificate:{NAME}-client"]\nrole = "deployer"\nprojects = ["rehearsal"]\n')
        self.secrets[f"{NAME}-access"] = access
        group = self.stateful["spec"]["template"]["spec"]["securityContext"]["fsGroup"]
        for secret in self.secrets.values():
            for file in secret.iterdir():
                os.chown(file, 0, group)
                file.chmod(0o440)

    def pod(self, name: str, spec: dict, names: list[str], **more) -> Pod:
        return Pod(name, spec, names, self.folder, self.network, self.program, self.configs, self.secrets, **more)

    def start_server(self, ordinal: int) -> Pod:
        name, service = f"{NAME}-server-{ordinal}", self.stateful["spec"]["serviceName"]
        # Its own name, the one of all of them, and the service that clients use.
        names = [f"{name}.{service}.{NAME}.svc", f"{service}.{NAME}.svc", f"{NAME}-server.{NAME}.svc"]
        self.servers[ordinal] = self.pod(name, self.stateful["spec"]["template"]["spec"], names).start()
        return self.servers[ordinal]

    def start_worker(self) -> Pod:
        self.started_workers += 1
        name = f"{NAME}-worker-{self.started_workers}"
        self.workers.append(self.pod(name, self.deployment["spec"]["template"]["spec"], []).start())
        return self.workers[-1]

    def pods(self) -> list[Pod]:
        return [*self.servers.values(), *self.workers]

    def client(self, name: str, arguments: list[str] | None = None) -> Pod:
        """Somebody with the client's certificate: the pod of `helm test`, with other arguments."""
        extra = {"/project": self.project, "/etc/kontiki/profiles": self.secrets[f"{NAME}-profiles"]}
        spec = self.test["spec"]
        return self.pod(name, spec, [], arguments=arguments, extra=extra).start()

    def finish(self, client: Pod) -> str:
        code = client.process.wait(300)
        self.network.leave(client.name, client.namespace)
        if code != 0:
            logs = "\n".join(f"--- {pod.name}\n{pod.tail()}" for pod in [client, *self.pods()])
            raise SystemExit(f"{client.name} ended with {code}\n{logs}")
        return client.log.read_text()

    def status(self) -> dict:
        client = self.client(f"status-{time.monotonic_ns()}", [*self.test["spec"]["containers"][0]["args"], "--output", "json"])
        return json.loads(self.finish(client))

    def leader(self) -> int:
        found = next(replica for replica in self.status()["replicas"] if replica["role"] == "leader")
        return int(found["name"].rsplit("-", 1)[1])

    def voters(self) -> int:
        return sum(replica["role"] != "learner" for replica in self.status()["replicas"])

    def build(self) -> Pod:
        """Begins a build, and returns once the cluster has begun it."""
        self.builds += 1
        address = self.test["spec"]["containers"][0]["args"][-1]
        arguments = ["build", "--server", address, "--project-dir", "/project", "--profiles-dir", "/etc/kontiki/profiles"]
        arguments += ["--target-path", f"/project/target-{self.builds}", "--vars", json.dumps({"build": self.builds})]
        client = self.client(f"build-{self.builds}", arguments)
        until("a build to begin", lambda: "START" in client.log.read_text() or client.process.poll() is not None, client.tail)
        return client

    def ledger(self) -> list[str]:
        return self.warehouse.rows("select build || ':' || inputs from public.ledger order by build")


def install(cluster: Cluster) -> None:
    # All at once, as the StatefulSet says.
    assert cluster.stateful["spec"]["podManagementPolicy"] == "Parallel"
    for ordinal in range(cluster.stateful["spec"]["replicas"]):
        cluster.start_server(ordinal)
    for _ in range(cluster.deployment["spec"]["replicas"]):
        cluster.start_worker()
    for pod in cluster.pods():
        pod.ready()
        status = pod.status()
        assert status["Uid"].split()[0] == "65532" and int(status["CapEff"], 16) == 0 and status["NoNewPrivs"] == "1", status
    assert "leader" in cluster.finish(cluster.client("helm-test"))
    cluster.finish(cluster.build())


def pod_loss(cluster: Cluster) -> None:
    build, leader = cluster.build(), cluster.leader()
    for pod in (cluster.servers[leader], cluster.workers[0]):
        pod.end(signal.SIGKILL)
    cluster.workers.pop(0)
    cluster.start_server(leader)
    cluster.start_worker()
    cluster.finish(build)


def rolling_upgrade(cluster: Cluster) -> None:
    build = cluster.build()
    for ordinal in sorted(cluster.servers, reverse=True):
        code = cluster.servers[ordinal].end()
        assert code == 0, f"server {ordinal} ended with {code}"
        cluster.start_server(ordinal).ready()
    for old in list(cluster.workers):
        cluster.start_worker().ready()
        code = old.end()
        assert code == 0, f"{old.name} ended with {code}\n{old.tail()}"
        cluster.workers.remove(old)
    cluster.finish(build)


def volume_loss(cluster: Cluster) -> None:
    build = cluster.build()
    lost = cluster.servers[1]
    lost.end(signal.SIGKILL)
    lost.lose_volume()
    cluster.start_server(1).ready()
    cluster.finish(build)
    until("the new replica to vote and the old to be gone", lambda: cluster.voters() == len(cluster.status()["replicas"]) == 3)


def zone_loss(cluster: Cluster) -> None:
    build = cluster.build()
    zone = [cluster.servers[0], cluster.workers.pop(0)]
    for pod in zone:
        pod.end(signal.SIGKILL)
    # It ends while the zone is gone.
    cluster.finish(build)
    cluster.start_server(0).ready()
    cluster.start_worker().ready()


def scale_to_five(cluster: Cluster) -> None:
    build, template = cluster.build(), cluster.stateful["spec"]["template"]
    cluster.render("--set", "server.replicas=5")
    assert cluster.stateful["spec"]["template"] == template, "those that are there would be started anew"
    for ordinal in range(3, cluster.stateful["spec"]["replicas"]):
        cluster.start_server(ordinal)
    cluster.finish(build)
    for pod in cluster.servers.values():
        pod.ready()
    until("five voters", lambda: cluster.voters() == 5)
    # Two are lost at once, and the rest goes on.
    build = cluster.build()
    for ordinal in (0, 1):
        cluster.servers.pop(ordinal).end(signal.SIGKILL)
    cluster.finish(build)


STEPS = [install, pod_loss, rolling_upgrade, volume_loss, zone_loss, scale_to_five]


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="kontiki-rehearsal-"))
    folder.chmod(0o755)
    network = Network(folder)
    cluster = None
    try:
        cluster = Cluster(folder, network)
        for step in STEPS:
            began = time.monotonic()
            step(cluster)
            expected = [f"{build}:4" for build in range(1, cluster.builds + 1)]
            assert cluster.ledger() == expected, f"after {step.__name__} the ledger has {cluster.ledger()}"
            print(f"{step.__name__}: {time.monotonic() - began:.1f} s, {cluster.builds} builds, each in the ledger once", flush=True)
    finally:
        network.remove()
        if cluster:
            cluster.warehouse.process.send_signal(signal.SIGQUIT)
            cluster.warehouse.process.wait()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

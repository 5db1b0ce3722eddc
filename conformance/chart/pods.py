"""Pods without a cluster: the very containers of a render as processes, each in a network namespace with an address of its own, a root that
it cannot write, the user and capabilities that the render says, and its volumes where the render mounts them.

An address is new each time a pod starts, as on Kubernetes; names are found in a file of hosts that is written anew each time.
"""

import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from render import environment

#: Of a machine and what lies on it, for containers whose image is not built here.
SYSTEM = ["usr", "bin", "lib", "lib64"]
PATIENCE = 120.0
#: Of the machine that the pods are on.
NO_PROXY = [("grpc.enable_http_proxy", 0)]


def run(*command: str) -> str:
    """What a command writes; fails where it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def until(what: str, ask, logs=lambda: ""):
    """Asks until there is an answer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = ask()
        if found:
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"waited in vain for {what}\n{logs()}")
        time.sleep(0.1)


class Network:
    """A bridge, and who is on it."""

    def __init__(self, folder: Path):
        self.bridge = f"kontiki{os.getpid() % 10000}"
        self.hosts = folder / "hosts"
        self.hosts.write_text("")
        self.names: dict[str, tuple[str, list[str]]] = {}
        self.next = 2
        # One of two hundred networks, so that one that was left behind is in nobody's way.
        self.prefix = f"10.{50 + os.getpid() % 200}"
        self.gateway = f"{self.prefix}.0.1"
        run("ip", "link", "add", self.bridge, "type", "bridge")
        run("ip", "address", "add", f"{self.gateway}/16", "dev", self.bridge)
        run("ip", "link", "set", self.bridge, "up")

    def join(self, pod: str, names: list[str]) -> tuple[str, str]:
        """A namespace, and its address."""
        number, self.next = self.next, self.next + 1
        address, namespace = f"{self.prefix}.{number // 250}.{number % 250 + 1}", f"{self.bridge}-{number}"
        outer, inner = f"v{os.getpid() % 10000}-{number}", f"w{os.getpid() % 10000}-{number}"
        run("ip", "netns", "add", namespace)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", namespace)
        run("ip", "link", "set", outer, "master", self.bridge, "up")
        inside = ["ip", "-n", namespace]
        run(*inside, "link", "set", inner, "name", "eth0")
        run(*inside, "address", "add", f"{address}/16", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "route", "add", "default", "via", self.gateway)
        self.names[pod] = (address, names)
        self.tell()
        return namespace, address

    def leave(self, pod: str, namespace: str) -> None:
        self.names.pop(pod, None)
        self.tell()
        run("ip", "netns", "delete", namespace)

    def tell(self) -> None:
        # In place: each pod has this very file.
        lines = ["127.0.0.1 localhost"] + [f"{address} {name}" for address, names in self.names.values() for name in names]
        self.hosts.write_text("\n".join(lines) + "\n")

    def remove(self) -> None:
        """Ends whatever is on it."""
        for line in run("ip", "netns", "list").splitlines():
            namespace = line.split()[0]
            if namespace.startswith(f"{self.bridge}-"):
                for pid in run("ip", "netns", "pids", namespace).split():
                    os.kill(int(pid), signal.SIGKILL)
                run("ip", "netns", "delete", namespace)
        run("ip", "link", "delete", self.bridge)


@dataclass
class Pod:
    """A pod and its one container.

    `spec` is the render's, `names` are those under which others find it, `configs` the ConfigMaps and `secrets` the folders of Secrets by
    name, `program` the folder that stands for the image's, `extra` further folders by where they are mounted.
    """

    name: str
    spec: dict
    names: list[str]
    folder: Path
    network: Network
    program: Path
    configs: dict[str, dict]
    secrets: dict[str, Path]
    arguments: list[str] | None = None
    extra: dict[str, Path] = field(default_factory=dict)
    process: subprocess.Popen | None = None
    address: str = ""
    namespace: str = ""

    @property
    def container(self) -> dict:
        return self.spec["containers"][0]

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def volume(self, name: str) -> Path:
        """A folder on the machine: what is claimed stays when the pod starts anew, what is empty is so again."""
        folder = self.folder / "volumes" / self.name / name
        found = next((volume for volume in self.spec["volumes"] if volume["name"] == name), {})
        if "configMap" in found:
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in self.configs[found["configMap"]["name"]]["data"].items():
                (folder / file).write_text(text)
            return folder
        if "secret" in found:
            return self.secrets[found["secret"]["secretName"]]
        if "emptyDir" in found:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, 0, self.spec["securityContext"]["fsGroup"])
        folder.chmod(0o2775)
        return folder

    def lose_volume(self) -> None:
        shutil.rmtree(self.folder / "volumes" / self.name / "data")

    def script(self) -> str:
        """What makes the root and becomes the container's process."""
        root = self.folder / "roots" / f"{self.name}-{self.address}"
        root.mkdir(parents=True)
        pod, container = self.spec["securityContext"], self.container["securityContext"]
        assert container["readOnlyRootFilesystem"] and container["capabilities"] == {"drop": ["ALL"]}
        lines = ["set -e", "mount --make-rprivate /", f"mount -t tmpfs -o mode=755 tmpfs {root}"]

        def bind(source: Path, path: str, read_only: bool) -> None:
            place = f"{root}/{path.lstrip('/')}"
            make = f"mkdir -p {place}" if source.is_dir() else f"mkdir -p {os.path.dirname(place)} && touch {place}"
            lines.extend([make, f"mount --rbind {source} {place}"])
            if read_only:
                lines.append(f"mount -o remount,bind,ro {place}")

        for name in SYSTEM:
            if (Path("/") / name).is_symlink():
                lines.append(f"cp -P /{name} {root}/{name}")
            elif (Path("/") / name).exists():
                bind(Path("/") / name, name, True)
        bind(self.program, "/opt/kontiki", True)
        bind(self.network.hosts, "/etc/hosts", True)
        bind(Path("/dev/null"), "/dev/null", False)
        bind(Path("/dev/urandom"), "/dev/urandom", False)
        lines.extend([f"mkdir -p {root}/proc", f"mount -t proc proc {root}/proc", f"echo 'multi on' > {root}/etc/host.conf"])
        for mount in self.container["volumeMounts"]:
            bind(self.volume(mount["name"]), mount["mountPath"], mount.get("readOnly", False))
        for path, source in self.extra.items():
            bind(source, path, False)
        lines.append(f"mount -o remount,ro {root}")
        user = ["setpriv", "--reuid", str(pod["runAsUser"]), "--regid", str(pod["runAsGroup"]), "--groups", str(pod["fsGroup"])]
        user += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        given = {"HOSTNAME": self.name, "PATH": "/opt/kontiki:/usr/bin:/bin"}
        found = environment(self.container, {"metadata.name": self.name}, given)
        variables = [f"{name}={value}" for name, value in found.items()]
        command = [*self.container["command"], *(self.arguments or self.container["args"])]
        lines.append(shlex.join(["exec", "chroot", str(root), "env", "-i", *variables, *user, *command]))
        return "\n".join(lines)

    def start(self) -> "Pod":
        self.namespace, self.address = self.network.join(self.name, self.names)
        command = ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "sh", "-c", self.script()]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def status(self) -> dict[str, str]:
        """What the kernel says of the process."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def health(self, probe: str) -> bool:
        """Asks as a kubelet does."""
        asked = self.container[probe]["grpc"]
        with grpc.insecure_channel(f"{self.address}:{asked['port']}", NO_PROXY) as channel:
            try:
                request = health_pb2.HealthCheckRequest(service=asked["service"])
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=self.container[probe].get("timeoutSeconds", 1))
            except grpc.RpcError:
                return False
            return answer.status == health_pb2.HealthCheckResponse.SERVING

    def ready(self) -> None:
        def ask():
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self.process.returncode}\n{self.tail()}")
            return self.health("startupProbe") and self.health("livenessProbe") and self.health("readinessProbe")

        until(f"{self.name} to be ready", ask, self.tail)

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and forgets its address; its exit code."""
        self.process.send_signal(by)
        grace = self.spec.get("terminationGracePeriodSeconds", 30)
        try:
            code = self.process.wait(grace)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"{self.name} did not end within {grace} s of its grace\n{self.tail()}") from None
        self.network.leave(self.name, self.namespace)
        return code

    def tail(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-30:])

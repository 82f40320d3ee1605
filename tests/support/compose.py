"""compose.yaml without an engine: its services with their commands, files and environment.

Programs of Debian's packages stand in for those of the images, this checkout for the image of a node. A
container is a process whose root is what this machine has below a layer that is thrown away, read-only where
the file says so, with the volumes and the names of its networks.
"""

import ipaddress
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.debian import program
from tests.support.host import Network
from tests.support.redis import until

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+):\?[^}]+\}")
HEALTHY_S = 90.0

# Arguments: the layer's folder, the checkout, "ro" or "rw", then as many as there are of
# "bind FROM TO OPTION" and "tmpfs TO", then "--" and the command.
_JAIL = """
set -e
mount --make-rprivate /
mkdir -p "$1"; mount -t tmpfs layer "$1"
mkdir "$1/upper" "$1/work" "$1/root"; root=$1/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mkdir -p "$root$2"; mount --rbind "$2" "$root$2"
mount --rbind /dev "$root/dev"; mount --rbind /proc "$root/proc"
way=$3; shift 3
while [ "$1" != -- ]; do
    case $1 in
    bind)
        if [ -d "$2" ]; then mkdir -p "$root$3"; else mkdir -p "$root$(dirname "$3")"; touch "$root$3"; fi
        mount --bind "$2" "$root$3"; [ "$4" = rw ] || mount -o remount,bind,ro "$root$3"
        shift 4 ;;
    tmpfs) mkdir -p "$root$2"; mount -t tmpfs -o mode=1777 tmpfs "$root$2"; shift 2 ;;
    esac
done
shift
[ "$way" = rw ] || mount -o remount,ro "$root"
user=$1; shift
exec chroot --userspec="$user" "$root" /usr/bin/env --ignore-environment "$@"
"""


class StandIn:
    """What an image brings with it: the program, its user, its environment."""

    def __init__(self, *words: str, user: str = "root", environ: Mapping[str, str] | None = None) -> None:
        self.words = words
        self.user = user
        self.environ = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **(environ or {})}


class Service:
    """One service of the file. `addresses` has its address in each of its networks."""

    def __init__(self, stack: "Stack", name: str) -> None:
        self.name = name
        self.facts: dict[str, Any] = stack.filled(SERVICES[name])
        self.addresses: dict[str, str] = {}
        self.network = Network()
        self._stack = stack
        self._process: subprocess.Popen[bytes] | None = None
        self.log = stack.folder / f"{name}.log"

    @property
    def networks(self) -> dict[str, dict[str, str]]:
        """The networks that it is in, with what is said about each."""
        named = self.facts["networks"]
        return named if isinstance(named, dict) else {name: {} for name in named}

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start its command."""
        stand_in = self._stack.stand_ins[self.name]
        environ = {**stand_in.environ, **self.facts.get("environment", {})}
        command = [*self.facts.get("entrypoint", ()), *stand_in.words, *self.facts.get("command", ())]
        jail = [
            *self.network.prefix,
            *("unshare", "--mount", "sh", "-c", _JAIL, "jail"),
            *(str(self._stack.folder / f"{self.name}.layer"), str(ROOT)),
            *("ro" if self.facts.get("read_only") else "rw", *self._mounts(), "--", stand_in.user),
            *(f"{key}={value}" for key, value in environ.items()),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([*jail, *map(str, command)], stdout=log, stderr=log)

    def _mounts(self) -> Iterator[str]:
        yield from ("bind", str(self._stack.hosts(self)), "/etc/hosts", "ro")
        for volume in self.facts.get("volumes", []):
            source, target, *options = volume.split(":")
            yield from ("bind", str(self._stack.place(source, self)), target, *(options or ["rw"]))
        for tmpfs in self.facts.get("tmpfs", []):
            yield from ("tmpfs", tmpfs.split(":")[0])

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program beside the command, as `docker compose exec` does."""
        environ = {**self._stack.stand_ins[self.name].environ, **self.facts.get("environment", {})}
        inside = ["nsenter", "-t", str(self.pid), "-n", "-m", "--root", "--wdns=/", "env", "-i"]
        given = [f"{key}={value}" for key, value in environ.items()]
        return subprocess.run(
            [*inside, *given, *words], capture_output=True, text=True, check=False, timeout=30
        )

    def healthy(self) -> bool:
        """Whether its health check says so; without one, whether it runs."""
        assert self._process is not None
        assert self._process.poll() is None, f"{self.name} ended:\n{self.log.read_text()[-4000:]}"
        check = self.facts.get("healthcheck", self._stack.image_checks.get(self.name))
        if check is None:
            return True
        kind, *words = check["test"]
        return self.run(*(["sh", "-c", *words] if kind == "CMD-SHELL" else words)).returncode == 0

    def until_healthy(self) -> None:
        """Wait for its health check."""
        until(self.healthy, HEALTHY_S, f"{self.name} does not become healthy")

    def stop(self) -> int:
        """SIGTERM, and wait as long as the file says."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(int(self.facts.get("stop_grace_period", "10s").removesuffix("s")))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return -signal.SIGKILL
        finally:
            self._process = None


class Stack:
    """The services that `stand_ins` has a program for, joined as the file says.

    `image_checks` are the health checks that images have themselves.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        stand_ins: Mapping[str, StandIn],
        image_checks: Mapping[str, dict[str, Any]],
    ) -> None:
        self.folder = folder
        self.stand_ins = stand_ins
        self.image_checks = image_checks
        self._variables = variables
        self.outside = Network()
        self.services = {name: Service(self, name) for name in stand_ins}

    def filled(self, value: Any) -> Any:
        """A value of the file with its variables replaced."""
        if isinstance(value, dict):
            return {key: self.filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if isinstance(value, str):
            return VARIABLE.sub(lambda found: self._variables[found[1]], value).replace("$$", "$")
        return value

    def hosts(self, service: Service) -> Path:
        """The names that a service can look up."""
        seen = {
            f"{other.addresses[network]} {name}\n"
            for network in service.networks
            for name, other in self.services.items()
            if network in other.networks
        }
        file = self.folder / f"{service.name}.hosts"
        file.write_text("127.0.0.1 localhost\n" + "".join(sorted(seen)))
        return file

    def place(self, source: str, service: Service) -> Path:
        """The folder or file behind a volume."""
        if source.startswith("./"):
            return ROOT / source
        folder = self.folder / "volumes" / source
        if not folder.exists():
            folder.mkdir(parents=True)
            shutil.chown(folder, self.stand_ins[service.name].user.split(":")[0])
        return folder

    def lay(self) -> None:
        """Make the networks."""
        spaces = [self.outside, *(each.network for each in self.services.values())]
        until(lambda: all(each.made or each.refused for each in spaces), 10, "no networks")
        if any(each.refused for each in spaces):
            pytest.skip("this machine lets nobody make a network")
        ip = program("ip", "iproute2")
        for number, (name, facts) in enumerate(COMPOSE["networks"].items()):
            config = facts.get("ipam", {}).get("config", [{"subnet": f"172.31.{number}.0/24"}])[0]
            self._lay_one(ip, name, config)

    def _lay_one(self, ip: str, name: str, config: dict[str, str]) -> None:
        subnet = ipaddress.ip_network(config["subnet"])
        bridge, gateway = f"br-{name}", config.get("gateway", str(subnet[1]))
        self.outside.run(ip, "link", "add", bridge, "type", "bridge")
        self.outside.run(ip, "addr", "add", f"{gateway}/{subnet.prefixlen}", "dev", bridge)
        self.outside.run(ip, "link", "set", bridge, "up")
        free = iter(list(ipaddress.ip_network(config.get("ip_range", config["subnet"])).hosts())[10:])
        for number, service in enumerate(self.services.values()):
            if name not in service.networks:
                continue
            wish = (service.networks[name] or {}).get("ipv4_address")
            service.addresses[name] = wish or str(next(free))
            wire, pid = f"{name}{number}", str(service.network.pid)
            self.outside.run(ip, "link", "add", wire, "type", "veth", "peer", "name", name, "netns", pid)
            self.outside.run(ip, "link", "set", wire, "master", bridge, "up")
            address = f"{service.addresses[name]}/{subnet.prefixlen}"
            service.network.run(ip, "addr", "add", address, "dev", name)
            for device in ("lo", name):
                service.network.run(ip, "link", "set", device, "up")

    def up(self) -> None:
        """Start everything in the order of `depends_on`, each when those before it are healthy."""
        started: set[str] = set()
        while started != set(self.services):
            name, service = next(
                (name, each)
                for name, each in self.services.items()
                if name not in started and started >= set(each.facts.get("depends_on", ()))
            )
            service.start()
            service.until_healthy()
            started.add(name)

    def down(self) -> None:
        """Stop everything, the last first, and take the networks away."""
        for service in reversed(self.services.values()):
            service.stop()
        for space in (self.outside, *(each.network for each in self.services.values())):
            space.close()

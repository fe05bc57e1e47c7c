"""What `deploy/` says fits the program: names, paths, rights."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.urls import Resolver404, resolve

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes/strongroom.yaml").read_text()))
SECRETS = {"django.key", "queue.key", "jwt.pem", "master-keys.json"}


def settings_text() -> str:
    return "".join(path.read_text() for path in (ROOT / "config").rglob("*.py"))


def pods() -> Iterator[Any]:
    for manifest in MANIFESTS:
        if manifest["kind"] in {"Deployment", "Job"}:
            yield pytest.param(
                manifest["spec"]["template"]["spec"], id=manifest["metadata"]["name"]
            )


def own_services() -> dict[str, Any]:
    return {n: s for n, s in COMPOSE["services"].items() if s["image"] == "strongroom"}


def config_map() -> dict[str, str]:
    (found,) = (m for m in MANIFESTS if m["kind"] == "ConfigMap")
    data: dict[str, str] = found["data"]
    return data


@pytest.mark.parametrize("name", sorted({*config_map(), *own_services()["web"]["environment"]}))
def test_every_variable_is_one_that_the_settings_read(name: str) -> None:
    assert f'"{name}"' in settings_text() or f'"{name.removesuffix("_FILE")}"' in settings_text()


@pytest.mark.parametrize("pod", list(pods()))
def test_a_pod_runs_a_command_of_ours_without_rights(pod: Any) -> None:
    (container,) = pod["containers"]
    (command,) = container["args"]
    assert command in get_commands()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"]
    mounts = {m["name"] for m in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    (temporary,) = (v for v in pod["volumes"] if v["name"] == "tmp")
    assert temporary["emptyDir"]["medium"] == "Memory"  # whatever spools there, no disk sees it


@pytest.mark.parametrize("name", sorted(own_services()))
def test_a_service_runs_a_command_of_ours_without_rights(name: str) -> None:
    service = own_services()[name]
    (command,) = service["command"]
    assert command in get_commands()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert any(entry.startswith("/tmp:") for entry in service["tmpfs"])


def test_probes_ask_paths_that_exist() -> None:
    text = (DEPLOY / "kubernetes/strongroom.yaml").read_text() + (
        DEPLOY / "compose.yaml"
    ).read_text()
    paths = re.findall(r"path: (/\w+)|127\.0\.0\.1:8000(/\w+)", text)
    found = {one or other for one, other in paths}
    assert found == {"/healthz", "/readyz"}
    for path in found:
        try:
            resolve(path)
        except Resolver404:
            pytest.fail(f"{path} is no path of ours")


def test_every_secret_comes_from_a_file() -> None:
    assert set(COMPOSE["secrets"]) > SECRETS
    for value in (*config_map().values(), *own_services()["web"]["environment"].values()):
        if "secret" in value:
            assert value.startswith(("/run/secrets/", "/secrets/"))
    named = {Path(v).name for k, v in config_map().items() if v.startswith("/secrets/")}
    assert named == SECRETS | {"database-url"}


def test_no_proxy_keeps_a_body_on_a_disk() -> None:
    assert "proxy_request_buffering off;" in (DEPLOY / "nginx.conf").read_text()
    (ingress,) = (m for m in MANIFESTS if m["kind"] == "Ingress")
    assert (
        ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-request-buffering"]
        == "off"
    )


def test_the_image_holds_what_the_program_needs_and_no_more() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    containerfile = (DEPLOY / "Containerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", containerfile, re.MULTILINE)
    assert {name for line in copied for name in line.split()} == allowed
    assert all((ROOT / name).exists() for name in allowed)
    assert "USER 10001" in containerfile

"""The files of ``deploy/`` agree with each other; no server is started."""

import json
import re
import subprocess
from pathlib import Path

import prefect.server
import pytest
import yaml

from tests.services.deployment import KIT, ROOT

TEXT = (KIT / "compose.yaml").read_text()


def test_every_variable_of_the_compose_file_is_explained() -> None:
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", TEXT))
    explained = set(re.findall(r"^#?([A-Z0-9_]+)=", (KIT / "env.example").read_text(), re.M))
    images = {"POSTGRES_IMAGE", "SEAWEEDFS_IMAGE"}  # for who has a registry of their own
    assert used - images == explained
    required = set(re.findall(r"\$\{([A-Z0-9_]+):\?", TEXT))
    assert all(f"\n{name}=" in (KIT / "env.example").read_text() for name in required)


def test_only_three_ports_are_published_and_the_database_is_inside() -> None:
    services = yaml.safe_load(TEXT)["services"]
    ports = {name: found["ports"] for name, found in services.items() if "ports" in found}
    assert ports == {
        name: [f"${{BIND:-127.0.0.1}}:{port}:{port}"]
        for name, port in (("s3", 8333), ("mlflow", 5000), ("prefect", 4200))
    }
    assert services["postgres"]["networks"] == ["inside"]
    assert yaml.safe_load(TEXT)["networks"]["inside"] == {"internal": True}


def test_files_that_are_named_exist() -> None:
    named = set(re.findall(r"deploy/([\w.-]+\.(?:sh|py|ini|yaml))", TEXT))
    named |= set(re.findall(r"\./([\w.-]+\.sh)", TEXT))
    assert {"mlflow.sh", "worker.sh", "backup.sh", "buckets.py", "init-databases.sh"} <= named
    assert [name for name in named if not (KIT / name).is_file()] == []
    copied = re.findall(r"^COPY (.+) \S+$", (KIT / "Dockerfile").read_text(), re.M)
    sources = [name for line in copied for name in line.split()]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    allowed = (KIT / "Dockerfile.dockerignore").read_text()
    assert [name for name in sources if f"\n!{name}\n" not in allowed] == []


def test_templates_of_pools_use_variables_that_prefect_knows() -> None:
    server = Path(prefect.server.__file__ or "").parent
    known = json.loads(
        (server / "api/collections_data/views/aggregate-worker-metadata.json").read_text()
    )
    templates = yaml.safe_load((KIT / "prefect.yaml").read_text())["definitions"]
    for kind in ("docker", "kubernetes"):
        worker = known[f"prefect-{kind}"][kind]["default_base_job_configuration"]
        given = templates[kind]["job_variables"]
        assert set(given) <= set(worker["variables"]["properties"]), kind
    compose = yaml.safe_load(TEXT)
    (network,) = templates["docker"]["job_variables"]["networks"]
    assert network in {f"{compose['name']}_{name}" for name in compose["networks"]}
    assert templates["docker"]["job_variables"]["image"] == compose["services"]["worker"]["image"]


@pytest.mark.parametrize("script", sorted(KIT.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_shell(script: Path) -> None:
    assert subprocess.run(["sh", "-n", str(script)]).returncode == 0
    assert script.read_text().startswith("#!/bin/sh\n")


def test_ports_passwords_and_versions_of_the_readme() -> None:
    readme = (KIT / "README.md").read_text()
    for name in re.findall(r"`([\w.-]+\.(?:sh|py))`", readme):
        assert (KIT / name).exists() or (ROOT / name).exists(), name
    lock = (ROOT / "requirements.lock").read_text()
    assert "\nmlflow==3.17." in lock
    assert "\nprefect==3.8." in lock
    assert "postgresql-client-15" in (KIT / "Dockerfile").read_text()
    assert "postgres:15" in TEXT

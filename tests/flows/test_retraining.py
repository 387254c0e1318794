import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows.people.notices import Notice, NoticeError, send
from tests.flows.programs import recorded


class Webhook:
    """A server on loopback that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self.server.server_port}/a-secret"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()
    threading.Thread(target=hook.server.serve_forever, daemon=True).start()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


def retraining(
    workspace: Path, environment: dict[str, str], address: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.retraining"],
        cwd=workspace,
        env=environment | {"PIPELINE_NOTIFY": address},
        capture_output=True,
        text=True,
    )


def test_notice_arrives_and_a_lost_one_names_no_secret(webhook: Webhook) -> None:
    notice = Notice(occasion="promoted", title="t", body="version 2 is better")
    send(notice, [webhook.address])
    assert [(one["title"], one["message"]) for one in webhook.told] == [("t", notice.body)]
    with pytest.raises(NoticeError, match="2 of 2 addresses .*json://..., not an address") as lost:
        send(notice, ["json://127.0.0.1:1/a-secret", "hello-secret"])
    assert "secret" not in str(lost.value)


@pytest.mark.services
def test_promotes_tells_then_finds_nothing_to_do_then_refuses_then_fails(
    workspace: Path, environment: dict[str, str], webhook: Webhook
) -> None:
    (workspace / "behaviour.txt").write_text("flaky\n")  # its first try fails, its second does not
    done = retraining(workspace, environment, webhook.address)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("retraining completed: promoted: version 1 promoted: better\n")
    assert "the server went away" in done.stderr
    assert (workspace / "decided.txt").read_text() == "--new-only"
    assert "AP 0.188" in webhook.told[0]["message"]

    done = retraining(workspace, environment, webhook.address)
    assert "retraining completed: nothing to do: version 1 of yolov2 is the" in done.stdout

    (workspace / "behaviour.txt").write_text("succeed again\n")
    (workspace / "verdict.txt").write_text("refused")
    done = retraining(workspace, environment, webhook.address)
    assert done.stdout.endswith("retraining completed: refused: version 1 refused: better\n")

    (workspace / "behaviour.txt").write_text("fail\n")
    done = retraining(workspace, environment, webhook.address)
    assert done.returncode == 1
    assert "class 99 is out of range: classes are 0 to 9" in done.stderr.splitlines()[-1]
    titles = [one["title"] for one in webhook.told]
    assert titles == [f"yolov2-pipeline: {end}" for end in ("promoted", "refused", "failed")]
    assert "class 99 is out of range" in webhook.told[-1]["message"]

    runs = recorded(workspace, "select state_name from flow_run order by created")
    assert runs == [("Promoted",), ("Nothing to do",), ("Refused",), ("Failed",)]
    tries = recorded(workspace, "select name, run_count from task_run where name = 'train'")
    assert tries[0] == ("train", 2)  # tried again because the failure was a passing one
    assert tries[-1] == ("train", 1)  # a mistake in the labels is not
    assert "a-secret" not in done.stderr + done.stdout
    stored = recorded(workspace, "select count(*) from log where message like '%a-secret%'")
    assert stored == [(0,)]

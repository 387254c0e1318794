"""The installed FastAPI and SQLAlchemy are ones with which Prefect's server works.

`pip check` and importing Prefect show neither of the two breaks that `pyproject.toml` names: with
a newer FastAPI the server's modules do not import, with a newer SQLAlchemy its scheduler fails at
each round, in its log only. One round of the scheduler, without a server, shows both.
"""

import os
import subprocess
import sys
from pathlib import Path

ROUND = """
import asyncio
from prefect.server import models, schemas
from prefect.server.api import concurrency_limits_v2
from prefect.server.database import provide_database_interface
from prefect.server.services.scheduler import schedule_deployments

async def scheduled_runs():
    db = provide_database_interface()
    for table in db.Base.metadata.tables.values():  # some of the other names occur twice
        table.indexes = {index for index in table.indexes if index.unique}
    engine = await db.engine()
    async with engine.begin() as connection:
        await connection.run_sync(db.Base.metadata.create_all)
    cron = schemas.schedules.CronSchedule(cron="* * * * *", timezone="UTC")
    async with db.session_context(begin_transaction=True) as session:
        flow = await models.flows.create_flow(session=session, flow=schemas.core.Flow(name="f"))
        deployment = schemas.core.Deployment(
            name="d",
            flow_id=flow.id,
            schedules=[schemas.core.DeploymentSchedule(active=True, schedule=cron)],
        )
        await models.deployments.create_deployment(session=session, deployment=deployment)
        assert await models.flow_runs.count_flow_runs(session=session) == 0
    await schedule_deployments()
    async with db.session_context() as session:
        print("runs:", await models.flow_runs.count_flow_runs(session=session))

asyncio.run(scheduled_runs())
"""


def test_one_round_of_the_scheduler_creates_the_runs_of_a_cron_line(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}"
    environment = os.environ | {
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
    }
    done = subprocess.run(
        [sys.executable, "-c", ROUND], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    word, _, number = done.stdout.rpartition(" ")
    assert word.endswith("runs:"), done.stderr[-2000:]
    assert int(number) >= 3, done.stderr[-2000:]  # Prefect plans at least three runs ahead

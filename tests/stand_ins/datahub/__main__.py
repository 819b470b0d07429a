"""Run the stand-in for DataHub: as the part that its arguments and environment, those of the product, tell."""

import json
import os
import sys
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.stand_ins.datahub import kafka_log, postgres
from tests.stand_ins.datahub.gms import Gms
from tests.stand_ins.datahub.serving import Answer, Request, server

PAUSED = Path("/tmp/stand-in-does-not-consume")
"""While this file is there, the consumer follows no change, and says that it is well."""

VERSION = "v1.6.0"
ENV = os.environ


def credentials() -> str:
    return f"Basic {ENV['DATAHUB_SYSTEM_CLIENT_ID']}:{ENV['DATAHUB_SYSTEM_CLIENT_SECRET']}"


def topic(variable: str, default: str) -> str:
    return ENV.get(variable, default)


CHANGES = topic("METADATA_CHANGE_LOG_VERSIONED_TOPIC_NAME", "MetadataChangeLog_Versioned_v1")
HISTORY = topic("DATAHUB_UPGRADE_HISTORY_TOPIC_NAME", "DataHubUpgradeHistory_v1")


def database() -> postgres.Database:
    name = ENV["EBEAN_DATASOURCE_URL"].rpartition("/")[2]
    user, password = ENV["EBEAN_DATASOURCE_USERNAME"], ENV["EBEAN_DATASOURCE_PASSWORD"]
    return postgres.Database(ENV["EBEAN_DATASOURCE_HOST"], name, user, password)


def update() -> str:
    return f"{VERSION}-{ENV['DATAHUB_REVISION']}"


def run_system_update() -> None:
    """Tables and topics, and then the word that they are there."""
    there = database()
    postgres.when_there(there, 60)
    there.prepare()
    servers, replication = ENV["KAFKA_BOOTSTRAP_SERVER"], int(ENV["REPLICATION_FACTOR"])
    kafka_log.make_topics(servers, {CHANGES: int(ENV["PARTITIONS"]), HISTORY: 1}, replication)
    kafka_log.ChangeLog(servers, HISTORY).tell("update", {"version": update()})
    print("stand-in: system update done")


def run_gms() -> None:
    """The metadata service; it is up at once, and ready after the system update."""
    there, done = database(), threading.Event()
    servers = ENV["KAFKA_BOOTSTRAP_SERVER"]
    log = kafka_log.ChangeLog(servers, CHANGES)
    gms = Gms(postgres.Aspects(there), log, postgres.Indexed(there), credentials(), done.is_set, VERSION)

    def wait() -> None:
        kafka_log.await_update(servers, HISTORY, update())
        done.set()

    threading.Thread(target=_or_end(wait), daemon=True).start()
    server(gms, 8080).serve_forever()


def run_consumer() -> None:
    """What takes changes from Kafka into the index, which GMS holds here."""
    url = f"http://{ENV['DATAHUB_GMS_HOST']}:{ENV['DATAHUB_GMS_PORT']}/stand-in/index"
    group = ENV.get("METADATA_CHANGE_LOG_KAFKA_CONSUMER_GROUP_ID", "generic-mae-consumer-job-client")

    def follow(changes: Sequence[Mapping[str, Any]]) -> None:
        headers = {"authorization": credentials(), "content-type": "application/json"}
        body = json.dumps(list(changes)).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10):
            pass

    servers = ENV["KAFKA_BOOTSTRAP_SERVER"]
    follower: list[kafka_log.Follower] = []

    def health(request: Request) -> Answer:
        up = bool(follower) and follower[0].assigned.is_set()
        return (200, {"status": "UP"}) if up else (503, {"status": "DOWN"})

    def consume() -> None:
        kafka_log.await_update(servers, HISTORY, update())
        follower.append(kafka_log.Follower(servers, CHANGES, group, follow, PAUSED.exists))
        follower[0].run()

    threading.Thread(target=_or_end(consume), daemon=True).start()
    server(health, 9091).serve_forever()


def run_frontend() -> None:
    """What says that it is there, and nothing more; and only with users of its own."""
    assert Path("/datahub-frontend/conf/user.props").read_text().startswith("datahub:")
    server(lambda request: (200, "GOOD") if request.path == "/admin" else (404, None), 9002).serve_forever()


def _or_end(work: Any) -> Any:
    """Work without which the process must not go on: it is started again from the beginning then."""

    def run() -> None:
        try:
            work()
        except Exception as error:
            print(f"stand-in: ends after {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)

    return run


def main(arguments: Sequence[str]) -> None:
    print("This is a stand-in for DataHub for tests, not DataHub.", flush=True)
    if list(arguments) == ["-u", "SystemUpdate"]:
        run_system_update()
    elif "EBEAN_DATASOURCE_URL" in ENV:
        run_gms()
    elif ENV.get("MAE_CONSUMER_ENABLED") == "true":
        run_consumer()
    else:
        run_frontend()


if __name__ == "__main__":
    main(sys.argv[1:])

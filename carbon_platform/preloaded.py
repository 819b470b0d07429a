"""What runs import, for the process that they are forked from; see code_server. Importing it must start no thread."""

import importlib
import pkgutil

import dagster._grpc.impl  # noqa: F401 - what a run begins with
import httpx2  # noqa: F401 - and the clients that checks import when they need them
import kafka.admin  # noqa: F401
import kazoo.client  # noqa: F401
import minio  # noqa: F401
import psycopg  # noqa: F401
import pyhelm3  # noqa: F401
import redis.asyncio  # noqa: F401

import carbon_platform.checks
import carbon_platform.content
import carbon_platform.definitions

for _package in (carbon_platform.checks, carbon_platform.content):
    for _module in pkgutil.iter_modules(_package.__path__, f"{_package.__name__}."):
        importlib.import_module(_module.name)

"""Symptoms with their causes, where the cluster tells them."""

import dataclasses
from collections.abc import Iterable

from carbon_platform.cluster.client import Api
from carbon_platform.cluster.reach import Object
from carbon_platform.cluster.resources import ObjectName, group_kind
from carbon_platform.healing.symptoms import Sign, Symptom, in_order
from carbon_platform.health.explain import explain as causes_of
from carbon_platform.health.status import status


async def explain(
    symptoms: Iterable[Symptom], objects: Iterable[Object], api: Api, behind: str = ""
) -> tuple[Symptom, ...]:
    """The symptoms with their causes, the cause to tell first. `objects`: the live ones that are not ready.

    `behind`: why their controllers may not know yet what their pods are.

    A Job that runs is no symptom; one that can't is, and often what the others wait for.
    """
    unready = list(objects)
    causes = {str(name): cause for name, cause in (await causes_of(unready, api, behind)).items()}
    told = list(symptoms)
    known = {symptom.object for symptom in told if symptom.sign in {Sign.UNREADY, Sign.JOB_FAILED}}
    for obj in unready:
        name = str(ObjectName.of(obj))
        if group_kind(obj) == "Job.batch" and name in causes and name not in known:
            told.append(Symptom(Sign.UNREADY, name, status(obj).message))
    return in_order(
        dataclasses.replace(symptom, cause=causes[symptom.object], fix=causes[symptom.object].fix)
        if symptom.sign in {Sign.UNREADY, Sign.JOB_FAILED} and symptom.object in causes
        else symptom
        for symptom in told
    )

"""What stands in front of moto's services: calls, faults and the controls."""

import copy
import threading
from typing import Any

from moto.moto_api._internal import moto_api_backend

from tests.services.aws import agent_work, quotas, task_lists
from tests.services.aws.calls import ApiCall, refusal
from tests.services.aws.faults import Faults
from tests.services.aws.lock import MOTO
from tests.services.s3 import front
from tests.services.s3.calls import Answer, App, Environ, ask
from tests.services.s3.faults import Reset


class Front(front.Front):
    """A WSGI application: all of moto's services, with what tests need around them.

    The controls of the S3 server's buckets are controls of this one as well.
    """

    def __init__(self, moto: App) -> None:
        super().__init__(moto)
        self._lock: Any = MOTO
        self._rules = Faults()
        self._calls: list[dict[str, Any]] = []
        self._calls_lock = threading.Lock()

    def _bucket(self, environ: Environ) -> Answer:
        """Stand in for the S3 server's: these are requests to any service."""
        call = ApiCall.of(environ)
        if call.own:
            return self._of_moto(environ)
        record: dict[str, Any] = {
            "service": call.service,
            "operation": call.operation,
            "status": None,  # not answered, for as long as that is so
        }
        with self._calls_lock:
            self._calls.append(record)
        answer = self._with_faults(call, environ)
        record["status"] = int(answer.status.split()[0])
        return answer

    def _with_faults(self, call: ApiCall, environ: Environ) -> Answer:
        fault = self._rules.draw(call)
        if fault == "reset":
            raise Reset
        if fault and fault != "lost":
            return refusal(call, fault)
        answer = self._of_moto(environ)
        if fault == "lost":
            raise Reset
        return answer

    def _of_moto(self, environ: Environ) -> Answer:
        with MOTO:
            return ask(self._moto, environ)

    def _post_faults(self, spec: dict[str, Any]) -> None:
        self._rules.set(spec["rules"])

    def _get_injected(self, _: dict[str, Any]) -> dict[str, int]:
        return self._rules.injected()

    def _get_calls(self, _: dict[str, Any]) -> list[dict[str, Any]]:
        with self._calls_lock:
            return copy.deepcopy(self._calls)

    def _post_reset_calls(self, _: dict[str, Any]) -> None:
        with self._calls_lock:
            self._calls = []

    def _post_reset(self, _: dict[str, Any]) -> None:
        moto_api_backend.reset()
        quotas.reset()
        task_lists.reset()
        self._rules.set(())
        self._post_reset_calls({})
        MOTO.notify_all()  # whoever waits at a queue shall see that it is gone

    def _post_quota(self, named: dict[str, Any]) -> None:
        quotas.spot_vcpus = named["vcpus"]

    def _post_work(self, named: dict[str, Any]) -> dict[str, Any]:
        """What an ECS agent is to run, and on which machines; it says what it runs."""
        task_lists.take(named["tasks"])
        return agent_work.work(named["running"])

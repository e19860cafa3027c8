"""The sharing role of one owner, as RAM 2015-05-01 tells and changes it.

https://www.alibabacloud.com/help/en/ram/api-updaterole and its neighbours. RAM is one for all regions.

What can go wrong is the answer of a write that is lost: whether the document was replaced is then not known, and it is
never replaced again without being read anew, because somebody else may have written in between.
"""

from __future__ import annotations

from typing import Any

from orgshare.alibaba.calls import Lane, required
from orgshare.errors import Refused
from orgshare.trust import SHARING_ROLE

NO_SUCH_ROLE = "EntityNotExist.Role"


class SharingRoles:
    """``ports.RoleService`` over one SDK client."""

    def __init__(self, client: Any, lane: Lane) -> None:
        from alibabacloud_ram20150501 import models

        self._client = client
        self._models = models
        self._lane = lane

    def trust_policy(self) -> str | None:
        """The document; ``None`` only if the owner has no such role."""
        operation = "ram:GetRole"
        request = self._models.GetRoleRequest(role_name=SHARING_ROLE)

        def call() -> str:
            body = required(self._client.get_role(request).body, operation, "a body")
            role = required(body.role, operation, "Role")
            return str(required(role.assume_role_policy_document, operation, "Role.AssumeRolePolicyDocument"))

        try:
            return self._lane.read(operation, call)
        except Refused as error:
            if error.code == NO_SUCH_ROLE:
                return None
            raise

    def replace_trust_policy(self, document: str) -> None:
        """Replace the document as a whole."""
        request = self._models.UpdateRoleRequest(role_name=SHARING_ROLE, new_assume_role_policy_document=document)
        self._lane.write("ram:UpdateRole", lambda: self._client.update_role(request))

"""What owners and administrators do with agents."""

from msgspec.structs import replace

from unique_cs.domain.permission import Principal, may_administer
from unique_cs.errors import Code, UniqueCsError, not_found
from unique_cs.ports import Agent, Records


async def set_disabled(records: Records, principal: Principal, agent_id: int, disabled: bool) -> Agent:
    """Disable an agent or enable it again; stored on return. Nobody can do this to an owner or to itself.

    Closing the agent's connections is the caller's.
    """
    if not may_administer(principal):
        raise UniqueCsError(Code.FORBIDDEN, "this is for owners and administrators")
    agent = records.agent(agent_id)
    if agent is None:
        raise not_found()
    if agent.role == "owner" or agent.id == principal.id:
        raise UniqueCsError(Code.FORBIDDEN, "an owner can't be disabled, nor can you disable yourself")
    changed = replace(agent, disabled=disabled)
    await records.save_agent(changed)
    return changed

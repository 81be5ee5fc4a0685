"""Administrators' care of registries. A password is taken, and never given."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, status

from ctrl_alt_play.panel.db import Reading
from ctrl_alt_play.panel.permissions import Permission
from ctrl_alt_play.panel.registries.schemas import NewRegistry, RegistryChange, RegistryList, RegistryView
from ctrl_alt_play.panel.registries.service import Registries
from ctrl_alt_play.panel.security import Allowed

router = APIRouter(
    prefix="/api/registries", tags=["registries"], dependencies=[Depends(Allowed(Permission.NODES_MANAGE))]
)


async def _registries(request: Request) -> Registries:
    return cast("Registries", request.app.state.registries)


Service = Annotated[Registries, Depends(_registries)]


@router.get("")
async def list_registries(session: Reading, registries: Service) -> RegistryList:
    """By their hosts; 100 at most."""
    return RegistryList(items=list(await registries.list(session)))


@router.post("", status_code=status.HTTP_201_CREATED)
async def add_registry(new: NewRegistry, registries: Service) -> RegistryView:
    """Every node that is connected is told at once, the others when they come."""
    return await registries.add(new)


@router.patch("/{registry_id}")
async def change_registry(registry_id: str, change: RegistryChange, registries: Service) -> RegistryView:
    return await registries.change(registry_id, change)


@router.delete("/{registry_id}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_registry(registry_id: str, registries: Service) -> None:
    """Nodes forget its password as well, those that are away when they come back."""
    await registries.remove(registry_id)

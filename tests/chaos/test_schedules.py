"""Schedules that broke an invariant once, as small as they could be made; and a short campaign."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.sync.request import SyncRequest
from tests.chaos.__main__ import hold
from tests.chaos.aws_proxy import AwsProxy
from tests.chaos.backends import Aws, Clients, OneMachine
from tests.chaos.drivers import run_local
from tests.chaos.faults import Armed, Edge, Kind
from tests.chaos.model import Chaos, made
from tests.chaos.world import INVARIANTS, Ledger, World, a_medium
from tests.emulator import Emulator
from tests.gopro_cloud import GoProCloud
from tests.gopro_cloud.quirks import Fault

FILM, CHAPTERS = 0, 1


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoProCloud]:
    with GoProCloud([]) as running:
        yield running


@pytest.fixture
def world(cloud: GoProCloud) -> Iterator[World]:
    made = World(cloud, OneMachine(), Ledger())
    yield made
    made.close()


def test_an_upload_begun_in_parts_is_thrown_away_where_its_source_gives_no_ranges_any_more(world: World) -> None:
    world.appears(a_medium(FILM))
    world.faults.arm(Armed(Edge.PART, Kind.KILLED_AFTER, 2))
    assert run_local(world, SyncRequest()) is None
    assert len(world.backend.open_uploads()) == 1
    world.cloud.quirks.no_ranges = True
    summary = run_local(world, SyncRequest())
    assert summary
    assert summary.completed == 1
    world.check_uploads()
    assert not world.backend.open_uploads()


@pytest.mark.parametrize("is_listed", [False, True], ids=["the listing tells", "the transfer meets it"])
def test_an_upload_whose_medium_is_deleted_at_its_source_is_thrown_away(world: World, is_listed: bool) -> None:
    world.appears(a_medium(FILM))
    world.faults.arm(Armed(Edge.PART, Kind.KILLED_AFTER, 2))
    assert run_local(world, SyncRequest()) is None
    assert len(world.backend.open_uploads()) == 1
    if is_listed:
        world.cloud.quirks.faults["m00"] = Fault("gone", times=-1)
    else:
        world.vanishes("m00")
    summary = run_local(world, SyncRequest())
    assert summary
    assert (summary.source_gone, summary.new) == (1, int(is_listed))
    world.check_uploads()
    assert not world.backend.open_uploads()
    assert not world.backend.checkpoints().keys() - {"gopro#last-scan"}


@pytest.mark.parametrize("nth", range(22, 32))
def test_a_process_that_dies_while_it_replaces_a_file_leaves_no_record_of_the_new_beside_the_old(
    world: World, nth: int
) -> None:
    world.appears(a_medium(CHAPTERS))
    world.faults.arm(Armed(Edge.PUT, Kind.FAILED, 1, 1000))
    run_local(world, SyncRequest())
    world.check()
    world.faults.clear()
    assert len(world.backend.objects()) == 1
    world.is_processed_anew("m01")
    world.check()
    world.faults.arm(Armed(Edge.DISK, Kind.KILLED_AT_DISK, nth))
    run_local(world, SyncRequest())
    world.check()
    world.calm()
    run_local(world, SyncRequest())
    world.check()


def test_what_was_archived_by_a_process_that_died_before_it_recorded_that_stays_as_it_was(world: World) -> None:
    world.appears(a_medium(FILM))
    world.check()
    world.faults.arm(Armed(Edge.RECORD, Kind.KILLED_BEFORE, 3))
    assert run_local(world, SyncRequest()) is None
    world.check()
    (before,) = world.backend.objects().items()
    world.is_processed_anew("m00")
    world.check()
    summary = run_local(world, SyncRequest())
    assert summary
    assert (summary.completed, summary.bytes_transferred) == (1, 0)
    world.check()
    assert dict([before]) == world.backend.objects()


def held(machine: type[Chaos], schedules: int, seed: int) -> Ledger:
    found = hold(machine, schedules, seed, steps=10)
    assert found is None, "\n".join([*found[0], str(found[1])])
    return machine.ledger


def test_a_short_campaign_on_one_machine_breaks_no_invariant(cloud: GoProCloud) -> None:
    ledger = held(made("OnOneMachine", cloud, Ledger(), OneMachine, None), schedules=60, seed=20261125)
    assert set(ledger.checks) == set(INVARIANTS)
    assert ledger.faults.total() > 100


def test_a_short_campaign_on_aws_breaks_no_invariant(cloud: GoProCloud, emulator: Emulator) -> None:
    with AwsProxy(emulator) as proxy:
        direct, disturbed = Clients.of(emulator.client), Clients.of(proxy.client)
        machine = made("OnAws", cloud, Ledger(), lambda: Aws(direct, disturbed), proxy)
        ledger = held(machine, schedules=5, seed=20261125)
    assert set(ledger.checks) == set(INVARIANTS)
    assert ledger.faults.total() > 5

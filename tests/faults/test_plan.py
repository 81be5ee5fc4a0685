"""What a seed stands for."""

from collections import Counter
from itertools import pairwise

from tests.faults.plan import BYSTANDERS, Fault, Kind, Planner, Round


def rounds(seed: int, operations: int = 300, faults: int = 36) -> list[Round]:
    return list(Planner(seed).rounds(operations, faults))


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    assert rounds(7) == rounds(7)
    assert rounds(7) != rounds(8)


def test_a_plan_holds_as_many_orders_and_faults_as_asked_for() -> None:
    plan = rounds(1, operations=301, faults=37)
    assert sum(len(each.orders) for each in plan) == 301
    assert sum(len(each.blows) for each in plan) == 37
    numbers = [order.number for each in plan for order in each.orders]
    assert numbers == sorted(set(numbers))


def test_every_fault_comes_before_any_comes_twice_more_often() -> None:
    counts = Counter(blow.fault for each in rounds(3) for blow in each.blows)
    assert set(counts) == set(Fault)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_fault_belongs_to_an_order_of_its_round() -> None:
    assert all(blow.after in each.orders for each in rounds(5) for blow in each.blows)


def test_nobody_asks_a_bystander_to_end() -> None:
    kinds = {order.kind for each in rounds(9) for order in each.orders if order.slot < BYSTANDERS}
    assert kinds == {Kind.CREATE, Kind.START, Kind.COMMAND, Kind.CHANGE}


def test_every_order_there_is_is_given() -> None:
    assert {order.kind for each in rounds(9, operations=900) for order in each.orders} == set(Kind)


def test_a_cancellation_follows_at_once_upon_what_it_is_of() -> None:
    orders = [order for each in rounds(9) for order in each.orders]
    pairs = [(before, after) for before, after in pairwise(orders) if after.kind is Kind.CANCEL]
    assert pairs
    assert all(before.slot == after.slot and not after.is_patient for before, after in pairs)


def test_what_there_are_no_means_for_is_not_planned() -> None:
    left_out = {Fault.AGENT_CLOCK, Fault.PANEL_CLOCK}
    faults = {blow.fault for each in Planner(1, left_out=left_out).rounds(300, 36) for blow in each.blows}
    assert faults == set(Fault) - left_out


def test_what_struck_nothing_is_tried_again_in_a_round_of_its_own() -> None:
    planner = Planner(2)
    last = list(planner.rounds(60, 10))[-1]
    again = planner.again([Fault.GAME_KILLED, Fault.LINK_CUT])
    assert sorted(blow.fault for blow in again.blows) == [Fault.GAME_KILLED, Fault.LINK_CUT]
    assert again.number == last.number + 1
    assert again.orders[0].number == last.orders[-1].number + 1

"""What a seed stands for."""

from collections import Counter

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


def test_without_a_clock_that_can_be_set_none_jumps() -> None:
    faults = {blow.fault for each in Planner(1, is_clock_settable=False).rounds(300, 36) for blow in each.blows}
    assert faults == set(Fault) - {Fault.AGENT_CLOCK, Fault.PANEL_CLOCK}

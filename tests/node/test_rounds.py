from lakelet.node.rounds import Round, Rounds
from lakelet.testing.clock import ManualClock


def test_each_comes_round_in_its_own_time():
    clock, done = ManualClock(), []
    rounds = Rounds(clock, [Round("a", 1, lambda: None), Round("b", 60, lambda: None)])
    assert rounds.run_due() == []
    for _ in range(120):
        clock.advance(1)
        done += rounds.run_due()
    assert (done.count("a"), done.count("b")) == (120, 2)


def test_one_that_fails_stops_neither_itself_nor_the_others():
    clock, done = ManualClock(), []

    def fail() -> None:
        raise OSError("the disk is full")

    rounds = Rounds(clock, [bad := Round("bad", 1, fail), Round("good", 1, lambda: done.append(1))])
    for _ in range(3):
        clock.advance(1)
        rounds.run_due()
    assert (bad.failures, len(done)) == (3, 3)


def test_a_wall_clock_set_back_does_not_stop_the_rounds():
    clock = ManualClock()
    rounds = Rounds(clock, [Round("a", 1, lambda: None)])
    clock.jump_wall(-86_400)
    clock.advance(1)
    assert rounds.run_due() == ["a"]

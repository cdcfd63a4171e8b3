"""python -m tests.crash --rounds 200 [--seed N]: kill a node that often, count its lakes."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.crash.harness import run_episode

KILLS_PER_LAKE = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="kills in all")
    parser.add_argument("--seed", type=int, help="replays one run's moments")
    parser.add_argument("--folder", type=Path, help="where the lakes lie; a temporary one")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    left, failures = arguments.rounds, 0
    while left > 0:
        kills = min(KILLS_PER_LAKE, left)
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            findings = run_episode(Path(folder) / "lake", seed=seed, kills=kills)
        print(f"seed {seed}: {findings}", flush=True)
        failures += not findings.is_sound
        left -= kills
        seed += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Run the shop in a local cloud of its own, with traffic and faults; exit with 1 after a loss."""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cloud.checkout import copy_with_shop
from tests.cloud.local import Cloud, cloud_folder, read_variables, run_up
from tests.soak.report import text
from tests.soak.run import Plan, short, soak

SHORT_MINUTES = 5


def main() -> int:
    """Run `python -m tests.soak`."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="default: 10")
    seconds = 60 * parser.parse_args().minutes
    plan = Plan(seconds) if seconds >= 60 * SHORT_MINUTES else short(seconds)
    with TemporaryDirectory(prefix="djambda-soak-") as product, cloud_folder() as folder:
        checkout = copy_with_shop(Path(product))
        log("Starting a local cloud")
        done = run_up(folder, "--port", "0", checkout=checkout)
        if done.returncode:
            sys.stderr.write(done.stdout + done.stderr)
            return 1
        visits, effects = soak(Cloud(folder, read_variables(folder), checkout), plan, log)
    sys.stdout.write(f"{text(visits, effects)}\n")
    return 0 if all(effect.is_clean for effect in effects) else 1


def log(message: str) -> None:
    """Print a line with the time."""
    sys.stderr.write(f"{time.strftime('%T')} {message}\n")


if __name__ == "__main__":
    sys.exit(main())

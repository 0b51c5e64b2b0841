"""The control: the same attacks without a sandbox, where they can do no harm.

    python -m tests.attacks.control

In namespaces of its own that end with it, as a user who owns nothing, each attack is
called in a process that was just forked. Says in a line of JSON what became of it. A
test that this shows nothing for could not fail.
"""

from __future__ import annotations

import json
import os
import traceback

from tests.attacks.arsenal import ATTACKS, Attack
from tests.attacks.scene import KEY, Scene, scene


def tried(attack: Attack, stage: Scene) -> str:
    """Return what an attack has got in a process of its own, or why it has failed."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            word = f"got {attack(stage.sights)!r:.200}"
        except BaseException:  # noqa: BLE001 - whatever stops an attack is the answer
            word = f"failed {traceback.format_exc()[-300:]}"
        os.write(tell, word.encode())
        os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as answer:
        word = answer.read(1000).decode()
    os.waitpid(child, 0)
    return word


def main() -> None:
    """Try everything."""
    os.environ["OWNERS_SECRET"] = KEY
    for attack in ATTACKS:
        with scene() as stage:
            word = tried(attack, stage)
            if attack.__name__.startswith("end_a_program"):
                stage.wait_for_the_victim()
            line = {"attack": attack.__name__, "word": word, "harm": stage.harm()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

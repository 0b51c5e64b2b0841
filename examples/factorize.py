"""Factorise thousands of large numbers, each the product of two primes.

    python examples/factorize.py --numbers 5000

Some numbers take a thousand times as long as others: nobody has to cut them into equal
pieces, the grid hands out less at a time towards the end. The answers are checked.
"""

from __future__ import annotations

import argparse
import math
import random

import p2pslinger as slinger

#: The primes lie between these powers of ten.
SMALLEST, LARGEST = 6, 9

#: Bases with which the Miller-Rabin test makes no mistake below 3 * 10**24.
BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)


def factorize(number: int) -> list[int]:
    """List the prime factors of `number`, smallest first."""
    if number == 1:
        return []
    if is_prime(number):
        return [number]
    factor = divisor(number)
    return sorted(factorize(factor) + factorize(number // factor))


def divisor(number: int) -> int:
    """Find a proper divisor of a composite number: Pollard's rho, without chance."""
    if number % 2 == 0:
        return 2
    for step in range(1, number):
        slow = fast = 2
        found = 1
        while found == 1:
            # Multiply a hundred differences before taking one gcd, which is slow.
            start, product = (slow, fast), 1
            for _ in range(100):
                slow = (slow * slow + step) % number
                fast = (fast * fast + step) % number
                fast = (fast * fast + step) % number
                product = product * (slow - fast) % number
            found = math.gcd(product, number)
        if found == number:  # went too far: the same steps again, one by one
            (slow, fast), found = start, 1
            while found == 1:
                slow = (slow * slow + step) % number
                fast = (fast * fast + step) % number
                fast = (fast * fast + step) % number
                found = math.gcd(slow - fast, number)
        if found != number:
            return found
    raise ValueError(f"{number} is prime")


def is_prime(number: int) -> bool:
    """Say whether `number` (below 3 * 10**24) is prime: the Miller-Rabin test."""
    if number < 2 or any(number % base == 0 for base in BASES):
        return number in BASES
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in BASES:
        power = pow(base, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def product(chance: random.Random) -> tuple[int, list[int]]:
    """Make up a number, together with its two prime factors."""
    primes = []
    for _ in range(2):
        candidate = int(10 ** chance.uniform(SMALLEST, LARGEST)) | 1
        while not is_prime(candidate):
            candidate += 2
        primes.append(candidate)
    return primes[0] * primes[1], sorted(primes)


def main() -> None:
    """Make up numbers, have them factorised, check the answers."""
    parser = argparse.ArgumentParser(description="Factorise numbers on a grid.")
    parser.add_argument("--numbers", type=int, default=5000, help="how many")
    numbers = parser.parse_args().numbers
    if numbers < 1:
        parser.error("there has to be something to do: --numbers 1 or more")
    chance = random.Random(1)
    known = dict(product(chance) for _ in range(numbers))

    with slinger.connect() as grid:
        answers = grid.map(factorize, known, progress=True)
        for number, factors in zip(known, answers, strict=True):
            if factors != known[number]:
                raise SystemExit(f"wrong: {number} is not {factors}")
            last = f"{number} = {' * '.join(map(str, factors))}"
    print(f"{last}, and {len(known) - 1:,} more: all of them are right")


if __name__ == "__main__":
    main()

"""Word problems with one computable answer. Whatever the model can pose it can also solve, even when the problem comes back inside a longer prompt."""

from collections.abc import Callable

from infra.triton.rehearsal_language.draw import Draw
from infra.triton.rehearsal_language.pattern import Numbers, Pattern, Solution


def _range(**bounds: tuple[int, int]) -> Callable[[Draw], Numbers]:
    return lambda draw: {name: draw.number(*bound) for name, bound in bounds.items()}


def _change(draw: Draw) -> Numbers:
    count, price = draw.number(2, 12), draw.number(2, 9)
    return {"A": count, "B": price, "C": count * price + draw.number(1, 40)}


def _shares(draw: Draw) -> Numbers:
    people, each = draw.number(3, 12), draw.number(4, 30)
    return {"A": people * each, "B": people}


def _percent(draw: Draw) -> Numbers:
    return {"A": 20 * draw.number(2, 30), "B": 5 * draw.number(1, 12)}


def _average(draw: Draw) -> Numbers:
    first, second = draw.number(10, 60), draw.number(10, 60)
    return {"A": first, "B": second, "C": 3 * draw.number(20, 60) + (-first - second) % 3}


def _fraction(draw: Draw) -> Numbers:
    part = draw.number(2, 8)
    return {"A": part * draw.number(5, 25), "B": part}


def _ratio(draw: Draw) -> Numbers:
    first, second = draw.number(1, 6), draw.number(2, 7)
    return {"A": first, "B": second, "C": (first + second) * draw.number(3, 15)}


def _used(draw: Draw) -> Numbers:
    whole = draw.number(40, 200)
    return {"A": whole, "B": draw.number(5, whole // 2 - 2), "C": draw.number(3, whole // 2 - 2)}


def _remainder(draw: Draw) -> Numbers:
    return {"A": draw.number(50, 300), "B": draw.number(6, 14)}


PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "money change addition subtraction prices",
        "{name} buys {A} {things} at {B} dollars each and pays with {C} dollars. How many dollars of change does {name} get?",
        _change,
        ("The {A} items cost {A} * {B} = {D} dollars.", "The change is {C} - {D} = {ANSWER} dollars."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["C"] - n["A"] * n["B"]},
    ),
    Pattern(
        "multiplication counting measurement",
        "A {box} holds {A} {things}. There are {B} full ones and one that holds only {C}. How many {things} are there in all?",
        _range(A=(6, 30), B=(3, 20), C=(1, 5)),
        ("The full ones hold {A} * {B} = {D}.", "Together with the last one that makes {D} + {C} = {ANSWER}."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["A"] * n["B"] + n["C"]},
    ),
    Pattern(
        "division sharing equally fractions",
        "{A} {things} are shared equally among the {B} members of a {group}. How many does each member get?",
        _shares,
        ("Each member gets {A} / {B} = {ANSWER}.",),
        lambda n: {"ANSWER": n["A"] // n["B"]},
    ),
    Pattern(
        "percentages discounts prices savings",
        "A coat costs {A} dollars and is reduced by {B} percent. What is its new price in dollars?",
        _percent,
        ("The reduction is {A} * {B} / 100 = {D} dollars.", "The new price is {A} - {D} = {ANSWER} dollars."),
        lambda n: {"D": n["A"] * n["B"] // 100, "ANSWER": n["A"] - n["A"] * n["B"] // 100},
    ),
    Pattern(
        "speed distance time schedules",
        "A {vehicle} covers {A} kilometres every hour. How many kilometres does it cover in {B} hours if it also makes a detour of {C} kilometres?",
        _range(A=(12, 90), B=(2, 9), C=(3, 40)),
        ("In {B} hours it covers {A} * {B} = {D} kilometres.", "With the detour that makes {D} + {C} = {ANSWER} kilometres."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["A"] * n["B"] + n["C"]},
    ),
    Pattern(
        "area rectangles tiling floor geometry",
        "A rectangular {place} is {A} metres long and {B} metres wide. A path takes up {C} square metres of it. How many square metres are left?",
        _range(A=(12, 40), B=(8, 30), C=(5, 90)),
        ("The whole area is {A} * {B} = {D} square metres.", "Without the path {D} - {C} = {ANSWER} square metres are left."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["A"] * n["B"] - n["C"]},
    ),
    Pattern(
        "perimeter fencing garden geometry",
        "How many metres of fence does a rectangular {place} of {A} by {B} metres need if a gate of {C} metres needs none?",
        _range(A=(10, 60), B=(8, 50), C=(1, 6)),
        ("Two sides make {A} + {B} = {D} metres.", "All four sides make 2 * {D} = {E} metres.", "Without the gate that is {E} - {C} = {ANSWER} metres."),
        lambda n: {"D": n["A"] + n["B"], "E": 2 * (n["A"] + n["B"]), "ANSWER": 2 * (n["A"] + n["B"]) - n["C"]},
    ),
    Pattern(
        "averages tables statistics",
        "A {group} counted {A} visitors on the first day, {B} on the second and {C} on the third. What was the average number of visitors a day?",
        _average,
        ("In all there were {A} + {B} + {C} = {D} visitors.", "The average is {D} / 3 = {ANSWER}."),
        lambda n: {"D": n["A"] + n["B"] + n["C"], "ANSWER": (n["A"] + n["B"] + n["C"]) // 3},
    ),
    Pattern(
        "fractions recipes scaling",
        "{name} divides {A} {things} into {B} equal parts and gives one part away. How many {things} does {name} keep?",
        _fraction,
        ("One part is {A} / {B} = {D}.", "What is kept is {A} - {D} = {ANSWER}."),
        lambda n: {"D": n["A"] // n["B"], "ANSWER": n["A"] - n["A"] // n["B"]},
    ),
    Pattern(
        "ratios proportions mixtures",
        "Red and blue paint are mixed in the ratio {A} to {B} to give {C} litres. How many litres of red paint are needed?",
        _ratio,
        ("There are {A} + {B} = {D} parts.", "One part is {C} / {D} = {E} litres.", "Red paint makes {A} * {E} = {ANSWER} litres."),
        lambda n: {"D": n["A"] + n["B"], "E": n["C"] // (n["A"] + n["B"]), "ANSWER": n["A"] * (n["C"] // (n["A"] + n["B"]))},
    ),
    Pattern(
        "savings interest budgets money",
        "{name} has saved {A} dollars and puts {B} dollars aside every week. How many dollars will {name} have after {C} weeks?",
        _range(A=(10, 200), B=(3, 40), C=(2, 26)),
        ("In {C} weeks {B} * {C} = {D} dollars are added.", "Together that is {A} + {D} = {ANSWER} dollars."),
        lambda n: {"D": n["B"] * n["C"], "ANSWER": n["A"] + n["B"] * n["C"]},
    ),
    Pattern(
        "work rates time",
        "In one hour {job} finishes {A} pieces. On {day} the work goes on for {B} hours, and {C} pieces turn out faulty. How many good pieces are there?",
        _range(A=(8, 40), B=(3, 9), C=(1, 7)),
        ("In all {A} * {B} = {D} pieces are finished.", "Of these {D} - {C} = {ANSWER} are good."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["A"] * n["B"] - n["C"]},
    ),
    Pattern(
        "age puzzles equations consecutive numbers",
        "{name} is {A} years old and has a sister who is {B} years older. What will be the sum of their ages in {C} years?",
        _range(A=(5, 30), B=(1, 12), C=(2, 15)),
        ("The sister is {A} + {B} = {D} years old.", "Today the sum is {A} + {D} = {E}.", "Both grow older, so it will be {E} + 2 * {C} = {ANSWER}."),
        lambda n: {"D": n["A"] + n["B"], "E": 2 * n["A"] + n["B"], "ANSWER": 2 * n["A"] + n["B"] + 2 * n["C"]},
    ),
    Pattern(
        "addition subtraction temperature weights",
        "A {box} contained {A} {things}. On {day} {B} of them were sold, and later {C} more. How many {things} are left?",
        _used,
        ("In all {B} + {C} = {D} were sold.", "So {A} - {D} = {ANSWER} are left."),
        lambda n: {"D": n["B"] + n["C"], "ANSWER": n["A"] - n["B"] - n["C"]},
    ),
    Pattern(
        "combinations probability counting",
        "{name} can choose among {A} shirts, {B} pairs of trousers and {C} hats. In how many ways can {name} dress?",
        _range(A=(2, 9), B=(2, 8), C=(2, 6)),
        ("Shirts and trousers go together in {A} * {B} = {D} ways.", "With the hats that makes {D} * {C} = {ANSWER} ways."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["A"] * n["B"] * n["C"]},
    ),
    Pattern(
        "remainders multiples factors division",
        "{A} {things} are packed into cartons of {B} until no full carton can be made. How many {things} remain?",
        _remainder,
        ("There are {D} full cartons, holding {D} * {B} = {E}.", "So {A} - {E} = {ANSWER} remain."),
        lambda n: {"D": n["A"] // n["B"], "E": n["A"] // n["B"] * n["B"], "ANSWER": n["A"] % n["B"]},
    ),
    Pattern(
        "volume boxes measurement",
        "A water tank is {A} metres long, {B} metres wide and {C} metres deep. How many cubic metres does it hold?",
        _range(A=(2, 15), B=(2, 12), C=(2, 6)),
        ("Its floor measures {A} * {B} = {D} square metres.", "It holds {D} * {C} = {ANSWER} cubic metres."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["A"] * n["B"] * n["C"]},
    ),
    Pattern(
        "patterns sequences numbers",
        "A sequence begins with {A}, and each further number is {B} larger than the one before it. What is its {C}th number?",
        _range(A=(1, 40), B=(2, 15), C=(4, 20)),
        ("From the first number there are {C} - 1 = {D} steps.", "They add {D} * {B} = {E}.", "So the number is {A} + {E} = {ANSWER}."),
        lambda n: {"D": n["C"] - 1, "E": (n["C"] - 1) * n["B"], "ANSWER": n["A"] + (n["C"] - 1) * n["B"]},
    ),
    Pattern(
        "tickets prices seating arrangements",
        "A hall has {A} rows of {B} seats, and a ticket costs {C} dollars. How many dollars come in when it is sold out?",
        _range(A=(5, 25), B=(8, 30), C=(3, 20)),
        ("There are {A} * {B} = {D} seats.", "They bring in {D} * {C} = {ANSWER} dollars."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": n["A"] * n["B"] * n["C"]},
    ),
    Pattern(
        "map scales measurement decimals unit conversion",
        "On a map one centimetre stands for {A} kilometres. Two villages are {B} centimetres apart. How many kilometres is it there and back?",
        _range(A=(2, 25), B=(3, 30)),
        ("One way is {A} * {B} = {D} kilometres.", "There and back it is 2 * {D} = {ANSWER} kilometres."),
        lambda n: {"D": n["A"] * n["B"], "ANSWER": 2 * n["A"] * n["B"]},
    ),
)


def pose_problems(topic: str, count: int, draw: Draw) -> list[str]:
    """Write problems, of the topic's own kinds first, then of others."""
    words = set(topic.lower().split())
    own = [pattern for pattern in PATTERNS if words & set(pattern.about.split())]
    order = draw.several(own, len(own)) + draw.several(PATTERNS, len(PATTERNS))
    return [order[index % len(order)].pose(draw) for index in range(count)]


def pose_like(text: str, draw: Draw) -> str:
    """Write a problem of the same kind as a given one, or of any where it is none of ours."""
    kinds = [pattern for pattern in PATTERNS if pattern.regex.search(text)] or list(PATTERNS)
    return draw.pick(kinds).pose(draw)


def pose_harder(text: str, draw: Draw) -> str:
    """Write two problems in one: a further one and one like the one given."""
    return f"{pose_like(text, draw)} And a second question that belongs to it: {draw.pick(PATTERNS).pose(draw)} Give the sum of the two answers."


def solve_problem(text: str) -> Solution | None:
    """Solve a problem of ours, wherever in the text it stands."""
    return next((solution for pattern in PATTERNS if (solution := pattern.solve(text))), None)
